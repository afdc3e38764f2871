//! Who may call a route. The check runs before the handler and leaves what it found in the request; a handler that
//! needs a caller takes it from there, so it cannot run under a policy that does not look for one.

use std::str::FromStr;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, TRANSFER_ENCODING};
use actix_web::http::uri::Authority;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};
use uuid::Uuid;

use super::problem::ApiError;
use super::rate_limit::Limit;
use super::{Site, sign_in};
use crate::service::resources::Membership;
use crate::service::{ApiToken, AuthError, Caller, NodeToken, SessionToken, operator_at_api};
use crate::store::Role;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Anybody.
    Public,
    /// A node, by its bearer token.
    Node,
    /// A person who is signed in, by the session cookie, or a program in a person's name, by an API token.
    Person,
    /// The same, with at least this role in the organization that the path names. To anybody else there is no such thing.
    Organization(Role),
    /// The same as [`Policy::Person`], with a role in any organization.
    AnyOrganization,
    /// The operator: an owner of the organization that was made first.
    Operator,
}

/// Checks rate and caller, then lets the handler run.
pub(super) async fn enforce(
    policy: Policy,
    limit: Limit,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match admit(policy, limit, &request).await {
        Ok(()) => next.call(request).await,
        Err(refusal) => Ok(request.into_response(refusal.error_response())),
    }
}

async fn admit(policy: Policy, limit: Limit, request: &ServiceRequest) -> Result<(), ApiError> {
    let site = request.app_data::<web::Data<Site>>().ok_or_else(ApiError::unavailable)?;
    if let Some(client) = site.client(request.peer_addr(), request.headers()) {
        site.limits.check(limit, client)?;
    }
    match policy {
        Policy::Public => {}
        Policy::Node => {
            let token = bearer::<NodeToken>(request).ok_or_else(ApiError::no_bearer_token)?;
            // Nearly always known; else the database is asked, off the HTTP workers.
            let identity = match site.coordinator().identify(&token) {
                Some(identity) => identity,
                None => site.call(move |coordinator, _| coordinator.authenticate(&token)).await?,
            };
            request.extensions_mut().insert(identity);
        }
        Policy::Person => {
            let caller = caller(site, request).await?;
            request.extensions_mut().insert(Arc::new(caller));
        }
        Policy::AnyOrganization => {
            let caller = caller(site, request).await?;
            if caller.memberships.is_empty() {
                return Err(ApiError::forbidden("this takes a role in an organization; you have none"));
            }
            request.extensions_mut().insert(Arc::new(caller));
        }
        Policy::Operator => {
            let caller = caller(site, request).await?;
            let found = site.call(move |coordinator, _| operator_at_api(coordinator.store(), caller)).await?;
            let title = "this takes an owner of the installation's first organization";
            request.extensions_mut().insert(found.ok_or_else(|| ApiError::forbidden(title))?);
        }
        Policy::Organization(required) => {
            let caller = caller(site, request).await?;
            let id = request.match_info().get("organization").and_then(|id| id.parse().ok());
            let organization: Uuid = id.ok_or_else(ApiError::not_found)?;
            let role = caller.role_in(organization).ok_or_else(ApiError::not_found)?;
            if role < required {
                let title = format!("this takes the role {}; yours is {}", required.as_str(), role.as_str());
                return Err(ApiError::forbidden(title));
            }
            let caller = Arc::new(caller);
            request.extensions_mut().insert(Membership { caller, organization, role });
        }
    }
    if request.method() != Method::GET {
        if policy != Policy::Node && is_cross_site(site, request) {
            return Err(ApiError::cross_site());
        }
        if has_body(request) && !is_json(request) {
            return Err(ApiError::not_json());
        }
    }
    Ok(())
}

/// Whether a body comes with a request (RFC 9112 §6.3).
fn has_body(request: &ServiceRequest) -> bool {
    let length = request.headers().get(CONTENT_LENGTH);
    request.headers().contains_key(TRANSFER_ENCODING)
        || length.is_some_and(|length| length.as_bytes() != b"0")
}

/// Whether the body is said to be JSON. A form of another site's page can send three other types, and no page that type to another
/// site without being asked first (Fetch, CORS-safelisted request headers).
fn is_json(request: &ServiceRequest) -> bool {
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.map(|value| value.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

/// Who asks, by API token or session cookie.
async fn caller(site: &web::Data<Site>, request: &ServiceRequest) -> Result<Caller, ApiError> {
    let not_believed = |error| match error {
        AuthError::Store(error) => error.into(),
        AuthError::Unauthenticated | AuthError::NodeDeleted(_) => ApiError::not_signed_in(),
    };
    if let Some(token) = bearer::<ApiToken>(request) {
        return site
            .call(move |coordinator, now_ms| {
                Caller::of_api_token(coordinator.store(), now_ms, &token).map_err(not_believed)
            })
            .await;
    }
    let token = session_token(request, site.https).ok_or_else(ApiError::not_signed_in)?;
    site.call(move |coordinator, now_ms| {
        Caller::of_session(coordinator.store(), now_ms, &token).map_err(not_believed)
    })
    .await
}

fn bearer<T: FromStr>(request: &ServiceRequest) -> Option<T> {
    let (scheme, token) = request.headers().get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { token.trim().parse().ok() } else { None }
}

fn session_token(request: &ServiceRequest, https: bool) -> Option<SessionToken> {
    let name = sign_in::cookie_name(https);
    let cookies = request.headers().get_all(COOKIE).filter_map(|header| header.to_str().ok());
    let mut pairs =
        cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).and_then(|(_, value)| value.parse().ok())
}

/// A browser says which site a request comes from (Fetch Metadata), and over plain HTTP at least from which origin (RFC 6454 §7); a
/// program that is no browser says nothing, and carries no cookie that somebody else could abuse.
fn is_cross_site(site: &Site, request: &ServiceRequest) -> bool {
    let header = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
    if let Some(from) = header("sec-fetch-site") {
        return !matches!(from, b"same-origin" | b"none");
    }
    let Some(origin) = header("origin") else { return false };
    // `null` has no host: a page without an origin is nobody's.
    let host = str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    let own =
        [site.public_url.as_deref().and_then(authority), request.uri().authority().map(Authority::as_str)];
    let asked = header("host").and_then(|host| str::from_utf8(host).ok());
    host.is_none_or(|host| {
        !own.into_iter().chain([asked]).flatten().any(|own| own.eq_ignore_ascii_case(host))
    })
}

/// Host and port of a URL, as a browser writes them.
fn authority(url: &str) -> Option<&str> {
    url.split_once("://")?.1.split('/').next()
}
