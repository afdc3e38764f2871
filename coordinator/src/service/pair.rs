//! Two nodes of a network and what each reported of the other: what a browser needs to explain their path itself.

use std::sync::Arc;

use endpoint_selection::explain::{NodeView, Pair, RelayName};
use ipnet::IpNet;
use protocol::api::Servers;
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
    /// Two nodes, where both are of one network of the caller's organizations. What each knows of the other is asked for; says
    /// too whether that may come soon.
    ///
    /// # Errors
    /// Where a node is unknown to the person who asks, or the two are not in one network.
    pub(crate) fn pair(
        &mut self,
        now_ms: i64,
        caller: &Caller,
        (own, peer): (Uuid, Uuid),
    ) -> Result<(PairReport, bool), PairUnknown> {
        let servers = Arc::clone(self.servers());
        let mut visible = self
            .networks
            .values_mut()
            .filter(|network| caller.role_in(network.row.organization_id).is_some())
            .filter(|network| own != peer && [own, peer].iter().all(|id| network.nodes.contains_key(id)));
        let network = visible.next().ok_or(PairUnknown)?;
        let is_asked = [(own, peer), (peer, own)].map(|(node, other)| {
            let key = network.nodes.get(&other).map(|other| other.row.public_key);
            key.is_some_and(|key| network.look_at(node, key, now_ms))
        });
        let report = network.pair(&servers, (own, peer)).ok_or(PairUnknown)?;
        Ok((report, is_asked.contains(&true)))
    }
}

impl NetworkState {
    fn pair(&self, servers: &Servers, (own, peer): (Uuid, Uuid)) -> Option<PairReport> {
        let (network, own, peer) = (self, self.nodes.get(&own)?, self.nodes.get(&peer)?);
        let relays = servers.relays.iter().chain(network.peer_relays());
        let names = relays.map(|relay| RelayName { name: relay.name.clone(), address: relay.address });
        let mesh = [IpNet::V4(network.row.ipv4), IpNet::V6(network.row.ipv6)];
        Some(PairReport {
            pair: Pair {
                own: view(own, peer),
                peer: view(peer, own),
                mesh: mesh.iter().map(|net| (net.network(), net.prefix_len())).collect(),
                relays: names.collect(),
            },
            own_decision: decision(network, own, peer),
            peer_decision: decision(network, peer, own),
            reported_at_ms: [own.reported_at_ms(), peer.reported_at_ms()],
        })
    }
}

/// A node as the other one's counterpart.
fn view(node: &NodeState, other: &NodeState) -> NodeView {
    let reported = node.reported.as_ref();
    NodeView {
        name: node.row.name.to_string(),
        candidates: reported.map(|reported| reported.candidates.clone()).unwrap_or_default(),
        nat: reported.map(|reported| reported.nat).unwrap_or_default(),
        paths: node.looks.evidence_on(&other.row.public_key).cloned(),
    }
}

fn decision(network: &NetworkState, node: &NodeState, other: &NodeState) -> Option<PathOverview> {
    path_overview(network, node.reported.as_ref()?.path_to(other.row.id)?)
}
