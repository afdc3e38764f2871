//! The whole story of a pair: the path in use, one reason per candidate of both sides, what was planned, and advice.
//!
//! [`explain`] repeats the decision of each side from the evidence that it reported ([`crate::Snapshot`]), and names the cause
//! of what does not work from the facts about both NATs. Agent, coordinator and browser call this one function, so that they
//! never disagree.

mod advice;
mod sentence;
mod words;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::candidate::{Candidate, CandidateKind};
use crate::nat::NatProfile;
use crate::path::{PathStatus, Snapshot};
use crate::policy::Policy;
use crate::quality::PathQuality;
use crate::reason::{Cause, Reason};
use crate::selection::{Selection, Verdict};
use crate::selector::Selector;
use crate::traversal::{Plan, Prospect, Side, plan, prospect_of};

pub use advice::{Advice, AdviceCode};

/// A node of the pair, by its own report.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Addresses that may reach it.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// The NAT in front of it.
    #[serde(default)]
    pub nat: NatProfile,
    /// What it knows about its paths to the other node; `None`: it did not report any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Snapshot>,
}

/// A relay by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct RelayName {
    /// Its name.
    pub name: String,
    /// Its address, as in relayed candidates.
    pub address: SocketAddr,
}

/// A pair to explain, seen from `own`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The node that the story is told from.
    pub own: NodeView,
    /// The other one.
    pub peer: NodeView,
    /// The prefixes of the mesh, as network and length.
    #[serde(default)]
    pub mesh: Vec<(IpAddr, u8)>,
    /// The relays, for their names.
    #[serde(default)]
    pub relays: Vec<RelayName>,
}

/// What carries the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// A direct path.
    Direct,
    /// A relay.
    Relay,
    /// Nothing.
    Nothing,
}

/// One candidate with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct ExplainedCandidate {
    /// The candidate.
    pub candidate: Candidate,
    /// Whether its path works, as seen by the other side.
    pub status: PathStatus,
    /// How well.
    pub quality: PathQuality,
    /// Why it is used or not.
    pub reason: Reason,
    /// The reason in words.
    pub sentence: String,
}

impl From<&ExplainedCandidate> for Verdict {
    fn from(explained: &ExplainedCandidate) -> Self {
        Self {
            candidate: explained.candidate.clone(),
            status: explained.status,
            quality: explained.quality,
            reason: explained.reason,
        }
    }
}

/// The story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Explanation {
    /// What carries the traffic from `own` to `peer`.
    pub carrier: Carrier,
    /// The address that it is sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<SocketAddr>,
    /// All of it in one or two sentences.
    pub sentence: String,
    /// What would make it better.
    pub advice: Vec<Advice>,
    /// The peer's candidates, as `own` sees them.
    pub peer_candidates: Vec<ExplainedCandidate>,
    /// The own candidates, as `peer` sees them.
    pub own_candidates: Vec<ExplainedCandidate>,
    /// What is tried to open a direct path. Where all that plain opening should work with has gone unanswered, its chance is not
    /// known any more.
    pub plan: Plan,
}

/// What sentence and advice are made from.
struct Findings<'a> {
    pair: &'a Pair,
    /// The decision of the own side.
    ours: &'a Selection,
    plan: &'a Plan,
    carrier: Carrier,
    opening: Progress,
}

/// How far plain opening has come with the addresses that it should work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// There is no such address.
    Hopeless,
    /// One of them was not yet asked through a whole round.
    Pending,
    /// All were, and none answers.
    Refuted,
}

/// Tells the story of a pair.
#[must_use]
pub fn explain(pair: &Pair) -> Explanation {
    let (own, peer) = (side(&pair.own), side(&pair.peer));
    let mut plan = plan(&own, &peer, 0);
    let ours = decide(&pair.own, &pair.peer, &pair.mesh);
    let theirs = decide(&pair.peer, &pair.own, &pair.mesh);
    let carrier = match &ours.chosen {
        None => Carrier::Nothing,
        Some(candidate) if candidate.kind == CandidateKind::Relayed => Carrier::Relay,
        Some(_) => Carrier::Direct,
    };
    let opening =
        progress(pair, [(&ours, &own, &peer), (&theirs, &peer, &own)], plan.opening.rhythm_ms.len());
    let findings = Findings { pair, ours: &ours, plan: &plan, carrier, opening };
    let (sentence, advice) = (sentence::of(&findings), advice::of(&findings));
    if carrier != Carrier::Direct && opening == Progress::Refuted {
        plan.doubt_opening();
    }
    Explanation {
        carrier,
        chosen: ours.chosen.as_ref().map(|candidate| candidate.address),
        sentence,
        advice,
        peer_candidates: explained(&ours, &own, &peer),
        own_candidates: explained(&theirs, &peer, &own),
        plan,
    }
}

/// Each side counts that reported anything; `round` probes are a whole round.
fn progress(pair: &Pair, decisions: [(&Selection, &Side, &Side); 2], round: usize) -> Progress {
    let reported = [&pair.own, &pair.peer].map(|view| view.paths.is_some());
    let is_asked = |reason: Reason| {
        if let Reason::NoAnswer { probes, .. } = reason {
            return usize::try_from(probes).is_ok_and(|probes| probes >= round);
        }
        matches!(reason, Reason::WentSilent | Reason::Unusable { .. })
    };
    let asked: Vec<bool> = decisions
        .iter()
        .zip(reported)
        .filter(|(_, reported)| *reported)
        .flat_map(|((selection, own, peer), _)| {
            selection.verdicts.iter().filter(|verdict| {
                verdict.candidate.kind != CandidateKind::Relayed
                    && matches!(
                        prospect_of(own, peer, &verdict.candidate),
                        Prospect::Opens | Prospect::OpensForPeer
                    )
            })
        })
        .map(|verdict| is_asked(verdict.reason))
        .collect();
    match (asked.is_empty(), asked.contains(&false)) {
        (true, _) => Progress::Hopeless,
        (false, true) => Progress::Pending,
        (false, false) => Progress::Refuted,
    }
}

/// One side's verdicts with their causes: what the agent shows of its own decision.
#[must_use]
pub fn explained(selection: &Selection, own: &Side, peer: &Side) -> Vec<ExplainedCandidate> {
    let explain = |verdict: &Verdict| {
        let reason = verdict.reason.because(cause_of(&verdict.candidate, own, peer));
        ExplainedCandidate {
            candidate: verdict.candidate.clone(),
            status: verdict.status,
            quality: verdict.quality,
            reason,
            sentence: reason.sentence(),
        }
    };
    selection.verdicts.iter().map(explain).collect()
}

fn cause_of(candidate: &Candidate, own: &Side, peer: &Side) -> Option<Cause> {
    match prospect_of(own, peer, candidate) {
        Prospect::Unlikely { cause } => Some(cause),
        Prospect::Opens | Prospect::OpensForPeer | Prospect::Unknown => None,
    }
}

fn side(view: &NodeView) -> Side {
    Side { candidates: view.candidates.clone(), nat: view.nat }
}

/// The decision of `own`, from the evidence that it reported. What the peer tells of itself and `own` has no evidence on is
/// there as well, untried.
fn decide(own: &NodeView, peer: &NodeView, mesh: &[(IpAddr, u8)]) -> Selection {
    let snapshot = own.paths.clone().unwrap_or_default();
    let mut selector = Selector::restore(Policy::default(), mesh.to_vec(), &snapshot);
    for candidate in &peer.candidates {
        selector.add_candidate(candidate.clone());
    }
    selector.select(snapshot.now)
}

#[cfg(test)]
mod tests;
