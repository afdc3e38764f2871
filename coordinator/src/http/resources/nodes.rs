//! Nodes of an organization.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, ReqData};

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::resources::Membership;
use crate::service::resources::ResourceError;
use crate::service::resources::nodes::{CreatedPlainNode, NewPlainNode, Node, NodeChange};

/// The nodes of all networks, by name.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/nodes", tag = "nodes", params(("organization" = Uuid, Path, description = "The organization's id")), responses(
    (status = 200, description = "In order", body = Vec<Node>),
    Refusal,
))]
pub(crate) async fn list(site: Data<Site>, member: ReqData<Membership>) -> Result<Json<Vec<Node>>, ApiError> {
    Ok(Json(
        call(&site, member.into_inner(), |coordinator, call| Ok(coordinator.nodes(call.organization)))
            .await?,
    ))
}

/// One node.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/nodes/{node}", tag = "nodes", params(("organization" = Uuid, Path, description = "The organization's id"), ("node" = Uuid, Path, description = "Its id")), responses(
    (status = 200, description = "It", body = Node),
    Refusal,
))]
pub(crate) async fn show(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<Json<Node>, ApiError> {
    let wanted = id(&ids.1)?;
    let found = call(&site, member.into_inner(), move |coordinator, call| {
        coordinator.node(call.organization, wanted).ok_or(ResourceError::NotFound("node"))
    });
    Ok(Json(found.await?))
}

/// Adds a plain node: a WireGuard peer that runs no agent.
#[utoipa::path(post, path = "/api/v1/organizations/{organization}/nodes", tag = "nodes", params(("organization" = Uuid, Path, description = "The organization's id")), request_body = NewPlainNode, responses(
    (status = 201, description = "What to configure it with", body = CreatedPlainNode),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewPlainNode = body::json(payload, BODY_MAX).await?;
    let made = call(&site, member.into_inner(), move |coordinator, call| {
        let made = call.create_plain_node(wanted)?;
        coordinator.refresh(made.id);
        Ok(made)
    });
    Ok(HttpResponse::Created().json(made.await?))
}

/// Changes a node: admit, rename, tag, expire, disable, let it relay or route, move; what is not named stays.
#[utoipa::path(patch, path = "/api/v1/organizations/{organization}/nodes/{node}", tag = "nodes", params(("organization" = Uuid, Path, description = "The organization's id"), ("node" = Uuid, Path, description = "Its id")), request_body = NodeChange, responses(
    (status = 204, description = "Done, and told to all whom it concerns"),
    Refusal,
))]
pub(crate) async fn change(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let node = id(&ids.1)?;
    let wanted: NodeChange = body::json(payload, BODY_MAX).await?;
    call(&site, member.into_inner(), move |coordinator, call| {
        call.update_node(node, wanted)?;
        coordinator.refresh(node);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Deletes a node: its tunnels are cut and its token is refused.
#[utoipa::path(delete, path = "/api/v1/organizations/{organization}/nodes/{node}", tag = "nodes", params(("organization" = Uuid, Path, description = "The organization's id"), ("node" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn delete(
    site: Data<Site>,
    member: ReqData<Membership>,
    ids: Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let node = id(&ids.1)?;
    call(&site, member.into_inner(), move |coordinator, call| {
        call.delete_node(node)?;
        coordinator.refresh(node);
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
