//! What a test may look at.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use endpoint_selection::nat::NatProfile;
use endpoint_selection::traversal::{Plan, Side, plan};
use engine::{PeerStatus, TUNNEL_MTU_BASE, TunnelPath};

use super::{NodeId, RelayId, World};
use crate::flow::FlowStats;
use crate::oracle::{self, Outlook};
use crate::safety::Peaks;
use crate::topology::Segment;

impl World {
    /// The time: microseconds since the world's origin.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The path that `from`'s path layer uses towards `to`.
    #[must_use]
    pub fn path(&self, from: NodeId, to: NodeId) -> Option<TunnelPath> {
        self.nodes[from.0].paths.get(&self.nodes[to.0].public_key).copied()
    }

    /// The longest tunnel packet that `from`'s path layer sends to `to` in one piece.
    #[must_use]
    pub fn tunnel_mtu(&self, from: NodeId, to: NodeId) -> u16 {
        let told = self.nodes[from.0].tunnel_mtus.get(&self.nodes[to.0].public_key);
        told.copied().unwrap_or(TUNNEL_MTU_BASE)
    }

    /// Whether both directions of a pair are direct.
    #[must_use]
    pub fn is_direct(&self, a: NodeId, b: NodeId) -> bool {
        let direct = |path| matches!(path, Some(TunnelPath::Direct { .. }));
        direct(self.path(a, b)) && direct(self.path(b, a))
    }

    /// Whether both directions of a pair go over a relay.
    #[must_use]
    pub fn is_relayed(&self, a: NodeId, b: NodeId) -> bool {
        let relayed = |path| matches!(path, Some(TunnelPath::Relay { .. }));
        relayed(self.path(a, b)) && relayed(self.path(b, a))
    }

    /// Whether the tunnel packets of a pair arrive now, both ways.
    #[must_use]
    pub fn is_alive(&self, a: NodeId, b: NodeId) -> bool {
        let pair = [(a.0, b.0), (b.0, a.0)];
        let mut flows = self.flows.iter().filter(|flow| pair.contains(&(flow.from, flow.to)));
        flows.all(|flow| flow.silence(self.now) < 3 * self.traffic_interval)
    }

    /// Whether the tunnel packets of a pair arrive directly now, both ways.
    #[must_use]
    pub fn is_alive_directly(&self, a: NodeId, b: NodeId) -> bool {
        self.is_direct(a, b) && self.is_alive(a, b)
    }

    /// How many probes one node has sent to another, over whatever path.
    #[must_use]
    pub fn probes_sent(&self, from: NodeId, to: NodeId) -> u64 {
        self.safety.probes_sent(from.0, to.0)
    }

    /// Where `from` sends directly to, if it does.
    #[must_use]
    pub fn direct_remote(&self, from: NodeId, to: NodeId) -> Option<SocketAddr> {
        match self.path(from, to) {
            Some(TunnelPath::Direct { remote, .. }) => Some(remote),
            Some(TunnelPath::Relay { .. }) | None => None,
        }
    }

    /// The address of a node's first interface, with its port.
    #[must_use]
    pub fn host_address(&self, node: NodeId) -> SocketAddr {
        let node = &self.nodes[node.0];
        SocketAddr::new(node.interfaces[0].address, node.port)
    }

    /// What the boxes between two nodes allow: the oracle's word.
    #[must_use]
    pub fn outlook(&self, a: NodeId, b: NodeId) -> Outlook {
        let is_stun = |server: &&super::Server| matches!(server.kind, super::ServerKind::Stun);
        let stun: Vec<SocketAddr> =
            self.servers.iter().filter(is_stun).map(|server| server.address).collect();
        oracle::outlook(&self.topology, &self.nodes, &stun, (a.0, b.0))
    }

    /// Whether plain opening makes a direct path: the oracle's word.
    #[must_use]
    pub fn can_be_direct(&self, a: NodeId, b: NodeId) -> bool {
        self.outlook(a, b) == Outlook::Direct
    }

    /// What a running node knows of its NAT.
    #[must_use]
    pub fn nat(&self, node: NodeId) -> Option<NatProfile> {
        Some(self.nodes[node.0].engine.as_ref()?.status().nat)
    }

    /// What the engines of two running nodes would plan if they met now, from what each knows of itself.
    #[must_use]
    pub fn plan(&self, a: NodeId, b: NodeId) -> Option<Plan> {
        let side = |node: NodeId| {
            let status = self.nodes[node.0].engine.as_ref()?.status();
            Some(Side { candidates: status.candidates, nat: status.nat })
        };
        Some(plan(&side(a)?, &side(b)?, 0))
    }

    /// Whether a box on the way out shows STUN servers something else than everybody.
    #[must_use]
    pub fn is_lied_to(&self, node: NodeId) -> bool {
        let gateway_of = |segment: Segment| self.topology.segments[segment.0].gateway;
        let first = self.nodes[node.0].interfaces.iter().find_map(|interface| gateway_of(interface.segment));
        let mut boxes =
            std::iter::successors(first, |index| gateway_of(self.topology.gateways[*index].outer));
        boxes.any(|index| self.topology.gateways[index].exempts_stun)
    }

    /// What the engine of `from` says of `to`.
    #[must_use]
    pub fn peer_status(&self, from: NodeId, to: NodeId) -> Option<PeerStatus> {
        let key = self.nodes[to.0].public_key;
        let status = self.nodes[from.0].engine.as_ref()?.status();
        status.peers.into_iter().find(|peer| peer.public_key == key)
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    /// The relays.
    #[must_use]
    pub fn relays(&self) -> Vec<RelayId> {
        let is_relay = |server: &super::Server| matches!(server.kind, super::ServerKind::Relay { .. });
        let indices = self.servers.iter().enumerate().filter(|(_, server)| is_relay(server));
        indices.map(|(index, _)| RelayId(index)).collect()
    }

    /// Every pair of nodes once.
    #[must_use]
    pub fn pairs(&self) -> Vec<(NodeId, NodeId)> {
        self.nodes().flat_map(|b| (0..b.0).map(move |a| (NodeId(a), b))).collect()
    }

    /// Starts all flow statistics anew.
    pub fn mark(&mut self) {
        for flow in &mut self.flows {
            flow.mark(self.now);
        }
    }

    /// The statistics of the flow from one node to another.
    #[must_use]
    pub fn flow(&self, from: NodeId, to: NodeId) -> FlowStats {
        let flow = self.flows.iter().find(|flow| (flow.from, flow.to) == (from.0, to.0));
        flow.map(|flow| flow.stats(self.now)).unwrap_or_default()
    }

    /// The longest silence of any flow since the last mark.
    #[must_use]
    pub fn gap_max(&self) -> Duration {
        self.flows.iter().map(|flow| flow.stats(self.now).gap_max).max().unwrap_or_default()
    }

    /// The run as one number: equal for equal seeds and deeds.
    #[must_use]
    pub const fn transcript_hash(&self) -> u64 {
        self.transcript.hash()
    }

    /// The run as text, where [`Self::with_transcript`] asked for it.
    #[must_use]
    pub fn transcript(&self) -> &str {
        self.transcript.text()
    }

    /// The highest figures that the safety rules saw.
    #[must_use]
    pub const fn peaks(&self) -> Peaks {
        self.safety.peaks
    }

    /// Simulated time, summed over all pairs of nodes.
    #[must_use]
    pub const fn pair_time(&self) -> Duration {
        self.pair_time
    }
}
