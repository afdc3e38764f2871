//! The audit log of an organization.

use actix_web::web::{Data, Json, Query, ReqData};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::Site;
use super::super::problem::ApiError;
use super::call;
use crate::http::openapi::Refusal;
use crate::service::resources::Membership;
use crate::service::resources::audit_log::AuditEntry;

/// Which entries.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Only entries with a lower number: the next page.
    before: Option<i64>,
}

/// Entries of the audit log, newest first, at most 200.
#[utoipa::path(get, path = "/api/v1/organizations/{organization}/audit-log", tag = "audit log", params(("organization" = Uuid, Path, description = "The organization's id"), Page), responses(
    (status = 200, description = "In order", body = Vec<AuditEntry>),
    Refusal,
))]
pub(crate) async fn list(
    site: Data<Site>,
    member: ReqData<Membership>,
    page: Result<Query<Page>, actix_web::Error>,
) -> Result<Json<Vec<AuditEntry>>, ApiError> {
    let before = page.map_err(|_| ApiError::invalid("before: a number, please"))?.before;
    Ok(Json(call(&site, member.into_inner(), move |_, call| call.audit_log(before)).await?))
}
