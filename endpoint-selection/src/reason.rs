//! Why a candidate is used or not: one value for machines, one sentence for people.

use serde::{Deserialize, Serialize};

use crate::address::Unusable;

/// Exactly one per candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Reason {
    /// It carries the traffic: the best path that answers.
    Best,
    /// It carries the traffic: no other path is better by more than the switch margin.
    WithinSwitchMargin,
    /// It carries the traffic: a relay, because no direct path answers.
    NoDirectPathAnswers,
    /// It carries the traffic: a relay, because the direct paths that answer lose too much.
    DirectPathsServeWorse,
    /// It carries the traffic: an administrator gave it for a peer that answers no probes.
    Configured,
    /// It answers, but another path has a better tier.
    WorseTier,
    /// It answers, but not faster than the chosen one by the switch margin.
    NotFasterByMargin,
    /// It answers, but loses too many probes.
    LosesProbes {
        /// Of the last probes, in per cent.
        percent: u8,
    },
    /// It answers small probes, but not those of the tunnel's full size.
    TooNarrow {
        /// The largest UDP payload that passes, in bytes.
        payload_max: u16,
    },
    /// It answers probes, but loses the tunnel's packets.
    LosesData,
    /// It answered, but too long ago to be trusted without a new probe.
    AnsweredTooLongAgo,
    /// A relay in reserve, because a direct path works.
    Standby,
    /// No probe has left yet.
    NotProbedYet {
        /// Why it will hardly work, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// Probes have left; none has been answered so far.
    NoAnswer {
        /// Probes sent.
        probes: u32,
        /// Why, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
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

/// What stands between a node and a candidate, from what is known about both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// UDP does not leave this node's network.
    OwnUdpBlocked,
    /// UDP does not leave the peer's network.
    PeerUdpBlocked,
    /// A private address of a network that this node is not in.
    OtherNetwork,
    /// An address inside a carrier's network that this node is not behind.
    OtherCarrier,
    /// Both are behind one NAT, which does not turn packets round (RFC 4787 §6).
    NoHairpinning,
    /// This node has no address of the candidate's family.
    NoSuchFamily,
    /// The peer's NAT takes a new port for each destination: this one is right only for who saw it.
    PeerPortPerDestination,
    /// This node's NAT takes a new port for each destination, and the peer's lets in none that it did not send to.
    OwnPortPerDestination,
    /// STUN servers see the peer's port unchanged, but peers see another one.
    PeerStunContradicted,
}

impl Reason {
    /// Whether the candidate is the one that carries the traffic.
    #[must_use]
    pub const fn is_chosen(&self) -> bool {
        matches!(
            self,
            Self::Best
                | Self::WithinSwitchMargin
                | Self::NoDirectPathAnswers
                | Self::DirectPathsServeWorse
                | Self::Configured
        )
    }

    /// The same reason with its cause, where it has room for one.
    #[must_use]
    pub const fn because(self, cause: Option<Cause>) -> Self {
        if let Self::NotProbedYet { .. } = self {
            Self::NotProbedYet { cause }
        } else if let Self::NoAnswer { probes, .. } = self {
            Self::NoAnswer { probes, cause }
        } else {
            self
        }
    }

    /// One sentence that a user understands, without its subject: "carries the traffic: …".
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Best => "carries the traffic: the best path that answers".into(),
            Self::WithinSwitchMargin => {
                "carries the traffic: no other path is enough faster to be worth a switch".into()
            }
            Self::NoDirectPathAnswers => "carries the traffic: no direct path answers".into(),
            Self::DirectPathsServeWorse => {
                "carries the traffic: a direct path answers, but serves worse".into()
            }
            Self::Configured => {
                "carries the traffic: given by an administrator; this peer answers no probes".into()
            }
            Self::WorseTier => "answers, but a shorter way is in use".into(),
            Self::NotFasterByMargin => {
                "answers, but is not enough faster than the path in use to be worth a switch".into()
            }
            Self::LosesProbes { percent } => format!("answers, but loses {percent} % of the probes"),
            Self::TooNarrow { payload_max } => {
                format!("answers small probes, but packets over {payload_max} bytes do not get through")
            }
            Self::LosesData => {
                "answers probes, but loses the tunnel's packets: something on the way drops WireGuard".into()
            }
            Self::AnsweredTooLongAgo => "answered a while ago: it is probed again before it is used".into(),
            Self::Standby => "ready, but not needed: a direct path is in use".into(),
            Self::NotProbedYet { cause } => because("not probed yet", *cause),
            Self::NoAnswer { probes: 1, cause } => because("1 probe sent, no answer", *cause),
            Self::NoAnswer { probes, cause } => because(&format!("{probes} probes sent, no answer"), *cause),
            Self::WentSilent => "worked, then stopped answering".into(),
            Self::RelayNotRegistered => "this node is not connected to the relay".into(),
            Self::Unusable { why } => match why {
                Unusable::NoPort => "has no port".into(),
                Unusable::NotUnicast => {
                    "is not the address of one machine: loopback, multicast or reserved".into()
                }
                Unusable::LinkLocal => "is link-local: it means nothing outside its own link".into(),
                Unusable::InsideMesh => "is a mesh address: that would be a tunnel inside the tunnel".into(),
            },
        }
    }
}

fn because(what: &str, cause: Option<Cause>) -> String {
    match cause {
        Some(cause) => format!("{what}: {}", cause.clause()),
        None => what.into(),
    }
}

impl Cause {
    /// The cause as a clause that a user understands.
    #[must_use]
    pub const fn clause(self) -> &'static str {
        match self {
            Self::OwnUdpBlocked => "UDP does not leave this node's network",
            Self::PeerUdpBlocked => "UDP does not leave the peer's network",
            Self::OtherNetwork => "a private address of another network",
            Self::OtherCarrier => "an address behind a NAT that this node is not behind",
            Self::NoHairpinning => "both nodes are behind one NAT, which does not send packets back inside",
            Self::NoSuchFamily => "this node has no IPv6",
            Self::PeerPortPerDestination => {
                "the peer's NAT uses a new port per destination, and this one was for somebody else"
            }
            Self::OwnPortPerDestination => {
                "this node's NAT uses a new port per destination, and the peer's seems to let in only ports it has sent to"
            }
            Self::PeerStunContradicted => {
                "the peer's NAT shows STUN servers another port than it shows peers"
            }
        }
    }
}
