//! Observations: one fact about one path at one time; never an opinion.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A fact about the path to `remote`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Observation {
    /// The remote address of the path; for a relayed path, the relay's.
    pub remote: SocketAddr,
    /// When it was seen.
    pub at: Timestamp,
    /// What was seen.
    pub kind: ObservationKind,
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ObservationKind {
    /// A probe left.
    ProbeSent,
    /// A probe came back, authenticated, after `rtt_us` microseconds.
    ProbeAnswered {
        /// Round-trip time in microseconds.
        rtt_us: u32,
    },
    /// A probe of upkeep, the one question that was out on the path, did not come back in time.
    ProbeUnanswered,
    /// One of several probes that were out at once did not come back: it speaks of loss, not of silence.
    ProbeLost,
    /// Probes of this many bytes of UDP payload pass, and none of the next larger size that was tried.
    PayloadMeasured {
        /// Bytes.
        payload_max: u16,
    },
    /// Tunnel packets were sent over the path and the peer says, over this very path, that none arrived.
    DataLost,
    /// A relay holds a session of ours and can be sent through; `rtt_us` is to the relay, not to the peer.
    RelayRegistered {
        /// Round-trip time to the relay in microseconds, where measured.
        rtt_us: Option<u32>,
    },
    /// The relay's session is gone.
    RelayLost,
}
