//! Links that let somebody into an organization, once.

use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::row::parse;
use super::{ReadTx, Role, SecretHash, StoreError, WriteTx};

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// As what.
    pub role: Role,
    /// Who made it; it ends with that person's membership.
    pub created_by: Uuid,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when it may be accepted, Unix milliseconds.
    pub expires_at_ms: i64,
    /// When it was, Unix milliseconds.
    pub accepted_at_ms: Option<i64>,
    /// Where the link was to be sent.
    pub mail_address: Option<String>,
}

const COLUMNS: &str =
    "id, organization_id, role, created_by, created_at, expires_at, accepted_at, mail_address";

fn invitation(row: &Row<'_>) -> rusqlite::Result<InvitationRow> {
    Ok(InvitationRow {
        id: parse(row, "id")?,
        organization_id: parse(row, "organization_id")?,
        role: parse(row, "role")?,
        created_by: parse(row, "created_by")?,
        created_at_ms: row.get("created_at")?,
        expires_at_ms: row.get("expires_at")?,
        accepted_at_ms: row.get("accepted_at")?,
        mail_address: row.get("mail_address")?,
    })
}

impl ReadTx<'_> {
    /// The invitations of an organization, newest first.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn invitations(&self, organization: Uuid) -> Result<Vec<InvitationRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM invitations WHERE organization_id = ?1 ORDER BY created_at DESC, id"
        );
        let mut statement = self.sql().prepare_cached(&sql)?;
        let rows = statement.query_map([organization.to_string()], invitation)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The invitation with this token, if nobody accepted it and its time is not over.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn open_invitation(
        &self,
        token: SecretHash,
        now_ms: i64,
    ) -> Result<Option<InvitationRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM invitations WHERE token_hash = ?1 AND accepted_at IS NULL AND expires_at > ?2"
        );
        let mut statement = self.sql().prepare_cached(&sql)?;
        Ok(statement.query_row((token.0, now_ms), invitation).optional()?)
    }
}

impl WriteTx<'_> {
    /// Adds an invitation.
    ///
    /// # Errors
    /// Where a rule of the schema forbids it or the database does not answer.
    pub fn insert_invitation(&self, invitation: &InvitationRow, token: SecretHash) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO invitations (id, token_hash, organization_id, role, created_by, created_at, expires_at,
                                      mail_address)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                invitation.id.to_string(),
                token.0,
                invitation.organization_id.to_string(),
                invitation.role.as_str(),
                invitation.created_by.to_string(),
                invitation.created_at_ms,
                invitation.expires_at_ms,
                invitation.mail_address.as_deref(),
            ),
        )?;
        Ok(())
    }

    /// Notes who accepted an invitation.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn accept_invitation(&self, id: Uuid, person: Uuid, now_ms: i64) -> Result<(), StoreError> {
        let sql = "UPDATE invitations SET accepted_at = ?2, accepted_by = ?3 WHERE id = ?1";
        self.sql().execute(sql, (id.to_string(), now_ms, person.to_string()))?;
        Ok(())
    }

    /// Takes an invitation of an organization back; `false` where there is none with this id.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_invitation(&self, organization: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "DELETE FROM invitations WHERE organization_id = ?1 AND id = ?2";
        Ok(self.sql().execute(sql, (organization.to_string(), id.to_string()))? == 1)
    }
}
