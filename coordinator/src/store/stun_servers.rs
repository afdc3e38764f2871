//! STUN servers beside the coordinator's own and those at relays.

use std::net::SocketAddr;

use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::row::{is_bad_row, parse};
use super::{ReadTx, StoreError, WriteTx};

/// A STUN server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StunServerRow {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique.
    pub name: String,
    /// Where it answers, unique.
    pub address: SocketAddr,
    /// When it was registered, Unix milliseconds.
    pub created_at_ms: i64,
    /// Whether it is in no map.
    pub is_disabled: bool,
}

fn stun_server(row: &Row<'_>) -> rusqlite::Result<StunServerRow> {
    Ok(StunServerRow {
        id: parse(row, "id")?,
        name: row.get("name")?,
        address: parse(row, "address")?,
        created_at_ms: row.get("created_at")?,
        is_disabled: row.get("is_disabled")?,
    })
}

impl ReadTx<'_> {
    /// The id of the STUN server with this id or, where there is none, this name: also where the rest of its row cannot be read.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn stun_server_id(&self, wanted: &str) -> Result<Option<Uuid>, StoreError> {
        let sql = "SELECT id FROM stun_servers WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC";
        let id: Option<String> = self.sql().query_row(sql, [wanted], |row| row.get(0)).optional()?;
        Ok(id.and_then(|id| id.parse().ok()))
    }

    /// All STUN servers, in the order in which they were registered. A row that cannot be read is logged and left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn stun_servers(&self) -> Result<Vec<StunServerRow>, StoreError> {
        let sql =
            "SELECT id, name, address, created_at, is_disabled FROM stun_servers ORDER BY created_at, id";
        let mut statement = self.sql().prepare_cached(sql)?;
        let mut rows = statement.query(())?;
        let mut servers = Vec::new();
        while let Some(row) = rows.next()? {
            match stun_server(row) {
                Ok(row) => servers.push(row),
                Err(error) if is_bad_row(&error) => {
                    tracing::error!(%error, "a STUN server's row cannot be read; it is left out of the maps");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(servers)
    }
}

impl WriteTx<'_> {
    /// Adds a STUN server, or takes over the changed one.
    ///
    /// # Errors
    /// Where name or address are taken, or the database does not answer.
    pub fn put_stun_server(&self, server: &StunServerRow) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO stun_servers (id, name, address, created_at, is_disabled) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET name = ?2, address = ?3, is_disabled = ?5",
            (
                server.id.to_string(),
                &server.name,
                server.address.to_string(),
                server.created_at_ms,
                server.is_disabled,
            ),
        )?;
        Ok(())
    }

    /// Removes a STUN server. Gives its name, where there was one.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_stun_server(&self, id: Uuid) -> Result<Option<String>, StoreError> {
        let sql = "DELETE FROM stun_servers WHERE id = ?1 RETURNING name";
        Ok(self.sql().query_row(sql, [id.to_string()], |row| row.get(0)).optional()?)
    }
}
