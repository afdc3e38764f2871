//! The table of techniques, row by row, what holds of every plan, and that both sides plan alike.

use proptest::prelude::*;

use super::*;
use crate::nat::{Filtering, NatProfile};
use crate::reason::Cause;
use crate::traversal::examples::{
    any_side, behind, blocked, candidate, dependent, host, independent, public, reflexive, unknown,
};

const SEQUENTIAL: Option<Allocation> = Some(Allocation::Sequential { step: 2 });
const RANDOM: Option<Allocation> = Some(Allocation::Random);
const BLOCK: Option<Allocation> = Some(Allocation::PortBlock { first: 2_048, last: 2_559 });

fn planned(own: &Side, peer: &Side) -> Plan {
    plan(own, peer, 0)
}

/// The one technique of a plan.
fn technique(own: &Side, peer: &Side) -> Technique {
    let plan = planned(own, peer);
    assert_eq!((plan.techniques.len(), plan.obstacle), (1, None), "{plan:?}");
    plan.techniques[0].technique
}

#[test]
fn two_known_addresses_need_no_technique() {
    let nat = independent(None);
    for (own, peer) in [(behind(nat, 1), behind(nat, 2)), (public(1), behind(nat, 2)), (public(1), public(2))]
    {
        let plan = planned(&own, &peer);
        assert_eq!((plan.techniques.len(), plan.obstacle, plan.chance_ppm), (0, None, Some(990_000)));
    }
}

#[test]
fn a_lax_filter_and_a_changing_port_open_plainly() {
    let lax = behind(independent(Some(Filtering::AddressDependent)), 1);
    let changing = behind(dependent(RANDOM), 2);
    assert_eq!(planned(&lax, &changing).opening.chance_ppm, Some(990_000));
    assert_eq!(planned(&changing, &lax).opening.chance_ppm, Some(990_000));
    assert_eq!(planned(&behind(independent(None), 1), &changing).opening.chance_ppm, Some(0));
}

#[test]
fn ports_in_sequence_are_predicted_and_the_one_behind_that_nat_maps() {
    let known = behind(independent(None), 1);
    let sequential = behind(dependent(SEQUENTIAL), 2);
    let expected = |mapper| Technique::Prediction { mapper, step: 2, window: 16 };
    assert_eq!(technique(&known, &sequential), expected(Party::Peer));
    assert_eq!(technique(&sequential, &known), expected(Party::Own));
    assert_eq!(technique(&public(1), &sequential), expected(Party::Peer));
}

#[test]
fn a_port_that_is_kept_is_predicted_exactly() {
    let keeping = behind(dependent(Some(Allocation::Preserving)), 2);
    let expected = Technique::Prediction { mapper: Party::Peer, step: 0, window: 1 };
    assert_eq!(technique(&behind(independent(None), 1), &keeping), expected);
}

#[test]
fn two_sequences_are_predicted_at_once() {
    let (own, peer) = (behind(dependent(SEQUENTIAL), 1), behind(dependent(SEQUENTIAL), 2));
    assert_eq!(technique(&own, &peer), Technique::MutualPrediction { window: 16 });
}

#[test]
fn a_block_is_searched_whole_where_the_budget_allows() {
    let (known, block) = (behind(independent(None), 1), behind(dependent(BLOCK), 2));
    let expected = Technique::PortBlock { mapper: Party::Peer, first: 2_048, last: 2_559, sockets: 8 };
    assert_eq!(technique(&known, &block), expected);
}

#[test]
fn a_block_wider_than_the_budget_gets_more_sockets_and_stays_a_block() {
    let known = behind(independent(None), 1);
    for (first, last, expected) in [(4_096, 8_191, 16), (1, u16::MAX, 256)] {
        let wide = behind(dependent(Some(Allocation::PortBlock { first, last })), 2);
        let plan = planned(&known, &wide);
        let expected = Technique::PortBlock { mapper: Party::Peer, first, last, sockets: expected };
        assert_eq!(plan.techniques[0].technique, expected);
        assert!(plan.techniques[0].chance_ppm >= 980_000, "{plan:?}");
    }
}

#[test]
fn random_ports_are_guessed() {
    let expected = Technique::Birthday { mapper: Party::Own, sockets: 256, probes: 2_048 };
    for allocation in [RANDOM, None] {
        assert_eq!(technique(&behind(dependent(allocation), 1), &behind(independent(None), 2)), expected);
    }
}

#[test]
fn two_sides_of_which_one_is_random_do_not_meet_and_the_price_is_told() {
    let packets = |own, peer| {
        let plan = planned(&behind(dependent(own), 1), &behind(dependent(peer), 2));
        assert_eq!((plan.techniques.len(), plan.chance_ppm), (0, Some(0)));
        match plan.obstacle {
            Some(Obstacle::PortsOnBothSides { packets }) => packets,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(packets(RANDOM, RANDOM), 53_709);
    assert_eq!(packets(RANDOM, SEQUENTIAL), 53_709);
    assert_eq!(packets(BLOCK, BLOCK), 426);
}

#[test]
fn what_was_not_measured_gives_no_chance_and_no_obstacle() {
    let known = behind(independent(None), 1);
    let plan = planned(&known, &behind(unknown(), 2));
    assert_eq!((plan.techniques.len(), plan.obstacle, plan.chance_ppm), (0, None, None));
    let nobody = Side::default();
    assert_eq!((planned(&known, &nobody).chance_ppm, planned(&nobody, &known).chance_ppm), (None, None));
}

#[test]
fn a_changing_port_is_worked_on_even_where_nothing_is_known_of_the_other() {
    let expected = Technique::Prediction { mapper: Party::Own, step: 2, window: 16 };
    assert_eq!(technique(&behind(dependent(SEQUENTIAL), 1), &behind(unknown(), 2)), expected);
}

#[test]
fn blocked_udp_is_an_obstacle_that_names_the_side() {
    let (open, shut) = (behind(independent(None), 1), behind(blocked(), 2));
    for (own, peer, party) in [(&open, &shut, Party::Peer), (&shut, &open, Party::Own)] {
        let plan = planned(own, peer);
        assert_eq!(plan.obstacle, Some(Obstacle::UdpBlocked { party }));
        assert!(plan.techniques.is_empty());
    }
}

#[test]
fn a_contradicted_nat_is_guessed_and_not_believed_to_keep_its_port() {
    let lying = NatProfile { is_contradicted: Some(true), ..independent(None) };
    let known = behind(independent(None), 1);
    let expected = Technique::Birthday { mapper: Party::Peer, sockets: 256, probes: 2_048 };
    assert_eq!(technique(&known, &behind(lying, 2)), expected);
    // How new sockets get ports is not contradicted by that.
    let sequential = NatProfile { allocation: SEQUENTIAL, ..lying };
    let expected = Technique::Prediction { mapper: Party::Peer, step: 2, window: 16 };
    assert_eq!(technique(&known, &behind(sequential, 2)), expected);
}

#[test]
fn behind_one_nat_all_depends_on_its_hairpinning() {
    let side = |nat: NatProfile, hairpin| behind(NatProfile { hairpin, ..nat }, 1);
    let plan_of =
        |own: NatProfile, peer: NatProfile, hairpin| planned(&side(own, hairpin), &side(peer, None));
    let (known, random) = (independent(None), dependent(RANDOM));
    let refused = plan_of(known, random, Some(false));
    assert_eq!((refused.techniques.len(), refused.obstacle), (0, Some(Obstacle::NoHairpinning)));
    let not_measured = plan_of(known, random, None);
    assert_eq!((not_measured.techniques.len(), not_measured.obstacle), (0, None));
    assert!(matches!(
        plan_of(known, random, Some(true)).techniques[0].technique,
        Technique::Birthday { mapper: Party::Peer, .. }
    ));
    assert!(matches!(plan_of(random, random, Some(true)).obstacle, Some(Obstacle::PortsOnBothSides { .. })));
}

#[test]
fn later_attempts_look_farther_up_to_the_budget() {
    let (known, sequential) = (behind(independent(None), 1), behind(dependent(SEQUENTIAL), 2));
    let windows = |own: &Side, peer: &Side| -> Vec<u16> {
        let window = |failures| match plan(own, peer, failures).techniques[0].technique {
            Technique::Prediction { window, .. } | Technique::MutualPrediction { window } => window,
            other @ (Technique::PortBlock { .. } | Technique::Birthday { .. }) => panic!("{other:?}"),
        };
        [0, 1, 2, 3, u32::MAX].map(window).to_vec()
    };
    assert_eq!(windows(&known, &sequential), [16, 64, 256, 256, 256]);
    assert_eq!(windows(&behind(dependent(SEQUENTIAL), 1), &sequential), [16, 64, 170, 170, 170]);
}

#[test]
fn the_likeliest_and_then_the_shortest_paths_are_probed_first_and_relays_not_at_all() {
    let nat = independent(None);
    let mut peer = behind(nat, 1);
    peer.candidates.extend([
        candidate(CandidateKind::Relayed, "198.51.100.1:3478"),
        host("192.168.77.3:41641"),
        host("[2001:db8::2]:41641"),
        candidate(CandidateKind::PortMapped, "203.0.113.1:41641"),
    ]);
    let own = Side { nat: NatProfile { hairpin: Some(true), ..nat }, ..behind(nat, 1) };
    let remotes: Vec<String> =
        planned(&own, &peer).opening.pairs.iter().map(|pair| pair.remote.to_string()).collect();
    assert_eq!(
        remotes,
        [
            "192.168.1.20:41641",
            "203.0.113.1:41641",
            "203.0.113.1:50000",
            "192.168.77.3:41641",
            "[2001:db8::2]:41641",
        ]
    );
}

#[test]
fn a_base_is_named_where_there_is_only_one_of_the_family() {
    let peer = behind(independent(None), 2);
    let base = |candidates| {
        let own = Side { candidates, nat: independent(None) };
        planned(&own, &peer).opening.pairs.last().and_then(|pair| pair.base)
    };
    let (one, other) = (host("192.168.1.20:41641"), host("10.0.0.1:41641"));
    assert_eq!(base(vec![one.clone(), host("[2001:db8::1]:41641")]), Some(one.address));
    assert_eq!(base(vec![one, other]), None);
    assert_eq!(base(vec![reflexive("203.0.113.1:50000")]), None);
}

#[test]
fn ipv6_gives_a_chance_where_ipv4_has_none() {
    let with_ipv6 = |last, address| {
        let mut side = behind(dependent(RANDOM), last);
        side.candidates.push(host(address));
        side
    };
    let plan = planned(&with_ipv6(1, "[2001:db8:1::1]:41641"), &with_ipv6(2, "[2001:db8:2::1]:41641"));
    assert_eq!(plan.chance_ppm, Some(990_000));
}

/// The same technique, said by the other one.
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

proptest! {
    #[test]
    fn no_plan_exceeds_its_budget_or_certainty(own in any_side(), peer in any_side(), failures in any::<u32>()) {
        let plan = plan(&own, &peer, failures);
        prop_assert!(plan.chance_ppm.is_none_or(|chance| chance <= 1_000_000));
        for planned in &plan.techniques {
            prop_assert!(planned.chance_ppm <= 990_000, "{planned:?}");
            let Cost { sockets, probes, duration_ms } = planned.cost;
            prop_assert!(sockets <= plan.budget.sockets_max, "{planned:?}");
            prop_assert!(probes <= plan.budget.probes_max, "{planned:?}");
            prop_assert!(duration_ms <= 16_000, "{planned:?}");
        }
    }

    #[test]
    fn both_sides_plan_the_same(own in any_side(), peer in any_side(), failures in 0_u32..6) {
        let (ours, theirs) = (plan(&own, &peer, failures), plan(&peer, &own, failures));
        prop_assert_eq!(ours.chance_ppm, theirs.chance_ppm);
        prop_assert_eq!(ours.opening.chance_ppm, theirs.opening.chance_ppm);
        let seen = |plan: &Plan, turn: fn(Technique) -> Technique| -> Vec<_> {
            plan.techniques.iter().map(|p| (turn(p.technique), p.chance_ppm, p.cost)).collect()
        };
        prop_assert_eq!(seen(&ours, |technique| technique), seen(&theirs, mirrored));
    }

    #[test]
    fn every_direct_candidate_is_probed_whatever_the_plan_expects(own in any_side(), peer in any_side()) {
        let direct = |candidate: &&Candidate| candidate.kind != CandidateKind::Relayed;
        let mut expected: Vec<SocketAddr> = peer.candidates.iter().filter(direct).map(|c| c.address).collect();
        let mut probed: Vec<SocketAddr> = planned(&own, &peer).opening.pairs.iter().map(|p| p.remote).collect();
        expected.sort_unstable();
        probed.sort_unstable();
        // A candidate that is named twice is probed once.
        expected.dedup();
        probed.dedup();
        prop_assert_eq!(probed, expected);
    }

    #[test]
    fn a_missing_family_is_said_only_of_ipv6(own in any_side(), peer in any_side()) {
        for pair in planned(&own, &peer).opening.pairs {
            let is_missing = pair.prospect == Prospect::Unlikely { cause: Cause::NoSuchFamily };
            prop_assert!(!is_missing || pair.remote.ip().to_canonical().is_ipv6());
        }
    }
}
