//! The audit log of an organization.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Call, ResourceError};
use crate::service::{Credential, is_operator};
use crate::store::AuditRow;

/// Entries of one answer.
const PAGE: u32 = 200;

/// An entry.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its number; later entries have higher ones.
    pub id: i64,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What was done: noun and verb, such as `node.delete`.
    pub action: String,
    /// The name or id of what it was done to.
    pub subject: String,
    /// The change as it was asked for, without secrets.
    pub details: serde_json::Value,
}

impl Call<'_> {
    /// Entries with a number below `before`, newest first, at most 200.
    ///
    /// # Errors
    /// The database's.
    pub fn audit_log(&self, before: Option<i64>) -> Result<Vec<AuditEntry>, ResourceError> {
        let rows = self.store.read(|tx| {
            // What concerns the whole installation names people of other organizations: only who runs it sees that.
            let is_first = tx.first_organization()?.is_some_and(|(first, _)| first == self.organization);
            let is_shown =
                self.caller.credential == Credential::Command || (is_first && is_operator(tx, self.caller)?);
            tx.audit_log((self.organization, is_shown), before.unwrap_or(i64::MAX), PAGE)
        })?;
        let entry = |row: AuditRow| AuditEntry {
            id: row.id,
            at_ms: row.at_ms,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            details: serde_json::from_str(&row.details).unwrap_or_default(),
        };
        Ok(rows.into_iter().map(entry).collect())
    }
}
