//! The rank of a usable path: a type whose derived order is the rule, best first, no weights.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::address::Realm;
use crate::candidate::{Candidate, CandidateKind};
use crate::policy::Policy;
use crate::quality::{Health, PathQuality};
use crate::rtt::SmoothedRtt;

/// What kind of road a path takes; the second rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// To a private address that the peer itself holds: the same network, no NAT between.
    SameNetwork,
    /// To an address between two layers of NAT: the same carrier's network.
    SameCarrier,
    /// Straight over the internet.
    Internet,
    /// Through a relay.
    Relay,
}

impl Tier {
    /// The tier of a path to `candidate`.
    #[must_use]
    pub fn of(candidate: &Candidate) -> Self {
        let is_own = matches!(candidate.kind, CandidateKind::Host | CandidateKind::PeerReflexive);
        match (candidate.kind, Realm::of(candidate.address.ip())) {
            (CandidateKind::Relayed, _) => Self::Relay,
            (_, Realm::Global) => Self::Internet,
            (_, Realm::Private) if is_own => Self::SameNetwork,
            (_, Realm::Private | Realm::Carrier) => Self::SameCarrier,
        }
    }
}

/// The rank of a usable path; smaller is better. Unmeasured sorts behind every measured RTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Score {
    /// The first rank: a path that serves badly is worse than a longer one that serves well.
    pub health: Health,
    /// The second.
    pub tier: Tier,
    /// The third: smoothed RTT in microseconds, `u32::MAX` where unmeasured.
    pub rtt_us: u32,
    /// The fourth: the RTT's variation in microseconds.
    pub variation_us: u32,
    /// The fifth, so that equal evidence gives equal answers.
    pub kind: CandidateKind,
    /// The last, likewise.
    pub address: SocketAddr,
}

impl Score {
    /// The score at `now` of the path to `candidate`.
    #[must_use]
    pub fn new(candidate: &Candidate, quality: &PathQuality, now: Timestamp, policy: &Policy) -> Self {
        let (tier, health) = (Tier::of(candidate), quality.health(now, policy));
        // A relay is no way out of a lossy path until it was seen to lose hardly anything: the loss may be on the own link.
        let is_unproven = tier == Tier::Relay && !quality.loss.is_clean(policy);
        Self {
            health: if is_unproven { health.max(Health::Lossy) } else { health },
            tier,
            rtt_us: quality.rtt.map_or(u32::MAX, SmoothedRtt::as_micros),
            variation_us: quality.rtt.map_or(u32::MAX, SmoothedRtt::variation_micros),
            kind: candidate.kind,
            address: candidate.address,
        }
    }

    /// The score that a relay would have if it had been seen to lose nothing.
    pub(crate) fn believing(
        candidate: &Candidate,
        quality: &PathQuality,
        now: Timestamp,
        policy: &Policy,
    ) -> Self {
        Self { health: quality.health(now, policy), ..Self::new(candidate, quality, now, policy) }
    }

    /// Whether traffic should leave this path for `other`: at once for better health or a better tier, and among equals
    /// only for an RTT that is better by the switch margin, which grows with the jitter of both.
    #[must_use]
    pub fn gives_way_to(&self, other: &Self, policy: &Policy) -> bool {
        if (other.health, other.tier) != (self.health, self.tier) {
            return (other.health, other.tier) < (self.health, self.tier);
        }
        let share = u64::from(self.rtt_us) * u64::from(policy.switch_margin_percent) / 100;
        let measured = |score: &Self| if score.rtt_us == u32::MAX { 0 } else { score.variation_us };
        let jitter = u64::from(measured(self).max(measured(other)));
        let margin = share.max(u64::from(policy.switch_margin_us)).max(jitter);
        u64::from(other.rtt_us) + margin <= u64::from(self.rtt_us)
    }
}
