//! What people and their programs administer, below `/api/v1/organizations/{organization}`, and of the installation as a whole: one file
//! per resource.

pub(super) mod access_rules;
pub(super) mod account;
pub(super) mod api_tokens;
pub(super) mod audit_log;
pub(super) mod enrollment_keys;
pub(super) mod invitations;
pub(super) mod members;
pub(super) mod networks;
pub(super) mod nodes;
pub(super) mod organizations;
pub(super) mod relays;
pub(super) mod stun_servers;

use std::sync::Arc;

use uuid::Uuid;

use super::Site;
use super::problem::ApiError;
use crate::Coordinator;
use crate::service::resources::{Call, Membership, ResourceError};

/// The largest body, in bytes: an access rule with all that it may have.
pub(super) const BODY_MAX: usize = 16 * 1024;

/// Runs a call of a member.
pub(super) async fn call<T: Send + 'static>(
    site: &Site,
    member: Membership,
    work: impl FnOnce(&Arc<Coordinator>, &Call<'_>) -> Result<T, ResourceError> + Send + 'static,
) -> Result<T, ApiError> {
    site.call(move |coordinator, now_ms| work(coordinator, &coordinator.call(now_ms, &member))).await
}

/// An id of the path; what is no id is nothing.
fn id(text: &str) -> Result<Uuid, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}
