//! `POST /api/v1/report`.

use actix_web::web::{Data, Json, Payload, ReqData};
use protocol::api::{REPORT_BYTES_MAX, Report, ReportResponse};

use super::problem::ApiError;
use super::{Site, body, now_ms};
use crate::service::NodeIdentity;

pub(super) async fn report(
    site: Data<Site>,
    caller: ReqData<NodeIdentity>,
    payload: Payload,
) -> Result<Json<ReportResponse>, ApiError> {
    let report: Report = body::json(payload, REPORT_BYTES_MAX).await?;
    let identity = caller.into_inner();
    let (response, candidates) = site.coordinator().take_report(now_ms(), &identity, report)?;
    if let Some(candidates) = candidates {
        site.call(move |coordinator, _| {
            coordinator.keep_candidates(candidates);
            Ok::<_, ApiError>(())
        })
        .await?;
    }
    Ok(Json(response))
}
