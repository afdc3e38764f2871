//! `GET /api/v1/pairs/{own}/{peer}`: two nodes and what each knows of the other, by their ids.

use std::sync::Arc;

use actix_web::web::{Data, Json, Path, ReqData};
use uuid::Uuid;

use super::Site;
use super::problem::ApiError;
use crate::service::{Caller, PairReport};

pub(super) async fn pair(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
    ids: Path<(String, String)>,
) -> Result<Json<PairReport>, ApiError> {
    let caller = caller.into_inner();
    let (own, peer) = ids.into_inner();
    // What is no id is no node.
    let ids = |text: &str| Uuid::parse_str(text).map_err(|_| ApiError::not_found());
    let (own, peer) = (ids(&own)?, ids(&peer)?);
    let pair = site.call(move |coordinator, _| coordinator.pair(&caller, own, peer)).await?;
    Ok(Json(pair))
}
