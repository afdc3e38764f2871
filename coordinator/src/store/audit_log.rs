//! Who changed what.

use rusqlite::Row;
use uuid::Uuid;

use super::row::parse_optional;
use super::{ReadTx, StoreError, WriteTx};

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; later entries have higher ones.
    pub id: i64,
    /// The organization; none for the installation as a whole.
    pub organization_id: Option<Uuid>,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// What was done: noun and verb, such as `node.delete`.
    pub action: String,
    /// The name or id of what it was done to.
    pub subject: String,
    /// The change as it was asked for, JSON, without secrets.
    pub details: String,
}

impl AuditRow {
    /// An entry of an organization, or of the installation as a whole; the database gives its number. `details` is JSON.
    #[must_use]
    pub fn new(
        organization: impl Into<Option<Uuid>>,
        at_ms: i64,
        actor: String,
        (action, subject, details): (&str, String, String),
    ) -> Self {
        let action = action.to_owned();
        Self { id: 0, organization_id: organization.into(), at_ms, actor, action, subject, details }
    }
}

fn audit_row(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        id: row.get("id")?,
        organization_id: parse_optional(row, "organization_id")?,
        at_ms: row.get("at")?,
        actor: row.get("actor")?,
        action: row.get("action")?,
        subject: row.get("subject")?,
        details: row.get("details")?,
    })
}

impl ReadTx<'_> {
    /// Entries of an organization, and of the installation as a whole where `with_installation`, below number `before`, newest first,
    /// at most `count`.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn audit_log(
        &self,
        (organization, with_installation): (Uuid, bool),
        before: i64,
        count: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let sql = "SELECT id, organization_id, at, actor, action, subject, details FROM audit_log
                   WHERE (organization_id = ?1 OR (?4 AND organization_id IS NULL)) AND id < ?2 ORDER BY id DESC LIMIT ?3";
        let mut statement = self.sql().prepare_cached(sql)?;
        let rows =
            statement.query_map((organization.to_string(), before, count, with_installation), audit_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl ReadTx<'_> {
    /// The entries after `since_ms` of invitations that named a mail address, oldest first.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn mailed_invitations(&self, since_ms: i64) -> Result<Vec<AuditRow>, StoreError> {
        let sql = "SELECT id, organization_id, at, actor, action, subject, details FROM audit_log
                   WHERE action = 'invitation.create' AND at > ?1 AND json_extract(details, '$.mail_address') IS NOT NULL
                   ORDER BY at";
        let mut statement = self.sql().prepare_cached(sql)?;
        let rows = statement.query_map([since_ms], audit_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Adds an entry, in the transaction of the change that it speaks of; its `id` is given by the database.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn insert_audit(&self, entry: &AuditRow) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO audit_log (organization_id, at, actor, action, subject, details) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                entry.organization_id.map(|id| id.to_string()),
                entry.at_ms,
                &entry.actor,
                &entry.action,
                &entry.subject,
                &entry.details,
            ),
        )?;
        Ok(())
    }

    /// Forgets entries from before `before_ms`.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn purge_audit_log(&self, before_ms: i64) -> Result<usize, StoreError> {
        Ok(self.sql().execute("DELETE FROM audit_log WHERE at < ?1", [before_ms])?)
    }
}
