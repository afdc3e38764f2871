//! What holds of every selection, whatever was observed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::candidate::CandidateSource;

const KINDS: [CandidateKind; 5] = [
    CandidateKind::Host,
    CandidateKind::PortMapped,
    CandidateKind::ServerReflexive,
    CandidateKind::Static,
    CandidateKind::Relayed,
];

/// Five candidates, one of each kind that others tell; the last is a relay.
fn candidates() -> Vec<Candidate> {
    let address = |index: usize| match index {
        0 => "192.168.1.20:4000".parse().unwrap(),
        _ => format!("203.0.113.{index}:4000").parse().unwrap(),
    };
    (0..KINDS.len())
        .map(|index| Candidate {
            kind: KINDS[index],
            address: address(index),
            base: None,
            source: CandidateSource::Peer,
        })
        .collect()
}

fn any_kind() -> impl Strategy<Value = ObservationKind> {
    prop_oneof![
        1 => Just(ObservationKind::ProbeSent),
        4 => any::<u32>().prop_map(|rtt_us| ObservationKind::ProbeAnswered { rtt_us }),
        2 => Just(ObservationKind::ProbeUnanswered),
        2 => Just(ObservationKind::ProbeLost),
        1 => Just(ObservationKind::DataLost),
        1 => any::<u16>().prop_map(|payload_max| ObservationKind::PayloadMeasured { payload_max }),
        1 => proptest::option::of(any::<u32>()).prop_map(|rtt_us| ObservationKind::RelayRegistered { rtt_us }),
        1 => Just(ObservationKind::RelayLost),
    ]
}

type Event = (usize, u64, ObservationKind);

fn events() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec((0..KINDS.len(), 0_u64..3_000_000, any_kind()), 0..80)
}

/// Plays the events, calls `check` after each with the selector and the time, and returns the time after the last.
fn play(
    selector: &mut Selector,
    events: &[Event],
    mut check: impl FnMut(&mut Selector, Timestamp),
) -> Timestamp {
    let all = candidates();
    let mut now = Timestamp::from_micros(1);
    for (index, pause_us, kind) in events {
        now = now + Duration::from_micros(*pause_us);
        selector.observe(Observation { remote: all[*index].address, at: now, kind: *kind });
        check(selector, now);
    }
    now
}

fn selector_with(candidates: &[Candidate]) -> Selector {
    let mut selector = Selector::default();
    for candidate in candidates {
        selector.add_candidate(candidate.clone());
    }
    selector
}

/// The health of each path that may carry traffic, by address.
fn healths(selection: &Selection, now: Timestamp) -> BTreeMap<SocketAddr, Health> {
    selection
        .verdicts
        .iter()
        .filter(|verdict| verdict.status.is_usable())
        .map(|verdict| (verdict.candidate.address, verdict.quality.health(now, &Policy::default())))
        .collect()
}

proptest! {
    // Each case checks after each of up to eighty events.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_in_which_candidates_are_named_does_not_matter(events in events(), rotation in 1_usize..5) {
        let mut rotated = candidates();
        rotated.rotate_left(rotation);
        let (mut one, mut other) = (selector_with(&candidates()), selector_with(&rotated));
        let now = play(&mut one, &events, |selector, now| drop(selector.select(now)));
        play(&mut other, &events, |selector, now| drop(selector.select(now)));
        prop_assert_eq!(one.select(now), other.select(now));
    }

    #[test]
    fn selecting_twice_is_selecting_once_and_every_candidate_has_one_reason(events in events()) {
        play(&mut selector_with(&candidates()), &events, |selector, now| {
            let selection = selector.select(now);
            assert_eq!(selector.select(now), selection);
            assert_eq!(selection.verdicts.len(), KINDS.len());
            let chosen = selection.verdicts.iter().filter(|verdict| verdict.reason.is_chosen());
            let chosen: Vec<_> = chosen.map(|verdict| verdict.candidate.clone()).collect();
            assert_eq!(chosen, selection.chosen.into_iter().collect::<Vec<_>>());
        });
    }

    #[test]
    fn a_relay_is_chosen_only_where_no_direct_path_serves_as_well(events in events()) {
        play(&mut selector_with(&candidates()), &events, |selector, now| {
            let selection = selector.select(now);
            let Some(chosen) = selection.chosen.clone() else { return };
            assert!(selector.status(chosen.address).unwrap().is_usable());
            if chosen.kind != CandidateKind::Relayed {
                return;
            }
            let healths = healths(&selection, now);
            let ours = healths[&chosen.address];
            for verdict in selection.verdicts.iter().filter(|v| v.candidate.kind != CandidateKind::Relayed) {
                let serves = selector.may_carry(verdict.candidate.address, now);
                assert!(!serves || healths[&verdict.candidate.address] > ours, "{verdict:?}");
            }
        });
    }

    #[test]
    fn a_worse_candidate_never_changes_the_choice(events in events()) {
        let mut without = selector_with(&candidates());
        let now = play(&mut without, &events, |selector, now| drop(selector.select(now)));
        let mut with = without.clone();
        let chosen = without.select(now).chosen;
        let worse = Candidate { address: "203.0.113.99:9".parse().unwrap(), ..candidates()[2].clone() };
        with.add_candidate(worse.clone());
        // Answers, but with the greatest RTT that there is, so that it never beats a direct path.
        with.observe(Observation { remote: worse.address, at: now, kind: ObservationKind::ProbeAnswered { rtt_us: u32::MAX } });
        let is_direct = chosen.as_ref().is_some_and(|chosen| chosen.kind != CandidateKind::Relayed);
        let is_sound = without
            .select(now)
            .verdicts
            .iter()
            .any(|v| v.reason.is_chosen() && v.quality.health(now, &Policy::default()) == Health::Sound);
        if is_direct && is_sound {
            prop_assert_eq!(with.select(now).chosen, chosen);
        }
    }

    #[test]
    fn among_equals_nothing_moves_within_the_switch_margin(rtt_us in 1_u32..1_000_000, gain in 0_u32..2_000) {
        let all = candidates();
        let mut selector = selector_with(&all);
        let now = Timestamp::from_micros(1);
        let answer = |selector: &mut Selector, index: usize, rtt_us| {
            let kind = ObservationKind::ProbeAnswered { rtt_us };
            selector.observe(Observation { remote: all[index].address, at: now, kind });
        };
        answer(&mut selector, 2, rtt_us);
        selector.select(now);
        answer(&mut selector, 3, rtt_us.saturating_sub(gain));
        let margin = Policy::default().switch_margin_us.max(rtt_us / 10);
        let chosen = selector.select(now).chosen.unwrap();
        prop_assert_eq!(chosen == all[3], rtt_us.saturating_sub(gain) + margin <= rtt_us);
    }

    #[test]
    fn a_restored_snapshot_decides_as_the_selector_that_it_was_taken_of(events in events()) {
        play(&mut selector_with(&candidates()), &events, |selector, now| {
            let snapshot = selector.snapshot(now);
            let json = serde_json::to_string(&snapshot).unwrap();
            let read: crate::Snapshot = serde_json::from_str(&json).unwrap();
            assert_eq!(read, snapshot);
            let mut restored = Selector::restore(Policy::default(), Vec::new(), &read);
            assert_eq!(restored.select(now), selector.select(now));
        });
    }
}
