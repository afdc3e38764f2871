//! Who may send what to whom in a network.

use protocol::access::{Traffic, Verdict};
use protocol::api::Tag;
use rusqlite::Row;
use uuid::Uuid;

use super::row::{is_bad_row, json, parse, to_json, to_word, word};
use super::{ReadTx, StoreError, WriteTx};

/// An access rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRuleRow {
    /// Its id.
    pub id: Uuid,
    /// Its network.
    pub network_id: Uuid,
    /// What it is for.
    pub description: String,
    /// Whether the traffic may pass.
    pub verdict: Verdict,
    /// Where it comes from: nodes with one of these tags; empty for all.
    pub sources: Vec<Tag>,
    /// Where it goes to: nodes with one of these tags; empty for all.
    pub destinations: Vec<Tag>,
    /// The traffic.
    pub traffic: Traffic,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

const COLUMNS: &str =
    "id, network_id, description, verdict, sources, destinations, protocol, ports, created_at";

fn access_rule(row: &Row<'_>) -> rusqlite::Result<AccessRuleRow> {
    Ok(AccessRuleRow {
        id: parse(row, "id")?,
        network_id: parse(row, "network_id")?,
        description: row.get("description")?,
        verdict: word(row, "verdict")?,
        sources: json(row, "sources")?,
        destinations: json(row, "destinations")?,
        traffic: Traffic { protocol: word(row, "protocol")?, ports: json(row, "ports")? },
        created_at_ms: row.get("created_at")?,
    })
}

impl ReadTx<'_> {
    /// The rules of a network, oldest first.
    ///
    /// # Errors
    /// Where the database does not answer or a row cannot be read: a rule that is left out might let pass what it denies.
    pub fn access_rules(&self, network: Uuid) -> Result<Vec<AccessRuleRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM access_rules WHERE network_id = ?1 ORDER BY created_at, id");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let rows = statement.query_map([network.to_string()], access_rule)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The rules of all networks; those that cannot be read are told by their network, where that is known, so that it keeps
    /// the rules that it has.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn all_access_rules(&self) -> Result<(Vec<AccessRuleRow>, Vec<Option<Uuid>>), StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM access_rules ORDER BY created_at, id");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let (mut rules, mut bad) = (Vec::new(), Vec::new());
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            match access_rule(row) {
                Ok(rule) => rules.push(rule),
                Err(error) if is_bad_row(&error) => {
                    tracing::error!(%error, "an access rule cannot be read; its network keeps the rules it has");
                    bad.push(parse(row, "network_id").ok());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((rules, bad))
    }
}

impl WriteTx<'_> {
    /// Adds a rule, or replaces the one with its id.
    ///
    /// # Errors
    /// Where a rule of the schema forbids it or the database does not answer.
    pub fn put_access_rule(&self, rule: &AccessRuleRow) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO access_rules (id, network_id, description, verdict, sources, destinations, protocol, ports, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET description = excluded.description, verdict = excluded.verdict,
                sources = excluded.sources, destinations = excluded.destinations, protocol = excluded.protocol,
                ports = excluded.ports",
            (
                rule.id.to_string(),
                rule.network_id.to_string(),
                &rule.description,
                to_word(&rule.verdict),
                to_json(&rule.sources),
                to_json(&rule.destinations),
                to_word(&rule.traffic.protocol),
                to_json(&rule.traffic.ports),
                rule.created_at_ms,
            ),
        )?;
        Ok(())
    }

    /// Deletes a rule of a network; `false` where there is none with this id.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_access_rule(&self, network: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "DELETE FROM access_rules WHERE network_id = ?1 AND id = ?2";
        Ok(self.sql().execute(sql, (network.to_string(), id.to_string()))? == 1)
    }
}
