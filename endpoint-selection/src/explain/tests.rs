//! The story of a pair: one reason per candidate, the same story for the same evidence, and advice only where it helps.

use proptest::prelude::*;

use super::*;
use crate::address::check_address;
use crate::nat::Allocation;
use crate::observation::{Observation, ObservationKind};
use crate::time::Timestamp;
use crate::traversal::examples::{
    any_side, behind, blocked, candidate, dependent, host, independent, public, unknown,
};

const RELAY: &str = "198.51.100.10:3478";
const RANDOM: Option<Allocation> = Some(Allocation::Random);
const ANSWERED: ObservationKind = ObservationKind::ProbeAnswered { rtt_us: 21_000 };

fn now() -> Timestamp {
    Timestamp::from_micros(60_000_000)
}

/// A node that is connected to the relay and has seen the same of each address of the other.
fn view(name: &str, own: &Side, peer: &Side, seen: &[ObservationKind]) -> NodeView {
    let mut selector = Selector::new(Policy::default(), Vec::new());
    let relay = candidate(CandidateKind::Relayed, RELAY);
    selector.add_candidate(relay.clone());
    let observed = |remote, kind| Observation { remote, at: now(), kind };
    selector.observe(observed(relay.address, ObservationKind::RelayRegistered { rtt_us: None }));
    for candidate in &peer.candidates {
        selector.add_candidate(candidate.clone());
        seen.iter().for_each(|kind| selector.observe(observed(candidate.address, *kind)));
    }
    selector.select(now());
    let paths = Some(selector.snapshot(now()));
    NodeView { name: name.into(), candidates: own.candidates.clone(), nat: own.nat, paths }
}

fn pair(own: &Side, peer: &Side, seen: &[ObservationKind]) -> Pair {
    Pair {
        own: view("laptop", own, peer, seen),
        peer: view("server", peer, own, seen),
        mesh: Vec::new(),
        relays: vec![RelayName { name: "fra1".into(), address: RELAY.parse().unwrap() }],
    }
}

/// A round of plain opening without an answer.
const UNANSWERED: [ObservationKind; 9] = [ObservationKind::ProbeSent; 9];

fn codes(pair: &Pair) -> Vec<AdviceCode> {
    explain(pair).advice.iter().map(|advice| advice.code).collect()
}

fn with_ipv6(mut side: Side, number: u16) -> Side {
    side.candidates.push(host(&format!("[2001:db8:{number}::1]:41641")));
    side
}

#[test]
fn a_direct_path_needs_no_advice() {
    let (own, peer) = (behind(dependent(RANDOM), 1), behind(dependent(RANDOM), 2));
    let explanation = explain(&pair(&own, &peer, &[ANSWERED]));
    assert_eq!((explanation.carrier, explanation.advice), (Carrier::Direct, Vec::new()));
}

#[test]
fn nothing_is_advised_while_a_direct_path_is_being_opened() {
    let nat = independent(None);
    let probed_once = [ObservationKind::ProbeSent];
    for seen in [&[][..], &probed_once] {
        let explanation = explain(&pair(&behind(nat, 1), &behind(nat, 2), seen));
        assert_eq!(
            explanation.sentence,
            "A direct path is being opened; until one answers, traffic goes over relay fra1."
        );
        assert_eq!((explanation.advice, explanation.plan.chance_ppm), (Vec::new(), Some(990_000)));
    }
}

#[test]
fn what_should_answer_and_does_not_promises_nothing_any_more() {
    let nat = independent(None);
    let pair = pair(&behind(nat, 1), &behind(nat, 2), &UNANSWERED);
    let explanation = explain(&pair);
    assert_eq!((explanation.plan.chance_ppm, explanation.plan.opening.chance_ppm), (None, None));
    assert!(explanation.sentence.starts_with("Nothing known stands in the way"), "{}", explanation.sentence);
    let expected = [AdviceCode::OpenFirewall, AdviceCode::EnablePortMapping, AdviceCode::EnableIpv6];
    assert_eq!(codes(&pair), expected);
}

#[test]
fn nothing_is_advised_while_a_technique_is_worth_its_packets() {
    for allocation in [RANDOM, Some(Allocation::Sequential { step: 1 })] {
        let (own, peer) = (behind(dependent(allocation), 1), behind(independent(None), 2));
        let explanation = explain(&pair(&own, &peer, &UNANSWERED));
        assert_eq!(explanation.advice, Vec::new());
        assert!(explanation.sentence.contains("one attempt sends up to"), "{}", explanation.sentence);
    }
}

#[test]
fn changing_ports_on_both_sides_ask_for_port_mapping_or_ipv6() {
    let side = |last| behind(dependent(RANDOM), last);
    let explanation = explain(&pair(&side(1), &side(2), &UNANSWERED));
    assert_eq!(
        explanation.sentence,
        "Both sides are behind NATs that use a new port per destination; a direct path would need about 54,000 packets \
         each, so traffic stays on relay fra1."
    );
    let sentences: Vec<&str> = explanation.advice.iter().map(|advice| advice.sentence.as_str()).collect();
    assert_eq!(
        sentences,
        [
            "Turn on port mapping (UPnP, NAT-PMP or PCP) on either router, or forward a UDP port there to the node and \
             name it with `--static-candidate`.",
            "Or give both nodes IPv6.",
        ]
    );
}

#[test]
fn port_mapping_is_advised_only_on_a_router_that_the_internet_reaches() {
    let side = |last, inner: Option<&str>| {
        let mut side = behind(dependent(RANDOM), last);
        side.nat.inner_address = inner.map(|inner| inner.parse().unwrap());
        side
    };
    let first = |own: Option<&str>, peer: Option<&str>| {
        explain(&pair(&side(1, own), &side(2, peer), &UNANSWERED)).advice[0].sentence.clone()
    };
    let carrier = Some("100.64.0.9");
    assert!(first(carrier, None).contains("on server's router"), "{}", first(carrier, None));
    assert!(first(None, carrier).contains("on laptop's router"), "{}", first(None, carrier));
    assert_eq!(first(carrier, carrier), "Give both nodes IPv6.");
}

#[test]
fn ipv6_is_advised_only_to_whom_it_is_missing() {
    let side = |last| behind(dependent(RANDOM), last);
    let sentences = |own: &Side, peer: &Side| {
        let advice = explain(&pair(own, peer, &UNANSWERED)).advice;
        advice.iter().map(|advice| advice.sentence.clone()).collect::<Vec<_>>().join(" ")
    };
    assert!(sentences(&with_ipv6(side(1), 1), &side(2)).ends_with("Or give server IPv6."));
    assert!(sentences(&side(1), &with_ipv6(side(2), 2)).ends_with("Or give laptop IPv6."));
    assert!(!sentences(&with_ipv6(side(1), 1), &with_ipv6(side(2), 2)).contains("IPv6"));
    let mut local = side(1);
    local.candidates.extend([host("[fe80::1]:41641"), host("[fd00::1]:41641")]);
    assert!(sentences(&local, &side(2)).ends_with("Or give both nodes IPv6."), "neither leads anywhere");
}

#[test]
fn blocked_udp_is_named_for_each_side_that_blocks_it() {
    let names = |own: &Side, peer: &Side| -> Vec<String> {
        explain(&pair(own, peer, &UNANSWERED)).advice.into_iter().map(|advice| advice.sentence).collect()
    };
    let (open, shut) = (behind(independent(None), 1), behind(blocked(), 2));
    assert_eq!(names(&open, &shut), ["Let UDP out of server's network."]);
    assert_eq!(names(&shut, &open), ["Let UDP out of laptop's network."]);
    assert_eq!(names(&shut, &shut).len(), 2);
    let sentence = explain(&pair(&open, &shut, &UNANSWERED)).sentence;
    assert_eq!(sentence, "UDP does not leave server's network, so traffic stays on relay fra1.");
}

#[test]
fn a_nat_that_does_not_hairpin_has_one_advice_for_its_owner_and_one_for_its_customers() {
    let side = |host_address: &str, inner: Option<&str>| {
        let mut side = behind(independent(None), 1);
        side.nat.hairpin = Some(false);
        side.nat.inner_address = inner.map(|inner| inner.parse().unwrap());
        side.candidates[0] = host(host_address);
        side
    };
    let codes =
        |inner| codes(&pair(&side("192.168.1.2:7", inner), &side("192.168.2.2:7", inner), &UNANSWERED));
    assert_eq!(
        codes(None),
        [
            AdviceCode::RouteBetweenNetworks,
            AdviceCode::EnableHairpinning,
            AdviceCode::EnablePortMapping,
            AdviceCode::EnableIpv6,
        ]
    );
    assert_eq!(codes(Some("100.64.0.9")), [AdviceCode::EnablePortMapping, AdviceCode::EnableIpv6]);
}

#[test]
fn paths_that_serve_worse_are_advised_on_by_what_is_wrong_with_them() {
    let nat = independent(None);
    let told = |seen: &[ObservationKind]| {
        let explanation = explain(&pair(&public(1), &behind(nat, 2), seen));
        (explanation.carrier, explanation.advice.iter().map(|advice| advice.code).collect::<Vec<_>>())
    };
    let lost = [ANSWERED, ObservationKind::DataLost];
    assert_eq!(told(&lost), (Carrier::Relay, vec![AdviceCode::OpenFirewall]));
    let narrow = [ANSWERED, ObservationKind::PayloadMeasured { payload_max: 1_200 }];
    assert_eq!(told(&narrow), (Carrier::Relay, vec![AdviceCode::RaiseMtu]));
}

#[test]
fn a_path_in_use_that_loses_much_is_not_praised() {
    let mut seen = vec![ANSWERED; 21];
    seen.extend([ObservationKind::ProbeLost; 10]);
    seen.push(ANSWERED);
    let explanation = explain(&pair(&public(1), &public(2), &seen));
    assert_eq!(
        explanation.sentence,
        "laptop and server are connected directly over the internet, 21 ms, but it loses 31 % of the probes."
    );
}

#[test]
fn a_node_that_reported_nothing_is_not_said_to_reach_nothing() {
    let nat = independent(None);
    let mut silent = pair(&behind(nat, 1), &behind(nat, 2), &[ANSWERED]);
    silent.own.paths = None;
    let explanation = explain(&silent);
    assert_eq!(explanation.sentence, "laptop has not reported yet which paths to server it knows.");
    assert_eq!((explanation.carrier, codes(&silent)), (Carrier::Nothing, vec![AdviceCode::CheckAgents]));
}

#[test]
fn without_relay_and_path_the_agents_are_to_be_looked_at() {
    let nat = independent(None);
    let mut lost = pair(&behind(nat, 1), &behind(nat, 2), &UNANSWERED);
    lost.own.paths.as_mut().unwrap().paths.retain(|path| path.candidate.kind != CandidateKind::Relayed);
    let explanation = explain(&lost);
    assert_eq!(
        explanation.sentence,
        "Nothing reaches server from laptop: no relay and no direct path answers."
    );
    assert_eq!(codes(&lost), [AdviceCode::CheckAgents]);
}

#[test]
fn too_little_knowledge_is_admitted() {
    let pair = pair(&behind(unknown(), 1), &behind(unknown(), 2), &UNANSWERED);
    let explanation = explain(&pair);
    assert!(explanation.sentence.contains("too little is known about the NATs"), "{}", explanation.sentence);
    assert_eq!(explanation.advice, Vec::new());
}

#[test]
fn the_road_is_named_by_what_it_leads_through() {
    let nat = independent(None);
    let road = |own: &Side, peer: &Side| explain(&pair(own, peer, &[ANSWERED])).sentence;
    let one_peer = |own: Candidate| Side { candidates: vec![own], nat };
    for (peer, words) in [
        (host("192.168.1.7:7"), "inside one network"),
        (candidate(CandidateKind::PortMapped, "100.64.0.7:7"), "inside their carrier's network"),
        (candidate(CandidateKind::PortMapped, "192.168.8.7:7"), "behind one outer router"),
        (candidate(CandidateKind::ServerReflexive, "203.0.113.1:7"), "through the NAT that both are behind"),
        (candidate(CandidateKind::PortMapped, "203.0.113.2:7"), "through a port that server's router opened"),
        (host("[2001:db8::7]:7"), "over IPv6"),
        (candidate(CandidateKind::ServerReflexive, "203.0.113.2:7"), "over the internet"),
    ] {
        let sentence = road(&behind(nat, 1), &one_peer(peer));
        assert_eq!(sentence, format!("laptop and server are connected directly {words}, 21 ms."));
    }
}

fn any_seen() -> impl Strategy<Value = Vec<ObservationKind>> {
    let kind = prop_oneof![
        3 => Just(ObservationKind::ProbeSent),
        2 => Just(ANSWERED),
        2 => Just(ObservationKind::ProbeUnanswered),
        1 => Just(ObservationKind::ProbeLost),
        1 => Just(ObservationKind::DataLost),
        1 => any::<u16>().prop_map(|payload_max| ObservationKind::PayloadMeasured { payload_max }),
    ];
    proptest::collection::vec(kind, 0..20)
}

fn any_pair() -> impl Strategy<Value = Pair> {
    (any_side(), any_side(), any_seen(), any::<(bool, bool)>()).prop_map(|(own, peer, seen, reported)| {
        let mut pair = pair(&own, &peer, &seen);
        pair.own.paths = pair.own.paths.filter(|_| reported.0);
        pair.peer.paths = pair.peer.paths.filter(|_| reported.1);
        pair
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_candidate_of_both_sides_has_exactly_one_reason(pair in any_pair()) {
        let explanation = explain(&pair);
        for (of, by, explained) in [
            (&pair.peer, &pair.own, &explanation.peer_candidates),
            (&pair.own, &pair.peer, &explanation.own_candidates),
        ] {
            let known = by.paths.iter().flat_map(|paths| &paths.paths).map(|path| path.candidate.address);
            let mut expected: Vec<_> = of.candidates.iter().map(|c| c.address).chain(known).collect();
            expected.sort_unstable();
            expected.dedup();
            let told: Vec<_> = explained.iter().map(|explained| explained.candidate.address).collect();
            prop_assert_eq!(told, expected);
            prop_assert!(explained.iter().all(|explained| !explained.sentence.is_empty()));
            let chosen = explained.iter().filter(|explained| explained.reason.is_chosen()).count();
            prop_assert!(chosen <= 1);
        }
    }

    #[test]
    fn a_story_that_is_told_of_its_own_decision_is_the_same_story(pair in any_pair()) {
        let mut again = pair.clone();
        for (view, other) in [(&mut again.own, &pair.peer), (&mut again.peer, &pair.own)] {
            if let Some(paths) = &mut view.paths {
                let mut selector = Selector::restore(Policy::default(), Vec::new(), paths);
                for candidate in &other.candidates {
                    selector.add_candidate(candidate.clone());
                }
                selector.select(paths.now);
                *paths = selector.snapshot(paths.now);
            }
        }
        prop_assert_eq!(explain(&again), explain(&pair));
    }

    #[test]
    fn advice_is_short_distinct_and_never_for_a_direct_path(pair in any_pair()) {
        let explanation = explain(&pair);
        let mut codes: Vec<String> =
            explanation.advice.iter().map(|advice| format!("{:?}", advice.code)).collect();
        prop_assert!(codes.is_empty() || explanation.carrier != Carrier::Direct);
        let is_blocked = explanation.advice.iter().all(|advice| advice.code == AdviceCode::AllowUdp);
        codes.sort_unstable();
        codes.dedup();
        prop_assert!(is_blocked || codes.len() == explanation.advice.len());
        prop_assert!(explanation.sentence.len() < 300, "{}", explanation.sentence);
    }

    #[test]
    fn nothing_is_chosen_that_cannot_be_sent_to(pair in any_pair()) {
        let explanation = explain(&pair);
        let is_relay = explanation.carrier == Carrier::Relay;
        prop_assert!(is_relay || explanation.chosen.is_none_or(|chosen| check_address(chosen, &[]).is_ok()));
    }
}
