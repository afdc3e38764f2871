//! Tests with a few files of their own, so that they hold whether the dashboard is built or not.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, IF_NONE_MATCH};
use actix_web::test::TestRequest;

use super::*;

#[derive(RustEmbed)]
#[folder = "tests/dashboard_files"]
struct Fixture;

const APP: &str = "/assets/app-1a2b3c4d.js";

fn get(path: &str, headers: &[(&str, &str)]) -> Result<HttpResponse, ApiError> {
    let request = TestRequest::get().uri(path);
    let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
    answer(Fixture::get, &request.to_http_request())
}

fn found(path: &str, headers: &[(&str, &str)]) -> HttpResponse {
    get(path, headers).expect("a file")
}

fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn body(response: HttpResponse) -> String {
    use actix_web::body::MessageBody;
    let bytes = response.into_body().try_into_bytes().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_client_gets_the_encoding_that_it_likes_best() {
    for (accepted, encoding, content) in [
        ("gzip, deflate, br, zstd", Some("br"), "brotli of app"),
        ("gzip, deflate", Some("gzip"), "gzip of app"),
        ("br;q=0.2, gzip;q=0.8", Some("gzip"), "gzip of app"),
        ("br;q=0, gzip;q=0", None, "export const name = \"warren\";\n"),
        ("zstd", None, "export const name = \"warren\";\n"),
        ("*", None, "export const name = \"warren\";\n"),
        ("identity", None, "export const name = \"warren\";\n"),
        ("", None, "export const name = \"warren\";\n"),
        ("nonsense;q=x, =;", None, "export const name = \"warren\";\n"),
    ] {
        let response = found(APP, &[(ACCEPT_ENCODING.as_str(), accepted)]);
        assert_eq!(header(&response, "content-encoding"), encoding, "{accepted}");
        assert_eq!(header(&response, "content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(header(&response, "vary"), Some("Accept-Encoding"));
        assert_eq!(body(response), content, "{accepted}");
    }
    assert_eq!(header(&found(APP, &[]), "content-encoding"), None, "a client that names none");
}

#[test]
fn a_file_without_a_twin_in_that_encoding_is_served_in_another() {
    let response = found("/notes.txt", &[("accept-encoding", "br, gzip;q=0.5")]);
    assert_eq!(header(&response, "content-encoding"), Some("gzip"));
    let response = found("/", &[("accept-encoding", "br, gzip")]);
    assert_eq!(header(&response, "content-encoding"), None);
}

#[test]
fn each_encoding_has_a_strong_tag_of_its_own_that_saves_sending_it_again() {
    let tag_of = |accepted| {
        let response = found(APP, &[("accept-encoding", accepted)]);
        header(&response, "etag").unwrap().to_owned()
    };
    let tags = [tag_of("br"), tag_of("gzip"), tag_of("identity")];
    assert!(tags.iter().all(|tag| tag.starts_with('"')), "strong: {tags:?}");
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");

    let known = format!("\"other\", W/{}", tags[0]);
    for known in [tags[0].as_str(), &known, "*"] {
        let response = found(APP, &[("accept-encoding", "br"), (IF_NONE_MATCH.as_str(), known)]);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(header(&response, "etag"), Some(tags[0].as_str()));
        assert_eq!(header(&response, "vary"), Some("Accept-Encoding"));
        assert_eq!(header(&response, "cache-control"), Some(IMMUTABLE));
        assert_eq!(body(response), "");
    }
    for unknown in [tags[1].as_str(), "\"\"", "nonsense", ""] {
        let response = found(APP, &[("accept-encoding", "br"), ("if-none-match", unknown)]);
        assert_eq!(response.status(), StatusCode::OK, "{unknown}");
    }
}

#[test]
fn only_files_with_a_hash_in_their_name_are_kept_for_good() {
    assert_eq!(header(&found(APP, &[]), "cache-control"), Some("public, max-age=31536000, immutable"));
    for path in ["/", "/index.html", "/notes.txt"] {
        assert_eq!(header(&found(path, &[]), "cache-control"), Some("no-cache"), "{path}");
    }
}

#[test]
fn a_browser_that_asks_for_a_page_gets_the_start_page() {
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    for path in ["/", "/networks/home/nodes/alpha", "/networks/home.example/nodes/alpha", "/anything"] {
        let response = found(path, &browser);
        assert_eq!(header(&response, CONTENT_TYPE.as_str()), Some("text/html; charset=utf-8"), "{path}");
        assert_eq!(body(response), "<!doctype html><title>start</title>", "{path}");
    }
    for path in ["/assets/gone-00000000.js", "/favicon.ico", "/api/v1/nothing"] {
        assert_eq!(
            get(path, &browser).unwrap_err().to_string(),
            "there is nothing at this address",
            "{path}"
        );
    }
    assert!(get("/networks/home/nodes/alpha", &[("accept", "application/json")]).is_err());
}

#[test]
fn nothing_outside_of_the_folder_is_a_file() {
    for path in
        ["/../http_api.rs", "/%2e%2e/http_api.rs", "//etc/passwd", "/assets/../../http_api.rs", "/assets"]
    {
        assert!(get(path, &[]).is_err(), "{path}");
    }
}

#[test]
fn files_are_read_only() {
    let request = TestRequest::post().uri("/").to_http_request();
    assert!(answer(Fixture::get, &request).is_err());
}
