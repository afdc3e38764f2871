//! The dashboard's files, built into the program, or read from `web-ui/dist` by a debug build.
//!
//! `scripts/web` puts a brotli and a gzip twin beside each file, so nothing is compressed here. Where the dashboard was
//! not built, a page that says so stands in.

use std::borrow::Cow;

use actix_web::http::Method;
use actix_web::http::header::{
    ACCEPT, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, ETAG, Encoding, EntityTag, Header, IfNoneMatch,
    VARY,
};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::problem::ApiError;

/// For files whose name holds a hash of what is in them: they never change.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// For all others: ask every time whether it changed.
const REVALIDATE: &str = "no-cache";

#[derive(RustEmbed)]
#[folder = "../web-ui/dist"]
#[allow_missing = true]
struct Built;

#[derive(RustEmbed)]
#[folder = "../web-ui/placeholder"]
struct Placeholder;

/// Finds a file by its path below the dashboard's folder.
type Files = fn(&str) -> Option<EmbeddedFile>;

fn files() -> Files {
    if Built::get("index.html").is_some() { Built::get } else { Placeholder::get }
}

/// Answers every address that is no route: a file of the dashboard, or its start page where a browser asks for a
/// page of it, or a problem.
pub(super) async fn asset(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    answer(files(), &request)
}

/// A page of the dashboard that is no asset of its own address. It is kept nowhere: its address is a secret.
pub(super) fn page(file: &str) -> Result<HttpResponse, ApiError> {
    let files = files();
    let found = files(file).or_else(|| files("index.html")).ok_or_else(ApiError::not_found)?;
    let mut response = HttpResponse::Ok();
    response.content_type(media_type(file)).insert_header((CACHE_CONTROL, "no-store"));
    Ok(response.body(bytes(found)))
}

fn answer(files: Files, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    let path = request.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Err(ApiError::not_found());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    let file = if path.is_empty() { "index.html" } else { path };
    if let Some(response) = serve(files, file, request) {
        return Ok(response);
    }
    let wants_page = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    // A name with a dot at the end of the path is a file that is gone; a page in its place would only confuse.
    let is_page = wants_page && !path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    let page = if is_page { serve(files, "index.html", request) } else { None };
    page.ok_or_else(ApiError::not_found)
}

fn serve(files: Files, file: &str, request: &HttpRequest) -> Option<HttpResponse> {
    let plain = files(file)?;
    let (found, encoding) = match encoded(files, file, request) {
        Some((twin, encoding)) => (twin, Some(encoding)),
        None => (plain, None),
    };
    // Each encoding has a tag of its own: they are different bytes (RFC 9110 §8.8.3.3).
    let hash = found.metadata.sha256_hash();
    let tag = hash[..16].iter().fold(String::new(), |tag, byte| format!("{tag}{byte:02x}"));
    let tag = EntityTag::new_strong(tag);
    let is_known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    let caching = if file.starts_with("assets/") { IMMUTABLE } else { REVALIDATE };
    response.insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, caching));
    response.insert_header((VARY, "Accept-Encoding"));
    if is_known {
        return Some(response.finish());
    }
    if let Some(encoding) = encoding {
        response.insert_header((CONTENT_ENCODING, encoding));
    }
    Some(response.content_type(media_type(file)).body(bytes(found)))
}

/// The compressed twin that the client likes best, where it likes one and there is one.
fn encoded(files: Files, file: &str, request: &HttpRequest) -> Option<(EmbeddedFile, &'static str)> {
    let twins = [(Encoding::brotli(), "br", "br"), (Encoding::gzip(), "gz", "gzip")];
    let mut found: Vec<_> = twins
        .into_iter()
        .filter_map(|(encoding, extension, name)| {
            files(&format!("{file}.{extension}")).map(|twin| (encoding, twin, name))
        })
        .collect();
    let identity = Encoding::identity();
    let offered = found.iter().map(|(encoding, ..)| encoding).chain([&identity]);
    let liked = AcceptEncoding::parse(request).ok()?.negotiate(offered)?;
    let index = found.iter().position(|(encoding, ..)| *encoding == liked)?;
    let (_, twin, name) = found.swap_remove(index);
    Some((twin, name))
}

fn bytes(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    }
}

fn media_type(file: &str) -> &'static str {
    match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
