//! The plan of one pair, seen from one of its nodes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::chance::{PORTS, either_ppm, even_packets, hit_ppm, poisson_ppm};
use super::cost::Cost;
use super::prospect::{Comparison, Prospect};
use super::side::{Side, Standing};
use super::technique::{Party, Technique};
use super::volley::Volley;
use crate::candidate::{Candidate, CandidateKind};
use crate::nat::Allocation;
use crate::score::Tier;
use crate::sorted::SortedMap;

/// When probes of plain opening leave, in milliseconds after both sides began. RFC 8445 §14.2 paces checks at 50 ms, and
/// nine tries over 1.7 s get through 30 % loss with 99.99 %.
pub(super) const RHYTHM_MS: [u32; 9] = [0, 50, 100, 200, 300, 500, 800, 1_200, 1_700];

/// What plain opening achieves where nothing known stands in the way, and a technique at best; the rest is what nobody
/// measured. Libp2p's field campaign saw 97.6 % of the successes at the first try, and rounds are repeated.
const OPENING_PPM: u32 = 990_000;

/// Foreign flows that take ports of a NAT per second, in thousandths: a busy household.
const FOREIGN_FLOWS_MILLI: u32 = 20_000;

/// From the mapper's STUN answer to the prober's first probe: a relay's round trip, in milliseconds.
const SIGNAL_MS: u32 = 150;

/// The ports of the first prediction; each later one has four times as many, up to the budget.
const WINDOW_MIN: u16 = 16;
const WINDOW_MAX: u16 = 256;

/// What an attempt may cost.
const BUDGET: Budget = Budget::DEFAULT;

/// The chance of a birthday, over all ports that there are: a product of two thousand factors, so it is not counted for each plan.
const BIRTHDAY_PPM: u32 = hit_ppm(BUDGET.sockets_max as u32, PORTS, BUDGET.probes_max as u32);

/// Sockets that a mapper opens where the prober can search the whole block: a few, in case one mapping is lost. Where it can
/// search only a part, so many for each such part.
const BLOCK_SOCKETS: u16 = 8;

/// The plan of one pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Plan {
    /// What both sides send to at once, as soon as they know each other.
    pub opening: Opening,
    /// What follows where that opens nothing, in order.
    pub techniques: Vec<PlannedTechnique>,
    /// What no technique overcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// The chance that the plan opens a direct path, in parts per million; `None` where too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance_ppm: Option<u32>,
    /// What it may cost.
    pub budget: Budget,
}

/// Plain opening: each side begins when it is called over a relay, so within one relay trip of the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Opening {
    /// The paths to probe, all in each step; the ones that open most likely, and then the shortest ones, first.
    pub pairs: Vec<PlannedPair>,
    /// Milliseconds after the start at which probes leave.
    pub rhythm_ms: Vec<u32>,
    /// The chance that one of the paths opens, in parts per million; `None` where too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance_ppm: Option<u32>,
}

/// One path to probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PlannedPair {
    /// The own address that probes will leave from, where it is known; the routing table decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<SocketAddr>,
    /// The peer's address.
    pub remote: SocketAddr,
    /// What to expect.
    #[serde(flatten)]
    pub prospect: Prospect,
}

/// A technique with its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PlannedTechnique {
    /// What is done.
    #[serde(flatten)]
    pub technique: Technique,
    /// The chance that it opens a path, in parts per million.
    pub chance_ppm: u32,
    /// What it costs.
    pub cost: Cost,
}

/// Why no direct path is to be expected over IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Obstacle {
    /// UDP does not leave a network.
    UdpBlocked {
        /// Whose.
        party: Party,
    },
    /// Both NATs take ports that cannot be told beforehand.
    PortsOnBothSides {
        /// Packets that each side would have to send for an even chance.
        packets: u32,
    },
    /// Both are behind one NAT that does not hairpin, and in different networks behind it.
    NoHairpinning,
}

/// Compares two nodes. `failures` says how many attempts have failed so far: later ones look farther.
#[must_use]
pub fn plan(own: &Side, peer: &Side, failures: u32) -> Plan {
    let opening = opening(own, peer);
    let (techniques, obstacle) = beyond(own, peer, failures);
    let chance_ppm = opening.chance_ppm.map(|opening| {
        techniques.iter().fold(opening, |chance, technique| either_ppm(chance, technique.chance_ppm))
    });
    Plan { opening, techniques, obstacle, chance_ppm, budget: BUDGET }
}

impl Plan {
    /// What plain opening should work with does not answer: only the techniques still have a chance that is known.
    pub(crate) fn doubt_opening(&mut self) {
        self.opening.chance_ppm = None;
        let chances = self.techniques.iter().map(|technique| technique.chance_ppm);
        self.chance_ppm = chances.reduce(either_ppm);
    }
}

fn opening(own: &Side, peer: &Side) -> Opening {
    let mut ranked: SortedMap<(u8, Tier, &Candidate), Prospect> = SortedMap::new();
    let comparison = Comparison::new(own, peer);
    for candidate in peer.direct_candidates() {
        let prospect = comparison.of(candidate);
        let rank = match prospect {
            Prospect::Opens => 0,
            Prospect::OpensForPeer => 1,
            Prospect::Unknown => 2,
            Prospect::Unlikely { .. } => 3,
        };
        ranked.insert((rank, Tier::of(candidate), candidate), prospect);
    }
    let pairs: Vec<PlannedPair> = ranked
        .iter()
        .map(|((_, _, candidate), prospect)| PlannedPair {
            base: base_for(own, candidate),
            remote: candidate.address,
            prospect: *prospect,
        })
        .collect();
    // What the peer may expect of us opens the path as well: it is one path, whoever's probe gets through first.
    let comparison = Comparison::new(peer, own);
    let back: Vec<Prospect> = own.direct_candidates().map(|candidate| comparison.of(candidate)).collect();
    let is_empty = pairs.is_empty() || back.is_empty();
    let prospects: Vec<Prospect> = pairs.iter().map(|pair| pair.prospect).chain(back).collect();
    let opens = |prospect: &Prospect| matches!(prospect, Prospect::Opens | Prospect::OpensForPeer);
    let chance_ppm = if is_empty {
        None
    } else if prospects.iter().any(opens) {
        Some(OPENING_PPM)
    } else if prospects.contains(&Prospect::Unknown) {
        None
    } else {
        Some(0)
    };
    Opening { pairs, rhythm_ms: RHYTHM_MS.to_vec(), chance_ppm }
}

/// The own host address of the candidate's family, where there is only one.
fn base_for(own: &Side, candidate: &Candidate) -> Option<SocketAddr> {
    let mut bases = own.candidates().filter(|own| {
        own.kind == CandidateKind::Host && own.address.is_ipv4() == candidate.address.is_ipv4()
    });
    let base = bases.next()?;
    bases.next().is_none().then_some(base.address)
}

/// What remains where plain opening cannot work. Always for the case that it does not, even where it should.
fn beyond(own: &Side, peer: &Side, failures: u32) -> (Vec<PlannedTechnique>, Option<Obstacle>) {
    let blocked = |party| (Vec::new(), Some(Obstacle::UdpBlocked { party }));
    if own.shares_outside_with(peer) == Some(true) {
        // Behind one NAT only its hairpinning, or a way inside, can help.
        match (own.nat.hairpin, peer.nat.hairpin) {
            (Some(false), _) | (_, Some(false)) => return (Vec::new(), Some(Obstacle::NoHairpinning)),
            (None, None) => return (Vec::new(), None),
            (Some(true), _) | (_, Some(true)) => {}
        }
    }
    match (own.standing(), peer.standing()) {
        (Standing::Blocked, _) => blocked(Party::Own),
        (_, Standing::Blocked) => blocked(Party::Peer),
        (Standing::Changing(ours), Standing::Changing(theirs)) => match (step_of(ours), step_of(theirs)) {
            (Some(_), Some(_)) => (vec![mutual_prediction(failures)], None),
            _ => {
                let packets = even_packets(ports_of(ours), ports_of(theirs));
                (Vec::new(), Some(Obstacle::PortsOnBothSides { packets }))
            }
        },
        (Standing::Changing(ours), Standing::Known | Standing::Unknown) => {
            (vec![one_sided(Party::Own, ours, failures)], None)
        }
        (Standing::Known | Standing::Unknown, Standing::Changing(theirs)) => {
            (vec![one_sided(Party::Peer, theirs, failures)], None)
        }
        (Standing::Known | Standing::Unknown, Standing::Known | Standing::Unknown) => (Vec::new(), None),
    }
}

/// From one mapping to the next, where that can be told.
const fn step_of(allocation: Option<Allocation>) -> Option<i16> {
    match allocation {
        Some(Allocation::Sequential { step }) => Some(step),
        Some(Allocation::Preserving) => Some(0),
        Some(Allocation::PortBlock { .. } | Allocation::Random) | None => None,
    }
}

/// How many ports the next mapping may get.
const fn ports_of(allocation: Option<Allocation>) -> u32 {
    match allocation {
        Some(Allocation::PortBlock { first, last }) => last.saturating_sub(first) as u32 + 1,
        Some(Allocation::Preserving | Allocation::Sequential { .. } | Allocation::Random) | None => PORTS,
    }
}

fn window(failures: u32) -> u16 {
    WINDOW_MIN.checked_shl(failures.min(4) * 2).unwrap_or(WINDOW_MAX).min(WINDOW_MAX)
}

fn priced(technique: Technique, chance_ppm: u32) -> PlannedTechnique {
    PlannedTechnique {
        technique,
        chance_ppm: chance_ppm.min(OPENING_PPM),
        cost: Cost::of(technique, &BUDGET),
    }
}

fn mutual_prediction(failures: u32) -> PlannedTechnique {
    let window = window(failures).min(Volley::walk_max(&BUDGET));
    let expected = 2 * FOREIGN_FLOWS_MILLI * SIGNAL_MS / 1_000;
    priced(Technique::MutualPrediction { window }, poisson_ppm(expected, u32::from(window) - 1))
}

fn one_sided(mapper: Party, allocation: Option<Allocation>, failures: u32) -> PlannedTechnique {
    if let Some(step) = step_of(allocation) {
        let window = if step == 0 { 1 } else { window(failures).min(Volley::follow_max(&BUDGET)) };
        let expected = FOREIGN_FLOWS_MILLI * SIGNAL_MS / 1_000;
        let chance = if step == 0 { OPENING_PPM } else { poisson_ppm(expected, u32::from(window) - 1) };
        return priced(Technique::Prediction { mapper, step, window }, chance);
    }
    if let Some(Allocation::PortBlock { first, last }) = allocation {
        let ports = ports_of(allocation);
        let probes = ports.min(u32::from(BUDGET.probes_max));
        let parts = u16::try_from(ports.div_ceil(probes.max(1))).unwrap_or(u16::MAX);
        let sockets = BLOCK_SOCKETS.saturating_mul(parts).min(BUDGET.sockets_max);
        let chance = hit_ppm(u32::from(sockets), ports, probes);
        return priced(Technique::PortBlock { mapper, first, last, sockets }, chance);
    }
    let (sockets, probes) = (BUDGET.sockets_max, BUDGET.probes_max);
    priced(Technique::Birthday { mapper, sockets, probes }, BIRTHDAY_PPM)
}

#[cfg(test)]
mod tests;
