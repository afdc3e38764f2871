//! What people administer, one file per resource. Every call is made in one organization, and sees nothing of another, but for relays
//! and STUN servers, which are of the installation and changed by its operator only; what it changes is in the audit log in the same transaction.

pub mod access_rules;
pub mod api_tokens;
pub mod audit_log;
pub mod device_authorizations;
pub mod enrollment_keys;
pub mod invitations;
pub mod members;
pub mod networks;
pub mod nodes;
pub mod organizations;
pub mod relays;
pub mod servers;
pub mod stun_servers;

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::Caller;
use super::administration::{is_name, is_unseen};
use super::identities::GroupMappings;
use crate::Entropy;
use crate::store::{AuditRow, NetworkRow, ReadTx, Role, Store, StoreError, WriteTx};

/// One call in an organization.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The database.
    pub store: &'a Store,
    /// Chance.
    pub entropy: &'a Entropy,
    /// Now, Unix milliseconds.
    pub now_ms: i64,
    /// The organization.
    pub organization: Uuid,
    /// The caller's role in it.
    pub role: Role,
    /// Who calls.
    pub caller: &'a Caller,
    /// From which groups roles follow, where a provider is known; a command on the coordinator's machine knows of none.
    pub groups: Option<&'a Arc<GroupMappings>>,
}

/// A caller in one organization.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Who.
    pub caller: Arc<Caller>,
    /// Where.
    pub organization: Uuid,
    /// As what.
    pub role: Role,
}

impl Membership {
    /// A call of this caller.
    #[must_use]
    pub fn call<'a>(&'a self, store: &'a Store, entropy: &'a Entropy, now_ms: i64) -> Call<'a> {
        let Self { caller, organization, role } = self;
        Call { store, entropy, now_ms, organization: *organization, role: *role, caller, groups: None }
    }
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// No such thing in this organization.
    #[error("there is no such {0} here")]
    NotFound(&'static str),
    /// The link of an invitation leads nowhere, or not any more.
    #[error("this invitation is unknown, used or expired; ask for a new one")]
    InvitationUnusable,
    /// The session has ended.
    #[error("you are not signed in any more; sign in and try again")]
    SignedOut,
    /// A field is wrong.
    #[error("{field}: {why}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What it should be.
        why: String,
    },
    /// It does not fit what there is.
    #[error("{0}")]
    Conflict(String),
    /// It is too much for now.
    #[error("{why}")]
    TooMany {
        /// Of what.
        why: String,
        /// Seconds until there is room again.
        retry_after_s: u64,
    },
    /// The caller's role does not suffice.
    #[error("{0}")]
    Forbidden(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The longest text that says what something is for, in characters.
const DESCRIPTION_MAX: usize = 200;

impl ResourceError {
    fn invalid(field: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { field, why: why.into() }
    }
}

impl Call<'_> {
    /// Changes something, in one transaction with another look at who asks: between the check of a request and its change a role may
    /// be taken away, a session or a token may end. Every change of a call goes this way.
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, ResourceError> + Send + 'static,
    ) -> Result<T, ResourceError> {
        let (caller, now_ms, needed) = (self.caller.clone(), self.now_ms, (self.organization, self.role));
        self.store.write(move |tx| {
            if !caller.still_has(&tx.reading(), now_ms, needed)? {
                return Err(ResourceError::Forbidden("your role has changed meanwhile; try again"));
            }
            work(tx)
        })
    }

    /// An entry of the audit log for what this call does.
    fn audit(&self, action: &'static str, subject: impl ToString, details: &impl Serialize) -> AuditRow {
        let details = serde_json::to_string(details).unwrap_or_default();
        let what = (action, subject.to_string(), details);
        AuditRow::new(self.organization, self.now_ms, self.caller.actor(), what)
    }
}

/// A network of an organization.
fn network_of(tx: &ReadTx<'_>, organization: Uuid, id: Uuid) -> Result<NetworkRow, ResourceError> {
    let found = tx.network(id)?.filter(|network| network.organization_id == organization);
    found.ok_or(ResourceError::NotFound("network"))
}

/// A name of 1 to `max` characters, without any that a person does not see.
fn check_name(field: &'static str, text: &str, max: usize) -> Result<(), ResourceError> {
    if !is_name(text, max) {
        let why = format!("1 to {max} characters, none of them invisible, no space at either end");
        return Err(ResourceError::invalid(field, why));
    }
    Ok(())
}

/// A text that says what something is for; may be empty.
fn check_description(text: &str) -> Result<(), ResourceError> {
    if text.chars().count() > DESCRIPTION_MAX || text.chars().any(is_unseen) {
        let why = format!("at most {DESCRIPTION_MAX} characters, none of them invisible");
        return Err(ResourceError::invalid("description", why));
    }
    Ok(())
}

/// A time in the future, at most `max_ms` away.
fn expiry(field: &'static str, now_ms: i64, lifetime_s: i64, max_ms: i64) -> Result<i64, ResourceError> {
    let lifetime_ms = lifetime_s.saturating_mul(1000);
    if (1000..=max_ms).contains(&lifetime_ms) {
        Ok(now_ms.saturating_add(lifetime_ms))
    } else {
        Err(ResourceError::invalid(field, format!("1 to {} seconds", max_ms / 1000)))
    }
}
