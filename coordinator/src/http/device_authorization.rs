//! Device authorization (RFC 8628): the machine's two calls, and the person's page and calls.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path, Payload, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use protocol::api::{
    DEVICE_AUTHORIZATION_BYTES_MAX, DeviceAuthorizationRequest, DeviceAuthorizationResponse,
    DeviceKeyRequest, DeviceKeyResponse,
};

use super::openapi::Refusal;
use super::problem::ApiError;
use super::resources::{BODY_MAX, call};
use super::{Site, body, dashboard};
use crate::service::Caller;
use crate::service::device_authorization::{DeviceError, INTERVAL_S, LIFETIME_MS, UserCode};
use crate::service::resources::Membership;
use crate::service::resources::device_authorizations::{Approval, WaitingMachine};

/// A machine begins to wait.
pub(super) async fn begin(
    site: Data<Site>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<DeviceAuthorizationResponse>, ApiError> {
    let wanted: DeviceAuthorizationRequest = body::json(payload, DEVICE_AUTHORIZATION_BYTES_MAX).await?;
    let address = site.client(request.peer_addr(), request.headers());
    let name = wanted.name.clone();
    let begun =
        site.call(move |coordinator, now_ms| coordinator.begin_device_authorization(now_ms, wanted, address));
    let (device, user) = begun.await?;
    tracing::info!(%name, ?address, "a machine asks to join");
    let page = site.public_url.as_ref().map(|url| format!("{url}/join"));
    Ok(Json(DeviceAuthorizationResponse {
        device_code: device.to_text().to_string(),
        user_code: user.to_string(),
        verification_uri_complete: page.as_ref().map(|page| format!("{page}/{user}")),
        verification_uri: page,
        expires_in: u32::try_from(LIFETIME_MS / 1000).unwrap_or(u32::MAX),
        interval: INTERVAL_S,
    }))
}

/// It asks for the decision.
pub(super) async fn ask(site: Data<Site>, payload: Payload) -> Result<Json<DeviceKeyResponse>, ApiError> {
    let asked: DeviceKeyRequest = body::json(payload, DEVICE_AUTHORIZATION_BYTES_MAX).await?;
    let device = asked.device_code.parse().map_err(|_| DeviceError::Expired)?;
    let enrollment_key =
        site.call(move |coordinator, now_ms| coordinator.ask_device_authorization(now_ms, &device)).await?;
    Ok(Json(DeviceKeyResponse { enrollment_key }))
}

/// The page where a person decides.
pub(super) async fn page() -> Result<HttpResponse, ApiError> {
    dashboard::page("join.html")
}

/// A machine that waits to be let in.
#[utoipa::path(get, path = "/api/v1/device-authorization/{user_code}", tag = "device authorization", params(("user_code" = String, Path, description = "The code that the machine shows")), responses(
    (status = 200, description = "It", body = WaitingMachine),
    Refusal,
))]
pub(crate) async fn show(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    code: Path<String>,
) -> Result<Json<WaitingMachine>, ApiError> {
    let (caller, code) = (caller.into_inner(), user_code(&code)?);
    let machine =
        site.call(move |coordinator, now_ms| coordinator.waiting_machine(now_ms, &caller, code)).await?;
    Ok(Json(machine))
}

/// Lets a machine into a network.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/device-authorization/{user_code}", tag = "device authorization", params(("organization" = Uuid, Path, description = "The organization's id"), ("user_code" = String, Path, description = "The code that the machine shows")), request_body = Approval, responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn approve(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let approval: Approval = body::json(payload, BODY_MAX).await?;
    let code = user_code(&ids.1)?;
    let decided = move |coordinator: &Arc<crate::Coordinator>, call: &crate::service::resources::Call<'_>| {
        coordinator.approve_device(call, code, approval)
    };
    call(&site, member.into_inner(), decided).await?;
    tracing::info!("a person let a machine in");
    Ok(HttpResponse::NoContent().finish())
}

/// Refuses a machine.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/device-authorization/{user_code}", tag = "device authorization", params(("organization" = Uuid, Path, description = "The organization's id"), ("user_code" = String, Path, description = "The code that the machine shows")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn refuse(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let code = user_code(&ids.1)?;
    call(&site, member.into_inner(), move |coordinator, call| coordinator.refuse_device(call, code)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A code of the path; what is no code is nothing.
fn user_code(text: &str) -> Result<UserCode, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}
