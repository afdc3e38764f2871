//! API tokens of an organization.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, ReqData};

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::resources::Membership;
use crate::service::resources::api_tokens::{ApiToken, CreatedApiToken, NewApiToken};

/// One's own API tokens, or as an admin all; newest first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/api-tokens", tag = "API tokens", params(("organization" = Uuid, Path, description = "The organization's id")), responses(
    (status = 200, description = "In order", body = Vec<ApiToken>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    member: ReqData<Membership>,
) -> Result<Json<Vec<ApiToken>>, ApiError> {
    Ok(Json(call(&site, member.into_inner(), |_, call| call.api_tokens()).await?))
}

/// Makes an API token; its secret is shown this once.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/api-tokens", tag = "API tokens", params(("organization" = Uuid, Path, description = "The organization's id")), request_body = NewApiToken, responses(
    (status = 201, description = "Made", body = CreatedApiToken),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewApiToken = body::json(payload, BODY_MAX).await?;
    let made = call(&site, member.into_inner(), move |_, call| call.create_api_token(wanted)).await?;
    Ok(HttpResponse::Created().json(made))
}

/// Revokes an API token.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/api-tokens/{token}", tag = "API tokens", params(("organization" = Uuid, Path, description = "The organization's id"), ("token" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn revoke(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let token = id(&ids.1)?;
    call(&site, member.into_inner(), move |_, call| call.delete_api_token(token)).await?;
    Ok(HttpResponse::NoContent().finish())
}
