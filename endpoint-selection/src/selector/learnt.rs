//! Room for candidates, above all for learnt (peer-reflexive) ones, which only the peer's own packets showed.

use std::time::Duration;

use super::{Path, Selector};
use crate::candidate::CandidateKind;
use crate::path::PathStatus;
use crate::time::Timestamp;

/// The most learnt addresses kept. A peer shows one for each address of ours that it reaches us at, which are a few; one that
/// tries hundreds of sockets shows hundreds, and each would be probed in every round.
const LEARNT_MAX: usize = 16;

impl Path {
    fn is_learnt(&self) -> bool {
        self.candidate.kind == CandidateKind::PeerReflexive
    }
}

impl Selector {
    /// Forgets learnt candidates that left this many probes unanswered: nobody names them any more, and whoever is there shows
    /// up again. One that answered once and no longer may carry traffic has to show anew that it answers.
    pub fn forget_learnt(&mut self, unanswered: u32, now: Timestamp) {
        self.paths.retain(|_, path| {
            let is_dead = matches!(path.status, PathStatus::Probing { sent } if sent >= unanswered);
            !(is_dead && path.is_learnt())
        });
        let age_max = Duration::from_micros(self.policy.evidence_age_us_max);
        for path in self.paths.values_mut().filter(|path| path.is_learnt()) {
            let is_old = match path.status {
                PathStatus::Answered { at, .. } => now.since(at) > age_max,
                PathStatus::Silent { .. } => true,
                PathStatus::Untried | PathStatus::Probing { .. } => false,
            };
            if is_old && self.current != Some(path.candidate.address) {
                path.forget();
            }
        }
    }

    /// Makes room for one more candidate of this kind, if there is none. Returns whether there is now.
    pub(super) fn make_room(&mut self, kind: CandidateKind) -> bool {
        let is_learnt = kind == CandidateKind::PeerReflexive;
        if is_learnt && self.paths.values().filter(|path| path.is_learnt()).count() >= LEARNT_MAX {
            return self.evict(Path::is_learnt);
        }
        self.paths.len() < self.policy.candidates_max
            || self.evict(|path| {
                path.candidate.kind != CandidateKind::Relayed
                    && !path.status.is_usable()
                    && (path.is_learnt() || matches!(path.status, PathStatus::Silent { .. }))
            })
    }

    /// Of those that may go, the one that never answered or did so longest ago goes, but never the one in use.
    fn evict(&mut self, may_go: impl Fn(&Path) -> bool) -> bool {
        let last_answer = |path: &Path| match path.status {
            PathStatus::Answered { at, .. } => Some(at),
            PathStatus::Untried | PathStatus::Probing { .. } | PathStatus::Silent { .. } => None,
        };
        let going =
            self.paths.iter().filter(|(address, path)| self.current != Some(**address) && may_go(path));
        let oldest = going.min_by_key(|(_, path)| last_answer(path)).map(|(address, _)| *address);
        oldest.is_some_and(|address| self.paths.remove(&address).is_some())
    }
}
