//! `POST /api/v1/enroll`.

use actix_web::web::{Data, Json, Payload};
use protocol::api::{ENROLL_BYTES_MAX, EnrollRequest, EnrollResponse};

use super::problem::ApiError;
use super::{Site, body};

pub(super) async fn enroll(site: Data<Site>, payload: Payload) -> Result<Json<EnrollResponse>, ApiError> {
    let request: EnrollRequest = body::json(payload, ENROLL_BYTES_MAX).await?;
    let public_key = request.public_key;
    let response = site.call(move |coordinator, now_ms| coordinator.enroll(now_ms, &request)).await?;
    tracing::info!(
        node = %response.node_id,
        name = %response.name,
        network = %response.network,
        public_key = %public_key.short(),
        "node enrolled"
    );
    Ok(Json(response))
}
