//! Who is part of a network and who may see whom: standing and access rules, kept in step with the clock and the database.

use protocol::access::{Access, InboundRule, Verdict};
use protocol::api::{Standing, Tag};
use uuid::Uuid;

use super::Directory;
use super::network_map::{NetworkState, NodeState};
use crate::store::{AccessRuleRow, NetworkRow, NodeRow};

/// How long an ephemeral node may be offline, in milliseconds: longer than a restart of it or of the coordinator.
const EPHEMERAL_OFFLINE_MAX_MS: i64 = 10 * 60 * 1000;

/// The longest time between two looks at the clock that is believed, in milliseconds; they are a second apart. More is a clock
/// that was put right, or a machine that slept: nodes were not watched meanwhile.
const STEP_MAX_MS: i64 = 10_000;

impl Directory {
    /// The ephemeral nodes that have been offline for too long.
    pub(crate) fn ephemeral_gone(&self) -> Vec<Uuid> {
        let gone = |network: &NetworkState| {
            let (nodes, lived_ms) = (network.nodes.values(), network.lived_ms);
            let is_gone = |node: &&NodeState| {
                let offline_ms = lived_ms.saturating_sub(node.offline_since_ms);
                node.row.is_ephemeral && !node.is_online() && offline_ms > EPHEMERAL_OFFLINE_MAX_MS
            };
            nodes.filter(is_gone).map(|node| node.row.id).collect::<Vec<_>>()
        };
        self.networks.values().flat_map(gone).collect()
    }
}

impl NetworkState {
    /// Takes over the clock; who has expired since then goes.
    pub(super) fn advance(&mut self, now_ms: i64) {
        let before_ms = std::mem::replace(&mut self.now_ms, now_ms);
        self.lived_ms += now_ms.saturating_sub(before_ms).clamp(0, STEP_MAX_MS);
        self.refresh_held_back();
        // Both ways: a clock that was wrong is put right.
        let passed = before_ms.min(now_ms)..before_ms.max(now_ms);
        let is_other =
            |node: &NodeRow| node.expires_at_ms.is_some_and(|at| passed.contains(&at.saturating_sub(1)));
        let expired: Vec<Uuid> =
            self.nodes.values().filter(|node| is_other(&node.row)).map(|node| node.row.id).collect();
        for id in expired {
            self.refresh_standing(id);
        }
    }

    /// Takes over what the database says of the network.
    pub(super) fn set_row(&mut self, row: NetworkRow) {
        if *self.row() != row {
            self.regroup(|network| network.row = row);
        }
    }

    /// Takes over the access rules.
    pub(super) fn set_rules(&mut self, rules: Vec<AccessRuleRow>) {
        if self.rules != rules {
            self.regroup(|network| network.rules = rules);
        }
    }
}

/// A node's standing at a time.
pub(super) fn standing(node: &NodeRow, now_ms: i64) -> Standing {
    if node.is_disabled {
        Standing::Disabled
    } else if node.is_waiting {
        Standing::Waiting
    } else if node.expires_at_ms.is_some_and(|at| at <= now_ms) {
        Standing::Expired
    } else {
        Standing::Admitted
    }
}

/// What a node with these tags, in order, takes from its peers; `None` for everything.
pub(super) fn access_of(network: &NetworkRow, rules: &[AccessRuleRow], tags: &[Tag]) -> Option<Access> {
    let concerns =
        |wanted: &[Tag]| wanted.is_empty() || wanted.iter().any(|tag| tags.binary_search(tag).is_ok());
    let rules: Vec<InboundRule> = rules
        .iter()
        .filter(|rule| concerns(&rule.destinations))
        .map(|rule| InboundRule {
            verdict: rule.verdict,
            sources: rule.sources.clone(),
            traffic: rule.traffic.clone(),
        })
        .collect();
    let is_open =
        network.default_access == Verdict::Allow && rules.iter().all(|rule| rule.verdict == Verdict::Allow);
    (!is_open).then_some(Access { default: network.default_access, rules })
}
