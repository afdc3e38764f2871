//! What a node may have observed of a path, in some variety.

use std::time::Duration;

use endpoint_selection::simulation::Rng;
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, Observation, ObservationKind, PathQuality, PathStatus, Policy,
    Selector, Timestamp,
};

/// When everything is decided: so late that evidence may be old.
pub const NOW: Timestamp = Timestamp::from_micros(3_600_000_000);

/// Histories of a path; a power of two, and more than a selector's branches.
const HISTORIES: usize = 64;

/// Evidence on paths: direct ones and relayed ones.
#[derive(Debug)]
pub struct Evidence {
    direct: Vec<(PathStatus, PathQuality)>,
    relayed: Vec<(PathStatus, PathQuality)>,
}

impl Evidence {
    /// Histories drawn from one seed, played through a selector.
    #[must_use]
    pub fn new() -> Self {
        let mut rng = Rng::new(7);
        let direct = (0..HISTORIES).map(|_| play(&direct_history(&mut rng), CandidateKind::Host)).collect();
        let relayed =
            (0..HISTORIES).map(|_| play(&relayed_history(&mut rng), CandidateKind::Relayed)).collect();
        Self { direct, relayed }
    }

    /// One of the histories of a path to such a candidate.
    #[must_use]
    pub fn choose(&self, kind: CandidateKind, rng: &mut Rng) -> (PathStatus, PathQuality) {
        let histories = if kind == CandidateKind::Relayed { &self.relayed } else { &self.direct };
        rng.choose(histories).copied().unwrap_or_default()
    }
}

impl Default for Evidence {
    fn default() -> Self {
        Self::new()
    }
}

/// A third was never probed or never answered, the rest answered up to fifteen times, the last time up to fifteen seconds ago.
fn direct_history(rng: &mut Rng) -> Vec<ObservationKind> {
    let rtt_us = 1_000 + u32::try_from(rng.below(80_000)).unwrap_or(0);
    let answers = rng.below(16);
    if rng.chance(333_333) {
        return vec![ObservationKind::ProbeSent; usize::try_from(rng.below(10)).unwrap_or(0)];
    }
    let mut kinds: Vec<ObservationKind> = (0..=answers)
        .flat_map(|_| {
            let jitter_us = u32::try_from(rng.below(2_000)).unwrap_or(0);
            let lost = rng.chance(50_000).then_some(ObservationKind::ProbeUnanswered);
            [Some(ObservationKind::ProbeAnswered { rtt_us: rtt_us + jitter_us }), lost]
        })
        .flatten()
        .collect();
    if rng.chance(100_000) {
        kinds.push(ObservationKind::PayloadMeasured { payload_max: 1_200 });
    }
    if rng.chance(50_000) {
        kinds.push(ObservationKind::DataLost);
    }
    kinds
}

fn relayed_history(rng: &mut Rng) -> Vec<ObservationKind> {
    let rtt_us = Some(10_000 + u32::try_from(rng.below(50_000)).unwrap_or(0));
    vec![ObservationKind::RelayRegistered { rtt_us }]
}

fn play(kinds: &[ObservationKind], kind: CandidateKind) -> (PathStatus, PathQuality) {
    let remote = ([203, 0, 113, 1], 1).into();
    let mut selector = Selector::new(Policy::default(), Vec::new());
    selector.add_candidate(Candidate { kind, address: remote, base: None, source: CandidateSource::Peer });
    for (ago, kind) in kinds.iter().rev().enumerate().rev() {
        let at = NOW - Duration::from_secs(u64::try_from(ago).unwrap_or(0));
        selector.observe(Observation { remote, at, kind: *kind });
    }
    let path = selector.snapshot(NOW).paths.pop();
    path.map(|path| (path.status, path.quality)).unwrap_or_default()
}
