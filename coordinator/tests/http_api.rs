//! The HTTP API over a real port.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coordinator::http::{Policy, ROUTES};
use coordinator::service::sign_in;
use fixture::client::Server;
use fixture::{Fixture, report, request, unseal};
use protocol::api::{
    ENROLL_BYTES_MAX, EnrollResponse, MapEvent, ProblemCode, REPORT_BYTES_MAX, ReportResponse,
};
use protocol::key::PrivateKey;
use protocol::map_signature::MapSignature;

fn server() -> Server {
    Server::start(Fixture::new(1))
}

/// Keys of the fixture live in its time; the server's clock is the real one, so they are made for it.
fn new_key(server: &Server, single_use: bool) -> protocol::api::EnrollmentKey {
    server.fixture.new_key_at(now_ms(), "default", single_use).key
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn enroll(server: &Server, key: &protocol::api::EnrollmentKey, byte: u8) -> fixture::client::Answer {
    let public_key = PrivateKey::from_random([byte; 32]).public_key();
    let body = serde_json::to_vec(&request(key, public_key, "web")).unwrap();
    server.send("POST", "/api/v1/enroll", &[], &body)
}

/// A new node's token.
fn node(server: &Server, byte: u8) -> String {
    let answer = enroll(server, &new_key(server, true), byte);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let response: EnrollResponse = serde_json::from_str(&answer.body).unwrap();
    unseal(&response, &PrivateKey::from_random([byte; 32])).to_text().to_string()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn every_route_answers_a_stranger_as_its_policy_says() {
    let server = server();
    let link = "wsl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for route in ROUTES {
        let path = route.path.replace("{token}", link);
        for credentials in [
            vec![],
            vec![("Authorization", "Bearer wnt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")],
            vec![("Authorization", "Bearer nonsense"), ("Cookie", "warren_session=nonsense")],
            vec![("Cookie", "warren_session=wss_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")],
        ] {
            let answer = server.send(route.method, &path, &credentials, b"{}");
            match route.policy {
                Policy::Node
                | Policy::Person
                | Policy::Organization(_)
                | Policy::AnyOrganization
                | Policy::Operator => {
                    assert_eq!(answer.status, 401, "{route:?} with {credentials:?}: {}", answer.body);
                    assert_eq!(answer.problem().code, ProblemCode::Unauthenticated);
                }
                Policy::Public => assert_ne!(answer.status, 401, "{route:?}: {}", answer.body),
            }
        }
    }
}

#[test]
fn enrollment_refuses_with_a_code_that_says_why() {
    let server = server();
    let used = new_key(&server, true);
    assert_eq!(enroll(&server, &used, 1).status, 200);
    let expired = server.fixture.new_key_at(now_ms() - 2 * fixture::HOUR, "default", true).key;
    let unknown = protocol::api::EnrollmentKey::from_random([1; 32]);
    for (key, code) in [
        (&used, ProblemCode::EnrollmentKeyUsed),
        (&expired, ProblemCode::EnrollmentKeyExpired),
        (&unknown, ProblemCode::EnrollmentKeyUnknown),
    ] {
        let answer = enroll(&server, key, 2);
        assert_eq!((answer.status, answer.problem().code), (403, code));
    }
    assert_eq!(enroll(&server, &used, 1).status, 200, "the machine that used it may ask again");
}

#[test]
fn bodies_that_are_malformed_or_too_large_are_refused() {
    let server = server();
    for body in [&b""[..], b"{", b"[]", b"\xff\xfe", br#"{"enrollment_key":"x","public_key":"y","name":"z"}"#]
    {
        let answer = server.send("POST", "/api/v1/enroll", &[], body);
        assert_eq!((answer.status, answer.problem().code), (400, ProblemCode::InvalidRequest));
    }
    let answer = server.send("POST", "/api/v1/enroll", &[], &vec![b' '; ENROLL_BYTES_MAX + 1]);
    assert_eq!((answer.status, answer.problem().code), (413, ProblemCode::TooLarge));
    let token = bearer(&node(&server, 1));
    let headers = [("Authorization", token.as_str())];
    let answer = server.send("POST", "/api/v1/report", &headers, &vec![b' '; REPORT_BYTES_MAX + 1]);
    assert_eq!((answer.status, answer.problem().code), (413, ProblemCode::TooLarge));
}

#[test]
fn a_report_is_taken_in_and_one_with_a_wrong_field_names_it() {
    let server = server();
    let token = bearer(&node(&server, 1));
    let headers = [("Authorization", token.as_str())];
    let send = |report: &protocol::api::Report| {
        server.send("POST", "/api/v1/report", &headers, &serde_json::to_vec(report).unwrap())
    };
    let answer = send(&report(&["10.0.0.1:1"]));
    let response: ReportResponse = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((response.report_interval_s, response.relay_token_lifetime_s), (60, 3600));
    let problem = send(&report(&["127.0.0.1:1"])).problem();
    assert_eq!(problem.title, "candidates[0]: 127.0.0.1:1 can be no candidate of a node");
}

#[test]
fn the_map_streams_a_snapshot_then_deltas_and_resumes() {
    let server = server();
    let (a, b) = (node(&server, 1), node(&server, 2));
    let mut events = server.map(&a, None);
    assert!(events.head.contains("content-type: text/event-stream"), "{}", events.head);
    let Some(MapEvent::Snapshot(mut map)) = events.next() else { panic!("a snapshot") };
    assert_eq!(map.peers.len(), 1);

    let headers = bearer(&b);
    let body = serde_json::to_vec(&report(&["10.0.0.2:1"])).unwrap();
    server.send("POST", "/api/v1/report", &[("Authorization", &headers)], &body);
    let Some(MapEvent::Delta(delta)) = events.next() else { panic!("a delta") };
    map.apply(delta).unwrap();
    assert_eq!(map.peers[0].candidates, report(&["10.0.0.2:1"]).candidates);
    drop(events);

    node(&server, 3);
    let Some(MapEvent::Delta(missed)) = server.map(&a, Some(map.revision)).next() else { panic!("a delta") };
    map.apply(missed).unwrap();
    assert_eq!(map.peers.len(), 2);
    let too_old = server.map(&a, Some(1)).next();
    assert!(matches!(too_old, Some(MapEvent::Snapshot(_))), "{too_old:?}");
}

#[test]
fn each_event_is_signed_for_its_node_by_the_key_that_came_with_the_enrollment() {
    let server = server();
    let answer = enroll(&server, &new_key(&server, true), 1);
    let response: EnrollResponse = serde_json::from_str(&answer.body).unwrap();
    let sealed = STANDARD.decode(response.sealed_credentials.as_ref().unwrap()).unwrap();
    let opened = protocol::sealed::open(&sealed, &PrivateKey::from_random([1; 32])).unwrap();
    let (token, key) = std::str::from_utf8(&opened).unwrap().split_once(' ').unwrap();
    let mut events = server.map(token, None);
    for _ in 0..2 {
        let event = events.next().unwrap();
        let signature: MapSignature = events.signature.parse().unwrap();
        assert_eq!(signature.key().to_string(), key);
        assert!(signature.is_of(&event.place(response.node_id), &event.data()));
        assert!(!signature.is_of(&event.place(uuid::Uuid::nil()), &event.data()), "another node's");
        node(&server, 2);
    }
}

#[test]
fn a_node_that_leaves_is_gone_for_itself_and_for_the_others() {
    let server = server();
    let (a, b) = (node(&server, 1), node(&server, 2));
    let (mut of_a, mut of_b) = (server.map(&a, None), server.map(&b, None));
    assert!(of_a.next().is_some());
    let Some(MapEvent::Snapshot(map)) = of_b.next() else { panic!("no map") };
    let token = bearer(&b);
    let headers = [("Authorization", token.as_str())];
    assert_eq!(server.send("DELETE", "/api/v1/node", &headers, b"").status, 204);
    let ended = std::iter::from_fn(|| of_b.next()).count();
    assert!(ended <= 1, "at most the news of the other stream, then the end");
    let removed = std::iter::from_fn(|| of_a.next()).any(|event| match event {
        MapEvent::Delta(delta) => delta.removals == [PrivateKey::from_random([2; 32]).public_key()],
        MapEvent::Snapshot(_) => false,
    });
    assert!(removed);
    let answer = server.send("POST", "/api/v1/report", &headers, b"{}");
    assert_eq!((answer.status, answer.problem().code), (410, ProblemCode::NodeDeleted));
    assert!(answer.problem().signature.is_some_and(|signature| signature.is_deletion_of(map.own.id)));
}

#[test]
fn addresses_and_methods_that_do_not_exist_are_problems_too() {
    let server = server();
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/nothing.js", 404),
        ("GET", "/sign-in/a/b", 404),
        ("PUT", "/api/v1/enroll", 405),
        ("POST", "/api/v1/map", 405),
        ("POST", "/nothing", 405),
    ] {
        let answer = server.send(method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}");
        answer.problem();
    }
}

/// A server, and the cookie of its owner's session.
fn signed_in(public_url: Option<&str>) -> (Server, String) {
    let fixture = Fixture::new(1);
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let owner = store.read(|tx| tx.first_owner()).unwrap().unwrap().id;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(since.as_millis()).unwrap();
    let session = sign_in::open_session(store, entropy, now_ms, (owner, "a browser")).unwrap();
    let cookie = format!("warren_session={}", *session.to_text());
    (Server::start_with_url(fixture, public_url), cookie)
}

#[test]
fn a_form_of_another_sites_page_does_nothing_over_plain_http_where_browsers_tell_no_more_than_the_origin() {
    let (server, cookie) = signed_in(Some("http://mesh.example"));
    let own = format!("http://{}", server.address);
    let sign_out = |headers: &[(&str, &str)]| {
        let headers = [headers, &[("Cookie", cookie.as_str())]].concat();
        server.send("POST", "/api/v1/sign-out", &headers, b"").status
    };
    for origin in
        ["http://evil.example", "http://mesh.example.evil.example", "null", "http://mesh.example:81"]
    {
        assert_eq!(sign_out(&[("Origin", origin)]), 403, "{origin}");
    }
    assert_eq!(sign_out(&[("Origin", &own), ("Sec-Fetch-Site", "cross-site")]), 403);
    let password = br#"{"new_password":"four words and more"}"#;
    for (kind, status) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json-seq", 415),
        ("", 415),
        ("application/json; charset=utf-8", 204),
        ("Application/JSON", 403),
    ] {
        let headers =
            [("Cookie", cookie.as_str()), ("Content-Type", kind), ("Origin", "http://mesh.example")];
        let answer = server.send("PUT", "/api/v1/account/password", &headers, password);
        assert_eq!(answer.status, status, "`{kind}`: {}", answer.body);
    }
    assert_eq!(sign_out(&[("Origin", &own)]), 204);
}

#[test]
fn every_answer_has_the_security_headers() {
    let server = server();
    let policy = "content-security-policy: default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
                  style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                  frame-ancestors 'none'";
    for path in ["/", "/icon.svg", "/healthz", "/api/v1/map", "/nothing.js", "/sign-in/x"] {
        let answer = server.send("GET", path, &[], b"");
        for header in [
            policy,
            "x-content-type-options: nosniff",
            "referrer-policy: same-origin",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
            "permissions-policy: camera=()",
        ] {
            assert!(answer.head.contains(header), "{path}: {}", answer.head);
        }
    }
}

#[test]
fn the_dashboard_holds_nothing_inline_is_cached_by_its_tag_and_its_pages_are_one_file() {
    let server = server();
    let page = server.send("GET", "/", &[("Accept", "text/html")], b"");
    assert!(page.status == 200 && page.body.contains("<!doctype html>"), "{}", page.body);
    assert!(!page.body.contains("<script>") && !page.body.contains("style="), "nothing inline");
    let tag = page.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let again = server.send("GET", "/", &[("If-None-Match", tag)], b"");
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    let deep = server.send("GET", "/nodes/7", &[("Accept", "text/html")], b"");
    assert_eq!(deep.body, page.body);
}

#[test]
fn a_sign_in_link_works_once_and_opening_it_does_not_use_it_up() {
    let server = server();
    let coordinator = &server.fixture.coordinator;
    let link = sign_in::create_link(coordinator.store(), coordinator.entropy(), now_ms()).unwrap();
    let path = format!("/sign-in/{}", *link.token.to_text());
    assert_eq!(server.send("GET", &path, &[], b"").status, 200);
    let cross_site = server.send("POST", &path, &[("Sec-Fetch-Site", "cross-site")], b"");
    assert_eq!(cross_site.status, 403);

    let answer = server.send("POST", &path, &[("Sec-Fetch-Site", "same-origin")], b"");
    assert_eq!(answer.status, 303);
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=lax"), "{cookie}");
    assert_eq!(server.send("POST", &path, &[], b"").problem().status, 403);
}

#[test]
fn a_signed_in_person_sees_the_overview_until_she_signs_out() {
    let server = server();
    node(&server, 1);
    let coordinator = &server.fixture.coordinator;
    let (store, entropy) = (coordinator.store(), coordinator.entropy());
    let link = sign_in::create_link(store, entropy, now_ms()).unwrap();
    let session = sign_in::use_link(store, entropy, now_ms(), (&link.token, "a browser")).unwrap().unwrap();
    let cookie = format!("other=1; warren_session={}", *session.to_text());
    let headers = [("Cookie", cookie.as_str())];
    let overview = server.send("GET", "/api/v1/overview", &headers, b"");
    assert!(overview.status == 200 && overview.body.contains(r#""name":"web""#), "{}", overview.body);
    assert_eq!(server.send("POST", "/api/v1/sign-out", &headers, b"").status, 204);
    assert_eq!(server.send("GET", "/api/v1/overview", &headers, b"").status, 401);
}

#[test]
fn by_https_the_cookie_is_bound_to_the_host() {
    let server = Server::start_with_url(Fixture::new(1), Some("https://mesh.example"));
    let coordinator = &server.fixture.coordinator;
    let link = sign_in::create_link(coordinator.store(), coordinator.entropy(), now_ms()).unwrap();
    let answer = server.send("POST", &format!("/sign-in/{}", *link.token.to_text()), &[], b"");
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.starts_with("__host-warren_session=") && cookie.ends_with("; secure"), "{cookie}");
    assert!(answer.head.contains("strict-transport-security"), "{}", answer.head);
}

#[test]
fn too_many_enrollments_from_one_address_are_told_when_to_come_back() {
    let server = server();
    let refused = (0..400).find_map(|_| {
        let answer = server.send("POST", "/api/v1/enroll", &[], b"{}");
        (answer.status == 429).then_some(answer)
    });
    let refused = refused.expect("the budget is 300 at once");
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    assert_eq!(refused.problem().code, ProblemCode::TooManyRequests);
}

#[test]
fn a_coordinator_with_a_database_that_answers_is_healthy() {
    let server = server();
    assert_eq!(server.send("GET", "/healthz", &[], b"").status, 200);
}
