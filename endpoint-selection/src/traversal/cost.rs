//! What a technique costs: counted from the very volleys that an attempt sends, so that plan and attempt cannot disagree.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::attempt::REMOTES_MAX;
use super::budget::Budget;
use super::technique::{Punch, PunchKind, Technique};
use super::volley::Volley;
use crate::socket::SocketId;

/// From an attempt's begin until a mapper that has to ask first knows enough to send, at most, in milliseconds: three
/// questions to a STUN server, or one to a server on each side and a signal each way.
pub(super) const LEAD_MS: u32 = 3_000;

/// After the last probe, in milliseconds: the signal's way to a prober that so begins later, and the last answers.
pub(super) const TAIL_MS: u32 = 2_000;

/// What one attempt costs at most, both parties together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Cost {
    /// Sockets opened beside the main one: as many new mappings.
    pub sockets: u16,
    /// Probes sent by the party that sends more.
    pub probes: u16,
    /// How long it takes until it has failed, in milliseconds.
    pub duration_ms: u32,
}

impl Cost {
    /// The cost of a technique within a budget.
    pub(super) fn of(technique: Technique, budget: &Budget) -> Self {
        let (kind, sockets) = technique.orders(budget);
        let volleys = volleys(kind, sockets, budget);
        let probes = volleys.iter().map(Volley::count).max().unwrap_or(0);
        let lead_ms = if kind.needs_newest() { LEAD_MS } else { 0 };
        let is_mutual = matches!(kind, PunchKind::MutualPrediction { .. });
        Self {
            sockets: if is_mutual { 2 } else { sockets },
            probes: u16::try_from(probes).unwrap_or(u16::MAX),
            duration_ms: lead_ms + sending_ms(kind, sockets, budget) + TAIL_MS,
        }
    }
}

/// For how long the party that takes longer sends, in milliseconds.
pub(super) fn sending_ms(kind: PunchKind, sockets: u16, budget: &Budget) -> u32 {
    let longest_us = volleys(kind, sockets, budget).iter().map(|volley| volley.duration_us(budget)).max();
    u32::try_from(longest_us.unwrap_or(0).div_ceil(1_000)).unwrap_or(u32::MAX)
}

/// What mapper and prober send, at the most; where to does not matter.
fn volleys(kind: PunchKind, sockets: u16, budget: &Budget) -> [Volley; 2] {
    let anywhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let prober = Volley::answering(&Punch { outside: anywhere, kind }, 0, budget);
    let mapper = match kind {
        PunchKind::MutualPrediction { step, window } => {
            Volley::walk(SocketId::MAIN, anywhere, (step, window), true, budget)
        }
        PunchKind::Prediction { .. } | PunchKind::Range { .. } => {
            Volley::map((0..sockets).map(SocketId).collect(), vec![anywhere; REMOTES_MAX], budget)
        }
    };
    [mapper, prober]
}
