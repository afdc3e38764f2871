//! Organizations of whoever asks.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Payload, ReqData};

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call};
use crate::http::openapi::Refusal;
use crate::service::Caller;
use crate::service::resources::Membership;
use crate::service::resources::organizations::{self, Organization, OrganizationName};

/// The organizations that the caller belongs to, by name.
#[utoipa::path(get, path = "/api/v1/organizations", tag = "organizations", responses(
    (status = 200, description = "In order", body = Vec<Organization>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
) -> Result<Json<Vec<Organization>>, ApiError> {
    let caller = caller.into_inner();
    Ok(Json(site.call(move |coordinator, _| organizations::list(coordinator.store(), &caller)).await?))
}

/// Makes an organization, which the caller owns.
#[utoipa::path(post, path = "/api/v1/organizations", tag = "organizations", request_body = OrganizationName, responses(
    (status = 201, description = "Made", body = Organization),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: OrganizationName = body::json(payload, BODY_MAX).await?;
    let caller = caller.into_inner();
    let made = site
        .call(move |coordinator, now_ms| {
            organizations::create(coordinator.store(), coordinator.entropy(), now_ms, &caller, wanted)
        })
        .await?;
    Ok(HttpResponse::Created().json(made))
}

/// Renames an organization.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}", tag = "organizations", params(("organization" = Uuid, Path, description = "The organization's id")), request_body = OrganizationName, responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn rename(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: OrganizationName = body::json(payload, BODY_MAX).await?;
    call(&site, member.into_inner(), move |_, call| call.rename_organization(wanted)).await?;
    Ok(HttpResponse::NoContent().finish())
}
