//! `DELETE /api/v1/node`: a node leaves.

use actix_web::HttpResponse;
use actix_web::web::{Data, ReqData};

use super::Site;
use super::problem::ApiError;
use crate::service::NodeIdentity;

pub(super) async fn leave(site: Data<Site>, caller: ReqData<NodeIdentity>) -> Result<HttpResponse, ApiError> {
    let node = caller.into_inner().node;
    site.call(move |coordinator, now_ms| coordinator.delete_node(now_ms, node)).await?;
    tracing::info!(%node, "node left");
    Ok(HttpResponse::NoContent().finish())
}
