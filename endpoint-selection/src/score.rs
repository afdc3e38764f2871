//! The rank of a usable path: a type whose derived order is the rule, best first, no weights.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::candidate::{Candidate, CandidateKind};

/// What kind of road a path takes; the first rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// To a private address that the peer itself holds: the same network, no NAT between.
    SameNetwork,
    /// Straight over the internet.
    Internet,
    /// Through a relay.
    Relay,
}

impl Tier {
    /// The tier of a path to `candidate`.
    #[must_use]
    pub fn of(candidate: &Candidate) -> Self {
        match candidate.kind {
            CandidateKind::Relayed => Self::Relay,
            CandidateKind::Host if is_private(candidate.address.ip()) => Self::SameNetwork,
            CandidateKind::Host
            | CandidateKind::PeerReflexive
            | CandidateKind::ServerReflexive
            | CandidateKind::Static => Self::Internet,
        }
    }
}

/// RFC 1918, RFC 6598 (shared address space) and RFC 4193 (unique local).
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// The rank of a usable path; smaller is better. Unmeasured sorts behind every measured RTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// The first rank.
    pub tier: Tier,
    /// The second: smoothed RTT in microseconds, `u32::MAX` where unmeasured.
    pub rtt_us: u32,
    /// The third, so that equal evidence gives equal answers.
    pub kind: CandidateKind,
    /// The last, likewise.
    pub address: SocketAddr,
}

impl Score {
    /// The score of the path to `candidate`.
    #[must_use]
    pub fn new(candidate: &Candidate, rtt_us: Option<u32>) -> Self {
        Self {
            tier: Tier::of(candidate),
            rtt_us: rtt_us.unwrap_or(u32::MAX),
            kind: candidate.kind,
            address: candidate.address,
        }
    }
}
