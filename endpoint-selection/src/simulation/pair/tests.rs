//! The combinations of NATs, each played from many seeds: what opens, how fast, and at what cost.

use std::num::{NonZeroI16, NonZeroU16};

use super::super::nat::{Dependence, Hairpinning, NatBehaviour, PortAllocation};
use super::super::scenario::{Change, SimulatedNode};
use super::*;
use crate::candidate::CandidateSource;
use crate::nat::{Filtering, Mapping, NatProfile};

const EI: Dependence = Dependence::EndpointIndependent;
const AD: Dependence = Dependence::AddressDependent;
const APD: Dependence = Dependence::AddressAndPortDependent;

fn nat(mapping: Dependence, filtering: Dependence) -> NatBehaviour {
    NatBehaviour::new(mapping, filtering)
}

fn symmetric(allocation: PortAllocation) -> NatBehaviour {
    NatBehaviour { allocation, ..nat(APD, APD) }
}

fn sequential(step: i16) -> NatBehaviour {
    symmetric(PortAllocation::Sequential { step: NonZeroI16::new(step).unwrap() })
}

fn block(size: u16) -> NatBehaviour {
    symmetric(PortAllocation::PortBlock { size: NonZeroU16::new(size).unwrap() })
}

fn scenario(seed: u64, a: &[NatBehaviour], b: &[NatBehaviour]) -> Scenario {
    let node = |name: &str, boxes: &[NatBehaviour]| SimulatedNode {
        name: name.into(),
        boxes: boxes.to_vec(),
        delay_ms: 10,
        foreign_flows_per_s: 20,
        ..SimulatedNode::default()
    };
    Scenario {
        seed,
        nodes: [node("a", a), node("b", b)],
        shared: Vec::new(),
        carrier_server: false,
        same_network: false,
        loss_ppm: 0,
        duration_ms: 30_000,
        changes: Vec::new(),
    }
}

/// How many of `seeds` runs ended directly, and the longest time that it took.
fn score(seeds: u64, make: impl Fn(u64) -> Scenario) -> (u64, u32) {
    let runs: Vec<Run> = (0..seeds).map(|seed| simulate(&make(seed)).unwrap()).collect();
    let direct = runs.iter().filter(|run| run.is_direct).count() as u64;
    for run in &runs {
        assert!(run.probes.iter().all(|probes| *probes < 6_000), "{:?}", run.probes);
    }
    (direct, runs.iter().filter_map(|run| run.direct_after_ms).max().unwrap_or(0))
}

#[test]
fn plain_opening_works_wherever_one_address_is_known_and_the_other_filter_allows() {
    let firewall = NatBehaviour::firewall();
    let all: [&[NatBehaviour]; 7] = [
        &[],
        &[firewall],
        &[nat(EI, EI)],
        &[nat(EI, AD)],
        &[nat(EI, APD)],
        &[nat(AD, AD)],
        &[symmetric(PortAllocation::Random)],
    ];
    for (i, a) in all.iter().enumerate() {
        for b in &all[..=i] {
            let is_known =
                |boxes: &[NatBehaviour]| boxes.first().is_none_or(|b| b.mapping.is_none_or(|m| m == EI));
            let is_lax = |boxes: &[NatBehaviour]| boxes.first().is_none_or(|b| b.filtering < APD);
            let opens = (is_known(a) && (is_known(b) || is_lax(a))) || (is_known(b) && is_lax(b));
            if opens {
                let (direct, slowest) = score(3, |seed| scenario(seed, a, b));
                assert_eq!(direct, 3, "{a:?} {b:?}");
                assert!(slowest < 4_500, "{slowest} {a:?} {b:?}");
            }
        }
    }
}

#[test]
fn each_technique_opens_what_it_is_for_at_its_price() {
    let known = nat(EI, APD);
    for (a, b) in [
        (known, symmetric(PortAllocation::Random)),
        (NatBehaviour::firewall(), sequential(1)),
        (known, sequential(2)),
        (known, sequential(-1)),
        (known, block(512)),
        (sequential(1), sequential(1)),
    ] {
        let (direct, slowest) = score(4, |seed| scenario(seed, &[a], &[b]));
        assert_eq!(direct, 4, "{a:?} {b:?}");
        assert!(slowest < 20_000, "{slowest} {a:?} {b:?}");
    }
}

#[test]
fn two_random_sides_stay_on_the_relay_and_know_why() {
    let random = [symmetric(PortAllocation::Random)];
    let run = simulate(&scenario(1, &random, &random)).unwrap();
    assert!(!run.is_direct);
    assert_eq!(
        run.explanation.sentence,
        "Both sides are behind NATs that use a new port per destination; a direct path would need about 54,000 packets \
         each, so traffic stays on relay r1."
    );
}

#[test]
fn one_network_is_used_before_the_router_is_asked() {
    let mut scenario = scenario(1, &[nat(EI, APD)], &[]);
    scenario.same_network = true;
    let run = simulate(&scenario).unwrap();
    assert!(run.is_direct);
    assert!(run.explanation.sentence.contains("directly inside one network"), "{}", run.explanation.sentence);
}

#[test]
fn two_homes_behind_one_carrier_meet_where_it_hairpins_and_only_there() {
    for hairpinning in [Hairpinning::Open, Hairpinning::Filtered, Hairpinning::None] {
        let carrier = NatBehaviour { hairpinning, allocation: PortAllocation::Random, ..nat(EI, APD) };
        let mut scenario = scenario(1, &[nat(EI, APD)], &[nat(EI, APD)]);
        scenario.shared = vec![carrier];
        assert_eq!(
            simulate(&scenario).unwrap().is_direct,
            hairpinning != Hairpinning::None,
            "{hairpinning:?}"
        );
    }
}

/// What the two know of their NATs at the end.
fn profiles(scenario: &Scenario) -> [NatProfile; 2] {
    let mut play = Play::new(scenario);
    play.run();
    [0, 1].map(|host| play.parties[host].as_ref().unwrap().side().nat)
}

#[test]
fn a_party_learns_whether_its_nat_hairpins() {
    for hairpinning in [Hairpinning::Open, Hairpinning::Filtered, Hairpinning::None] {
        let home = NatBehaviour { hairpinning, ..nat(EI, APD) };
        let [own, peer] = profiles(&scenario(1, &[home], &[]));
        assert_eq!(own.hairpin, Some(hairpinning != Hairpinning::None), "{hairpinning:?}");
        assert_eq!(peer.hairpin, None, "it has no NAT");
    }
}

#[test]
fn a_party_learns_how_lax_its_filter_is_from_who_gets_through() {
    let random = symmetric(PortAllocation::Random);
    for (filtering, known) in
        [(EI, Some(Filtering::EndpointIndependent)), (AD, Some(Filtering::AddressDependent)), (APD, None)]
    {
        let mut scenario = scenario(1, &[nat(EI, filtering)], &[random]);
        // The other learns where to send first: what comes from an address that was sent to proves less.
        scenario.nodes[1].starts_at_ms = 1_000;
        let [own, _] = profiles(&scenario);
        assert_eq!(own.filtering, known, "{filtering:?}");
    }
}

#[test]
fn a_nat_that_shows_servers_another_port_is_found_out_by_a_peer_that_it_reaches() {
    let mut scenario = scenario(1, &[symmetric(PortAllocation::Random)], &[nat(EI, EI)]);
    scenario.nodes[0].are_servers_exempt = true;
    let [own, _] = profiles(&scenario);
    assert_eq!(own.mapping, Some(Mapping::EndpointIndependent));
    assert_eq!(own.is_contradicted, Some(true));
}

#[test]
fn a_server_between_two_nats_adds_an_address_and_does_not_make_them_look_dependent() {
    let mut scenario = scenario(1, &[nat(EI, APD), nat(EI, EI)], &[nat(EI, APD)]);
    scenario.carrier_server = true;
    let [own, _] = profiles(&scenario);
    assert_eq!(own.mapping, Some(Mapping::EndpointIndependent));
    let inner = own.inner_address.unwrap();
    let run = simulate(&scenario).unwrap();
    assert!(run.is_direct);
    let told: Vec<_> = run.explanation.own_candidates.iter().map(|c| &c.candidate).collect();
    let from = |address| told.iter().find(|c| c.address.ip() == address).map(|c| c.source.clone());
    assert_eq!(from(inner), Some(CandidateSource::StunServer(CARRIER_SERVER)), "{told:?}");
}

#[test]
fn a_port_that_one_router_opens_on_request_is_enough_for_two_random_sides() {
    let random = [symmetric(PortAllocation::Random)];
    for node in [0, 1] {
        let mut scenario = scenario(1, &random, &random);
        scenario.nodes[node].has_port_mapping = true;
        let run = simulate(&scenario).unwrap();
        assert!(run.direct_after_ms.is_some_and(|ms| ms < 4_500), "{node} {run:?}");
    }
}

#[test]
fn behind_one_carrier_the_ports_that_home_routers_open_make_hairpinning_needless() {
    let mut scenario = scenario(1, &[nat(EI, APD)], &[nat(EI, APD)]);
    scenario.shared = vec![nat(EI, APD)];
    scenario.nodes.iter_mut().for_each(|node| node.has_port_mapping = true);
    let run = simulate(&scenario).unwrap();
    assert!(run.is_direct);
    assert!(
        run.explanation.sentence.contains("inside their carrier's network"),
        "{}",
        run.explanation.sentence
    );
}

#[test]
fn ipv6_on_both_sides_needs_no_luck_with_ipv4() {
    let random = [symmetric(PortAllocation::Random)];
    let mut scenario = scenario(1, &random, &random);
    scenario.nodes[0].has_ipv6 = true;
    assert!(!simulate(&scenario).unwrap().is_direct, "one alone helps nothing");
    scenario.nodes[1].has_ipv6 = true;
    let run = simulate(&scenario).unwrap();
    assert!(run.is_direct && run.explanation.chosen.unwrap().is_ipv6());
}

#[test]
fn a_side_socket_is_closed_with_the_path_that_it_carried() {
    let mut scenario = scenario(1, &[symmetric(PortAllocation::Random)], &[nat(EI, APD)]);
    scenario.duration_ms = 60_000;
    scenario.changes = vec![Change { at_ms: 30_000, node: 0, behaviour: nat(EI, APD) }];
    let mut play = Play::new(&scenario);
    play.run();
    assert_eq!(play.direct, [true; 2]);
    assert_eq!(play.sockets[0].len(), 1, "{:?}", play.sockets);
}

#[test]
fn a_router_that_changes_its_mind_costs_the_path_only_until_it_is_noticed() {
    let mut scenario = scenario(1, &[nat(EI, APD)], &[nat(EI, APD)]);
    scenario.duration_ms = 120_000;
    scenario.changes = vec![
        Change { at_ms: 30_000, node: 1, behaviour: symmetric(PortAllocation::Random) },
        Change { at_ms: 80_000, node: 1, behaviour: nat(EI, APD) },
    ];
    let run = simulate(&scenario).unwrap();
    assert!(run.is_direct);
    let learnt = run
        .events
        .iter()
        .filter(|event| event.node == 1 && matches!(event.what, RunEventKind::Learnt { .. }));
    assert!(learnt.count() >= 2, "{:?}", run.events);
}

#[test]
fn the_same_scenario_gives_the_same_run() {
    let make = |seed| scenario(seed, &[nat(EI, APD)], &[symmetric(PortAllocation::Random)]);
    assert_eq!(simulate(&make(7)), simulate(&make(7)));
    assert_ne!(simulate(&make(7)), simulate(&make(8)));
}

#[test]
fn endless_scenarios_are_refused_by_the_name_of_the_field() {
    let mut endless = scenario(1, &[], &[]);
    endless.duration_ms = u32::MAX;
    let error = simulate(&endless).unwrap_err();
    assert_eq!(error.to_string(), "duration_ms: 4294967295 given, at most 3600000 allowed");
    let mut deep = scenario(1, &[nat(EI, EI); 5], &[]);
    assert!(simulate(&deep).unwrap_err().to_string().starts_with("nodes[0].boxes"));
    deep.nodes[0].boxes.clear();
    deep.changes = vec![Change { at_ms: 1, node: 2, behaviour: nat(EI, EI) }];
    assert!(simulate(&deep).unwrap_err().to_string().starts_with("changes[].node"));
}

#[test]
fn requests_that_call_for_requests_from_ever_new_addresses_come_to_an_end() {
    for (ours, theirs) in [(EI, EI), (EI, AD), (AD, AD)] {
        let run = simulate(&scenario(1, &[nat(APD, ours)], &[nat(APD, theirs)])).unwrap();
        assert!(run.probes.iter().all(|probes| *probes < 6_000), "{:?}", run.probes);
    }
}
