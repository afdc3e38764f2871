//! The decision as a value.

use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::path::PathStatus;
use crate::quality::PathQuality;
use crate::reason::Reason;

/// What was decided for one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Selection {
    /// The candidate whose path carries the traffic; `None` where nothing reaches the peer.
    pub chosen: Option<Candidate>,
    /// One verdict per candidate, ordered by address.
    pub verdicts: Vec<Verdict>,
}

/// What was decided for one candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Verdict {
    /// The candidate.
    pub candidate: Candidate,
    /// Whether its path works.
    pub status: PathStatus,
    /// How well.
    pub quality: PathQuality,
    /// Why it is used or not.
    pub reason: Reason,
}
