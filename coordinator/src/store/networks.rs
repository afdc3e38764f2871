//! Organizations and their networks.

use ipnet::{Ipv4Net, Ipv6Net};
use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::row::{is_bad_row, parse};
use super::{ReadTx, StoreError, WriteTx};

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRow {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub organization_id: Uuid,
    /// Its name, unique in the organization.
    pub name: String,
    /// Its IPv4 range.
    pub ipv4: Ipv4Net,
    /// Its IPv6 range.
    pub ipv6: Ipv6Net,
}

const COLUMNS: &str = "id, organization_id, name, ipv4, ipv6";

fn network(row: &Row<'_>) -> rusqlite::Result<NetworkRow> {
    Ok(NetworkRow {
        id: parse(row, "id")?,
        organization_id: parse(row, "organization_id")?,
        name: row.get("name")?,
        ipv4: parse(row, "ipv4")?,
        ipv6: parse(row, "ipv6")?,
    })
}

impl ReadTx<'_> {
    /// All networks that can be read, by name. A row that cannot is logged and left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn networks(&self) -> Result<Vec<NetworkRow>, StoreError> {
        let mut statement =
            self.sql().prepare_cached(&format!("SELECT {COLUMNS} FROM networks ORDER BY name, id"))?;
        let mut networks = Vec::new();
        for row in statement.query_map((), network)? {
            match row {
                Ok(row) => networks.push(row),
                Err(error) if is_bad_row(&error) => tracing::error!(%error, "a network's row is left out"),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(networks)
    }

    /// One network.
    ///
    /// # Errors
    /// Where the database does not answer or the row cannot be read.
    pub fn network(&self, id: Uuid) -> Result<Option<NetworkRow>, StoreError> {
        let mut statement =
            self.sql().prepare_cached(&format!("SELECT {COLUMNS} FROM networks WHERE id = ?1"))?;
        Ok(statement.query_row([id.to_string()], network).optional()?)
    }

    /// The oldest organization.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn first_organization(&self) -> Result<Option<(Uuid, String)>, StoreError> {
        let sql = "SELECT id, name FROM organizations ORDER BY created_at, id LIMIT 1";
        Ok(self.sql().query_row(sql, (), |row| Ok((parse(row, "id")?, row.get("name")?))).optional()?)
    }
}

impl WriteTx<'_> {
    /// Adds an organization.
    ///
    /// # Errors
    /// Where the name is taken or the database does not answer.
    pub fn insert_organization(&self, id: Uuid, name: &str, now_ms: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO organizations (id, name, created_at) VALUES (?1, ?2, ?3)";
        self.sql().execute(sql, (id.to_string(), name, now_ms))?;
        Ok(())
    }

    /// Adds a network.
    ///
    /// # Errors
    /// Where name or ranges are taken, or the database does not answer.
    pub fn insert_network(&self, network: &NetworkRow, now_ms: i64) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO networks (id, organization_id, name, ipv4, ipv6, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                network.id.to_string(),
                network.organization_id.to_string(),
                &network.name,
                network.ipv4.to_string(),
                network.ipv6.to_string(),
                now_ms,
            ),
        )?;
        Ok(())
    }
}
