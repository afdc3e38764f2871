//! What happened when a scenario was played.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::explain::Explanation;
use crate::nat::NatProfile;
use crate::traversal::{Outcome, Technique};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Run {
    /// When both sent on a direct path first, in milliseconds after both had started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direct_after_ms: Option<u32>,
    /// Whether both sent on a direct path at the end.
    pub is_direct: bool,
    /// What happened when; at most 500 events.
    pub events: Vec<RunEvent>,
    /// Probes that each node sent.
    pub probes: [u32; 2],
    /// The most mappings at one time on the box nearest to each node, foreign ones included.
    pub mappings_max: [u32; 2],
    /// The story of the pair at the end, told from the first node.
    pub explanation: Explanation,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RunEvent {
    /// When, in milliseconds.
    pub at_ms: u32,
    /// To which node: 0 or 1.
    pub node: u8,
    /// What.
    #[serde(flatten)]
    pub what: RunEventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEventKind {
    /// It knows its NAT.
    Learnt {
        /// How it is.
        nat: NatProfile,
    },
    /// A round of plain opening begins.
    RoundBegan,
    /// An attempt beyond plain opening begins.
    AttemptBegan {
        /// What is tried.
        #[serde(flatten)]
        technique: Technique,
    },
    /// It ended.
    AttemptEnded {
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// Its packets to the other take another way.
    PathChanged {
        /// To this address; `None`: nowhere.
        #[serde(skip_serializing_if = "Option::is_none")]
        remote: Option<SocketAddr>,
        /// Whether that is a relay's.
        is_relay: bool,
    },
}
