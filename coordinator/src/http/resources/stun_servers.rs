//! STUN servers of the installation.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, ReqData};
use uuid::Uuid;

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::Caller;
use crate::service::resources::Membership;
use crate::service::resources::stun_servers::{NewStunServer, StunServer, StunServerChange};

/// The STUN servers in the order of maps, as nodes see them: all nodes for the operator, else those of the caller's organizations.
#[utoipa::path(get, path = "/api/v1/stun-servers", tag = "STUN servers", responses(
    (status = 200, description = "In the order of maps", body = Vec<StunServer>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
) -> Result<Json<Vec<StunServer>>, ApiError> {
    Ok(Json(site.stun_servers(caller.into_inner()).await?))
}

/// A STUN server; the coordinator asks it now, which takes a second at most, unless it answered within the last five.
#[utoipa::path(get, path = "/api/v1/stun-servers/{server}", tag = "STUN servers", params(("server" = String, Path, description = "Its id, or its address and port")), responses(
    (status = 200, description = "The STUN server", body = StunServer),
    Refusal,
))]
pub(crate) async fn show(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    wanted: Path<String>,
) -> Result<Json<StunServer>, ApiError> {
    let (server_id, address) = (wanted.parse::<Uuid>().ok(), wanted.parse().ok());
    let is_it = |server: &StunServer| {
        address == Some(server.address) || (server_id.is_some() && server.id == server_id)
    };
    let servers = site.stun_servers(caller.into_inner()).await?;
    let mut server = servers.into_iter().find(is_it).ok_or_else(ApiError::not_found)?;
    site.ask_stun_server(&mut server).await;
    Ok(Json(server))
}

/// Registers a STUN server: every node hears of it at once. Takes the operator.
#[utoipa::path(post, path = "/api/v1/stun-servers", tag = "STUN servers", request_body = NewStunServer, responses(
    (status = 201, description = "Registered", body = StunServer),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewStunServer = body::json(payload, BODY_MAX).await?;
    let made = call(&site, member.into_inner(), move |coordinator, call| {
        let made = call.create_stun_server(wanted)?;
        coordinator.refresh_servers();
        Ok(made)
    })
    .await?;
    Ok(HttpResponse::Created().json(made))
}

/// Changes a STUN server that was registered; what is not named stays. Takes the operator.
#[utoipa::path(patch, path = "/api/v1/stun-servers/{server}", tag = "STUN servers", params(("server" = Uuid, Path, description = "Its id")), request_body = StunServerChange, responses(
    (status = 200, description = "Changed", body = StunServer),
    Refusal,
))]
pub(crate) async fn change(
    site: Data<Site>,
    member: ReqData<Membership>,
    wanted: Path<String>,
    payload: Payload,
) -> Result<Json<StunServer>, ApiError> {
    let (server, change) = (id(&wanted)?, body::json::<StunServerChange>(payload, BODY_MAX).await?);
    let changed = call(&site, member.into_inner(), move |coordinator, call| {
        let changed = call.update_stun_server(server, change)?;
        coordinator.refresh_servers();
        Ok(changed)
    });
    Ok(Json(changed.await?))
}

/// Deletes a STUN server that was registered. Takes the operator.
#[utoipa::path(delete, path = "/api/v1/stun-servers/{server}", tag = "STUN servers", params(("server" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn delete(
    site: Data<Site>,
    member: ReqData<Membership>,
    wanted: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let server = id(&wanted)?;
    call(&site, member.into_inner(), move |coordinator, call| {
        call.delete_stun_server(server)?;
        coordinator.refresh_servers();
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
