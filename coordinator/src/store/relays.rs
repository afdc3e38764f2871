//! Relays on machines of their own.

use std::net::SocketAddr;

use protocol::key::PublicKey;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::row::{is_bad_row, parse};
use super::{ReadTx, StoreError, WriteTx};

/// A relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayRow {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique.
    pub name: String,
    /// Its X25519 public key, unique.
    pub public_key: PublicKey,
    /// Where it answers, one or more.
    pub addresses: Vec<SocketAddr>,
    /// Where it answers STUN.
    pub stun_servers: Vec<SocketAddr>,
    /// When it was registered, Unix milliseconds.
    pub created_at_ms: i64,
    /// Whether it is in no map.
    pub is_disabled: bool,
}

const COLUMNS: &str = "id, name, public_key, addresses, stun_servers, created_at, is_disabled";

fn relay(row: &Row<'_>) -> rusqlite::Result<RelayRow> {
    Ok(RelayRow {
        id: parse(row, "id")?,
        name: row.get("name")?,
        public_key: parse(row, "public_key")?,
        addresses: addresses(row, "addresses")?,
        stun_servers: addresses(row, "stun_servers")?,
        created_at_ms: row.get("created_at")?,
        is_disabled: row.get("is_disabled")?,
    })
}

fn addresses(row: &Row<'_>, column: &str) -> rusqlite::Result<Vec<SocketAddr>> {
    let (index, json) = (row.as_ref().column_index(column)?, row.get::<_, String>(column)?);
    serde_json::from_str(&json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error)))
}

fn json(addresses: &[SocketAddr]) -> Result<String, StoreError> {
    let written = serde_json::to_string(addresses);
    Ok(written.map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?)
}

impl ReadTx<'_> {
    /// The id of the relay with this id or, where there is none, this name: also where the rest of its row cannot be read.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn relay_id(&self, wanted: &str) -> Result<Option<Uuid>, StoreError> {
        let sql = "SELECT id FROM relays WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC";
        let id: Option<String> = self.sql().query_row(sql, [wanted], |row| row.get(0)).optional()?;
        Ok(id.and_then(|id| id.parse().ok()))
    }

    /// All relays, by name. A row that cannot be read is logged and left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn relays(&self) -> Result<Vec<RelayRow>, StoreError> {
        let mut statement =
            self.sql().prepare_cached(&format!("SELECT {COLUMNS} FROM relays ORDER BY name"))?;
        let mut rows = statement.query(())?;
        let mut relays = Vec::new();
        while let Some(row) = rows.next()? {
            match relay(row) {
                Ok(row) => relays.push(row),
                Err(error) if is_bad_row(&error) => {
                    tracing::error!(%error, "a relay's row cannot be read; it is left out of the maps");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(relays)
    }
}

impl WriteTx<'_> {
    /// Adds a relay, or takes over the changed one.
    ///
    /// # Errors
    /// Where name or key are taken, or the database does not answer.
    pub fn put_relay(&self, relay: &RelayRow) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO relays (id, name, public_key, addresses, stun_servers, created_at, is_disabled)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO UPDATE SET name = ?2, public_key = ?3, addresses = ?4, stun_servers = ?5, is_disabled = ?7",
            (
                relay.id.to_string(),
                &relay.name,
                relay.public_key.to_string(),
                json(&relay.addresses)?,
                json(&relay.stun_servers)?,
                relay.created_at_ms,
                relay.is_disabled,
            ),
        )?;
        Ok(())
    }

    /// Removes a relay. Gives its name, where there was one: also where the rest of its row cannot be read.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_relay(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        let sql = "DELETE FROM relays WHERE id = ?1 RETURNING name";
        Ok(self.sql().query_row(sql, [id.to_string()], |row| row.get(0)).optional()?)
    }
}
