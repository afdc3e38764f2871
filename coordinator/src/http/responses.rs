//! What every answer has: security headers, and a problem document wherever something is refused, also by the web
//! framework itself.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY,
    CROSS_ORIGIN_RESOURCE_POLICY, HeaderName, HeaderValue, PERMISSIONS_POLICY, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use protocol::api::PROBLEM_CONTENT_TYPE;

use super::Site;
use super::activity::Open;
use super::problem::ApiError;

/// Nothing inline, nothing from elsewhere, in nobody's frame. `wasm-unsafe-eval` lets the dashboard instantiate the
/// selection module, and nothing else.
const CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
                   img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
                   frame-ancestors 'none'";

/// The rest of what a browser must not do: keep a window of another site's page beside ours, let other sites load our
/// answers, ask for a camera on our behalf, or believe a file's content more than its type. Where a page lies is told to us alone;
/// told to nobody, a form of ours would come without its origin.
const HARDENING: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
    (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (PERMISSIONS_POLICY, "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Finishes an answer.
pub(super) async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    // Until the answer's head is made; what streams after it counts as what it is.
    let _busy = request.app_data::<web::Data<Site>>().map(|site| site.activity().open(Open::Request));
    // Handlers, extractors and policies all answer with responses, so an error value does not come here.
    let mut response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    if (status.is_client_error() || status.is_server_error()) && !says_itself(&response) {
        let problem = ApiError::of_status(status).error_response();
        response = response.into_response(problem);
    }
    add_headers(&mut response);
    let request = response.request();
    // The pattern, never the path: a sign-in link's path is a secret.
    let route = request.match_pattern().unwrap_or_else(|| "dashboard".to_owned());
    let elapsed_us = started.elapsed().as_micros();
    let client = site(&response).and_then(|site| site.client(request.peer_addr(), request.headers()));
    if let Some(metrics) = site(&response).and_then(|site| site.metrics.as_ref()) {
        metrics.answered(&route, request.method(), response.status(), started.elapsed());
    }
    tracing::debug!(?client, method = %request.method(), route, status = response.status().as_u16(), elapsed_us, "answered");
    Ok(response)
}

/// Marks an answer whose own body says what is wrong, without being a problem document.
pub(super) struct SaysItself;

fn says_itself(response: &ServiceResponse<BoxBody>) -> bool {
    if response.response().extensions().contains::<SaysItself>() {
        return true;
    }
    let media_type = response.headers().get(CONTENT_TYPE);
    media_type.is_some_and(|media_type| media_type.as_bytes() == PROBLEM_CONTENT_TYPE.as_bytes())
}

fn site(response: &ServiceResponse<BoxBody>) -> Option<&Site> {
    response.request().app_data::<web::Data<Site>>().map(|site| &***site)
}

fn add_headers(response: &mut ServiceResponse<BoxBody>) {
    let https = site(response).is_some_and(|site| site.https);
    let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    let mut set =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    if switching {
        return;
    }
    set(CONTENT_SECURITY_POLICY, CSP);
    HARDENING.into_iter().for_each(|(name, value)| drop(set(name, value)));
    if https {
        set(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::{App, HttpResponse, test};

    use super::*;

    #[actix_web::test]
    async fn what_the_web_framework_refuses_itself_becomes_a_problem() {
        let broken = web::get().to(|_: web::ReqData<u8>| async { HttpResponse::Ok().finish() });
        let app = test::init_service(App::new().route("/broken", broken).wrap(from_fn(finish))).await;
        for (path, status) in [("/nothing", 404), ("/broken", 500)] {
            let response = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
            assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), PROBLEM_CONTENT_TYPE, "{path}");
            assert!(response.headers().contains_key(CONTENT_SECURITY_POLICY), "{path}");
            let problem: protocol::api::Problem = test::read_body_json(response).await;
            // A fault of ours is told as 503: the caller may try again.
            assert_eq!(problem.status, if status == 500 { 503 } else { status }, "{path}");
        }
    }
}
