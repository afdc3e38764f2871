//! Access rules of a network.

use std::collections::BTreeSet;

use protocol::access::{IpProtocol, PORT_RANGES_MAX, PortRange, RULES_MAX, Traffic, Verdict};
use protocol::api::Tag;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::nodes::TAGS_MAX;
use super::{Call, ResourceError, check_description, network_of};
use crate::store::AccessRuleRow;

/// An access rule.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AccessRule {
    /// Its id.
    pub id: Uuid,
    /// What it is for.
    pub description: String,
    /// `allow` or `deny`.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// Where the traffic comes from: nodes with one of these tags; empty for all.
    #[schema(value_type = Vec<String>)]
    pub sources: Vec<Tag>,
    /// Where it goes to: nodes with one of these tags; empty for all.
    #[schema(value_type = Vec<String>)]
    pub destinations: Vec<Tag>,
    /// `any`, `tcp`, `udp` or `icmp`.
    #[schema(value_type = String)]
    pub protocol: IpProtocol,
    /// Destination ports of TCP or UDP; empty for all.
    #[schema(value_type = Vec<String>)]
    pub ports: Vec<PortRange>,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

/// Who may, or may not, send what to whom. Rules have no order: what any rule denies is denied, else what any allows is
/// allowed, else the network's default decides. Answers are always let through.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessRuleText {
    /// What it is for, at most 200 characters.
    #[serde(default)]
    pub description: String,
    /// `allow` or `deny`.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// Where the traffic comes from: nodes with one of these tags; empty for all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub sources: BTreeSet<Tag>,
    /// Where it goes to: nodes with one of these tags; empty for all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub destinations: BTreeSet<Tag>,
    /// `any`, `tcp`, `udp` or `icmp`.
    #[schema(value_type = String)]
    pub protocol: IpProtocol,
    /// Destination ports of TCP or UDP, such as `22` or `8000-8100`; empty for all.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub ports: Vec<PortRange>,
}

impl From<AccessRuleRow> for AccessRule {
    fn from(row: AccessRuleRow) -> Self {
        Self {
            id: row.id,
            description: row.description,
            verdict: row.verdict,
            sources: row.sources,
            destinations: row.destinations,
            protocol: row.traffic.protocol,
            ports: row.traffic.ports,
            created_at_ms: row.created_at_ms,
        }
    }
}

impl AccessRuleText {
    fn check(&self) -> Result<(), ResourceError> {
        check_description(&self.description)?;
        for (field, tags) in [("sources", &self.sources), ("destinations", &self.destinations)] {
            if tags.len() > TAGS_MAX {
                return Err(ResourceError::invalid(field, format!("at most {TAGS_MAX} tags")));
            }
        }
        if self.ports.len() > PORT_RANGES_MAX {
            return Err(ResourceError::invalid("ports", format!("at most {PORT_RANGES_MAX} ranges")));
        }
        if !self.ports.is_empty() && !self.protocol.has_ports() {
            return Err(ResourceError::invalid("ports", "only TCP and UDP have ports"));
        }
        Ok(())
    }

    fn into_row(self, id: Uuid, network_id: Uuid, created_at_ms: i64) -> AccessRuleRow {
        AccessRuleRow {
            id,
            network_id,
            description: self.description,
            verdict: self.verdict,
            sources: self.sources.into_iter().collect(),
            destinations: self.destinations.into_iter().collect(),
            traffic: Traffic { protocol: self.protocol, ports: self.ports },
            created_at_ms,
        }
    }
}

impl Call<'_> {
    /// The rules of a network, oldest first.
    ///
    /// # Errors
    /// No such network, or the database's.
    pub fn access_rules(&self, network: Uuid) -> Result<Vec<AccessRule>, ResourceError> {
        self.store.read(|tx| {
            network_of(tx, self.organization, network)?;
            Ok(tx.access_rules(network)?.into_iter().map(AccessRule::from).collect())
        })
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// No such network, a field out of bounds, too many rules, or the database's.
    pub fn create_access_rule(
        &self,
        network: Uuid,
        wanted: AccessRuleText,
    ) -> Result<AccessRule, ResourceError> {
        wanted.check()?;
        let (organization, id) = (self.organization, self.entropy.id(self.now_ms));
        let entry = self.audit("access-rule.create", id, &wanted);
        let row = wanted.into_row(id, network, self.now_ms);
        self.write(move |tx| {
            network_of(&tx.reading(), organization, network)?;
            if tx.reading().access_rules(network)?.len() >= RULES_MAX {
                return Err(ResourceError::Conflict(format!(
                    "the network has {RULES_MAX} rules, which is the most"
                )));
            }
            tx.put_access_rule(&row)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Replaces a rule.
    ///
    /// # Errors
    /// No such network or rule, a field out of bounds, or the database's.
    pub fn replace_access_rule(
        &self,
        network: Uuid,
        id: Uuid,
        wanted: AccessRuleText,
    ) -> Result<AccessRule, ResourceError> {
        wanted.check()?;
        let (organization, entry) = (self.organization, self.audit("access-rule.replace", id, &wanted));
        self.write(move |tx| {
            network_of(&tx.reading(), organization, network)?;
            let known = tx.reading().access_rules(network)?.into_iter().find(|rule| rule.id == id);
            let known = known.ok_or(ResourceError::NotFound("access rule"))?;
            let row = wanted.into_row(id, network, known.created_at_ms);
            tx.put_access_rule(&row)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Deletes a rule.
    ///
    /// # Errors
    /// No such network or rule, or the database's.
    pub fn delete_access_rule(&self, network: Uuid, id: Uuid) -> Result<(), ResourceError> {
        let (organization, entry) = (self.organization, self.audit("access-rule.delete", id, &()));
        self.write(move |tx| {
            network_of(&tx.reading(), organization, network)?;
            if !tx.delete_access_rule(network, id)? {
                return Err(ResourceError::NotFound("access rule"));
            }
            Ok(tx.insert_audit(&entry)?)
        })
    }
}
