//! The dashboard's files, built into the program.

use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::RustEmbed;

use super::problem::ApiError;

#[derive(RustEmbed)]
#[folder = "../web-ui/dist"]
struct Assets;

/// Answers every address that is no route: a file of the dashboard, or its start page where a browser asks for a
/// page of it, or a problem.
pub(super) async fn asset(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let path = request.path().trim_start_matches('/');
    if path.starts_with("api/") {
        return Err(ApiError::not_found());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Err(ApiError::method_not_allowed());
    }
    let file = if path.is_empty() { "index.html" } else { path };
    if let Some(response) = serve(file, &request) {
        return Ok(response);
    }
    let wants_page = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page && !path.contains('.') {
        return serve("index.html", &request).ok_or_else(ApiError::not_found);
    }
    Err(ApiError::not_found())
}

/// A page of the dashboard that is no asset of its own address.
pub(super) fn page(file: &str) -> Result<HttpResponse, ApiError> {
    let asset = Assets::get(file).ok_or_else(ApiError::not_found)?;
    Ok(HttpResponse::Ok()
        .content_type(media_type(file))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(asset.data.into_owned()))
}

fn serve(file: &str, request: &HttpRequest) -> Option<HttpResponse> {
    let asset = Assets::get(file)?;
    let hash = asset.metadata.sha256_hash();
    let tag = hash[..16].iter().fold(String::from("\""), |tag, byte| format!("{tag}{byte:02x}")) + "\"";
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((ETAG, tag)).insert_header((CACHE_CONTROL, "no-cache"));
    if known {
        return Some(response.finish());
    }
    Some(response.content_type(media_type(file)).body(asset.data.into_owned()))
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
