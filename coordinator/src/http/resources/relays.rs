//! Relays of the installation.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Payload, ReqData};
use uuid::Uuid;

use super::super::problem::ApiError;
use super::super::{Site, body};
use super::{BODY_MAX, call, id};
use crate::http::openapi::Refusal;
use crate::service::Caller;
use crate::service::relays::COORDINATOR;
use crate::service::resources::Membership;
use crate::service::resources::relays::{NewRelay, Relay, RelayChange, RelayList};

/// The relays, the coordinator's own first, as nodes see them: all nodes for the operator, else those of the caller's organizations.
#[utoipa::path(get, path = "/api/v1/relays", tag = "relays", responses(
    (status = 200, description = "In order", body = RelayList),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
) -> Result<Json<RelayList>, ApiError> {
    Ok(Json(site.relays(caller.into_inner()).await?))
}

/// A relay; the coordinator asks it now, which takes a second at most, unless it answered within the last five.
#[utoipa::path(get, path = "/api/v1/relays/{relay}", tag = "relays", params(("relay" = String, Path, description = "Its id, or `coordinator` for the coordinator's own")), responses(
    (status = 200, description = "The relay", body = Relay),
    Refusal,
))]
pub(crate) async fn show(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    wanted: Path<String>,
) -> Result<Json<Relay>, ApiError> {
    let list = site.relays(caller.into_inner()).await?;
    let relay_id = wanted.parse::<Uuid>().ok();
    let is_it = |relay: &Relay| match relay.id {
        Some(id) => relay_id == Some(id),
        None => *wanted == COORDINATOR,
    };
    let mut relay = list.relays.into_iter().find(is_it).ok_or_else(ApiError::not_found)?;
    site.ask_relay(&mut relay).await;
    Ok(Json(relay))
}

/// Registers a relay that runs elsewhere: every node hears of it at once. Takes the operator.
#[utoipa::path(post, path = "/api/v1/relays", tag = "relays", request_body = NewRelay, responses(
    (status = 201, description = "Registered", body = Relay),
    Refusal,
))]
pub(crate) async fn create(
    site: Data<Site>,
    member: ReqData<Membership>,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let wanted: NewRelay = body::json(payload, BODY_MAX).await?;
    let made = call(&site, member.into_inner(), move |coordinator, call| {
        let made = call.create_relay(wanted)?;
        coordinator.refresh_servers();
        Ok(made)
    })
    .await?;
    Ok(HttpResponse::Created().json(made))
}

/// Changes a relay; what is not named stays. Nodes leave one that is disabled at once. Takes the operator.
#[utoipa::path(patch, path = "/api/v1/relays/{relay}", tag = "relays", params(("relay" = Uuid, Path, description = "Its id")), request_body = RelayChange, responses(
    (status = 200, description = "Changed", body = Relay),
    Refusal,
))]
pub(crate) async fn change(
    site: Data<Site>,
    member: ReqData<Membership>,
    wanted: Path<String>,
    payload: Payload,
) -> Result<Json<Relay>, ApiError> {
    let (relay, change) = (id(&wanted)?, body::json::<RelayChange>(payload, BODY_MAX).await?);
    let changed = call(&site, member.into_inner(), move |coordinator, call| {
        let changed = call.update_relay(relay, change)?;
        coordinator.refresh_servers();
        Ok(changed)
    });
    Ok(Json(changed.await?))
}

/// Deletes a relay; nodes leave it at once. Takes the operator.
#[utoipa::path(delete, path = "/api/v1/relays/{relay}", tag = "relays", params(("relay" = Uuid, Path, description = "Its id")), responses(
    (status = 204, description = "Done"),
    Refusal,
))]
pub(crate) async fn delete(
    site: Data<Site>,
    member: ReqData<Membership>,
    wanted: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let relay = id(&wanted)?;
    call(&site, member.into_inner(), move |coordinator, call| {
        call.delete_relay(relay)?;
        coordinator.refresh_servers();
        Ok(())
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}
