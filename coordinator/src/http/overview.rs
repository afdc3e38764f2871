//! `GET /api/v1/overview`: what the dashboard shows.

use std::sync::Arc;

use actix_web::web::{Data, Json, ReqData};

use super::Site;
use super::problem::ApiError;
use crate::service::{Caller, Overview};

pub(super) async fn overview(
    site: Data<Site>,
    caller: ReqData<Arc<Caller>>,
) -> Result<Json<Overview>, ApiError> {
    let caller = caller.into_inner();
    let overview = site
        .call(move |coordinator, now_ms| Ok::<_, ApiError>(coordinator.overview(now_ms, &caller)))
        .await?;
    Ok(Json(overview))
}
