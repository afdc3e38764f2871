//! The rules of the selection, each on both sides of its limit.

use super::*;
use crate::candidate::CandidateSource;
use crate::observation::ObservationKind;

const NOW: Timestamp = Timestamp::from_micros(1);

fn candidate(kind: CandidateKind, address: &str) -> Candidate {
    Candidate { kind, address: address.parse().unwrap(), base: None, source: CandidateSource::Peer }
}

fn host() -> Candidate {
    candidate(CandidateKind::Host, "192.168.1.20:4000")
}

fn reflexive(last: u8) -> Candidate {
    candidate(CandidateKind::ServerReflexive, &format!("203.0.113.{last}:4000"))
}

fn relay() -> Candidate {
    candidate(CandidateKind::Relayed, "198.51.100.1:3478")
}

fn see(selector: &mut Selector, candidate: &Candidate, kind: ObservationKind) {
    selector.observe(Observation { remote: candidate.address, at: NOW, kind });
}

fn answer(selector: &mut Selector, candidate: &Candidate, rtt_us: u32) {
    see(selector, candidate, ObservationKind::ProbeAnswered { rtt_us });
}

fn selector(candidates: &[Candidate]) -> Selector {
    let mut selector = Selector::default();
    for candidate in candidates {
        selector.add_candidate(candidate.clone());
    }
    if candidates.contains(&relay()) {
        see(&mut selector, &relay(), ObservationKind::RelayRegistered { rtt_us: Some(20_000) });
    }
    selector
}

fn reason(selection: &Selection, candidate: &Candidate) -> Reason {
    selection.verdicts.iter().find(|verdict| verdict.candidate.address == candidate.address).unwrap().reason
}

#[test]
fn traffic_starts_on_the_relay_before_anything_is_probed() {
    let mut selector = selector(&[host(), relay()]);
    let selection = selector.select(NOW);
    assert_eq!(selection.chosen, Some(relay()));
    assert_eq!(reason(&selection, &relay()), Reason::NoDirectPathAnswers);
    assert_eq!(reason(&selection, &host()), Reason::NotProbedYet { cause: None });
}

#[test]
fn the_first_direct_answer_replaces_the_relay_even_if_slower() {
    let mut selector = selector(&[reflexive(1), relay()]);
    selector.select(NOW);
    answer(&mut selector, &reflexive(1), 900_000);
    let selection = selector.select(NOW);
    assert_eq!(selection.chosen, Some(reflexive(1)));
    assert_eq!(reason(&selection, &relay()), Reason::Standby);
}

#[test]
fn the_same_network_beats_the_internet_whatever_answered_first() {
    let mut selector = selector(&[host(), reflexive(1)]);
    answer(&mut selector, &reflexive(1), 300);
    selector.select(NOW);
    answer(&mut selector, &host(), 500);
    let selection = selector.select(NOW);
    assert_eq!(selection.chosen, Some(host()));
    assert_eq!(reason(&selection, &reflexive(1)), Reason::WorseTier);
}

#[test]
fn a_faster_path_wins_only_by_the_switch_margin() {
    let margin = Policy::default().switch_margin_us;
    for (rtt_us, switches) in [(10_000 - margin, true), (10_001 - margin, false)] {
        let mut selector = selector(&[reflexive(1), reflexive(2)]);
        answer(&mut selector, &reflexive(1), 10_000);
        selector.select(NOW);
        answer(&mut selector, &reflexive(2), rtt_us);
        assert_eq!(selector.select(NOW).chosen == Some(reflexive(2)), switches, "{rtt_us}");
    }
}

#[test]
fn a_path_that_leaves_three_probes_unanswered_gives_way_to_the_relay() {
    let mut selector = selector(&[reflexive(1), relay()]);
    answer(&mut selector, &reflexive(1), 10_000);
    for _ in 0..2 {
        see(&mut selector, &reflexive(1), ObservationKind::ProbeUnanswered);
        assert_eq!(selector.select(NOW).chosen, Some(reflexive(1)));
    }
    see(&mut selector, &reflexive(1), ObservationKind::ProbeUnanswered);
    let selection = selector.select(NOW);
    assert_eq!(selection.chosen, Some(relay()));
    assert_eq!(reason(&selection, &reflexive(1)), Reason::WentSilent);
}

#[test]
fn a_standby_path_is_trusted_only_while_its_answer_is_fresh() {
    let age_max = Duration::from_micros(Policy::default().evidence_age_us_max);
    for (age, chosen) in [(age_max, reflexive(2)), (age_max + Duration::from_micros(1), relay())] {
        let mut selector = selector(&[reflexive(1), reflexive(2), relay()]);
        answer(&mut selector, &reflexive(2), 20_000);
        answer(&mut selector, &reflexive(1), 10_000);
        assert_eq!(selector.select(NOW).chosen, Some(reflexive(1)));
        for _ in 0..3 {
            see(&mut selector, &reflexive(1), ObservationKind::ProbeUnanswered);
        }
        assert_eq!(selector.select(NOW + age).chosen, Some(chosen), "{age:?}");
    }
}

#[test]
fn the_path_in_use_needs_no_fresh_answer_while_nothing_says_that_it_is_dead() {
    let mut selector = selector(&[reflexive(1), relay()]);
    answer(&mut selector, &reflexive(1), 10_000);
    selector.select(NOW);
    assert_eq!(selector.select(NOW + Duration::from_secs(3600)).chosen, Some(reflexive(1)));
}

#[test]
fn a_working_address_outlives_a_map_that_no_longer_names_it() {
    let mut selector = selector(&[reflexive(1), reflexive(2)]);
    answer(&mut selector, &reflexive(1), 10_000);
    selector.set_candidates(&[reflexive(3)], NOW);
    let selection = selector.select(NOW);
    assert_eq!(selection.chosen, Some(reflexive(1)));
    assert_eq!(selection.verdicts.len(), 2);
}

#[test]
fn a_mesh_address_is_never_chosen() {
    let mut selector = Selector::new(Policy::default(), vec![("100.92.0.0".parse().unwrap(), 16)]);
    let inside = candidate(CandidateKind::Host, "100.92.0.7:4000");
    selector.add_candidate(inside.clone());
    answer(&mut selector, &inside, 1);
    let selection = selector.select(NOW);
    assert_eq!(selection.chosen, None);
    assert_eq!(reason(&selection, &inside), Reason::Unusable { why: Unusable::InsideMesh });
}

fn learnt(port: u16) -> Candidate {
    candidate(CandidateKind::PeerReflexive, &format!("203.0.113.1:{port}"))
}

fn addresses(selector: &mut Selector) -> Vec<SocketAddr> {
    selector.select(NOW).verdicts.into_iter().map(|verdict| verdict.candidate.address).collect()
}

#[test]
fn a_learnt_address_takes_the_place_of_one_that_never_answered_or_did_so_longest_ago() {
    let mut selector = Selector::default();
    for port in 1..=16 {
        selector.add_candidate(learnt(port));
        let at = NOW + Duration::from_secs(u64::from(port));
        if port != 7 {
            let kind = ObservationKind::ProbeAnswered { rtt_us: 10_000 };
            selector.observe(Observation { remote: learnt(port).address, at, kind });
        }
    }
    for (new, gone) in [(17, 7), (18, 17), (19, 18)] {
        assert!(selector.add_candidate(learnt(new)));
        let left = addresses(&mut selector);
        assert!(left.len() == 16 && !left.contains(&learnt(gone).address), "{left:?}");
    }
    // All answered: the first did so before all others.
    answer(&mut selector, &learnt(19), 10_000);
    selector.observe(Observation {
        remote: learnt(19).address,
        at: NOW + Duration::from_secs(60),
        kind: ObservationKind::ProbeAnswered { rtt_us: 10_000 },
    });
    selector.current = None;
    selector.add_candidate(learnt(20));
    assert!(!selector.paths.contains_key(&learnt(1).address));
}

#[test]
fn a_flood_of_learnt_addresses_leaves_the_path_in_use_and_all_that_others_told() {
    let mut selector = selector(&[host(), reflexive(1), relay()]);
    selector.add_candidate(learnt(1));
    answer(&mut selector, &learnt(1), 10_000);
    assert_eq!(selector.select(NOW).chosen, Some(learnt(1)));
    for port in 2..1_000 {
        assert!(selector.add_candidate(learnt(port)));
        answer(&mut selector, &learnt(port), 10_000);
        assert_eq!(selector.select(NOW).chosen, Some(learnt(1)));
    }
    assert_eq!(addresses(&mut selector).len(), 3 + 16);
}

#[test]
fn a_learnt_address_that_answers_no_longer_is_forgotten_after_one_more_round() {
    let mut selector = selector(&[reflexive(1)]);
    for candidate in [learnt(1), learnt(2), reflexive(1)] {
        selector.add_candidate(candidate.clone());
        answer(&mut selector, &candidate, 10_000);
    }
    let later = NOW + Duration::from_secs(60);
    for _ in 0..2 {
        selector.forget_learnt(9, later);
        assert_eq!(
            selector.status(reflexive(1).address),
            Some(&PathStatus::Answered { at: NOW, unanswered: 0 })
        );
        for port in [1, 2] {
            (0..9).for_each(|_| see(&mut selector, &learnt(port), ObservationKind::ProbeSent));
        }
        let kind = ObservationKind::ProbeAnswered { rtt_us: 10_000 };
        selector.observe(Observation { remote: learnt(2).address, at: later, kind });
    }
    assert_eq!(selector.status(learnt(1).address), None);
    assert_eq!(selector.status(learnt(2).address), Some(&PathStatus::Answered { at: later, unanswered: 0 }));
}

#[test]
fn only_a_path_of_the_same_or_a_better_tier_may_replace_one_that_serves_well() {
    let mut selector = selector(&[host(), reflexive(1), reflexive(2), relay()]);
    selector.select(NOW);
    let may =
        |selector: &Selector, candidate: Candidate| selector.may_replace_current(candidate.address, NOW);
    assert!(may(&selector, host()) && may(&selector, reflexive(1)), "the relay is in use");
    answer(&mut selector, &reflexive(1), 10_000);
    selector.select(NOW);
    assert!(may(&selector, host()) && may(&selector, reflexive(2)));
    answer(&mut selector, &host(), 1_000);
    selector.select(NOW);
    assert!(!may(&selector, reflexive(1)) && !may(&selector, reflexive(2)));
    see(&mut selector, &host(), ObservationKind::PayloadMeasured { payload_max: 1_000 });
    assert!(may(&selector, reflexive(1)), "it serves badly");
}

#[test]
fn dead_addresses_give_way_to_new_ones() {
    let mut selector = Selector::default();
    for port in 1..=16 {
        selector.add_candidate(learnt(port));
        answer(&mut selector, &learnt(port), 10_000);
    }
    let later = NOW + Duration::from_secs(60);
    selector.set_candidates(&[reflexive(2)], later);
    let selection = selector.select(later);
    assert_eq!(selection.verdicts.len(), 1, "{selection:?}");
}

/// Two relays of which the farther one was seen to lose nothing, the nearer one only registered.
fn proven_and_near() -> (Selector, Candidate) {
    let near = candidate(CandidateKind::Relayed, "198.51.100.2:3478");
    let mut selector = selector(&[reflexive(1), relay()]);
    for _ in 0..32 {
        answer(&mut selector, &relay(), 80_000);
    }
    selector.add_candidate(near.clone());
    answer(&mut selector, &near, 10_000);
    (selector, near)
}

#[test]
fn among_relays_a_nearer_one_has_nothing_to_prove() {
    let (mut selector, near) = proven_and_near();
    assert_eq!(selector.select(NOW).chosen, Some(near));
}

#[test]
fn a_relay_in_the_place_of_a_lossy_direct_path_must_have_shown_that_it_loses_little() {
    let (mut selector, _) = proven_and_near();
    answer(&mut selector, &reflexive(1), 5_000);
    for _ in 0..32 {
        see(&mut selector, &reflexive(1), ObservationKind::ProbeLost);
    }
    assert_eq!(selector.select(NOW).chosen, Some(relay()));
    let (mut selector, near) = proven_and_near();
    selector.remove_relay(relay().address);
    answer(&mut selector, &reflexive(1), 5_000);
    for _ in 0..32 {
        see(&mut selector, &reflexive(1), ObservationKind::ProbeLost);
    }
    assert_eq!(selector.select(NOW).chosen, Some(reflexive(1)), "{near:?} may lose as much");
}

#[test]
fn a_relay_s_address_never_becomes_a_direct_one() {
    let mut selector = selector(&[relay()]);
    selector.add_candidate(Candidate { kind: CandidateKind::ServerReflexive, ..relay() });
    assert_eq!(selector.select(NOW).chosen, Some(relay()));
}

#[test]
fn a_flood_of_candidates_is_bounded() {
    let mut selector = Selector::default();
    for port in 1..10_000 {
        selector.add_candidate(candidate(CandidateKind::Host, &format!("10.0.0.1:{port}")));
    }
    assert_eq!(selector.select(NOW).verdicts.len(), Policy::default().candidates_max);
}

#[test]
fn a_reason_has_a_stable_form_for_machines() {
    let json = serde_json::to_string(&Reason::NoAnswer { probes: 3, cause: None }).unwrap();
    assert_eq!(json, r#"{"code":"no-answer","probes":3}"#);
}
