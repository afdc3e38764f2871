//! What holds between an input that is understood and its output.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use endpoint_selection::explain::{Carrier, ExplainedCandidate, Explanation, Pair};
use endpoint_selection::json::{OutlookInput, PlanInput, SelectInput};
use endpoint_selection::nat::{self, Allocation, Evidence, Mapping, NatProfile, UdpReach};
use endpoint_selection::simulation::{Run, Scenario};
use endpoint_selection::traversal::{self, Budget, Outlook, Party, Plan, Technique, chance::CERTAIN_PPM};
use endpoint_selection::{
    Candidate, CandidateKind, Policy, Realm, Selection, Snapshot, Verdict, check_address,
};

/// What no plan promises more than.
const CHANCE_PPM_MAX: u32 = 990_000;

/// Plain opening sends to all of a peer's 64 candidates nine times in a round, and rounds come no closer than that.
const PROBES_PER_S_MAX: u64 = 600;

pub(crate) fn of_selection(input: &SelectInput, selection: &Selection) {
    let told = input.candidates.iter().chain(input.snapshot.paths.iter().map(|path| &path.candidate));
    check_verdicts(&selection.verdicts, told, selection.chosen.as_ref(), &input.mesh);
}

/// Of the addresses that only the peer's packets showed so many are kept.
const LEARNT_MAX: usize = 16;

/// One verdict per address, in order, all of known candidates; exactly the chosen one has a reason that says so.
fn check_verdicts<'a>(
    verdicts: &[Verdict],
    told: impl Iterator<Item = &'a Candidate>,
    chosen: Option<&Candidate>,
    mesh: &[(IpAddr, u8)],
) {
    let told: Vec<&Candidate> = told.collect();
    let addresses: BTreeSet<SocketAddr> = told.iter().map(|candidate| candidate.address).collect();
    let max = Policy::default().candidates_max;
    let learnt = told.iter().filter(|candidate| candidate.kind == CandidateKind::PeerReflexive).count();
    assert!(verdicts.is_sorted_by(|a, b| a.candidate.address < b.candidate.address));
    if addresses.len() <= max && learnt <= LEARNT_MAX {
        assert_eq!(verdicts.len(), addresses.len(), "every candidate has its verdict");
    }
    assert!(verdicts.len() <= max);
    assert!(verdicts.iter().all(|verdict| told.contains(&&verdict.candidate)), "nobody told of one");
    let best: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.reason.is_chosen()).collect();
    assert!(best.len() <= 1, "{best:?}");
    assert_eq!(best.first().map(|verdict| &verdict.candidate), chosen);
    for verdict in best {
        let address = verdict.candidate.address;
        assert!(verdict.status.is_usable(), "a path without an answer: {verdict:?}");
        let is_relayed = verdict.candidate.kind == CandidateKind::Relayed;
        assert!(is_relayed || check_address(address, mesh).is_ok(), "{address}");
    }
    assert!(verdicts.iter().all(|verdict| !verdict.reason.sentence().is_empty()));
}

pub(crate) fn of_profile(evidence: &Evidence, profile: &NatProfile) {
    let is_translated = profile.mapping.is_some_and(|mapping| mapping != Mapping::None);
    match profile.allocation {
        Some(Allocation::Sequential { step }) => assert!(step != 0 && step.unsigned_abs() <= 64, "{step}"),
        Some(Allocation::PortBlock { first, last }) => assert!(0 < first && first < last, "{first} {last}"),
        Some(Allocation::Preserving | Allocation::Random) | None => {}
    }
    assert!(is_translated || profile.allocation.is_none());
    assert!(profile.hairpin.is_none() || profile.mapping != Some(Mapping::None));
    if let Some(lifetime) = profile.lifetime {
        let (longer, shorter) = (lifetime.longer_than_ms, lifetime.shorter_than_ms);
        assert!(longer.is_some() || shorter.is_some());
        assert!(longer.zip(shorter).is_none_or(|(longer, shorter)| longer < shorter));
    }
    if let Some(inner) = profile.inner_address {
        assert!(Realm::of(inner) < Realm::Global && !evidence.local.contains(&inner), "{inner}");
    }
    if profile.udp == Some(UdpReach::Blocked) {
        assert!(evidence.bindings.is_empty() && evidence.unanswered.len() >= 2);
    }
    if profile.is_contradicted.is_some() {
        assert_eq!(profile.mapping, Some(Mapping::EndpointIndependent));
    }
    // In which order it was collected does not matter, but for the order of mappings, which times and servers tell.
    let mut keys: Vec<_> = evidence.bindings.iter().map(|binding| (binding.socket, binding.server)).collect();
    keys.sort();
    keys.dedup();
    if keys.len() == evidence.bindings.len() {
        let mut turned = evidence.clone();
        turned.bindings.reverse();
        turned.peer_views.reverse();
        turned.heard.reverse();
        turned.idle.reverse();
        let turned = NatProfile { inner_address: profile.inner_address, ..nat::classify(&turned).unwrap() };
        assert_eq!(&turned, profile, "the other way round");
    }
}

pub(crate) fn of_plan(input: &PlanInput, plan: &Plan) {
    check_plan(plan, &input.peer.candidates);
    let theirs = traversal::plan(&input.peer, &input.own, input.failures);
    let turned: Vec<Technique> =
        theirs.techniques.iter().map(|planned| mirrored(planned.technique)).collect();
    let ours: Vec<Technique> = plan.techniques.iter().map(|planned| planned.technique).collect();
    assert_eq!(ours, turned, "both sides plan the same");
    assert_eq!(plan.opening.chance_ppm, theirs.opening.chance_ppm);
    assert_eq!(plan.chance_ppm, theirs.chance_ppm);
}

/// Each pair is counted by both of its nodes.
pub(crate) fn of_outlook(input: &OutlookInput, outlooks: &Vec<Outlook>) {
    assert_eq!(outlooks.len(), input.nodes.len());
    for outlook in outlooks {
        let Outlook { direct, technique, relay, unknown } = *outlook;
        assert_eq!(to_usize(direct + technique + relay + unknown) + 1, outlooks.len());
    }
    let odd = outlooks.iter().fold([0; 4], |sums, outlook| {
        let Outlook { direct, technique, relay, unknown } = *outlook;
        [sums[0] ^ direct & 1, sums[1] ^ technique & 1, sums[2] ^ relay & 1, sums[3] ^ unknown & 1]
    });
    assert_eq!(odd, [0; 4]);
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap()
}

/// The same technique, seen from the other side.
fn mirrored(technique: Technique) -> Technique {
    let other = |party| if party == Party::Own { Party::Peer } else { Party::Own };
    match technique {
        Technique::Prediction { mapper, step, window } => {
            Technique::Prediction { mapper: other(mapper), step, window }
        }
        Technique::MutualPrediction { window } => Technique::MutualPrediction { window },
        Technique::PortBlock { mapper, first, last, sockets } => {
            Technique::PortBlock { mapper: other(mapper), first, last, sockets }
        }
        Technique::Birthday { mapper, sockets, probes } => {
            Technique::Birthday { mapper: other(mapper), sockets, probes }
        }
    }
}

fn check_plan(plan: &Plan, candidates: &[Candidate]) {
    let budget = Budget::default();
    assert_eq!(plan.budget, budget);
    for planned in &plan.techniques {
        let cost = planned.cost;
        assert!(planned.chance_ppm <= CHANCE_PPM_MAX, "{planned:?}");
        assert!((1..=budget.sockets_max).contains(&cost.sockets), "{planned:?}");
        assert!((1..=budget.probes_max).contains(&cost.probes), "{planned:?}");
        assert!((1..=20_000).contains(&cost.duration_ms), "{planned:?}");
        let paced_ms = u64::from(cost.probes - 1) * budget.interval_us() / 1_000;
        assert!(paced_ms <= u64::from(cost.duration_ms), "{planned:?}");
    }
    assert!(plan.techniques.len() <= 1 && (plan.techniques.is_empty() || plan.obstacle.is_none()));
    let opening = &plan.opening;
    let direct = |address: SocketAddr| {
        candidates.iter().any(|known| known.kind != CandidateKind::Relayed && known.address == address)
    };
    assert!(opening.pairs.len() <= 64 && opening.pairs.iter().all(|pair| direct(pair.remote)));
    assert!(opening.rhythm_ms.is_sorted() && opening.rhythm_ms.len() <= 16);
    assert!(opening.chance_ppm.is_none_or(|ppm| ppm <= CHANCE_PPM_MAX));
    assert!(plan.chance_ppm.is_none_or(|ppm| ppm <= CERTAIN_PPM));
    assert!(opening.chance_ppm.is_none_or(|opening| plan.chance_ppm >= Some(opening)));
}

pub(crate) fn of_explanation(pair: &Pair, explanation: &Explanation) {
    let verdicts = |explained: &[ExplainedCandidate]| explained.iter().map(Verdict::from).collect::<Vec<_>>();
    let (ours, theirs) = (verdicts(&explanation.peer_candidates), verdicts(&explanation.own_candidates));
    let chosen = |verdicts: &[Verdict]| {
        verdicts.iter().find(|verdict| verdict.reason.is_chosen()).map(|verdict| verdict.candidate.clone())
    };
    for (verdicts, by, of) in [(&ours, &pair.own, &pair.peer), (&theirs, &pair.peer, &pair.own)] {
        // A snapshot may hold more than are kept.
        let kept = by.paths.iter().flat_map(|Snapshot { paths, .. }| paths).map(|path| &path.candidate);
        check_verdicts(verdicts, of.candidates.iter().chain(kept), chosen(verdicts).as_ref(), &pair.mesh);
    }
    let best = chosen(&ours);
    assert_eq!(explanation.chosen, best.as_ref().map(|candidate| candidate.address));
    let carrier = match best.map(|candidate| candidate.kind) {
        None => Carrier::Nothing,
        Some(CandidateKind::Relayed) => Carrier::Relay,
        Some(_) => Carrier::Direct,
    };
    assert_eq!(explanation.carrier, carrier);
    assert!(explanation.sentence.ends_with('.'), "{}", explanation.sentence);
    let sentences = explanation.peer_candidates.iter().chain(&explanation.own_candidates);
    assert!(sentences.map(|candidate| &candidate.sentence).all(|sentence| !sentence.is_empty()));
    assert!(explanation.advice.len() <= 4, "{:?}", explanation.advice);
    assert!(explanation.advice.iter().all(|advice| advice.sentence.ends_with('.')));
    assert!(carrier != Carrier::Direct || explanation.advice.is_empty());
    let mut codes: Vec<_> = explanation.advice.iter().map(|advice| format!("{:?}", advice.code)).collect();
    codes.dedup();
    // UDP may have to be let out of both networks.
    assert!(codes.len() == explanation.advice.len() || codes == ["AllowUdp"], "{codes:?}");
    let doubted = explanation.plan.opening.chance_ppm.is_none();
    assert!(doubted || explanation.plan.chance_ppm >= explanation.plan.opening.chance_ppm);
}

pub(crate) fn of_run(scenario: &Scenario, run: &Run) {
    assert!(run.events.len() <= 500, "{} events", run.events.len());
    assert!(run.events.is_sorted_by_key(|event| event.at_ms));
    assert!(run.events.iter().all(|event| event.at_ms <= scenario.duration_ms && event.node <= 1));
    assert!(run.direct_after_ms.is_none_or(|at_ms| at_ms <= scenario.duration_ms));
    assert!(!run.is_direct || run.direct_after_ms.is_some());
    let seconds = u64::from(scenario.duration_ms) / 1_000 + 3;
    assert!(run.probes.iter().all(|probes| u64::from(*probes) <= seconds * PROBES_PER_S_MAX), "{run:?}");
    for (node, mappings) in scenario.nodes.iter().zip(run.mappings_max) {
        let changed = scenario.changes.iter().map(|change| &change.behaviour);
        let bounds = node.boxes.iter().chain(&scenario.shared).chain(changed).map(|at| at.mappings_max);
        let bound = bounds.map(|max| max.unwrap_or(64_512)).max().unwrap_or(0).min(64_512);
        assert!(mappings <= bound || scenario.same_network, "{mappings} mappings");
    }
    assert!(run.explanation.plan.opening.pairs.len() <= 64);
    assert!(run.explanation.sentence.ends_with('.'));
}
