//! What is known about one path.

use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::observation::ObservationKind;
use crate::quality::PathQuality;
use crate::{Policy, Timestamp};

/// Whether a path works, from no evidence to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum PathStatus {
    /// No probe has left.
    #[default]
    Untried,
    /// Probes have left, none has come back so far.
    Probing {
        /// Probes sent.
        sent: u32,
    },
    /// A probe came back; the path works.
    Answered {
        /// When the last answer came.
        at: Timestamp,
        /// Unanswered probes of upkeep since.
        unanswered: u8,
    },
    /// It worked once and stopped answering.
    Silent {
        /// Since when.
        since: Timestamp,
    },
}

impl PathStatus {
    /// Whether packets may be sent over the path.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Answered { .. })
    }

    /// Whether the last probe of upkeep was not answered.
    pub(crate) const fn is_doubted(&self) -> bool {
        matches!(self, Self::Answered { unanswered: 1.., .. })
    }

    /// The status after one more observation.
    #[must_use]
    pub(crate) fn after(self, kind: ObservationKind, at: Timestamp, policy: &Policy) -> Self {
        match (kind, self) {
            (ObservationKind::ProbeSent, Self::Untried) => Self::Probing { sent: 1 },
            (ObservationKind::ProbeSent, Self::Probing { sent }) => {
                Self::Probing { sent: sent.saturating_add(1) }
            }
            (ObservationKind::ProbeAnswered { .. } | ObservationKind::RelayRegistered { .. }, _) => {
                Self::Answered { at, unanswered: 0 }
            }
            (ObservationKind::ProbeUnanswered, Self::Answered { at: answered_at, unanswered }) => {
                let unanswered = unanswered.saturating_add(1);
                if unanswered >= policy.unanswered_max {
                    Self::Silent { since: at }
                } else {
                    Self::Answered { at: answered_at, unanswered }
                }
            }
            (ObservationKind::RelayLost, Self::Answered { .. }) => Self::Silent { since: at },
            (
                ObservationKind::ProbeSent
                | ObservationKind::ProbeUnanswered
                | ObservationKind::ProbeLost
                | ObservationKind::PayloadMeasured { .. }
                | ObservationKind::DataLost
                | ObservationKind::RelayLost,
                _,
            ) => self,
        }
    }
}

/// All that one node knows about one path to a peer: enough to repeat its decision elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PathEvidence {
    /// The peer's address.
    pub candidate: Candidate,
    /// Whether the path works.
    pub status: PathStatus,
    /// How well.
    #[serde(default)]
    pub quality: PathQuality,
}

/// The evidence on all paths to one peer at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Snapshot {
    /// The time of the node's own clock that the evidence's times are of.
    pub now: Timestamp,
    /// The address of the path in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<std::net::SocketAddr>,
    /// Nobody has used the tunnel of late, so nothing is probed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idle: bool,
    /// The paths, ordered by address.
    pub paths: Vec<PathEvidence>,
}
