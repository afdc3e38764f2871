//! Sides to plan with in tests: what a NAT is like in one word, and who is at home where.

use super::side::Side;
use crate::candidate::{Candidate, CandidateKind, CandidateSource};
use crate::nat::{Allocation, Filtering, Mapping, NatProfile, UdpReach};

pub(super) fn candidate(kind: CandidateKind, address: &str) -> Candidate {
    Candidate { kind, address: address.parse().unwrap(), base: None, source: CandidateSource::Peer }
}

pub(super) fn host(address: &str) -> Candidate {
    candidate(CandidateKind::Host, address)
}

pub(super) fn reflexive(address: &str) -> Candidate {
    candidate(CandidateKind::ServerReflexive, address)
}

/// A node with a private address behind a NAT of its own, which is seen as `203.0.113.{last}`.
pub(super) fn behind(nat: NatProfile, last: u8) -> Side {
    let candidates = vec![host("192.168.1.20:41641"), reflexive(&format!("203.0.113.{last}:50000"))];
    Side { candidates, nat }
}

/// A node with an address of the internet.
pub(super) fn public(last: u8) -> Side {
    let nat = NatProfile { mapping: Some(Mapping::None), udp: Some(UdpReach::Open), ..NatProfile::default() };
    Side { candidates: vec![host(&format!("203.0.113.{last}:41641"))], nat }
}

/// A NAT that peers can be told the address of.
pub(super) fn independent(filtering: Option<Filtering>) -> NatProfile {
    NatProfile {
        mapping: Some(Mapping::EndpointIndependent),
        filtering,
        allocation: Some(Allocation::Preserving),
        udp: Some(UdpReach::Open),
        ..NatProfile::default()
    }
}

/// A NAT that takes a new port for each destination.
pub(super) fn dependent(allocation: Option<Allocation>) -> NatProfile {
    NatProfile {
        mapping: Some(Mapping::AddressAndPortDependent),
        allocation,
        udp: Some(UdpReach::Open),
        ..NatProfile::default()
    }
}

/// Nothing is known.
pub(super) fn unknown() -> NatProfile {
    NatProfile::default()
}

/// No server answers.
pub(super) fn blocked() -> NatProfile {
    NatProfile { udp: Some(UdpReach::Blocked), ..NatProfile::default() }
}

