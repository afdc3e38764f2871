//! Members: who belongs to an organization, as what.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, Query, ReqData};

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::resources::Membership;
use crate::service::resources::members::{Member, MemberRole, Removal, RemovedMember};

/// The members, by name.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/members", tag = "members", params(("organization" = Uuid, Path, description = "The organization's id")), responses(
    (status = 200, description = "In order", body = Vec<Member>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    member: ReqData<Membership>,
) -> Result<Json<Vec<Member>>, ApiError> {
    Ok(Json(call(&site, member.into_inner(), |_, call| call.members()).await?))
}

/// Gives a member another role.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/members/{member}", tag = "members", params(("organization" = Uuid, Path, description = "The organization's id"), ("member" = Uuid, Path, description = "The person's id")), request_body = MemberRole, responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn change(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let person = id(&ids.1)?;
    let wanted: MemberRole = body::json(payload, BODY_MAX).await?;
    call(&site, member.into_inner(), move |_, call| call.set_member_role(person, wanted)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Ends a membership: one's own, or as an admin another's. API tokens in that person's name end with it; enrollment keys that the
/// person made work on unless they are to be revoked.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/members/{member}", tag = "members", params(("organization" = Uuid, Path, description = "The organization's id"), ("member" = Uuid, Path, description = "The person's id"), Removal), responses(
    (status = 200, description = "Done, and what is left", body = RemovedMember),
    Refusal,
))]
pub(crate) async fn remove(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
    removal: Result<Query<Removal>, actix_web::Error>,
) -> Result<Json<RemovedMember>, ApiError> {
    let removal = removal.map_err(|_| ApiError::invalid("revoke_keys: true or false, please"))?;
    let (person, removal) = (id(&ids.1)?, removal.into_inner());
    Ok(Json(call(&site, member.into_inner(), move |_, call| call.remove_member(person, removal)).await?))
}
