//! Organizations and their networks.

use std::collections::BTreeSet;

use ipnet::{Ipv4Net, Ipv6Net};
use protocol::access::Verdict;
use rusqlite::{OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row::{is_bad_row, parse, to_word, word};
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
    /// What becomes of traffic that no access rule matches.
    pub default_access: Verdict,
    /// Whether new nodes wait for an administrator.
    pub admission: Admission,
}

/// How new nodes become part of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Admission {
    /// At once.
    Automatic,
    /// When an administrator admits them.
    Manual,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationRow {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique in the installation.
    pub name: String,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

const COLUMNS: &str = "id, organization_id, name, ipv4, ipv6, default_access, admission";

fn network(row: &Row<'_>) -> rusqlite::Result<NetworkRow> {
    Ok(NetworkRow {
        id: parse(row, "id")?,
        organization_id: parse(row, "organization_id")?,
        name: row.get("name")?,
        ipv4: parse(row, "ipv4")?,
        ipv6: parse(row, "ipv6")?,
        default_access: word(row, "default_access")?,
        admission: word(row, "admission")?,
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

    /// The ids of all networks, also of those whose rows cannot be read otherwise.
    ///
    /// # Errors
    /// Where the database does not answer or an id is none.
    pub fn network_ids(&self) -> Result<BTreeSet<Uuid>, StoreError> {
        let mut statement = self.sql().prepare_cached("SELECT id FROM networks")?;
        let rows = statement.query_map((), |row| parse(row, "id"))?;
        Ok(rows.collect::<Result<_, _>>()?)
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

impl ReadTx<'_> {
    /// The organizations, by name.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn organizations(&self) -> Result<Vec<OrganizationRow>, StoreError> {
        let mut statement =
            self.sql().prepare_cached("SELECT id, name, created_at FROM organizations ORDER BY name")?;
        let rows = statement.query_map((), |row| {
            Ok(OrganizationRow {
                id: parse(row, "id")?,
                name: row.get("name")?,
                created_at_ms: row.get("created_at")?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
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
            "INSERT INTO networks (id, organization_id, name, ipv4, ipv6, default_access, admission, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                network.id.to_string(),
                network.organization_id.to_string(),
                &network.name,
                network.ipv4.to_string(),
                network.ipv6.to_string(),
                to_word(&network.default_access),
                to_word(&network.admission),
                now_ms,
            ),
        )?;
        Ok(())
    }

    /// Changes a network's name, default access and admission.
    ///
    /// # Errors
    /// Where the name is taken or the database does not answer.
    pub fn update_network(&self, network: &NetworkRow) -> Result<(), StoreError> {
        self.sql().execute(
            "UPDATE networks SET name = ?2, default_access = ?3, admission = ?4 WHERE id = ?1",
            (
                network.id.to_string(),
                &network.name,
                to_word(&network.default_access),
                to_word(&network.admission),
            ),
        )?;
        Ok(())
    }

    /// Deletes a network with its keys, rules and the rows of deleted nodes; the caller has seen that no node is left.
    ///
    /// # Errors
    /// Where a node is left or the database does not answer.
    pub fn delete_network(&self, id: Uuid) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM nodes WHERE network_id = ?1 AND deleted_at IS NOT NULL",
            // Of nodes that went to another network.
            "UPDATE nodes SET enrollment_key_id = NULL
             WHERE enrollment_key_id IN (SELECT id FROM enrollment_keys WHERE network_id = ?1)",
            "DELETE FROM enrollment_keys WHERE network_id = ?1",
            "DELETE FROM networks WHERE id = ?1",
        ] {
            self.sql().execute(sql, [id.to_string()])?;
        }
        Ok(())
    }

    /// Renames an organization.
    ///
    /// # Errors
    /// Where the name is taken or the database does not answer.
    pub fn rename_organization(&self, id: Uuid, name: &str) -> Result<(), StoreError> {
        self.sql().execute("UPDATE organizations SET name = ?2 WHERE id = ?1", (id.to_string(), name))?;
        Ok(())
    }
}
