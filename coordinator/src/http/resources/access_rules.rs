//! Access rules of a network.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, ReqData};

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::resources::Membership;
use crate::service::resources::access_rules::{AccessRule, AccessRuleText};

/// The access rules of a network, oldest first.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/networks/{network}/access-rules", tag = "access rules", params(("organization" = Uuid, Path, description = "The organization's id"), ("network" = Uuid, Path, description = "The network's id")), responses(
    (status = 200, description = "In order", body = Vec<AccessRule>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<Json<Vec<AccessRule>>, ApiError> {
    let network = id(&ids.1)?;
    Ok(Json(call(&site, member.into_inner(), move |_, call| call.access_rules(network)).await?))
}

/// Adds an access rule; the network's nodes enforce it within a second.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/networks/{network}/access-rules", tag = "access rules", params(("organization" = Uuid, Path, description = "The organization's id"), ("network" = Uuid, Path, description = "The network's id")), request_body = AccessRuleText, responses(
    (status = 201, description = "Made", body = AccessRule),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let network = id(&ids.1)?;
    let wanted: AccessRuleText = body::json(payload, BODY_MAX).await?;
    let made = call(&site, member.into_inner(), move |coordinator, call| {
        let made = call.create_access_rule(network, wanted)?;
        coordinator.refresh_network(network);
        Ok(made)
    })
    .await?;
    Ok(HttpResponse::Created().json(made))
}

/// Replaces an access rule.
#[utoipa::path(put, path = "/api/v1/organizations/{organization}/networks/{network}/access-rules/{rule}", tag = "access rules", params(("organization" = Uuid, Path, description = "The organization's id"), ("network" = Uuid, Path, description = "The network's id"), ("rule" = Uuid, Path, description = "Its id")), request_body = AccessRuleText, responses(
    (status = 200, description = "Replaced", body = AccessRule),
    Refusal,
))]
pub(crate) async fn replace(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String, String)>,
    payload: Payload,
) -> Result<Json<AccessRule>, ApiError> {
    let (network, rule) = (id(&ids.1)?, id(&ids.2)?);
    let wanted: AccessRuleText = body::json(payload, BODY_MAX).await?;
    let replaced = call(&site, member.into_inner(), move |coordinator, call| {
        let replaced = call.replace_access_rule(network, rule, wanted)?;
        coordinator.refresh_network(network);
        Ok(replaced)
    });
    Ok(Json(replaced.await?))
}

/// Deletes an access rule.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/networks/{network}/access-rules/{rule}", tag = "access rules", params(("organization" = Uuid, Path, description = "The organization's id"), ("network" = Uuid, Path, description = "The network's id"), ("rule" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn delete(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (network, rule) = (id(&ids.1)?, id(&ids.2)?);
    call(&site, member.into_inner(), move |coordinator, call| {
        call.delete_access_rule(network, rule)?;
        coordinator.refresh_network(network);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
