//! Networks of an organization.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, ReqData};

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::resources::Membership;
use crate::service::resources::networks::{Network, NetworkChange, NewNetwork};

/// The networks, by name.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/networks", tag = "networks", params(("organization" = Uuid, Path, description = "The organization's id")), responses(
    (status = 200, description = "In order", body = Vec<Network>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    member: ReqData<Membership>,
) -> Result<Json<Vec<Network>>, ApiError> {
    Ok(Json(call(&site, member.into_inner(), |_, call| call.networks()).await?))
}

/// Makes a network.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/networks", tag = "networks", params(("organization" = Uuid, Path, description = "The organization's id")), request_body = NewNetwork, responses(
    (status = 201, description = "Made", body = Network),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewNetwork = body::json(payload, BODY_MAX).await?;
    let made = call(&site, member.into_inner(), move |coordinator, call| {
        let made = call.create_network(wanted)?;
        coordinator.refresh_network(made.id);
        Ok(made)
    })
    .await?;
    Ok(HttpResponse::Created().json(made))
}

/// Changes a network; what is not named stays.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/networks/{network}", tag = "networks", params(("organization" = Uuid, Path, description = "The organization's id"), ("network" = Uuid, Path, description = "Its id")), request_body = NetworkChange, responses(
    (status = 200, description = "Changed", body = Network),
    Refusal,
))]
pub(crate) async fn change(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
    payload: Payload,
) -> Result<Json<Network>, ApiError> {
    let network = id(&ids.1)?;
    let wanted: NetworkChange = body::json(payload, BODY_MAX).await?;
    let changed = call(&site, member.into_inner(), move |coordinator, call| {
        let changed = call.update_network(network, wanted)?;
        coordinator.refresh_network(network);
        Ok(changed)
    });
    Ok(Json(changed.await?))
}

/// Deletes a network without nodes, with its enrollment keys and access rules.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/networks/{network}", tag = "networks", params(("organization" = Uuid, Path, description = "The organization's id"), ("network" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn delete(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let network = id(&ids.1)?;
    call(&site, member.into_inner(), move |coordinator, call| {
        call.delete_network(network)?;
        coordinator.refresh_network(network);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
