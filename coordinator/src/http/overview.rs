//! `GET /api/v1/overview`: what the dashboard shows.

use actix_web::web::{Data, Json, ReqData};

use super::Site;
use super::problem::ApiError;
use crate::service::Overview;
use crate::store::SessionRow;

pub(super) async fn overview(
    site: Data<Site>,
    caller: ReqData<SessionRow>,
) -> Result<Json<Overview>, ApiError> {
    let session = caller.into_inner();
    let overview = site
        .call(move |coordinator, now_ms| Ok::<_, ApiError>(coordinator.overview(now_ms, session)))
        .await?;
    Ok(Json(overview))
}
