//! Sides to plan with in tests: what a NAT is like in one word, who is at home where, and any side at all.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::side::Side;
use crate::candidate::{Candidate, CandidateKind, CandidateSource};
use crate::nat::{Allocation, Filtering, Mapping, NatProfile, UdpReach};

pub(crate) fn candidate(kind: CandidateKind, address: &str) -> Candidate {
    Candidate { kind, address: address.parse().unwrap(), base: None, source: CandidateSource::Peer }
}

pub(crate) fn host(address: &str) -> Candidate {
    candidate(CandidateKind::Host, address)
}

pub(crate) fn reflexive(address: &str) -> Candidate {
    candidate(CandidateKind::ServerReflexive, address)
}

/// A node with a private address behind a NAT of its own, which is seen as `203.0.113.{last}`.
pub(crate) fn behind(nat: NatProfile, last: u8) -> Side {
    let candidates = vec![host("192.168.1.20:41641"), reflexive(&format!("203.0.113.{last}:50000"))];
    Side { candidates, nat }
}

/// A node with an address of the internet.
pub(crate) fn public(last: u8) -> Side {
    let nat = NatProfile { mapping: Some(Mapping::None), udp: Some(UdpReach::Open), ..NatProfile::default() };
    Side { candidates: vec![host(&format!("203.0.113.{last}:41641"))], nat }
}

/// A NAT that peers can be told the address of.
pub(crate) fn independent(filtering: Option<Filtering>) -> NatProfile {
    NatProfile {
        mapping: Some(Mapping::EndpointIndependent),
        filtering,
        allocation: Some(Allocation::Preserving),
        udp: Some(UdpReach::Open),
        ..NatProfile::default()
    }
}

/// A NAT that takes a new port for each destination.
pub(crate) fn dependent(allocation: Option<Allocation>) -> NatProfile {
    NatProfile {
        mapping: Some(Mapping::AddressAndPortDependent),
        allocation,
        udp: Some(UdpReach::Open),
        ..NatProfile::default()
    }
}

/// Nothing is known.
pub(crate) fn unknown() -> NatProfile {
    NatProfile::default()
}

/// No server answers.
pub(crate) fn blocked() -> NatProfile {
    NatProfile { udp: Some(UdpReach::Blocked), ..NatProfile::default() }
}

fn any_allocation() -> impl Strategy<Value = Allocation> {
    prop_oneof![
        Just(Allocation::Preserving),
        Just(Allocation::Random),
        any::<i16>().prop_map(|step| Allocation::Sequential { step }),
        any::<(u16, u16)>().prop_map(|(first, last)| Allocation::PortBlock { first, last }),
    ]
}

fn any_nat() -> impl Strategy<Value = NatProfile> {
    let mapping = prop_oneof![
        Just(Mapping::None),
        Just(Mapping::EndpointIndependent),
        Just(Mapping::AddressDependent),
        Just(Mapping::AddressAndPortDependent),
        Just(Mapping::Dependent),
    ];
    let filtering = prop_oneof![
        Just(Filtering::EndpointIndependent),
        Just(Filtering::AddressDependent),
        Just(Filtering::AddressAndPortDependent),
    ];
    let option = proptest::option::of::<BoxedStrategy<bool>>;
    (
        proptest::option::of(mapping),
        proptest::option::of(filtering),
        proptest::option::of(any_allocation()),
        option(any::<bool>().boxed()),
        option(any::<bool>().boxed()),
        option(any::<bool>().boxed()),
        proptest::option::of(any::<std::net::IpAddr>()),
    )
        .prop_map(
            |(mapping, filtering, allocation, hairpin, is_contradicted, is_open, inner_address)| {
                let udp = is_open.map(|open| if open { UdpReach::Open } else { UdpReach::Blocked });
                NatProfile {
                    mapping,
                    filtering,
                    allocation,
                    hairpin,
                    inner_address,
                    udp,
                    is_contradicted,
                    lifetime: None,
                }
            },
        )
}

fn any_candidate() -> impl Strategy<Value = Candidate> {
    const KINDS: [CandidateKind; 6] = [
        CandidateKind::Host,
        CandidateKind::PortMapped,
        CandidateKind::PeerReflexive,
        CandidateKind::ServerReflexive,
        CandidateKind::Static,
        CandidateKind::Relayed,
    ];
    // A few addresses, so that sides often share one.
    const ADDRESSES: [&str; 6] = [
        "192.168.1.2:7",
        "192.168.2.2:7",
        "100.64.0.2:7",
        "203.0.113.1:7",
        "203.0.113.2:7",
        "[2001:db8::1]:7",
    ];
    prop_oneof![
        4 => (0..KINDS.len(), 0..ADDRESSES.len())
            .prop_map(|(kind, address)| candidate(KINDS[kind], ADDRESSES[address])),
        1 => (0..KINDS.len(), any::<SocketAddr>())
            .prop_map(|(kind, address)| Candidate { address, ..candidate(KINDS[kind], ADDRESSES[0]) }),
    ]
}

pub(crate) fn any_side() -> impl Strategy<Value = Side> {
    (proptest::collection::vec(any_candidate(), 0..5), any_nat())
        .prop_map(|(candidates, nat)| Side { candidates, nat })
}
