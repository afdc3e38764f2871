//! What to expect of plain opening with one candidate, from what is known about both sides. A hint: every candidate is
//! probed, and only an answer counts.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::side::{Side, Standing};
use crate::address::{Realm, prefix_contains};
use crate::candidate::{Candidate, CandidateKind};
use crate::reason::Cause;

/// What to expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "prospect", rename_all = "kebab-case")]
pub enum Prospect {
    /// Nothing known stands in the way.
    Opens,
    /// It opens once the peer sent first: we answer to where that came from.
    OpensForPeer,
    /// Too little is known to say.
    Unknown,
    /// It will hardly answer.
    Unlikely {
        /// Why.
        cause: Cause,
    },
}

const fn unlikely(cause: Cause) -> Prospect {
    Prospect::Unlikely { cause }
}

/// What `own` may expect of probing `candidate` of `peer`, while the peer probes back.
#[must_use]
pub fn prospect_of(own: &Side, peer: &Side, candidate: &Candidate) -> Prospect {
    let ip = candidate.address.ip().to_canonical();
    if candidate.kind == CandidateKind::Relayed {
        return Prospect::Opens;
    }
    // One's own addresses are a sign of IPv6; a side that tells none at all is not judged by it.
    let has_family =
        own.candidates.is_empty() || own.candidates.iter().any(|c| c.address.is_ipv4() == ip.is_ipv4());
    if !has_family && ip.is_ipv6() {
        return unlikely(Cause::NoSuchFamily);
    }
    match Realm::of(ip) {
        Realm::Private if is_in_the_house(candidate.kind) => in_a_network(own, peer, ip),
        Realm::Private | Realm::Carrier => in_a_carrier(own, peer, ip),
        Realm::Global => over_the_internet(own, peer, candidate, ip),
    }
}

const fn is_in_the_house(kind: CandidateKind) -> bool {
    matches!(kind, CandidateKind::Host | CandidateKind::PeerReflexive | CandidateKind::Static)
}

/// A private address that the peer holds itself. The same numbers are used in many houses: being in one prefix means being
/// in one network only together with one outside address, and behind one router.
fn in_a_network(own: &Side, peer: &Side, ip: IpAddr) -> Prospect {
    // Unique local IPv6 prefixes are random (RFC 4193 §3.2.2): one prefix is one network.
    let (length, is_telling) = if ip.is_ipv4() { (24, false) } else { (64, true) };
    let is_near = own.hosts().any(|host| prefix_contains(host, length, ip));
    let are_routers_known = own.nat.inner_address.is_some() && peer.nat.inner_address.is_some();
    if are_routers_known && own.nat.inner_address != peer.nat.inner_address {
        return unlikely(Cause::OtherNetwork);
    }
    match (is_near, own.shares_outside_with(peer)) {
        (true, Some(true)) => Prospect::Opens,
        (true, None) if is_telling => Prospect::Opens,
        // Several networks of one site may be routed to each other.
        (_, Some(true) | None) => Prospect::Unknown,
        (_, Some(false)) => unlikely(Cause::OtherNetwork),
    }
}

/// An address between two layers of NAT.
fn in_a_carrier(own: &Side, peer: &Side, ip: IpAddr) -> Prospect {
    let is_inside =
        own.nat.inner_address.is_some() || own.hosts().any(|host| Realm::of(host) == Realm::of(ip));
    match own.shares_outside_with(peer) {
        Some(false) => unlikely(Cause::OtherCarrier),
        Some(true) if is_inside => Prospect::Opens,
        Some(true) | None => Prospect::Unknown,
    }
}

fn over_the_internet(own: &Side, peer: &Side, candidate: &Candidate, ip: IpAddr) -> Prospect {
    if own.standing() == Standing::Blocked {
        return unlikely(Cause::OwnUdpBlocked);
    }
    if peer.standing() == Standing::Blocked {
        return unlikely(Cause::PeerUdpBlocked);
    }
    if ip.is_ipv6() {
        // Firewalls without translation open as both send; NAT66 is rare and would show as no answer.
        return Prospect::Opens;
    }
    if own.outside().any(|outside| outside == ip) && own.shares_outside_with(peer) == Some(true) {
        match (own.nat.hairpin, peer.nat.hairpin) {
            (Some(false), _) | (_, Some(false)) => return unlikely(Cause::NoHairpinning),
            (None, None) => return Prospect::Unknown,
            (Some(true), _) | (_, Some(true)) => {}
        }
    }
    // A port that was asked for, or that a user forwards, takes packets from anyone.
    if matches!(candidate.kind, CandidateKind::PortMapped | CandidateKind::Static) {
        return Prospect::Opens;
    }
    match (own.standing(), peer.standing()) {
        (Standing::Known, Standing::Known) => Prospect::Opens,
        (Standing::Known | Standing::Unknown, Standing::Changing(_)) if own.is_lax() => {
            Prospect::OpensForPeer
        }
        (_, Standing::Changing(_)) if peer.nat.is_contradicted == Some(true) => {
            unlikely(Cause::PeerStunContradicted)
        }
        (_, Standing::Changing(_)) => unlikely(Cause::PeerPortPerDestination),
        (Standing::Changing(_), Standing::Known) if peer.is_lax() => Prospect::Opens,
        (Standing::Changing(_), Standing::Known) => unlikely(Cause::OwnPortPerDestination),
        (Standing::Unknown, _) | (_, Standing::Unknown) => Prospect::Unknown,
        (Standing::Blocked, _) => unlikely(Cause::OwnUdpBlocked),
        (_, Standing::Blocked) => unlikely(Cause::PeerUdpBlocked),
    }
}

#[cfg(test)]
mod tests;
