//! Two nodes of a network and what each reported of the other: what a browser needs to explain their path itself.

use endpoint_selection::explain::{NodeView, Pair, RelayName};
use ipnet::IpNet;
use serde::Serialize;
use uuid::Uuid;

use super::network_map::{NetworkState, NodeState};
use super::overview::{PathOverview, path_overview};
use super::{Caller, Directory, PairUnknown};

/// A pair of nodes.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PairReport {
    /// The facts, in the form that the selection module explains.
    pub pair: Pair,
    /// What the first node's agent decided, by its last report.
    pub own_decision: Option<PathOverview>,
    /// What the other node's agent decided.
    pub peer_decision: Option<PathOverview>,
    /// When each reported last, Unix milliseconds.
    pub reported_at_ms: [Option<i64>; 2],
}

impl Directory {
    /// Two nodes, where both are of one network of the caller's organizations.
    ///
    /// # Errors
    /// Where a node is unknown to the person who asks, or the two are not in one network.
    pub(crate) fn pair(&self, caller: &Caller, (own, peer): (Uuid, Uuid)) -> Result<PairReport, PairUnknown> {
        let mut visible =
            self.networks.values().filter(|network| caller.role_in(network.row.organization_id).is_some());
        let found = visible.find_map(|network| {
            let (own_node, peer_node) = (network.nodes.get(&own)?, network.nodes.get(&peer)?);
            (own != peer).then_some((network, own_node, peer_node))
        });
        let (network, own, peer) = found.ok_or(PairUnknown)?;
        let relays = self.servers().relays.iter().chain(network.peer_relays());
        let names = relays.map(|relay| RelayName { name: relay.name.clone(), address: relay.address });
        let mesh = [IpNet::V4(network.row.ipv4), IpNet::V6(network.row.ipv6)];
        Ok(PairReport {
            pair: Pair {
                own: view(own, peer),
                peer: view(peer, own),
                mesh: mesh.iter().map(|net| (net.network(), net.prefix_len())).collect(),
                relays: names.collect(),
            },
            own_decision: decision(network, own, peer),
            peer_decision: decision(network, peer, own),
            reported_at_ms: [own.reported_at_ms, peer.reported_at_ms],
        })
    }
}

/// A node as the other one's counterpart.
fn view(node: &NodeState, other: &NodeState) -> NodeView {
    let report = node.report.clone().unwrap_or_default();
    let path = report.paths.into_iter().find(|path| path.peer == other.row.public_key);
    NodeView {
        name: node.row.name.to_string(),
        candidates: report.candidates,
        nat: report.nat,
        paths: path.and_then(|path| path.evidence),
    }
}

fn decision(network: &NetworkState, node: &NodeState, other: &NodeState) -> Option<PathOverview> {
    let path = node.report.as_ref()?.paths.iter().find(|path| path.peer == other.row.public_key)?;
    path_overview(network, path.clone())
}
