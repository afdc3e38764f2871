//! Nodes.

use std::net::SocketAddr;

use protocol::api::{NodeName, Route, Tag};
use protocol::key::PublicKey;
use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::row::{hash_optional, is_bad_row, json, parse, parse_optional, to_json};
use super::{ReadTx, SecretHash, StoreError, WriteTx};

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Its id.
    pub id: Uuid,
    /// Its network.
    pub network_id: Uuid,
    /// Its name, unique in the network.
    pub name: NodeName,
    /// Its WireGuard public key.
    pub public_key: PublicKey,
    /// Its place in the network's ranges, from 1.
    pub host_index: u32,
    /// The enrollment key that it came with last.
    pub enrollment_key_id: Option<Uuid>,
    /// Its token; none for a plain WireGuard peer.
    pub token_hash: Option<SecretHash>,
    /// A token that was given out and not used yet.
    pub pending_token_hash: Option<SecretHash>,
    /// Where a plain WireGuard peer without an agent listens.
    pub plain_endpoint: Option<SocketAddr>,
    /// Whether it may be a relay for its network.
    pub may_relay: bool,
    /// What access rules know it by, in order, each once.
    pub tags: Vec<Tag>,
    /// Whether an administrator has to admit it first.
    pub is_waiting: bool,
    /// Whether an administrator switched it off.
    pub is_disabled: bool,
    /// Whether it is deleted when it goes offline.
    pub is_ephemeral: bool,
    /// Until when it is part of the network, Unix milliseconds; for ever where absent.
    pub expires_at_ms: Option<i64>,
    /// The networks that it may route to, in order, each once.
    pub approved_routes: Vec<Route>,
    /// When it was deleted, Unix milliseconds.
    pub deleted_at_ms: Option<i64>,
}

impl NodeRow {
    /// A WireGuard peer that runs no agent.
    #[must_use]
    pub const fn plain(
        id: Uuid,
        network_id: Uuid,
        name: NodeName,
        (public_key, endpoint): (PublicKey, SocketAddr),
        host_index: u32,
    ) -> Self {
        Self {
            id,
            network_id,
            name,
            public_key,
            host_index,
            enrollment_key_id: None,
            token_hash: None,
            pending_token_hash: None,
            plain_endpoint: Some(endpoint),
            may_relay: false,
            tags: Vec::new(),
            is_waiting: false,
            is_disabled: false,
            is_ephemeral: false,
            expires_at_ms: None,
            approved_routes: Vec::new(),
            deleted_at_ms: None,
        }
    }
}

/// A row that cannot be read. It must not harm the others, and it is no proof that the node is gone.
#[derive(Debug)]
pub struct BadRow {
    /// The node, where at least that can be read.
    pub id: Option<Uuid>,
    /// What is wrong.
    pub error: rusqlite::Error,
}

/// Rows, and the ones that cannot be read.
pub type NodeRows = (Vec<NodeRow>, Vec<BadRow>);

const COLUMNS: &str = "id, network_id, name, public_key, host_index, enrollment_key_id, token_hash, \
                       pending_token_hash, plain_endpoint, may_relay, tags, is_waiting, is_disabled, is_ephemeral, \
                       expires_at, approved_routes, deleted_at";

fn node(row: &Row<'_>) -> rusqlite::Result<NodeRow> {
    Ok(NodeRow {
        id: parse(row, "id")?,
        network_id: parse(row, "network_id")?,
        name: parse(row, "name")?,
        public_key: parse(row, "public_key")?,
        host_index: row.get("host_index")?,
        enrollment_key_id: parse_optional(row, "enrollment_key_id")?,
        token_hash: hash_optional(row, "token_hash")?,
        pending_token_hash: hash_optional(row, "pending_token_hash")?,
        plain_endpoint: parse_optional(row, "plain_endpoint")?,
        may_relay: row.get("may_relay")?,
        tags: json(row, "tags")?,
        is_waiting: row.get("is_waiting")?,
        is_disabled: row.get("is_disabled")?,
        is_ephemeral: row.get("is_ephemeral")?,
        expires_at_ms: row.get("expires_at")?,
        approved_routes: json(row, "approved_routes")?,
        deleted_at_ms: row.get("deleted_at")?,
    })
}

impl ReadTx<'_> {
    /// All nodes that are not deleted, by id.
    ///
    /// # Errors
    /// Where the database does not answer: then nothing is known about any node.
    pub fn nodes(&self) -> Result<NodeRows, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM nodes WHERE deleted_at IS NULL ORDER BY id");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let (mut nodes, mut bad) = (Vec::new(), Vec::new());
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            match node(row) {
                Ok(row) => nodes.push(row),
                Err(error) if is_bad_row(&error) => bad.push(BadRow { id: parse(row, "id").ok(), error }),
                Err(error) => return Err(error.into()),
            }
        }
        Ok((nodes, bad))
    }

    /// One node, also a deleted one.
    ///
    /// # Errors
    /// Where the database does not answer or the row cannot be read.
    pub fn node(&self, id: Uuid) -> Result<Option<NodeRow>, StoreError> {
        self.one_node("id = ?1", [id.to_string()])
    }

    /// The node with this token, also a deleted one.
    ///
    /// # Errors
    /// Where the database does not answer or the row cannot be read.
    pub fn node_by_token(&self, token: SecretHash) -> Result<Option<NodeRow>, StoreError> {
        self.one_node("token_hash = ?1 OR pending_token_hash = ?1", [token.0])
    }

    /// The node with this public key, if not deleted.
    ///
    /// # Errors
    /// Where the database does not answer or the row cannot be read.
    pub fn node_by_public_key(&self, key: &PublicKey) -> Result<Option<NodeRow>, StoreError> {
        self.one_node("public_key = ?1 AND deleted_at IS NULL", [key.to_string()])
    }

    /// Whether a node of the network has this name.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn node_name_taken(&self, network: Uuid, name: &NodeName) -> Result<bool, StoreError> {
        let sql =
            "SELECT EXISTS (SELECT 1 FROM nodes WHERE network_id = ?1 AND name = ?2 AND deleted_at IS NULL)";
        let mut statement = self.sql().prepare_cached(sql)?;
        Ok(statement.query_row([network.to_string(), name.to_string()], |row| row.get(0))?)
    }

    /// How many nodes of a network may be relays for it, besides one.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn other_relaying_nodes(&self, network: Uuid, but: Uuid) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM nodes WHERE network_id = ?1 AND id <> ?2 AND may_relay = 1 AND deleted_at IS NULL";
        let mut statement = self.sql().prepare_cached(sql)?;
        let count: u32 = statement.query_row((network.to_string(), but.to_string()), |row| row.get(0))?;
        Ok(count as usize)
    }

    /// The highest place ever given out in the network, deleted nodes included; 0 where there was none.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn host_index_max(&self, network: Uuid) -> Result<u32, StoreError> {
        let sql = "SELECT coalesce(max(host_index), 0) FROM nodes WHERE network_id = ?1";
        let mut statement = self.sql().prepare_cached(sql)?;
        Ok(statement.query_row([network.to_string()], |row| row.get(0))?)
    }

    /// The places taken now in the network, in order.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn host_indexes(&self, network: Uuid) -> Result<Vec<u32>, StoreError> {
        let sql =
            "SELECT host_index FROM nodes WHERE network_id = ?1 AND deleted_at IS NULL ORDER BY host_index";
        let mut statement = self.sql().prepare_cached(sql)?;
        let indexes = statement.query_map([network.to_string()], |row| row.get(0))?;
        Ok(indexes.collect::<Result<_, _>>()?)
    }

    fn one_node(
        &self,
        condition: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<NodeRow>, StoreError> {
        let mut statement =
            self.sql().prepare_cached(&format!("SELECT {COLUMNS} FROM nodes WHERE {condition}"))?;
        Ok(statement.query_row(parameters, node).optional()?)
    }
}

impl WriteTx<'_> {
    /// Adds a node.
    ///
    /// # Errors
    /// Where a rule of the schema forbids it or the database does not answer.
    pub fn insert_node(&self, node: &NodeRow, now_ms: i64) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO nodes (id, network_id, name, public_key, host_index, enrollment_key_id, token_hash,
                                plain_endpoint, created_at, tags, is_waiting, is_ephemeral)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            (
                node.id.to_string(),
                node.network_id.to_string(),
                node.name.as_str(),
                node.public_key.to_string(),
                node.host_index,
                node.enrollment_key_id.map(|id| id.to_string()),
                node.token_hash.map(|hash| hash.0),
                node.plain_endpoint.map(|endpoint| endpoint.to_string()),
                now_ms,
                to_json(&node.tags),
                node.is_waiting,
                node.is_ephemeral,
            ),
        )?;
        Ok(())
    }

    /// Notes a token that was given out again, and with which enrollment key.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn set_pending_token(
        &self,
        node: Uuid,
        token: SecretHash,
        enrollment_key: Uuid,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE nodes SET pending_token_hash = ?2, enrollment_key_id = ?3 WHERE id = ?1";
        self.sql().execute(sql, (node.to_string(), token.0, enrollment_key.to_string()))?;
        Ok(())
    }

    /// Makes a pending token the token: it was used. Nothing happens where it is pending no longer.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn confirm_token(&self, token: SecretHash) -> Result<(), StoreError> {
        let sql = "UPDATE nodes SET token_hash = pending_token_hash, pending_token_hash = NULL
                   WHERE pending_token_hash = ?1";
        self.sql().execute(sql, [token.0])?;
        Ok(())
    }

    /// Changes what an administrator decides on: network, name, place, tags, standing, expiry, routes and whether it may relay.
    ///
    /// # Errors
    /// Where the name is taken or the database does not answer.
    pub fn update_node(&self, node: &NodeRow) -> Result<(), StoreError> {
        self.sql().execute(
            "UPDATE nodes SET network_id = ?2, name = ?3, host_index = ?4, may_relay = ?5, tags = ?6, is_waiting = ?7,
                              is_disabled = ?8, is_ephemeral = ?9, expires_at = ?10, approved_routes = ?11
             WHERE id = ?1 AND deleted_at IS NULL",
            (
                node.id.to_string(),
                node.network_id.to_string(),
                node.name.as_str(),
                node.host_index,
                node.may_relay,
                to_json(&node.tags),
                node.is_waiting,
                node.is_disabled,
                node.is_ephemeral,
                node.expires_at_ms,
                to_json(&node.approved_routes),
            ),
        )?;
        Ok(())
    }

    /// Marks a node as deleted; `false` where it is already, or unknown.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_node(&self, id: Uuid, now_ms: i64) -> Result<bool, StoreError> {
        let sql = "UPDATE nodes SET deleted_at = ?2 WHERE id = ?1 AND deleted_at IS NULL";
        Ok(self.sql().execute(sql, (id.to_string(), now_ms))? == 1)
    }

    /// Forgets nodes that were deleted before `before_ms`; their tokens are unknown from then on.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn purge_deleted_nodes(&self, before_ms: i64) -> Result<usize, StoreError> {
        Ok(self.sql().execute("DELETE FROM nodes WHERE deleted_at < ?1", [before_ms])?)
    }
}
