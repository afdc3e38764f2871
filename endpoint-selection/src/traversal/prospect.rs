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
    Comparison::new(own, peer).of(candidate)
}

/// Two sides, and what holds for every candidate of `peer`.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    own: &'a Side,
    peer: &'a Side,
    /// Whether both are behind one NAT, where that is known.
    shares_outside: Option<bool>,
    has_ipv6: bool,
    /// Of `own` and of `peer`.
    standings: (Standing, Standing),
}

impl<'a> Comparison<'a> {
    pub(super) fn new(own: &'a Side, peer: &'a Side) -> Self {
        // One's own addresses are a sign of IPv6; a side that tells none at all is not judged by it.
        let has_ipv6 = own.candidates.is_empty() || own.candidates().any(|own| own.address.is_ipv6());
        let shares_outside = own.shares_outside_with(peer);
        Self { own, peer, shares_outside, has_ipv6, standings: (own.standing(), peer.standing()) }
    }

    /// What `own` may expect of this one.
    pub(super) fn of(&self, candidate: &Candidate) -> Prospect {
        let ip = candidate.address.ip().to_canonical();
        if candidate.kind == CandidateKind::Relayed {
            return Prospect::Opens;
        }
        if ip.is_ipv6() && !self.has_ipv6 {
            return unlikely(Cause::NoSuchFamily);
        }
        match Realm::of(ip) {
            Realm::Private if is_in_the_house(candidate.kind) => self.in_a_network(ip),
            Realm::Private | Realm::Carrier => self.in_a_carrier(ip),
            Realm::Global => self.over_the_internet(candidate.kind, ip),
        }
    }

    /// A private address that the peer holds itself. The same numbers are used in many houses: being in one prefix means being
    /// in one network only together with one outside address, and behind one router.
    fn in_a_network(&self, ip: IpAddr) -> Prospect {
        // Unique local IPv6 prefixes are random (RFC 4193 §3.2.2): one prefix is one network.
        let (length, is_telling) = if ip.is_ipv4() { (24, false) } else { (64, true) };
        let is_near = || self.own.hosts().any(|host| prefix_contains(host, length, ip));
        let routers = (self.own.nat.inner_address, self.peer.nat.inner_address);
        if matches!(routers, (Some(ours), Some(theirs)) if ours != theirs) {
            return unlikely(Cause::OtherNetwork);
        }
        match self.shares_outside {
            Some(false) => unlikely(Cause::OtherNetwork),
            Some(true) if is_near() => Prospect::Opens,
            None if is_telling && is_near() => Prospect::Opens,
            // Several networks of one site may be routed to each other.
            Some(true) | None => Prospect::Unknown,
        }
    }

    /// An address between two layers of NAT.
    fn in_a_carrier(&self, ip: IpAddr) -> Prospect {
        let is_inside = || {
            self.own.nat.inner_address.is_some()
                || self.own.hosts().any(|host| Realm::of(host) == Realm::of(ip))
        };
        match self.shares_outside {
            Some(false) => unlikely(Cause::OtherCarrier),
            Some(true) if is_inside() => Prospect::Opens,
            Some(true) | None => Prospect::Unknown,
        }
    }

    fn over_the_internet(&self, kind: CandidateKind, ip: IpAddr) -> Prospect {
        let (own, peer) = (self.own, self.peer);
        match self.standings {
            (Standing::Blocked, _) => return unlikely(Cause::OwnUdpBlocked),
            (_, Standing::Blocked) => return unlikely(Cause::PeerUdpBlocked),
            _ => {}
        }
        if ip.is_ipv6() {
            // Firewalls without translation open as both send; NAT66 is rare and would show as no answer.
            return Prospect::Opens;
        }
        if self.shares_outside == Some(true) && own.outside().any(|outside| outside == ip) {
            match (own.nat.hairpin, peer.nat.hairpin) {
                (Some(false), _) | (_, Some(false)) => return unlikely(Cause::NoHairpinning),
                (None, None) => return Prospect::Unknown,
                (Some(true), _) | (_, Some(true)) => {}
            }
        }
        // A port that was asked for, or that a user forwards, takes packets from anyone.
        if matches!(kind, CandidateKind::PortMapped | CandidateKind::Static) {
            return Prospect::Opens;
        }
        match self.standings {
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
}

const fn is_in_the_house(kind: CandidateKind) -> bool {
    matches!(kind, CandidateKind::Host | CandidateKind::PeerReflexive | CandidateKind::Static)
}

#[cfg(test)]
mod tests;
