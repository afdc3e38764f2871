//! What can be tried beyond plain opening, as values.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::chance::PORTS;
use crate::address::check_address;

/// One of the two nodes of a pair, seen from one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The node that plans.
    Own,
    /// The other one.
    Peer,
}

/// How to find a port that nobody knows beforehand. The **mapper** is the party whose NAT takes a new port per destination: it
/// opens sockets, sends from each to the other's known address and so makes mappings; the **prober** sends to where they
/// may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "technique", rename_all = "kebab-case")]
pub enum Technique {
    /// The mapper asks a STUN server from a new socket, tells the port, and sends to the prober; the prober sends to the ports
    /// that come next.
    Prediction {
        /// Whose ports are predicted.
        mapper: Party,
        /// From one mapping to the next; 0 where the own port is kept.
        step: i16,
        /// Ports that the prober sends to.
        window: u16,
    },
    /// Both do so at once, and each walks the ports that the other's packets will come from.
    MutualPrediction {
        /// Foreign flows that may come between, on both NATs together.
        window: u16,
    },
    /// The mapper opens some sockets; the prober sends to every port of its block.
    PortBlock {
        /// Whose block it is.
        mapper: Party,
        /// Its lowest port.
        first: u16,
        /// Its highest port.
        last: u16,
        /// Sockets that the mapper opens.
        sockets: u16,
    },
    /// The mapper opens many sockets; the prober sends to random ports until it hits one.
    Birthday {
        /// Whose ports are guessed.
        mapper: Party,
        /// Sockets that the mapper opens.
        sockets: u16,
        /// Ports that the prober sends to.
        probes: u16,
    },
}

impl Technique {
    /// What the mapper tells the prober, and how many sockets it opens for it.
    pub(super) fn orders(self, budget: &Budget) -> (PunchKind, u16) {
        match self {
            Self::Prediction { step, window, .. } => (PunchKind::Prediction { step, window }, 1),
            Self::MutualPrediction { window } => (PunchKind::MutualPrediction { step: 1, window }, 1),
            Self::PortBlock { first, last, sockets, .. } => {
                let probes = last.saturating_sub(first).saturating_add(1);
                (PunchKind::Range { first, last, probes }, sockets.min(budget.sockets_max))
            }
            Self::Birthday { sockets, probes, .. } => {
                let first = u16::try_from(u32::from(u16::MAX) + 1 - PORTS).unwrap_or(1);
                (PunchKind::Range { first, last: u16::MAX, probes }, sockets.min(budget.sockets_max))
            }
        }
    }
}

/// What the mapper tells the prober over a relay: all that the prober needs, so that the two need not agree on anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Punch {
    /// The mapper's outside address, and the port of its newest mapping.
    pub outside: SocketAddr,
    /// Where the others are.
    pub kind: PunchKind,
}

/// Where a mapper's mappings are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PunchKind {
    /// After the newest one.
    Prediction {
        /// From one mapping to the next.
        step: i16,
        /// Ports to send to.
        window: u16,
    },
    /// After the newest one, and the mapper is a prober too.
    MutualPrediction {
        /// From one mapping to the next.
        step: i16,
        /// Foreign flows to allow for.
        window: u16,
    },
    /// Anywhere between these ports: a block, or all there are.
    Range {
        /// The lowest port.
        first: u16,
        /// The highest port.
        last: u16,
        /// Different ports to send to.
        probes: u16,
    },
}

impl Punch {
    /// Whether it asks for probes that may be sent: to one address that can be a peer's, and to at least one port. It comes
    /// from the peer, so it may ask for anything.
    pub(super) fn is_sound(&self) -> bool {
        let has_ports = match self.kind {
            PunchKind::Prediction { window, .. } | PunchKind::MutualPrediction { window, .. } => window > 0,
            PunchKind::Range { first, last, probes } => first.max(1) <= last && probes > 0,
        };
        has_ports && check_address(self.outside, &[]).is_ok()
    }
}

impl PunchKind {
    /// Whether the mapper has to know its newest mapping before it can tell where the next ones will be.
    pub(super) const fn needs_newest(self) -> bool {
        match self {
            Self::Prediction { .. } | Self::MutualPrediction { .. } => true,
            Self::Range { .. } => false,
        }
    }
}
