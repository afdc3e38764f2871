//! Enrollment keys: their hashes, never the keys.

use protocol::api::Tag;
use protocol::key::PublicKey;
use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::row::{is_bad_row, json, parse, parse_optional, to_json};
use super::{ReadTx, SecretHash, StoreError, WriteTx};

/// An enrollment key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentKeyRow {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// The network it leads into.
    pub network_id: Uuid,
    /// Whether one machine only may use it.
    pub single_use: bool,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it expires, Unix milliseconds.
    pub expires_at_ms: i64,
    /// When it was revoked, Unix milliseconds.
    pub revoked_at_ms: Option<i64>,
    /// How many machines used it.
    pub use_count: u32,
    /// When one did last, Unix milliseconds.
    pub last_used_at_ms: Option<i64>,
    /// What it is for.
    pub description: String,
    /// The tags of the nodes that use it.
    pub tags: Vec<Tag>,
    /// Whether they are deleted when they go offline.
    pub is_ephemeral: bool,
    /// The only machine that may use it, where it is for one.
    pub public_key: Option<PublicKey>,
    /// Who made it; none for a command, and where it is not known.
    pub created_by: Option<Uuid>,
}

const COLUMNS: &str = "id, network_id, single_use, created_at, expires_at, revoked_at, use_count, last_used_at, \
                       description, tags, is_ephemeral, public_key, created_by";

fn enrollment_key(row: &Row<'_>) -> rusqlite::Result<EnrollmentKeyRow> {
    Ok(EnrollmentKeyRow {
        id: parse(row, "id")?,
        network_id: parse(row, "network_id")?,
        single_use: row.get("single_use")?,
        created_at_ms: row.get("created_at")?,
        expires_at_ms: row.get("expires_at")?,
        revoked_at_ms: row.get("revoked_at")?,
        use_count: row.get("use_count")?,
        last_used_at_ms: row.get("last_used_at")?,
        description: row.get("description")?,
        tags: json(row, "tags")?,
        is_ephemeral: row.get("is_ephemeral")?,
        public_key: parse_optional(row, "public_key")?,
        created_by: parse_optional(row, "created_by")?,
    })
}

impl ReadTx<'_> {
    /// The key with this hash.
    ///
    /// # Errors
    /// Where the database does not answer or the row cannot be read.
    pub fn enrollment_key(&self, hash: SecretHash) -> Result<Option<EnrollmentKeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM enrollment_keys WHERE key_hash = ?1");
        let mut statement = self.sql().prepare_cached(&sql)?;
        Ok(statement.query_row([hash.0], enrollment_key).optional()?)
    }

    /// One key.
    ///
    /// # Errors
    /// Where the database does not answer or the row cannot be read.
    pub fn enrollment_key_by_id(&self, id: Uuid) -> Result<Option<EnrollmentKeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM enrollment_keys WHERE id = ?1");
        let mut statement = self.sql().prepare_cached(&sql)?;
        Ok(statement.query_row([id.to_string()], enrollment_key).optional()?)
    }

    /// The keys into an organization's networks that a person made and that still let somebody in.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn usable_enrollment_keys_of(
        &self,
        organization: Uuid,
        person: Uuid,
        now_ms: i64,
    ) -> Result<Vec<Uuid>, StoreError> {
        let sql = "SELECT enrollment_keys.id FROM enrollment_keys JOIN networks ON networks.id = network_id
                   WHERE organization_id = ?1 AND created_by = ?2 AND expires_at > ?3 AND revoked_at IS NULL
                     AND (single_use = 0 OR use_count = 0)
                   ORDER BY enrollment_keys.created_at, enrollment_keys.id";
        let mut statement = self.sql().prepare_cached(sql)?;
        let ids = (organization.to_string(), person.to_string(), now_ms);
        let rows = statement.query_map(ids, |row| parse(row, "id"))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// All keys, oldest first. A row that cannot be read is logged and left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn enrollment_keys(&self) -> Result<Vec<EnrollmentKeyRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM enrollment_keys ORDER BY created_at, id");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let mut keys = Vec::new();
        for row in statement.query_map((), enrollment_key)? {
            match row {
                Ok(row) => keys.push(row),
                Err(error) if is_bad_row(&error) => tracing::error!(%error, "an enrollment key is left out"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(keys)
    }
}

impl WriteTx<'_> {
    /// Adds a key.
    ///
    /// # Errors
    /// Where a rule of the schema forbids it or the database does not answer.
    pub fn insert_enrollment_key(&self, key: &EnrollmentKeyRow, hash: SecretHash) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO enrollment_keys (id, key_hash, network_id, single_use, created_at, expires_at, description,
                                          tags, is_ephemeral, public_key, created_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            (
                key.id.to_string(),
                hash.0,
                key.network_id.to_string(),
                key.single_use,
                key.created_at_ms,
                key.expires_at_ms,
                &key.description,
                to_json(&key.tags),
                key.is_ephemeral,
                key.public_key.map(|key| key.to_string()),
                key.created_by.map(|id| id.to_string()),
            ),
        )?;
        Ok(())
    }

    /// Counts one use; `false` where the key has no use left. The condition and the count are one statement, so of
    /// two machines with one single-use key exactly one gets `true`.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn use_enrollment_key(&self, id: Uuid, now_ms: i64) -> Result<bool, StoreError> {
        let sql = "UPDATE enrollment_keys SET use_count = use_count + 1, last_used_at = ?2
                   WHERE id = ?1 AND (single_use = 0 OR use_count = 0)";
        Ok(self.sql().execute(sql, (id.to_string(), now_ms))? == 1)
    }

    /// Revokes a key; `false` where it is already, or unknown.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn revoke_enrollment_key(&self, id: Uuid, now_ms: i64) -> Result<bool, StoreError> {
        let sql = "UPDATE enrollment_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
        Ok(self.sql().execute(sql, (id.to_string(), now_ms))? == 1)
    }
}
