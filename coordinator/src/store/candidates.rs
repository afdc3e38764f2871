//! The candidates of nodes, as they were last reported.

use endpoint_selection::Candidate;
use rusqlite::Row;
use rusqlite::types::Type;
use uuid::Uuid;

use super::row::{is_bad_row, parse};
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

fn candidates(row: &Row<'_>) -> rusqlite::Result<CandidatesRow> {
    let json: String = row.get("candidates")?;
    let candidates = serde_json::from_str(&json)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error)))?;
    Ok(CandidatesRow { node_id: parse(row, "node_id")?, candidates, reported_at_ms: row.get("reported_at")? })
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
            match candidates(row) {
                Ok(row) => read.push(row),
                Err(error) if is_bad_row(&error) => {
                    tracing::error!(%error, "the candidates of a node cannot be read and are left out");
                }
                Err(error) => return Err(error.into()),
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
