//! What was changed lately, noted by triggers, so that a coordinator that serves takes over another process's commit at the cost of the
//! change and not of the whole database.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::row::parse;
use super::{ReadTx, Store, StoreError, WriteTx};

/// More changes at once are cheaper to take over by reading everything.
const CHANGES_MAX: i64 = 200;

/// Changes that are kept; whoever has seen none of them reads everything.
const KEPT: i64 = 10_000;

/// Up to where the database was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// Changes when another process has committed: SQLite's `data_version` as the writer sees it, which leaves out our own commits.
    pub foreign: i64,
    /// The number of the last change.
    pub newest: i64,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changed {
    /// Rows of nodes.
    pub nodes: BTreeSet<Uuid>,
    /// Rows of networks and their access rules.
    pub networks: BTreeSet<Uuid>,
    /// Whether the relays or STUN servers are others.
    pub servers: bool,
}

impl Store {
    /// How far the database is now.
    ///
    /// # Errors
    /// Where the writer does not answer.
    pub fn seen_now(&self) -> Result<Seen, StoreError> {
        self.look(|tx| {
            let foreign = tx.sql().pragma_query_value(None, "data_version", |row| row.get(0))?;
            // The table's own count, which no purge takes back.
            let newest = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'";
            let newest = tx.sql().prepare_cached(newest)?.query_row((), |row| row.get(0))?;
            Ok(Seen { foreign, newest })
        })
    }
}

impl ReadTx<'_> {
    /// What changed beyond `seen`; `None` where that is too much, or not known any more.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn changed_since(&self, seen: Seen) -> Result<Option<Changed>, StoreError> {
        let sql = "SELECT id, kind, subject FROM changes WHERE id > ?1 ORDER BY id LIMIT ?2";
        let mut statement = self.sql().prepare_cached(sql)?;
        let mut rows = statement.query((seen.newest, CHANGES_MAX + 1))?;
        let (mut changed, mut next, mut count) = (Changed::default(), seen.newest + 1, 0);
        while let Some(row) = rows.next()? {
            let (id, kind): (i64, String) = (row.get("id")?, row.get("kind")?);
            // A gap is a purge that took away what was never seen.
            if id != next || count == CHANGES_MAX {
                return Ok(None);
            }
            (next, count) = (id + 1, count + 1);
            match kind.as_str() {
                "node" => drop(changed.nodes.insert(parse(row, "subject")?)),
                "network" => drop(changed.networks.insert(parse(row, "subject")?)),
                _ => changed.servers = true,
            }
        }
        Ok(Some(changed))
    }
}

impl WriteTx<'_> {
    /// Forgets old changes.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn purge_changes(&self, newest: i64) -> Result<usize, StoreError> {
        Ok(self.sql().execute("DELETE FROM changes WHERE id <= ?1", [newest - KEPT])?)
    }
}
