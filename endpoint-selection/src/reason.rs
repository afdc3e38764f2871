//! Why a candidate is used or not: one value for machines, one sentence for people.

use serde::{Deserialize, Serialize};

use crate::candidate::Unusable;

/// Exactly one per candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Reason {
    /// It carries the traffic: the best path that answers.
    Best,
    /// It carries the traffic: no other path is better by more than the switch margin.
    WithinSwitchMargin,
    /// It carries the traffic: a relay, because no direct path answers.
    NoDirectPathAnswers,
    /// It carries the traffic: an administrator gave it for a peer that answers no probes.
    Configured,
    /// It answers, but another path has a better tier.
    WorseTier,
    /// It answers, but not faster than the chosen one by the switch margin.
    NotFasterByMargin,
    /// It answered, but too long ago to be trusted without a new probe.
    AnsweredTooLongAgo,
    /// A relay in reserve, because a direct path works.
    Standby,
    /// No probe has left yet.
    NotProbedYet,
    /// Probes have left; none has been answered so far.
    NoAnswer {
        /// Probes sent.
        probes: u32,
    },
    /// It worked and went silent.
    WentSilent,
    /// The relay holds no session of ours.
    RelayNotRegistered,
    /// It can never work.
    Unusable {
        /// Why.
        why: Unusable,
    },
}

impl Reason {
    /// One sentence that a user understands.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Best => "carries the traffic: the best path that answers".into(),
            Self::WithinSwitchMargin => {
                "carries the traffic: no other path is faster by enough to be worth a switch".into()
            }
            Self::NoDirectPathAnswers => "carries the traffic: no direct path answers".into(),
            Self::Configured => {
                "carries the traffic: given by an administrator; this peer answers no probes".into()
            }
            Self::WorseTier => "answers, but a shorter way is in use".into(),
            Self::NotFasterByMargin => {
                "answers, but not faster than the path in use by enough to switch".into()
            }
            Self::AnsweredTooLongAgo => {
                "answered once, but not lately: it is probed before it is used".into()
            }
            Self::Standby => "ready, in reserve: a direct path is in use".into(),
            Self::NotProbedYet => "not probed yet".into(),
            Self::NoAnswer { probes: 1 } => "1 probe sent, no answer".into(),
            Self::NoAnswer { probes } => format!("{probes} probes sent, no answer"),
            Self::WentSilent => "worked, then stopped answering".into(),
            Self::RelayNotRegistered => "this node is not registered at the relay".into(),
            Self::Unusable { why } => match why {
                Unusable::NoPort => "has no port".into(),
                Unusable::NotUnicast => "is no unicast address".into(),
                Unusable::LinkLocal => "is link-local: it means nothing on another link".into(),
                Unusable::InsideMesh => "lies inside the mesh: that would be a tunnel in the tunnel".into(),
            },
        }
    }
}
