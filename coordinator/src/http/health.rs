//! `GET /healthz`: healthy is a database that answers reads and lets its writer through; degraded is one on a disk that
//! takes no writes.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;

use super::Site;
use super::problem::ApiError;
use super::responses::SaysItself;
use crate::store::StoreError;

pub(super) async fn healthz(site: Data<Site>) -> Result<HttpResponse, ApiError> {
    if let Some(trouble) = site.coordinator().store().disk_trouble() {
        let health = json!({ "status": "degraded", "reason": trouble.to_string() });
        let mut response = HttpResponse::ServiceUnavailable();
        response.content_type("application/json").extensions_mut().insert(SaysItself);
        return Ok(response.body(health.to_string()));
    }
    site.call(|coordinator, _| {
        coordinator.store().seen_now()?;
        coordinator.store().read(|_| Ok::<_, StoreError>(()))
    })
    .await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ok"}"#))
}
