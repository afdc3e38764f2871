//! `GET /healthz`: healthy is a database that answers reads and lets its writer through.

use actix_web::HttpResponse;
use actix_web::web::Data;

use super::Site;
use super::problem::ApiError;
use crate::store::StoreError;

pub(super) async fn healthz(site: Data<Site>) -> Result<HttpResponse, ApiError> {
    site.call(|coordinator, _| {
        coordinator.store().foreign_changes()?;
        coordinator.store().read(|_| Ok::<_, StoreError>(()))
    })
    .await?;
    Ok(HttpResponse::Ok().content_type("application/json").body(r#"{"status":"ok"}"#))
}
