//! The candidates of nodes, as they were last reported.

use endpoint_selection::Candidate;
use uuid::Uuid;

use super::{ReadTx, StoreError, WriteTx};

/// The candidates of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidatesRow {
    /// The node.
    pub node_id: Uuid,
    /// Its candidates.
    pub candidates: Vec<Candidate>,
    /// When they were reported, Unix milliseconds.
    pub reported_at_ms: i64,
}

impl ReadTx<'_> {
    /// The candidates of all nodes. A row that cannot be read is logged and left out.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn candidates(&self) -> Result<Vec<CandidatesRow>, StoreError> {
        let sql = "SELECT node_id, candidates, reported_at FROM node_candidates";
        let mut statement = self.sql().prepare_cached(sql)?;
        let mut rows = statement.query(())?;
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, json): (String, String) = (row.get(0)?, row.get(1)?);
            match (id.parse(), serde_json::from_str(&json)) {
                (Ok(node_id), Ok(candidates)) => {
                    read.push(CandidatesRow { node_id, candidates, reported_at_ms: row.get(2)? });
                }
                _ => tracing::error!(node = id, "the candidates of a node cannot be read and are left out"),
            }
        }
        Ok(read)
    }
}

impl WriteTx<'_> {
    /// Notes the candidates of a node.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn set_candidates(&self, row: &CandidatesRow) -> Result<(), StoreError> {
        let json = serde_json::to_string(&row.candidates)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        self.sql().execute(
            "INSERT INTO node_candidates (node_id, candidates, reported_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (node_id) DO UPDATE SET candidates = ?2, reported_at = ?3",
            (row.node_id.to_string(), json, row.reported_at_ms),
        )?;
        Ok(())
    }
}
