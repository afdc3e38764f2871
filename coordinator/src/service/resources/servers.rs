//! What relays and STUN servers have in common as resources: where they come from, and how the coordinator finds them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Call, ResourceError};
use crate::service::operator::is_operator;
use crate::store::AuditRow;

/// Where a server comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ServerOrigin {
    /// It is the coordinator's own, by its settings `stun` and `relay`: `warren-coordinator config check` says where these come from.
    /// Changed only there.
    Settings,
    /// The operator registered it.
    Registered,
    /// A relay answers STUN there; changed with the relay.
    Relay,
}

/// What came of asking a server from the coordinator's machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ServerCheck {
    /// The address that was asked.
    #[schema(value_type = String, example = "203.0.113.7:3478")]
    pub address: SocketAddr,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// What came of it.
    pub result: CheckResult,
    /// The time to the first answer in microseconds.
    pub rtt_us: Option<u32>,
}

/// What came of asking a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// It does what nodes need: a STUN answer, or a session by a token of this coordinator at a relay that proved its key.
    Serves,
    /// No answer within a second.
    Silent,
    /// The relay believes no token of this coordinator: it was started with another `--verify-key`.
    TokenRefused,
    /// The relay's clock is hours ahead: to it, tokens have expired.
    TokenExpired,
    /// The relay holds as many sessions as it may.
    Full,
    /// The relay has another private key than the one that was registered.
    OtherKey,
    /// It speaks another version of the relay's protocol.
    OtherVersion,
    /// The coordinator's machine has no route to it, as to an IPv6 address without IPv6.
    Unroutable,
}

impl CheckResult {
    /// What people read.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Serves => "serves",
            Self::Silent => "silent",
            Self::TokenRefused => "refuses our tokens (other --verify-key)",
            Self::TokenExpired => "its clock is hours ahead",
            Self::Full => "full",
            Self::OtherKey => "has another key than registered",
            Self::OtherVersion => "speaks another version",
            Self::Unroutable => "no route from here",
        }
    }
}

impl Call<'_> {
    /// Refuses everybody but the operator.
    pub(super) fn check_operator(&self) -> Result<(), ResourceError> {
        let why = "this takes an owner of the installation's first organization";
        let is_operator = self.store.read(|tx| is_operator(tx, self.caller))?;
        if is_operator { Ok(()) } else { Err(ResourceError::Forbidden(why)) }
    }

    /// An entry of the audit log of the installation as a whole.
    pub(super) fn installation_audit(
        &self,
        action: &'static str,
        subject: impl ToString,
        details: &impl Serialize,
    ) -> AuditRow {
        AuditRow { organization_id: None, ..self.audit(action, subject, details) }
    }
}

/// An address that nodes can send to.
pub(super) fn check_address(field: &'static str, address: SocketAddr) -> Result<(), ResourceError> {
    let is_usable = endpoint_selection::check_address(address, &[]).is_ok();
    let why = || format!("{address} is no address that nodes reach; give a unicast address and a port");
    if is_usable { Ok(()) } else { Err(ResourceError::invalid(field, why())) }
}
