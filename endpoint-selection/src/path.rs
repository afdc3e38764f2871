//! What is known about one path.

use serde::{Deserialize, Serialize};

use crate::observation::ObservationKind;
use crate::rtt::SmoothedRtt;
use crate::{Policy, Timestamp};

/// The evidence on one path, from none to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum PathStatus {
    /// No probe has left.
    Untried,
    /// Probes have left, none has come back so far.
    Probing {
        /// Probes sent.
        sent: u32,
    },
    /// A probe came back; the path works.
    Answered {
        /// Smoothed round-trip time; to the relay only, for a relayed path without an answered probe.
        rtt_us: Option<SmoothedRtt>,
        /// When the last answer came.
        at: Timestamp,
        /// Unanswered probes since.
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

    /// The smoothed RTT of a usable path, in microseconds, where measured.
    #[must_use]
    pub fn rtt_us(&self) -> Option<u32> {
        match self {
            Self::Answered { rtt_us, .. } => rtt_us.map(SmoothedRtt::as_micros),
            Self::Untried | Self::Probing { .. } | Self::Silent { .. } => None,
        }
    }

    /// The status after one more observation.
    #[must_use]
    pub(crate) fn after(self, kind: ObservationKind, at: Timestamp, policy: &Policy) -> Self {
        let smoothed = |sample: Option<u32>| match (self, sample) {
            (Self::Answered { rtt_us: Some(rtt), .. }, Some(sample)) => Some(rtt.with(sample)),
            (Self::Answered { rtt_us, .. }, None) => rtt_us,
            (_, sample) => sample.map(SmoothedRtt::first),
        };
        match (kind, self) {
            (ObservationKind::ProbeSent, Self::Untried) => Self::Probing { sent: 1 },
            (ObservationKind::ProbeSent, Self::Probing { sent }) => {
                Self::Probing { sent: sent.saturating_add(1) }
            }
            (ObservationKind::ProbeAnswered { rtt_us }, _) => {
                Self::Answered { rtt_us: smoothed(Some(rtt_us)), at, unanswered: 0 }
            }
            (ObservationKind::RelayRegistered { rtt_us }, _) => {
                Self::Answered { rtt_us: smoothed(rtt_us), at, unanswered: 0 }
            }
            (ObservationKind::ProbeUnanswered, Self::Answered { rtt_us, at: answered_at, unanswered }) => {
                let unanswered = unanswered.saturating_add(1);
                if unanswered >= policy.unanswered_max {
                    Self::Silent { since: at }
                } else {
                    Self::Answered { rtt_us, at: answered_at, unanswered }
                }
            }
            (ObservationKind::RelayLost, Self::Answered { .. }) => Self::Silent { since: at },
            (
                ObservationKind::ProbeSent | ObservationKind::ProbeUnanswered | ObservationKind::RelayLost,
                _,
            ) => self,
        }
    }
}
