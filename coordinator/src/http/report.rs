//! `POST /api/v1/report`.

use actix_web::web::{Data, Json, Payload, ReqData};
use protocol::api::{REPORT_BYTES_MAX, Report, ReportResponse};

use super::problem::ApiError;
use super::{Site, body};
use crate::service::NodeIdentity;

pub(super) async fn report(
    site: Data<Site>,
    caller: ReqData<NodeIdentity>,
    payload: Payload,
) -> Result<Json<ReportResponse>, ApiError> {
    let report: Report = body::json(payload, REPORT_BYTES_MAX).await?;
    let identity = caller.into_inner();
    let response =
        site.call(move |coordinator, now_ms| coordinator.report(now_ms, &identity, report)).await?;
    Ok(Json(response))
}
