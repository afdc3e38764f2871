//! Who is signed in: by what, at which browsers, with which password.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::{Data, Json, Path, Payload, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::problem::ApiError;
use super::super::{Site, body, dashboard, sign_in as http_sign_in};
use super::{BODY_MAX, id};
use crate::http::openapi::Refusal;
use crate::service::{Caller, sign_in};
use crate::store::{Role, SessionRow};

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    /// The person's id.
    id: Uuid,
    /// Name or e-mail address.
    name: String,
    /// The role in each organization, by its id.
    roles: BTreeMap<Uuid, Role>,
}

/// A browser that is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Its id.
    id: Uuid,
    /// The browser, as it calls itself.
    browser: String,
    /// Since when, Unix milliseconds.
    created_at_ms: i64,
    /// Until when, Unix milliseconds.
    expires_at_ms: i64,
    /// Whether it is the one that asks.
    is_this: bool,
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// Name or e-mail address.
    name: String,
    /// The password.
    password: String,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The password until now, where there is one.
    current_password: Option<String>,
    /// The new one, 12 to 256 characters.
    new_password: String,
}

/// Signs in by name and password; the answer's cookie is the session.
#[utoipa::path(post, path = "/api/v1/sign-in", tag = "account", request_body = Login, responses(
    (status = 204, description = "Signed in"),
    Refusal,
))]
pub(crate) async fn sign_in(
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let login: Login = body::json(payload, BODY_MAX).await?;
    site.limits.check_account(&login.name, site.client(request.peer_addr(), request.headers()))?;
    let browser = http_sign_in::browser(&request);
    let _turn = site.password_turn().await?;
    let session = site
        .call(move |coordinator, now_ms| {
            let proof = (login.name.as_str(), login.password.as_str(), browser.as_str());
            sign_in::with_password(coordinator.store(), coordinator.entropy(), now_ms, proof)
        })
        .await?
        .ok_or_else(ApiError::wrong_password)?;
    tracing::info!("a person signed in");
    Ok(http_sign_in::signed_in(&site, &session))
}

/// How people sign in here.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInMethods {
    /// The name of the OpenID provider, where there is one.
    oidc: Option<String>,
}

/// How people sign in here, beside name and password.
#[utoipa::path(get, path = "/api/v1/sign-in-methods", tag = "account", responses(
    (status = 200, description = "Which", body = SignInMethods),
    Refusal,
))]
pub(crate) async fn methods(site: Data<Site>) -> Json<SignInMethods> {
    Json(SignInMethods { oidc: site.oidc.as_ref().map(|oidc| oidc.name().to_owned()) })
}

/// The page of the caller's account.
pub(crate) async fn page() -> Result<HttpResponse, ApiError> {
    dashboard::page("account.html")
}

/// Who asks.
#[utoipa::path(get, path = "/api/v1/account", tag = "account", responses(
    (status = 200, description = "Who", body = Account),
    Refusal,
))]
pub(crate) async fn show(caller: ReqData<Arc<Caller>>) -> Json<Account> {
    let (person, roles) = (caller.person.clone(), caller.memberships.clone());
    Json(Account { id: person.id, name: person.name, roles })
}

/// Sets the password; other browsers are signed out.
#[utoipa::path(put, path = "/api/v1/account/password", tag = "account", request_body = PasswordChange, responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn change_password(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let change: PasswordChange = body::json(payload, BODY_MAX).await?;
    if caller.is_api_token() {
        return Err(ApiError::forbidden("a password is changed at a browser"));
    }
    site.limits.check_account(&caller.person.name, site.client(request.peer_addr(), request.headers()))?;
    let caller = caller.into_inner();
    let _turn = site.password_turn().await?;
    site.call(move |coordinator, now_ms| {
        let current = change.current_password.as_deref();
        sign_in::change_password(coordinator.store(), now_ms, &caller, (current, &change.new_password))
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The browsers where the person is signed in, newest first.
#[utoipa::path(get, path = "/api/v1/account/sessions", tag = "account", responses(
    (status = 200, description = "In order", body = Vec<Session>),
    Refusal,
))]
pub(crate) async fn sessions(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
) -> Result<Json<Vec<Session>>, ApiError> {
    if caller.is_api_token() {
        return Err(ApiError::forbidden("browsers are listed at a browser"));
    }
    let (person, this) = (caller.person.id, caller.session());
    let rows =
        site.call(move |coordinator, now_ms| coordinator.store().read(|tx| tx.sessions(person, now_ms)));
    let session = |row: SessionRow| Session {
        id: row.id,
        browser: row.browser,
        created_at_ms: row.created_at_ms,
        expires_at_ms: row.expires_at_ms,
        is_this: Some(row.id) == this,
    };
    Ok(Json(rows.await?.into_iter().map(session).collect()))
}

/// Signs a browser out.
#[utoipa::path(delete, path = "/api/v1/account/sessions/{session}", tag = "account",
    params(("session" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn end_session(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    session: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let (person, session) = (caller.person.id, id(&session)?);
    if caller.is_api_token() {
        return Err(ApiError::forbidden("a browser is signed out at a browser, not by an API token"));
    }
    let ended =
        site.call(move |coordinator, _| sign_in::end_session(coordinator.store(), person, session)).await?;
    if ended { Ok(HttpResponse::NoContent().finish()) } else { Err(ApiError::not_found()) }
}
