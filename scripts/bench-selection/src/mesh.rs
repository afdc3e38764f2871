//! Nodes behind all sorts of NATs, and what is decided for each pair of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use endpoint_selection::json::OutlookInput;
use endpoint_selection::nat::{Allocation, Filtering, Mapping, NatProfile, UdpReach};
use endpoint_selection::simulation::Rng;
use endpoint_selection::traversal::{Side, plan};
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, PathEvidence, Policy, PortMappingProtocol, Selector, Snapshot,
};

use crate::evidence::{Evidence, NOW};

/// A mesh.
#[derive(Debug)]
pub struct Mesh {
    nodes: Vec<Node>,
    evidence: Evidence,
}

/// One node, and what others may have observed of it.
#[derive(Debug)]
struct Node {
    side: Side,
    snapshot: Snapshot,
}

/// What came out, so that native code and WASM can be compared, and no compiler leaves the work out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Pairs whose traffic takes a direct path.
    pub direct: u32,
    /// Pairs whose traffic takes a relay.
    pub relayed: u32,
    /// Techniques that were planned.
    pub techniques: u32,
}

impl Mesh {
    /// A mesh of so many nodes, the same each time.
    #[must_use]
    pub fn new(nodes: u32) -> Self {
        let evidence = Evidence::new();
        let nodes = (0..nodes).map(|number| Node::new(number, &evidence)).collect();
        Self { nodes, evidence }
    }

    /// Decides for every pair, from evidence that is restored, and plans for it.
    pub fn decide_all(&mut self) -> Tally {
        let mut tally = Tally::default();
        let mut rng = Rng::new(1);
        for own in 0..self.nodes.len() {
            for peer in own + 1..self.nodes.len() {
                let mut selector = self.restored(peer, &mut rng);
                match selector.select(NOW).chosen.map(|candidate| candidate.kind) {
                    Some(CandidateKind::Relayed) => tally.relayed += 1,
                    Some(_) => tally.direct += 1,
                    None => {}
                }
                let plan = plan(&self.nodes[own].side, &self.nodes[peer].side, 0);
                tally.techniques += u32::try_from(plan.techniques.len()).unwrap_or(0);
            }
        }
        tally
    }

    /// A selector for each pair, all kept.
    pub fn keep_all(&mut self) -> Vec<Selector> {
        let mut rng = Rng::new(1);
        let pairs =
            (0..self.nodes.len()).flat_map(|own| (own + 1..self.nodes.len()).map(move |peer| (own, peer)));
        pairs.collect::<Vec<_>>().into_iter().map(|(_, peer)| self.restored(peer, &mut rng)).collect()
    }

    /// What some node knows of its paths to `peer`, with other evidence each time.
    pub fn restored(&mut self, peer: usize, rng: &mut Rng) -> Selector {
        let snapshot = &mut self.nodes[peer].snapshot;
        for path in &mut snapshot.paths {
            (path.status, path.quality) = self.evidence.choose(path.candidate.kind, rng);
        }
        Selector::restore(Policy::default(), Vec::new(), snapshot)
    }

    /// Two nodes of the mesh, to plan for.
    #[must_use]
    pub fn sides(&self, own: usize, peer: usize) -> (&Side, &Side) {
        (&self.nodes[own].side, &self.nodes[peer].side)
    }

    /// All nodes, to ask for their outlook.
    #[must_use]
    pub fn network(&self) -> OutlookInput {
        OutlookInput { nodes: self.nodes.iter().map(|node| node.side.clone()).collect() }
    }

    /// What was observed of a node last.
    #[must_use]
    pub fn snapshot(&self, peer: usize) -> &Snapshot {
        &self.nodes[peer].snapshot
    }
}

impl Node {
    fn new(number: u32, evidence: &Evidence) -> Self {
        let candidates = candidates(number);
        let mut rng = Rng::new(u64::from(number));
        let paths = candidates.iter().map(|candidate| {
            let (status, quality) = evidence.choose(candidate.kind, &mut rng);
            PathEvidence { candidate: candidate.clone(), status, quality }
        });
        let snapshot = Snapshot { now: NOW, current: None, idle: false, paths: paths.collect() };
        Self { side: Side { candidates, nat: nat(number) }, snapshot }
    }
}

/// The eight candidates of a node with two networks, IPv6, a NAT that was asked for a port, and a relay.
#[must_use]
pub fn candidates(number: u32) -> Vec<Candidate> {
    let [_, a, b, c] = number.to_be_bytes();
    let port = 40_000 + u16::from(c);
    let v4 = |octets: [u8; 4], port| SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, u16::from(a), u16::from_be_bytes([b, c]), 0, 0, 0, 1);
    let relay = v4([198, 51, 100, 10], 3478);
    let stun = |last| CandidateSource::StunServer(v4([198, 51, 100, last], 3478));
    let host = v4([192, 168, 1, 2 + c % 250], port);
    let candidate = |kind, address, base, source| Candidate { kind, address, base, source };
    let interface = || CandidateSource::Interface("enp0s31f6".to_owned());
    vec![
        candidate(CandidateKind::Host, host, Some(host), interface()),
        candidate(CandidateKind::Host, v4([10, a, b, 2 + c % 250], port), None, interface()),
        candidate(CandidateKind::Host, SocketAddr::new(IpAddr::V6(v6), port), None, interface()),
        candidate(CandidateKind::ServerReflexive, v4([203, a, b, c], port), Some(host), stun(1)),
        candidate(CandidateKind::ServerReflexive, v4([203, a, b, c], port + 1), Some(host), stun(2)),
        candidate(
            CandidateKind::PortMapped,
            v4([203, a, b, c], 41_641),
            Some(host),
            CandidateSource::Router(PortMappingProtocol::Pcp),
        ),
        candidate(CandidateKind::Static, v4([203, a, b, c], 51_820), None, CandidateSource::Administrator),
        candidate(CandidateKind::Relayed, relay, None, CandidateSource::Relay(relay)),
    ]
}

/// All sorts of NATs.
fn nat(number: u32) -> NatProfile {
    let dependent = Some(Mapping::AddressAndPortDependent);
    let (mapping, allocation) = match number % 6 {
        0 => (Some(Mapping::None), None),
        1 | 2 => (Some(Mapping::EndpointIndependent), Some(Allocation::Preserving)),
        3 => (dependent, Some(Allocation::Random)),
        4 => (dependent, Some(Allocation::Sequential { step: 1 })),
        _ => (dependent, Some(Allocation::PortBlock { first: 2_048, last: 2_559 })),
    };
    NatProfile {
        mapping,
        allocation,
        filtering: number.is_multiple_of(4).then_some(Filtering::AddressDependent),
        udp: Some(UdpReach::Open),
        ..NatProfile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mesh_is_the_same_each_time_and_has_pairs_that_need_a_technique() {
        let tally = Mesh::new(40).decide_all();
        assert_eq!(Mesh::new(40).decide_all(), tally);
        assert!(tally.direct > 100 && tally.techniques > 100, "{tally:?}");
        assert_eq!(tally.direct + tally.relayed, 780);
    }
}
