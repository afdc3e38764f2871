//! Enrollment keys of an organization.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, ReqData};

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::resources::Membership;
use crate::service::resources::enrollment_keys::{CreatedEnrollmentKey, EnrollmentKey, NewEnrollmentKey};

/// The enrollment keys of all networks, oldest first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/enrollment-keys", tag = "enrollment keys", params(("organization" = Uuid, Path, description = "The organization's id")), responses(
    (status = 200, description = "In order", body = Vec<EnrollmentKey>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    member: ReqData<Membership>,
) -> Result<Json<Vec<EnrollmentKey>>, ApiError> {
    Ok(Json(call(&site, member.into_inner(), |_, call| call.enrollment_keys()).await?))
}

/// Makes an enrollment key; its secret is shown this once.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/enrollment-keys", tag = "enrollment keys", params(("organization" = Uuid, Path, description = "The organization's id")), request_body = NewEnrollmentKey, responses(
    (status = 201, description = "Made", body = CreatedEnrollmentKey),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewEnrollmentKey = body::json(payload, BODY_MAX).await?;
    let made = call(&site, member.into_inner(), move |_, call| call.create_enrollment_key(wanted)).await?;
    Ok(HttpResponse::Created().json(made))
}

/// Revokes an enrollment key; nodes that used it stay.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/enrollment-keys/{key}", tag = "enrollment keys", params(("organization" = Uuid, Path, description = "The organization's id"), ("key" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn revoke(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let key = id(&ids.1)?;
    call(&site, member.into_inner(), move |_, call| call.revoke_enrollment_key(key)).await?;
    Ok(HttpResponse::NoContent().finish())
}
