//! Sign in with a link that works once, and sign out.
//!
//! Opening the link (GET) changes nothing, so that a mail scanner or a chat preview cannot use it up; the button on
//! that page does (POST).

use std::sync::Arc;

use actix_web::http::header::{LOCATION, SET_COOKIE, USER_AGENT};
use actix_web::web::{Data, Path, ReqData};
use actix_web::{HttpRequest, HttpResponse};

use super::Site;
use super::dashboard;
use super::problem::ApiError;
use crate::service::sign_in::{self, SESSION_LIFETIME_MS};
use crate::service::{Caller, SessionToken, SignInToken};

/// The session cookie's name. By https the prefix makes browsers refuse one set by a subdomain or without `Secure`
/// (RFC 6265bis §4.1.3.2).
pub(super) const fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-warren_session" } else { "warren_session" }
}

/// The page with the button.
pub(super) async fn page() -> Result<HttpResponse, ApiError> {
    dashboard::page("sign-in.html")
}

/// Uses the link.
pub(super) async fn sign_in(
    site: Data<Site>,
    token: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let token: SignInToken = token.parse().map_err(|_| ApiError::link_unusable())?;
    let browser = browser(&request);
    let session = site
        .call(move |coordinator, now_ms| {
            sign_in::use_link(coordinator.store(), coordinator.entropy(), now_ms, (&token, &browser))
        })
        .await?
        .ok_or_else(ApiError::link_unusable)?;
    tracing::info!("a person signed in");
    Ok(HttpResponse::SeeOther()
        .insert_header((LOCATION, "/"))
        .insert_header((SET_COOKIE, session_cookie(&site, &session)))
        .finish())
}

/// Ends the session.
pub(super) async fn sign_out(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
) -> Result<HttpResponse, ApiError> {
    let caller = caller.into_inner();
    if let Some(session) = caller.session() {
        let person = caller.person.id;
        site.call(move |coordinator, _| sign_in::end_session(coordinator.store(), person, session)).await?;
    }
    Ok(HttpResponse::NoContent().insert_header((SET_COOKIE, cookie(site.https, "", 0))).finish())
}

/// How the browser calls itself.
pub(super) fn browser(request: &HttpRequest) -> String {
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    agent.unwrap_or_default().to_owned()
}

/// The answer to somebody who is signed in now.
pub(super) fn signed_in(site: &Site, session: &SessionToken) -> HttpResponse {
    HttpResponse::NoContent().insert_header((SET_COOKIE, session_cookie(site, session))).finish()
}

/// The cookie of a new session.
pub(super) fn session_cookie(site: &Site, session: &SessionToken) -> String {
    cookie(site.https, &session.to_text(), SESSION_LIFETIME_MS / 1000)
}

fn cookie(https: bool, value: &str, max_age_s: i64) -> String {
    let secure = if https { "; Secure" } else { "" };
    let name = cookie_name(https);
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}")
}
