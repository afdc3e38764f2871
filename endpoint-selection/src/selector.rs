//! The evidence on all paths to one peer, and the choice among them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::address::{Unusable, check_address};
use crate::candidate::{Candidate, CandidateKind};
use crate::observation::{Observation, ObservationKind};
use crate::path::{PathEvidence, PathStatus, Snapshot};
use crate::policy::Policy;
use crate::quality::{Health, PathQuality};
use crate::reason::Reason;
use crate::score::{Score, Tier};
use crate::selection::{Selection, Verdict};
use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// The paths to one peer. Bounded by [`Policy::candidates_max`].
#[derive(Debug, Clone, Default)]
pub struct Selector {
    policy: Policy,
    mesh: Vec<(IpAddr, u8)>,
    paths: SortedMap<SocketAddr, Path>,
    current: Option<SocketAddr>,
}

#[derive(Debug, Clone)]
struct Path {
    candidate: Candidate,
    status: PathStatus,
    quality: PathQuality,
    unusable: Option<Unusable>,
}

mod doubt;
mod learnt;

impl Selector {
    /// A selector without candidates. Addresses inside `mesh` (network, prefix length) are never used.
    #[must_use]
    pub const fn new(policy: Policy, mesh: Vec<(IpAddr, u8)>) -> Self {
        Self { policy, mesh, paths: SortedMap::new(), current: None }
    }

    /// Replaces which addresses are never used. What was seen of others stays.
    pub fn set_mesh(&mut self, mesh: Vec<(IpAddr, u8)>) {
        self.mesh = mesh;
        for path in self.paths.values_mut() {
            let is_relayed = path.candidate.kind == CandidateKind::Relayed;
            path.unusable =
                if is_relayed { None } else { check_address(path.candidate.address, &self.mesh).err() };
        }
    }

    /// Replaces what others told about the peer's addresses. Evidence on an address that stays is kept, and an
    /// address that may carry traffic stays even if nobody names it any more: evidence beats hearsay. Returns whether
    /// an address is new.
    pub fn set_candidates(&mut self, candidates: &[Candidate], now: Timestamp) -> bool {
        let mut paths = std::mem::take(&mut self.paths);
        paths.retain(|address, path| {
            path.candidate.kind == CandidateKind::Relayed
                || self.is_trusted(path, now)
                || candidates.iter().any(|candidate| candidate.address == *address)
        });
        self.paths = paths;
        let before = self.paths.len();
        for candidate in candidates {
            self.add_candidate(candidate.clone());
        }
        self.paths.len() > before
    }

    /// Adds one candidate. A known address only improves its kind; an address that we learnt ourselves (peer-reflexive)
    /// says nothing new about a known one, and a relay's address is never a direct one. Beyond the bound a new address
    /// takes the place of one that nothing speaks for; where there is none, it is refused. A learnt one takes the place of
    /// another: its mapping is open right now. Returns whether it is new.
    pub fn add_candidate(&mut self, candidate: Candidate) -> bool {
        let relayed = candidate.kind == CandidateKind::Relayed;
        if let Some(path) = self.paths.get_mut(&candidate.address) {
            let was_learnt = path.candidate.kind == CandidateKind::PeerReflexive;
            let is_other_road = relayed != (path.candidate.kind == CandidateKind::Relayed);
            let says_more = candidate.kind < path.candidate.kind || was_learnt;
            if says_more && !is_other_road && candidate.kind != CandidateKind::PeerReflexive {
                path.candidate = candidate;
            }
            return false;
        }
        if !self.make_room(candidate.kind) {
            return false;
        }
        self.insert(PathEvidence {
            candidate,
            status: PathStatus::default(),
            quality: PathQuality::default(),
        });
        true
    }

    fn insert(&mut self, evidence: PathEvidence) {
        let PathEvidence { candidate, status, quality } = evidence;
        let relayed = candidate.kind == CandidateKind::Relayed;
        let unusable = if relayed { None } else { check_address(candidate.address, &self.mesh).err() };
        self.paths.insert(candidate.address, Path { candidate, status, quality, unusable });
    }

    /// Removes the relayed candidate with this address, because the relay is gone.
    pub fn remove_relay(&mut self, address: SocketAddr) {
        self.paths.retain(|at, path| *at != address || path.candidate.kind != CandidateKind::Relayed);
    }

    /// Takes in one fact. A fact about an address that is no candidate, or about a relay where there is none, is
    /// ignored.
    pub fn observe(&mut self, observation: Observation) {
        let of_relay =
            matches!(observation.kind, ObservationKind::RelayRegistered { .. } | ObservationKind::RelayLost);
        let fits = |path: &&mut Path| !of_relay || path.candidate.kind == CandidateKind::Relayed;
        if let Some(path) = self.paths.get_mut(&observation.remote).filter(fits) {
            let Observation { kind, at, .. } = observation;
            let counts = !path.status.is_doubted();
            path.status = path.status.after(kind, at, &self.policy);
            path.quality = path.quality.after(kind, at, counts, &self.policy);
        }
    }

    /// Whether a relay may carry traffic.
    #[must_use]
    pub fn has_relay(&self) -> bool {
        self.relays().next().is_some()
    }

    fn relays(&self) -> impl Iterator<Item = &Path> {
        let is_relay = |path: &&Path| path.candidate.kind == CandidateKind::Relayed;
        self.paths.values().filter(is_relay).filter(|path| path.status.is_usable())
    }

    /// Whether a relay other than this one may carry traffic.
    #[must_use]
    pub fn has_relay_beside(&self, address: SocketAddr) -> bool {
        self.relays().any(|path| path.candidate.address != address)
    }

    /// The direct addresses that may be probed, in order of address.
    pub fn probe_targets(&self) -> impl Iterator<Item = SocketAddr> {
        self.paths
            .values()
            .filter(|path| path.unusable.is_none() && path.candidate.kind != CandidateKind::Relayed)
            .map(|path| path.candidate.address)
    }

    /// The candidate that carries the traffic as of the last [`Self::select`].
    #[must_use]
    pub fn current(&self) -> Option<&Candidate> {
        self.paths.get(&self.current?).map(|path| &path.candidate)
    }

    /// Whether the path to `remote` works.
    #[must_use]
    pub fn status(&self, remote: SocketAddr) -> Option<&PathStatus> {
        self.paths.get(&remote).map(|path| &path.status)
    }

    /// The smoothed RTT of the path to `remote` in microseconds, where it works and was measured.
    #[must_use]
    pub fn rtt_us(&self, remote: SocketAddr) -> Option<u32> {
        self.paths.get(&remote).filter(|path| path.status.is_usable())?.quality.rtt_us()
    }

    /// A direct path that answers but serves badly: it is asked on, to see when it serves well again.
    #[must_use]
    pub fn ailing_direct(&self, now: Timestamp) -> Option<(SocketAddr, Health)> {
        let direct = self
            .paths
            .values()
            .filter(|path| path.candidate.kind != CandidateKind::Relayed && path.unusable.is_none());
        let ailing = direct.filter_map(|path| {
            let PathStatus::Answered { at, .. } = path.status else { return None };
            let health = path.quality.health(now, &self.policy);
            let is_ailing = matches!(health, Health::Lossy | Health::Narrow);
            is_ailing.then_some((at, path.candidate.address, health))
        });
        // The one that answered last: an older one may be dead.
        ailing.max_by_key(|(at, address, _)| (*at, *address)).map(|(_, address, health)| (address, health))
    }

    /// How well the path to `remote` serves at `now`.
    #[must_use]
    pub fn health(&self, remote: SocketAddr, now: Timestamp) -> Option<Health> {
        self.paths.get(&remote).map(|path| path.quality.health(now, &self.policy))
    }

    /// All evidence as of `now`, for [`Self::restore`].
    #[must_use]
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let evidence = |path: &Path| PathEvidence {
            candidate: path.candidate.clone(),
            status: path.status,
            quality: path.quality,
        };
        Snapshot {
            now,
            current: self.current,
            idle: false,
            paths: self.paths.values().map(evidence).collect(),
        }
    }

    /// A selector with the evidence of a snapshot: it decides as the one that the snapshot was taken of. Where an address
    /// comes twice, the first counts; candidates beyond [`Policy::candidates_max`] are left out.
    #[must_use]
    pub fn restore(policy: Policy, mesh: Vec<(IpAddr, u8)>, snapshot: &Snapshot) -> Self {
        let mut selector = Self::new(policy, mesh);
        for evidence in &snapshot.paths {
            let is_new = !selector.paths.contains_key(&evidence.candidate.address);
            if is_new && selector.paths.len() < policy.candidates_max {
                selector.insert(evidence.clone());
            }
        }
        selector.current = snapshot.current.filter(|current| selector.paths.contains_key(current));
        selector
    }

    /// Decides at `now`. Two calls with nothing observed between give the same answer.
    pub fn select(&mut self, now: Timestamp) -> Selection {
        let chosen = self.decide(now);
        self.current = chosen.map(|score| score.address);
        // A path that was trusted only because it was in use is so no longer.
        let has_direct = self.has_direct(now);
        let score_of = |path: &Path| self.score(path, has_direct, now);
        let best = self.trusted(now).map(score_of).min();
        let verdicts = self
            .paths
            .values()
            .map(|path| {
                let score = self.is_trusted(path, now).then(|| score_of(path));
                Verdict {
                    candidate: path.candidate.clone(),
                    status: path.status,
                    quality: path.quality,
                    reason: reason_for(path, score, chosen, best, has_direct),
                }
            })
            .collect();
        Selection { chosen: self.current().cloned(), verdicts }
    }

    /// Decides at `now` as [`Self::select`] does, without giving reasons: for whoever decides at each event.
    pub fn choose(&mut self, now: Timestamp) -> Option<&Candidate> {
        self.current = self.decide(now).map(|score| score.address);
        self.current()
    }

    /// The score of the path to choose.
    fn decide(&self, now: Timestamp) -> Option<Score> {
        let (mut current, mut best) = (None, None);
        let has_direct = self.has_direct(now);
        for path in self.trusted(now) {
            let score = self.score(path, has_direct, now);
            if self.current == Some(score.address) {
                current = Some(score);
            }
            if best.is_none_or(|best| score < best) {
                best = Some(score);
            }
        }
        match (current, best) {
            (Some(current), Some(best)) if !current.gives_way_to(&best, &self.policy) => Some(current),
            (_, best) => best,
        }
    }

    fn has_direct(&self, now: Timestamp) -> bool {
        self.trusted(now).any(|path| Tier::of(&path.candidate) != Tier::Relay)
    }

    /// Relays have to prove that they lose little only where a direct path could carry the traffic as well: among themselves a
    /// nearer one would wait for minutes, and a few losses would send traffic back to the farther one.
    fn score(&self, path: &Path, has_direct: bool, now: Timestamp) -> Score {
        let score = if has_direct { Score::new } else { Score::believing };
        score(&path.candidate, &path.quality, now, &self.policy)
    }

    /// Whether the path to `remote` may carry traffic at `now`; one that may not is worth a probe.
    #[must_use]
    pub fn may_carry(&self, remote: SocketAddr, now: Timestamp) -> bool {
        self.paths.get(&remote).is_some_and(|path| self.is_trusted(path, now))
    }

    /// Whether the path to `remote` may replace the one in use at `now` before that fails: it cannot where that serves well and
    /// is of a better tier.
    #[must_use]
    pub fn may_replace_current(&self, remote: SocketAddr, now: Timestamp) -> bool {
        let of = |address: SocketAddr| self.paths.get(&address);
        let (Some(current), Some(path)) = (self.current.and_then(of), of(remote)) else { return true };
        let serves_well = current.quality.health(now, &self.policy) == Health::Sound;
        !serves_well || Tier::of(&path.candidate) <= Tier::of(&current.candidate)
    }

    /// Relays that would replace the path in use if they were known to lose hardly anything: asking them shows whether they do.
    pub fn rival_relays(&self, now: Timestamp) -> impl Iterator<Item = SocketAddr> {
        let score = move |path: &Path| Score::believing(&path.candidate, &path.quality, now, &self.policy);
        let current = self.current.and_then(|address| self.paths.get(&address)).map(score);
        let rivals = self
            .relays()
            .map(score)
            .filter(move |rival| current.is_some_and(|current| current.gives_way_to(rival, &self.policy)));
        rivals.map(|rival| rival.address)
    }

    fn trusted(&self, now: Timestamp) -> impl Iterator<Item = &Path> {
        self.paths.values().filter(move |path| self.is_trusted(path, now))
    }

    /// The path in use may carry traffic until it falls silent, a relay while it holds our session, another one only on
    /// fresh evidence.
    fn is_trusted(&self, path: &Path, now: Timestamp) -> bool {
        let PathStatus::Answered { at, .. } = path.status else { return false };
        let is_fresh = now.since(at) <= Duration::from_micros(self.policy.evidence_age_us_max);
        let is_relayed = path.candidate.kind == CandidateKind::Relayed;
        let is_current = self.current == Some(path.candidate.address);
        path.unusable.is_none() && (is_current || is_relayed || is_fresh)
    }
}

/// `score` is that of the path itself, where it may carry traffic; `has_direct` says whether any direct path may.
fn reason_for(
    path: &Path,
    score: Option<Score>,
    chosen: Option<Score>,
    best: Option<Score>,
    has_direct: bool,
) -> Reason {
    if let Some(why) = path.unusable {
        return Reason::Unusable { why };
    }
    let relayed = path.candidate.kind == CandidateKind::Relayed;
    match path.status {
        PathStatus::Untried | PathStatus::Silent { .. } | PathStatus::Probing { .. } if relayed => {
            Reason::RelayNotRegistered
        }
        PathStatus::Untried => Reason::NotProbedYet { cause: None },
        PathStatus::Probing { sent } => Reason::NoAnswer { probes: sent, cause: None },
        PathStatus::Silent { .. } => Reason::WentSilent,
        PathStatus::Answered { .. } => match (score, chosen) {
            (Some(score), Some(chosen)) if score.address == chosen.address => match () {
                () if relayed && has_direct => Reason::DirectPathsServeWorse,
                () if relayed => Reason::NoDirectPathAnswers,
                () if Some(chosen) == best => Reason::Best,
                () => Reason::WithinSwitchMargin,
            },
            (Some(score), Some(chosen)) => reason_against(path, score, chosen),
            (None, _) | (_, None) => Reason::AnsweredTooLongAgo,
        },
    }
}

/// Why a path that may carry traffic does not.
fn reason_against(path: &Path, score: Score, chosen: Score) -> Reason {
    if score.tier == Tier::Relay && chosen.tier != Tier::Relay {
        return Reason::Standby;
    }
    match score.health {
        Health::DataLost if chosen.health < score.health => Reason::LosesData,
        Health::Narrow if chosen.health < score.health => {
            Reason::TooNarrow { payload_max: path.quality.payload_max.unwrap_or_default() }
        }
        Health::Lossy if chosen.health < score.health => {
            Reason::LosesProbes { percent: path.quality.loss.percent() }
        }
        Health::Sound | Health::Lossy | Health::Narrow | Health::DataLost => {
            if chosen.tier < score.tier {
                Reason::WorseTier
            } else {
                Reason::NotFasterByMargin
            }
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
