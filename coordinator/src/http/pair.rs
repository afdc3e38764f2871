//! `GET /api/v1/pairs/{own}/{peer}`: two nodes and what each knows of the other, by their ids.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{Data, Json, Path, ReqData};
use uuid::Uuid;

use super::Site;
use super::problem::ApiError;
use crate::service::{Caller, PairReport};

/// Nodes answer within a round trip and a tenth of a second. Who does not answer for half a second is shown as it was last
/// known; the page asks again.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 10;

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
    let mut looks = 0;
    loop {
        let caller = Arc::clone(&caller);
        let (pair, may_come) =
            site.call(move |coordinator, now_ms| coordinator.pair(now_ms, &caller, own, peer)).await?;
        if !may_come || looks == LOOKS_MAX {
            return Ok(Json(pair));
        }
        looks += 1;
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
