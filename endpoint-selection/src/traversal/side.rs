//! One node of a pair, as far as a plan needs to know it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::Realm;
use crate::candidate::{Candidate, CandidateKind};
use crate::nat::{Allocation, Mapping, NatProfile, UdpReach};

/// The most candidates of a side that are looked at, so that a long list costs no more; reports carry 32.
pub(crate) const CANDIDATES_MAX: usize = 64;

/// One node of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// Addresses that may reach it.
    pub candidates: Vec<Candidate>,
    /// The NAT in front of it.
    #[serde(default)]
    pub nat: NatProfile,
}

/// What a peer must send to, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// UDP does not leave its network.
    Blocked,
    /// Its reflexive address is right for all peers.
    Known,
    /// Each destination is sent to from another port, chosen like this, where that is known.
    Changing(Option<Allocation>),
    /// Not measured.
    Unknown,
}

impl Side {
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates.iter().take(CANDIDATES_MAX)
    }

    /// Those that a direct path may lead to.
    pub(super) fn direct_candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.candidates().filter(|candidate| candidate.kind != CandidateKind::Relayed)
    }

    pub(super) const fn standing(&self) -> Standing {
        match (self.nat.udp, self.nat.is_address_known()) {
            (Some(UdpReach::Blocked), _) => Standing::Blocked,
            (_, Some(true)) => Standing::Known,
            (_, Some(false)) => Standing::Changing(self.allocation()),
            (_, None) => Standing::Unknown,
        }
    }

    /// How its NAT chooses the ports that peers see, where that can be relied on. It comes from the peer, so it may say anything.
    const fn allocation(&self) -> Option<Allocation> {
        match self.nat.allocation {
            // STUN servers see the own port, but peers another one.
            Some(Allocation::Preserving) if matches!(self.nat.is_contradicted, Some(true)) => None,
            Some(Allocation::Sequential { step: 0 }) => None,
            Some(Allocation::PortBlock { first, last }) if first == 0 || first > last => None,
            allocation => allocation,
        }
    }

    /// Whether its filter lets packets in from a port that it did not send to.
    pub(super) fn is_lax(&self) -> bool {
        self.nat.filtering.is_some_and(|filtering| filtering < crate::nat::Filtering::AddressAndPortDependent)
    }

    /// The IPv4 addresses that it is seen as from the internet: reflexive ones, those of its router, and its own without a NAT.
    pub(super) fn outside(&self) -> impl Iterator<Item = IpAddr> {
        self.candidates()
            .filter(|candidate| {
                let is_seen = match candidate.kind {
                    CandidateKind::ServerReflexive
                    | CandidateKind::PeerReflexive
                    | CandidateKind::PortMapped => true,
                    CandidateKind::Host => self.nat.mapping == Some(Mapping::None),
                    CandidateKind::Static | CandidateKind::Relayed => false,
                };
                is_seen && candidate.address.is_ipv4() && Realm::of(candidate.address.ip()) == Realm::Global
            })
            .map(|candidate| candidate.address.ip())
    }

    /// Whether the two are seen as one address from the internet: behind the same NAT. `None`: not known.
    pub(super) fn shares_outside_with(&self, other: &Self) -> Option<bool> {
        self.outside().next()?;
        other.outside().next()?;
        Some(self.outside().any(|ours| other.outside().any(|theirs| ours == theirs)))
    }

    /// Its own addresses.
    pub(super) fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        let is_host = |candidate: &&Candidate| candidate.kind == CandidateKind::Host;
        self.candidates().filter(is_host).map(|candidate| candidate.address.ip())
    }
}
