//! How nodes see relays and STUN servers, summed up from their last reports: a walk over the nodes, when somebody looks.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use protocol::api::{NodeName, Servers, ServersSeen};
use protocol::key::PublicKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller::Credential;
use super::network_map::NodeState;
use super::{Caller, Directory};

/// The most nodes that are named for one server: enough to see what they have in common.
const NAMED_MAX: usize = 20;

/// How nodes see one server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NodeFigures {
    /// Nodes online that reach it: that have a session there, or that it answered last.
    pub reached: u32,
    /// Nodes online that do not reach it.
    pub unreached: u32,
    /// The median of their RTTs in microseconds. A node tells an RTT that moved by 2 ms and by half.
    pub rtt_median_us: Option<u32>,
    /// The RTT that 95 of 100 nodes have or stay below, in microseconds.
    pub rtt_p95_us: Option<u32>,
    /// When a node that reaches it last reported, Unix milliseconds; nodes report each minute.
    pub last_reached_at_ms: Option<i64>,
    /// Those that do not reach it, by name, the first 20, of the caller's own organizations only.
    pub unreached_by: Vec<NamedNode>,
}

/// A node, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NamedNode {
    /// Its name.
    #[schema(value_type = String)]
    pub name: NodeName,
    /// Its id.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub id: Uuid,
}

/// How nodes see the servers of the maps.
#[derive(Debug, Default)]
pub(crate) struct ServerFigures {
    relays: BTreeMap<PublicKey, Sum>,
    stun_servers: BTreeMap<SocketAddr, Sum>,
}

/// What is summed up for one server.
#[derive(Debug, Default)]
struct Sum {
    figures: NodeFigures,
    rtts: Vec<u32>,
}

/// One node's word on one server.
struct Word<'a> {
    node: &'a NodeState,
    is_named: bool,
    reached: bool,
    rtt_us: Option<u32>,
}

impl Directory {
    /// How nodes see the servers that maps name: those of all organizations where `is_operator`, else of the caller's. What a node
    /// says of other servers is nobody's business.
    pub(crate) fn server_figures(&self, caller: &Caller, is_operator: bool) -> ServerFigures {
        let mut figures = ServerFigures::of(self.servers());
        for network in self.networks.values() {
            // Whoever runs a command here can read the whole database.
            let is_command = matches!(caller.credential, Credential::Command);
            let is_named = is_command || caller.role_in(network.row().organization_id).is_some();
            if !is_named && !is_operator {
                continue;
            }
            for node in network.nodes.values() {
                figures.take(node, is_named);
            }
        }
        figures
    }

    /// The same over all nodes, naming none.
    pub(crate) fn all_server_figures(&self) -> ServerFigures {
        let mut figures = ServerFigures::of(self.servers());
        let nodes = self.networks.values().flat_map(|network| network.nodes.values());
        nodes.for_each(|node| figures.take(node, false));
        figures
    }
}

impl ServerFigures {
    fn of(servers: &Servers) -> Self {
        Self {
            relays: servers.relays.iter().map(|relay| (relay.public_key, Sum::default())).collect(),
            stun_servers: servers.stun_servers.iter().map(|address| (*address, Sum::default())).collect(),
        }
    }

    fn take(&mut self, node: &NodeState, is_named: bool) {
        let seen = node.reported.as_ref().and_then(|reported| reported.servers.as_deref());
        let Some(ServersSeen { relays, stun_servers }) = seen else { return };
        for relay in relays {
            if let Some(sum) = self.relays.get_mut(&relay.public_key) {
                sum.take(&Word { node, is_named, reached: relay.reached, rtt_us: relay.rtt_us });
            }
        }
        for server in stun_servers {
            if let Some(sum) = self.stun_servers.get_mut(&server.address) {
                sum.take(&Word { node, is_named, reached: server.reached, rtt_us: server.rtt_us });
            }
        }
    }

    /// How nodes see a relay; all zero for one that no map names.
    pub(crate) fn relay(&mut self, public_key: &PublicKey) -> NodeFigures {
        self.relays.remove(public_key).unwrap_or_default().done()
    }

    /// How nodes see a STUN server; all zero for one that no map names.
    pub(crate) fn stun_server(&mut self, address: SocketAddr) -> NodeFigures {
        self.stun_servers.remove(&address).unwrap_or_default().done()
    }
}

impl Sum {
    fn take(&mut self, word: &Word<'_>) {
        let figures = &mut self.figures;
        if word.reached {
            figures.last_reached_at_ms = figures.last_reached_at_ms.max(word.node.reported_at_ms());
        }
        // What a node that is gone said is of another time.
        if !word.node.is_online() {
            return;
        }
        if word.reached {
            figures.reached += 1;
            self.rtts.extend(word.rtt_us);
        } else {
            figures.unreached += 1;
            if word.is_named {
                let (name, id) = (word.node.row.name.clone(), word.node.row.id);
                figures.unreached_by.push(NamedNode { name, id });
            }
        }
    }

    fn done(mut self) -> NodeFigures {
        self.rtts.sort_unstable();
        self.figures.unreached_by.sort();
        self.figures.unreached_by.truncate(NAMED_MAX);
        NodeFigures {
            rtt_median_us: percentile(&self.rtts, 50),
            rtt_p95_us: percentile(&self.rtts, 95),
            ..self.figures
        }
    }
}

/// The smallest value that so many of a hundred do not exceed (nearest rank).
fn percentile(sorted: &[u32], percent: usize) -> Option<u32> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!((percentile(&[7], 50), percentile(&[7], 95)), (Some(7), Some(7)));
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 95)), (Some(50), Some(95)));
    }
}
