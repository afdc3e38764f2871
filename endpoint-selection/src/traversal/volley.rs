//! What one party of an attempt sends, shot by shot: a pure function of the shot's number.

use std::net::{IpAddr, SocketAddr};

use super::budget::Budget;
use super::technique::{Punch, PunchKind};
use crate::socket::SocketId;

/// How often a prober sends to the predicted ports: loss, and a mapper that comes a little later.
const PREDICTION_ROUNDS: u16 = 4;

/// How often both walk in mutual prediction; the mappings are made in the first round.
const MUTUAL_ROUNDS: u16 = 3;

/// How many windows each walks in mutual prediction. The two can meet once in each; foreign flows that come while they walk
/// may spoil some.
const MUTUAL_WINDOWS: u16 = 4;

/// How often a mapper repeats its probes in an attempt, and how many milliseconds after it began with them.
const MAPPER_ROUNDS: u16 = 3;
const MAPPER_PERIOD_MS: u64 = 3_500;

/// A mapper with one socket repeats its probe like plain opening does.
const SINGLE_ROUNDS: u16 = 20;
const SINGLE_GAP_MS: u64 = 100;

/// A prober's pause between two rounds over predicted ports.
const PROBER_GAP_MS: u64 = 100;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shots {
    /// From each socket to each address, so that the NAT makes a mapping of each.
    Map { sockets: Vec<SocketId>, remotes: Vec<SocketAddr> },
    /// To the ports that follow `newest`.
    Follow { ip: IpAddr, newest: u16, step: i16, window: u16 },
    /// To the ports that follow `newest`, from a socket whose mappings are predicted too. The first party skips as it goes and
    /// the second does not, so that they meet whatever the sum of the foreign flows, up to the window.
    Walk { socket: SocketId, ip: IpAddr, newest: u16, step: i16, window: u16, is_first: bool },
    /// To different ports of a range, scattered by `seed`.
    Range { ip: IpAddr, first: u16, last: u16, probes: u16, seed: u64 },
}

/// What one party sends, with its rhythm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volley {
    shots: Shots,
    rounds: u16,
    gap_us: u64,
}

impl Volley {
    /// A mapper's probes, from all its sockets.
    pub(super) fn map(sockets: Vec<SocketId>, remotes: Vec<SocketAddr>, budget: &Budget) -> Self {
        let shots = u64::try_from(sockets.len().saturating_mul(remotes.len())).unwrap_or(u64::MAX);
        let (rounds, gap_us) = if sockets.len() == 1 {
            (SINGLE_ROUNDS, SINGLE_GAP_MS * 1_000)
        } else {
            let sending_us = shots.saturating_mul(budget.interval_us());
            (MAPPER_ROUNDS, (MAPPER_PERIOD_MS * 1_000).saturating_sub(sending_us))
        };
        Self { shots: Shots::Map { sockets, remotes }, rounds, gap_us }
    }

    /// What a prober sends on a mapper's word, cut to its own budget. `seed` scatters the ports of a range.
    pub(super) fn answering(punch: &Punch, seed: u64, budget: &Budget) -> Self {
        match punch.kind {
            PunchKind::Prediction { step, window } | PunchKind::MutualPrediction { step, window } => {
                Self::follow(punch.outside, step, window, budget)
            }
            PunchKind::Range { first, last, probes } => {
                Self::range(punch.outside.ip(), (first.max(1), last), probes, seed, budget)
            }
        }
    }

    /// A prober's probes to predicted ports; where the step is 0 there is only one.
    fn follow(newest: SocketAddr, step: i16, window: u16, budget: &Budget) -> Self {
        let window = if step == 0 { 1 } else { window.clamp(1, Self::follow_max(budget)) };
        let shots = Shots::Follow { ip: newest.ip(), newest: newest.port(), step, window };
        Self { shots, rounds: PREDICTION_ROUNDS, gap_us: PROBER_GAP_MS * 1_000 }
    }

    /// The widest window of a prediction within the budget.
    pub(super) fn follow_max(budget: &Budget) -> u16 {
        (budget.probes_max / PREDICTION_ROUNDS).max(1)
    }

    /// One party of a mutual prediction; where the step is 0 there is only one port to send to.
    pub(super) fn walk(
        socket: SocketId,
        newest: SocketAddr,
        (step, window): (i16, u16),
        is_first: bool,
        budget: &Budget,
    ) -> Self {
        let window = if step == 0 { 1 } else { window.clamp(1, Self::walk_max(budget)) };
        let shots = Shots::Walk { socket, ip: newest.ip(), newest: newest.port(), step, window, is_first };
        Self { shots, rounds: MUTUAL_ROUNDS, gap_us: 0 }
    }

    /// The widest window of a mutual prediction within the budget.
    pub(super) fn walk_max(budget: &Budget) -> u16 {
        (budget.probes_max / MUTUAL_WINDOWS / MUTUAL_ROUNDS).max(1)
    }

    /// A prober's probes to a range; a short one is searched again.
    fn range(ip: IpAddr, (first, last): (u16, u16), probes: u16, seed: u64, budget: &Budget) -> Self {
        let ports = u32::from(last.saturating_sub(first)) + 1;
        let probes = probes.min(budget.probes_max).min(u16::try_from(ports).unwrap_or(u16::MAX));
        let rounds = (budget.probes_max / probes.max(1)).clamp(1, MAPPER_ROUNDS);
        Self { shots: Shots::Range { ip, first, last, probes, seed }, rounds, gap_us: PROBER_GAP_MS * 1_000 }
    }

    /// Shots per round.
    pub(super) fn len(&self) -> u32 {
        match &self.shots {
            Shots::Map { sockets, remotes } => {
                u32::try_from(sockets.len().saturating_mul(remotes.len())).unwrap_or(u32::MAX)
            }
            Shots::Follow { window, .. } => u32::from(*window),
            Shots::Walk { window, .. } => u32::from(*window) * u32::from(MUTUAL_WINDOWS),
            Shots::Range { probes, .. } => u32::from(*probes),
        }
    }

    /// Shots in all rounds.
    pub(super) fn count(&self) -> u32 {
        self.len().saturating_mul(u32::from(self.rounds))
    }

    /// From the start to the last shot, in microseconds.
    pub(super) fn duration_us(&self, budget: &Budget) -> u64 {
        self.time_us(self.rounds.saturating_sub(1), self.len().saturating_sub(1), budget).unwrap_or(0)
    }

    /// Shot `index` of a round; `None` where the numbers lead out of the port range.
    pub(super) fn shot(&self, index: u32) -> Option<(SocketId, SocketAddr)> {
        match &self.shots {
            Shots::Map { sockets, remotes } => {
                let (index, count) = (usize::try_from(index).ok()?, remotes.len());
                Some((*sockets.get(index / count)?, *remotes.get(index % count)?))
            }
            Shots::Follow { ip, newest, step, .. } => {
                let ahead = if *step == 0 { 0 } else { index + 1 };
                Some((SocketId::MAIN, port_after(*ip, *newest, *step, ahead)?))
            }
            Shots::Walk { socket, ip, newest, step, window, is_first } => {
                let skipped = if *is_first { index % u32::from((*window).max(1)) } else { 0 };
                Some((*socket, port_after(*ip, *newest, *step, 1 + index + skipped)?))
            }
            Shots::Range { ip, first, last, seed, .. } => {
                let ports = u32::from(last.saturating_sub(*first)) + 1;
                let port = u32::from(*first) + scattered(index, ports, *seed);
                Some((SocketId::MAIN, SocketAddr::new(*ip, u16::try_from(port).ok()?)))
            }
        }
    }

    /// The time from the start to shot `index` of `round`, in microseconds; `None` after the last one.
    pub(super) fn time_us(&self, round: u16, index: u32, budget: &Budget) -> Option<u64> {
        if round >= self.rounds || index >= self.len() {
            return None;
        }
        let round_us = u64::from(self.len()) * budget.interval_us() + self.gap_us;
        Some(u64::from(round) * round_us + u64::from(index) * budget.interval_us())
    }
}

/// The port that `ahead` mappings after `newest` gets. Devices wrap round above 65535 in different ways; none is guessed.
fn port_after(ip: IpAddr, newest: u16, step: i16, ahead: u32) -> Option<SocketAddr> {
    let port = i64::from(newest) + i64::from(step) * i64::from(ahead);
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    Some(SocketAddr::new(ip, port))
}

/// A permutation of 0..`count`: the products with a number that has no factor in common with `count` run through all
/// remainders. Neighbours lie far apart, so a NAT that chooses clustered ports is hit as well as one that scatters them.
fn scattered(index: u32, count: u32, seed: u64) -> u32 {
    let count = u64::from(count.max(1));
    let mut factor = (seed % count).max(count / 3) | 1;
    while greatest_common_divisor(factor, count) != 1 {
        factor += 2;
    }
    // Both factors are below 2^17, so the product fits.
    u32::try_from((u64::from(index) % count * factor + (seed >> 32)) % count).unwrap_or(0)
}

const fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const BUDGET: Budget = Budget::DEFAULT;
    const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)), 5_000);

    fn ports(volley: &Volley) -> Vec<u16> {
        (0..volley.len()).filter_map(|index| volley.shot(index)).map(|(_, to)| to.port()).collect()
    }

    #[test]
    fn a_prediction_begins_after_the_newest_port_and_never_leaves_the_port_range() {
        assert_eq!(ports(&Volley::follow(PEER, 2, 3, &BUDGET)), [5_002, 5_004, 5_006]);
        let near_end = SocketAddr::new(PEER.ip(), 65_534);
        assert_eq!(ports(&Volley::follow(near_end, 1, 9, &BUDGET)), [65_535]);
        let near_start = SocketAddr::new(PEER.ip(), 2);
        assert_eq!(ports(&Volley::follow(near_start, -1, 9, &BUDGET)), [1]);
        assert_eq!(ports(&Volley::follow(PEER, 0, 9, &BUDGET)), [5_000], "the own port is kept");
    }

    #[test]
    fn a_range_is_searched_without_repetition_and_whole_where_the_budget_allows() {
        for (first, last, seed) in [(1_024, 65_535, 7), (2_048, 2_559, u64::MAX), (9, 9, 1), (1, 65_535, 0)] {
            let volley = Volley::range(PEER.ip(), (first, last), 2_048, seed, &BUDGET);
            let all = ports(&volley);
            let different: BTreeSet<u16> = all.iter().copied().collect();
            assert_eq!(all.len(), different.len());
            assert!(all.iter().all(|port| (first..=last).contains(port)));
            assert_eq!(all.len(), 2_048.min(usize::from(last - first) + 1));
        }
    }

    #[test]
    fn two_walks_meet_whatever_foreign_flows_there_were_up_to_the_window() {
        let (own, peer) = (SocketAddr::new(PEER.ip(), 20_000), PEER);
        let window = 16;
        for (own_foreign, peer_foreign) in [(0, 0), (3, 5), (15, 0), (0, 15), (7, 8)] {
            let first = Volley::walk(SocketId(1), peer, (1, window), true, &BUDGET);
            let second = Volley::walk(SocketId(1), own, (1, window), false, &BUDGET);
            // Packet j of the first leaves from 20,001 + j + its foreign flows, and so on.
            let meet = (0..first.len()).any(|j| {
                (0..second.len()).any(|k| {
                    let from_first = 20_001 + j + own_foreign;
                    let from_second = 5_001 + k + peer_foreign;
                    let to = |volley: &Volley, index| u32::from(volley.shot(index).unwrap().1.port());
                    to(&first, j) == from_second && to(&second, k) == from_first
                })
            });
            assert!(meet, "{own_foreign} {peer_foreign}");
        }
    }

    #[test]
    fn a_party_that_keeps_its_port_is_not_sent_a_volley() {
        let volley = Volley::walk(SocketId(1), PEER, (0, 16), true, &BUDGET);
        assert_eq!(volley.count(), u32::from(MUTUAL_WINDOWS * MUTUAL_ROUNDS));
        assert!(ports(&volley).iter().all(|port| *port == PEER.port()));
    }

    #[test]
    fn the_rhythm_keeps_to_the_budget() {
        let budget = BUDGET;
        let sockets: Vec<SocketId> = (1..=256).map(SocketId).collect();
        for volley in [
            Volley::map(sockets.clone(), vec![PEER], &budget),
            Volley::map(sockets, vec![PEER; 2], &budget),
            Volley::map(vec![SocketId(1)], vec![PEER], &budget),
            Volley::follow(PEER, 1, u16::MAX, &budget),
            Volley::walk(SocketId(1), PEER, (1, u16::MAX), true, &budget),
            Volley::range(PEER.ip(), (1_024, 65_535), u16::MAX, 5, &budget),
            Volley::range(PEER.ip(), (2_048, 2_111), 64, 5, &budget),
        ] {
            let rounds = (0..).take_while(|round| volley.time_us(*round, 0, &budget).is_some());
            let times: Vec<u64> = rounds
                .flat_map(|round| (0..volley.len()).map(move |index| (round, index)))
                .filter_map(|(round, index)| volley.time_us(round, index, &budget))
                .collect();
            assert!(times.windows(2).all(|pair| pair[0] + budget.interval_us() <= pair[1]), "{volley:?}");
            assert!(times.len() <= usize::from(budget.probes_max), "{} {volley:?}", times.len());
            assert_eq!(
                (times.len() as u32, *times.last().unwrap()),
                (volley.count(), volley.duration_us(&budget))
            );
            assert!(volley.duration_us(&budget) < 12_000_000, "{volley:?}");
        }
    }
}
