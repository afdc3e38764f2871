//! Stories that are told by hand, from evidence as two nodes would report it: what the simulator has no boxes for.

use std::net::SocketAddr;

use endpoint_selection::explain::{NodeView, Pair, RelayName, explain};
use endpoint_selection::nat::{Allocation, Filtering, Mapping, NatProfile, UdpReach};
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, Observation, ObservationKind, Policy, Selector, Timestamp,
};

use super::{OWN, PEER, Story};

const RELAY: &str = "198.51.100.10:3478";
const ANSWERED: ObservationKind = ObservationKind::ProbeAnswered { rtt_us: 21_400 };

/// A node with the NAT in front of it and what it has seen of the other one's addresses.
struct Told {
    nat: NatProfile,
    candidates: Vec<Candidate>,
    seen: Vec<(&'static str, Vec<ObservationKind>)>,
}

fn candidate(kind: CandidateKind, address: &str) -> Candidate {
    let source = match kind {
        CandidateKind::Host => CandidateSource::Interface("eth0".into()),
        CandidateKind::Relayed => CandidateSource::Relay(address.parse().unwrap()),
        CandidateKind::PortMapped
        | CandidateKind::PeerReflexive
        | CandidateKind::ServerReflexive
        | CandidateKind::Static => CandidateSource::StunServer("198.51.100.1:3478".parse().unwrap()),
    };
    Candidate { kind, address: address.parse().unwrap(), base: None, source }
}

/// What a home router is mostly like.
fn home() -> NatProfile {
    NatProfile {
        mapping: Some(Mapping::EndpointIndependent),
        allocation: Some(Allocation::Preserving),
        udp: Some(UdpReach::Open),
        ..NatProfile::default()
    }
}

fn at_home(
    nat: NatProfile,
    host: &str,
    outside: &str,
    seen: Vec<(&'static str, Vec<ObservationKind>)>,
) -> Told {
    let candidates =
        vec![candidate(CandidateKind::Host, host), candidate(CandidateKind::ServerReflexive, outside)];
    Told { nat, candidates, seen }
}

/// A whole round of plain opening without an answer.
fn unanswered() -> Vec<ObservationKind> {
    vec![ObservationKind::ProbeSent; 9]
}

/// Sixteen probes, of which so many were lost; the last one was answered.
fn losing(lost: usize) -> Vec<ObservationKind> {
    let mut kinds = vec![ANSWERED];
    kinds.extend(vec![ObservationKind::ProbeLost; lost]);
    kinds.extend(vec![ANSWERED; 31 - lost]);
    kinds
}

fn view(name: &str, told: &Told, other: &Told) -> NodeView {
    let now = Timestamp::from_micros(60_000_000);
    let mut selector = Selector::new(Policy::default(), Vec::new());
    selector.add_candidate(candidate(CandidateKind::Relayed, RELAY));
    for candidate in &other.candidates {
        selector.add_candidate(candidate.clone());
    }
    let relay = (RELAY, vec![ObservationKind::RelayRegistered { rtt_us: Some(12_000) }]);
    for (remote, kinds) in [relay].iter().chain(&told.seen) {
        let remote: SocketAddr = remote.parse().unwrap();
        for kind in kinds {
            selector.observe(Observation { remote, at: now, kind: *kind });
        }
    }
    selector.select(now);
    NodeView {
        name: name.into(),
        candidates: told.candidates.clone(),
        nat: told.nat,
        paths: Some(selector.snapshot(now)),
    }
}

fn tell(title: &'static str, situation: &'static str, [own, peer]: [Told; 2]) -> Story {
    let pair = Pair {
        own: view(OWN, &own, &peer),
        peer: view(PEER, &peer, &own),
        mesh: Vec::new(),
        relays: vec![RelayName { name: super::RELAY.into(), address: RELAY.parse().unwrap() }],
    };
    Story { title, situation, course: Vec::new(), explanation: explain(&pair) }
}

pub(super) fn stories() -> Vec<Story> {
    one_router().into_iter().chain(bad_paths()).chain(no_answers()).collect()
}

fn one_router() -> Vec<Story> {
    let behind = |hairpin: bool| {
        let nat = NatProfile { hairpin: Some(hairpin), ..home() };
        let outside = if hairpin { vec![ANSWERED] } else { unanswered() };
        [
            at_home(
                nat,
                "192.168.1.20:41641",
                "203.0.113.12:41641",
                vec![("192.168.20.5:50123", unanswered()), ("203.0.113.12:50123", outside.clone())],
            ),
            at_home(
                nat,
                "192.168.20.5:50123",
                "203.0.113.12:50123",
                vec![("192.168.1.20:41641", unanswered()), ("203.0.113.12:41641", outside)],
            ),
        ]
    };
    vec![
        tell(
            "Two networks behind one router that hairpins",
            "laptop is in the home network and server in the guest network of one router, which keeps the two apart.",
            behind(true),
        ),
        tell(
            "Two networks behind one router that does not hairpin",
            "The same, but the router does not send packets back inside.",
            behind(false),
        ),
    ]
}

/// Two homes; both see the other's outside address like this, and the relay like that.
fn homes(direct: Vec<ObservationKind>, relay: Vec<ObservationKind>) -> [Told; 2] {
    let lan = ("192.168.1.12:50123", unanswered());
    let back = ("192.168.1.20:41641", unanswered());
    [
        at_home(
            home(),
            "192.168.1.20:41641",
            "203.0.113.12:41641",
            vec![lan, ("203.0.113.13:50123", direct.clone()), (RELAY, relay.clone())],
        ),
        at_home(
            home(),
            "192.168.1.12:50123",
            "203.0.113.13:50123",
            vec![back, ("203.0.113.12:41641", direct), (RELAY, relay)],
        ),
    ]
}

fn bad_paths() -> Vec<Story> {
    vec![
        tell(
            "A lossy direct path, and a relay that loses less",
            "Two homes; the direct path loses twelve of 32 probes, the relay none of as many.",
            homes(losing(12), losing(0)),
        ),
        tell(
            "A lossy direct path, and a relay that nobody has measured",
            "The same, but nothing is known of the relay's loss: it may be the link of one side that loses.",
            homes(losing(12), Vec::new()),
        ),
        tell(
            "A black hole",
            "Two homes; the direct path answers probes, but the tunnel's packets disappear on it.",
            homes(vec![ANSWERED, ObservationKind::DataLost], Vec::new()),
        ),
        tell(
            "A path that is too narrow",
            "Two homes; packets of more than 1,232 bytes disappear on the direct path.",
            homes(vec![ANSWERED, ObservationKind::PayloadMeasured { payload_max: 1_232 }], Vec::new()),
        ),
    ]
}

fn no_answers() -> Vec<Story> {
    let lying = NatProfile { is_contradicted: Some(true), ..home() };
    let strict = NatProfile { filtering: Some(Filtering::AddressAndPortDependent), ..home() };
    let mut misled = homes(unanswered(), Vec::new());
    misled[0].nat = lying;
    misled[1].nat = strict;
    let mut unknown = homes(unanswered(), Vec::new());
    unknown.iter_mut().for_each(|told| told.nat = NatProfile::default());
    let mut early = homes(Vec::new(), Vec::new());
    early.iter_mut().for_each(|told| told.seen.clear());
    vec![
        tell("The first moment", "Two homes; the nodes have just learnt of each other.", early),
        tell(
            "A firewall between",
            "Two homes whose routers are as usual, and yet no probe is answered.",
            homes(unanswered(), Vec::new()),
        ),
        tell(
            "STUN that misleads, found out by another peer",
            "laptop's NAT shows STUN servers one port and peers another each, as a third node has seen.",
            misled,
        ),
        tell("Nothing is known of the NATs", "Only one STUN server answers, which proves nothing.", unknown),
    ]
}
