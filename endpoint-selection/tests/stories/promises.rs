//! What plans and advice promise, counted: simulated runs from many seeds against the chance that was told, and what becomes
//! of a pair whose user does what is advised.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use endpoint_selection::Timestamp;
use endpoint_selection::explain::AdviceCode;
use endpoint_selection::simulation::{Dependence, Hairpinning, Nat, NatBehaviour, Rng, Scenario, simulate};
use endpoint_selection::traversal::{Attempt, AttemptOutput, Punch, PunchKind, chance};

use super::played::{HOME, RANDOM, carrier, port_block, scenario, sequential};

/// Enough to tell 99 % from 95 %, and soon done.
const SEEDS: u64 = 200;

/// The fewest successes of `runs` that a chance leaves room for: three standard deviations below its mean.
fn at_least(chance_ppm: u32, runs: u64) -> u64 {
    let (mean, rest) = (runs * u64::from(chance_ppm) / 1_000_000, 1_000_000 - u64::from(chance_ppm));
    let variance = (mean * rest).div_ceil(1_000_000);
    mean - (9 * variance).isqrt()
}

/// Plays the scenario from many seeds, and compares how often it went direct with the chance that its plan tells.
fn keeps_its_promise(what: &str, scenario: &Scenario) {
    let mut promised = BTreeSet::new();
    let failed: Vec<u64> = (0..SEEDS)
        .filter(|seed| {
            // One attempt, begun some seconds after the start, is over by then, and the next has not begun.
            let run = simulate(&Scenario { seed: *seed, duration_ms: 20_000, ..scenario.clone() }).unwrap();
            let plan = &run.explanation.plan;
            promised.extend(plan.techniques.first().map(|technique| technique.chance_ppm));
            promised.extend(plan.opening.chance_ppm.filter(|chance| *chance > 0));
            !run.is_direct
        })
        .collect();
    let direct = SEEDS - failed.len() as u64;
    let highest = *promised.last().unwrap();
    assert!(
        direct >= at_least(highest, SEEDS),
        "{what}: {direct} of {SEEDS} direct, {highest} in a million promised; seeds {failed:?} failed"
    );
}

#[test]
fn plain_opening_keeps_its_promise_at_ten_percent_loss() {
    let lossy = Scenario { loss_ppm: 100_000, ..scenario(&[HOME], &[HOME]) };
    keeps_its_promise("plain opening", &lossy);
}

#[test]
fn prediction_keeps_its_promise() {
    keeps_its_promise("prediction", &scenario(&[sequential(1)], &[HOME]));
}

#[test]
fn mutual_prediction_keeps_its_promise() {
    keeps_its_promise("mutual prediction", &scenario(&[sequential(1)], &[sequential(2)]));
}

#[test]
fn the_search_of_a_block_keeps_its_promise_where_the_budget_covers_it() {
    keeps_its_promise("port block", &scenario(&[port_block(512)], &[HOME]));
}

#[test]
fn the_search_of_a_block_keeps_its_promise_where_it_is_wider_than_the_budget() {
    keeps_its_promise("wide port block", &scenario(&[port_block(4_096)], &[HOME]));
}

#[test]
fn birthday_keeps_its_promise() {
    keeps_its_promise("birthday", &scenario(&[RANDOM], &[NatBehaviour::firewall()]));
}

/// The ports that a prober sends to in a range of all, in order.
fn probed(seed: u64) -> Vec<u16> {
    let outside: SocketAddr = "203.0.113.1:5000".parse().unwrap();
    let kind = PunchKind::Range { first: 1_024, last: u16::MAX, probes: 2_048 };
    let mut prober = Attempt::prober(Timestamp::default(), &Punch { outside, kind }, seed);
    let mut ports = Vec::new();
    while let Some(next) = prober.poll_timeout() {
        prober.handle_timeout(next);
        while let Some(output) = prober.poll_output() {
            if let AttemptOutput::Probe { remote, .. } = output {
                ports.push(remote.port());
            }
        }
    }
    ports
}

#[test]
fn the_birthday_formula_is_what_a_nat_and_a_prober_do() {
    const RUNS: u64 = 300;
    let mut rng = Rng::new(1);
    let first_hits: Vec<usize> = (0..RUNS)
        .filter_map(|_| {
            let mut nat = Nat::new(RANDOM, "203.0.113.1".parse().unwrap());
            let prober: SocketAddr = "203.0.113.2:41641".parse().unwrap();
            let open: BTreeSet<u16> = (0..256_u16)
                .filter_map(|socket| {
                    let inside = SocketAddr::new("192.168.1.2".parse().unwrap(), 40_000 + socket);
                    nat.outbound(Timestamp::default(), inside, prober, &mut rng)
                })
                .map(|outside| outside.port())
                .collect();
            probed(rng.number()).iter().position(|port| open.contains(port))
        })
        .collect();
    for probes in [60, 175, 400, 1_024] {
        let hits = first_hits.iter().filter(|first| **first < probes).count() as u64;
        let told = chance::hit_ppm(256, chance::PORTS, u32::try_from(probes).unwrap());
        let mean = RUNS * u64::from(told) / 1_000_000;
        let allowed = mean - at_least(told, RUNS) + 1;
        assert!(
            hits.abs_diff(mean) <= allowed,
            "{probes} probes: {hits} of {RUNS}, {told} in a million told"
        );
    }
}

/// What the scenario becomes for a user who does what is advised: one scenario for each router that may be meant.
fn followed(scenario: &Scenario, code: AdviceCode, sentence: &str) -> Vec<Scenario> {
    let mapped = |nodes: &[usize]| {
        let mut scenario = scenario.clone();
        nodes.iter().for_each(|node| scenario.nodes[*node].has_port_mapping = true);
        scenario
    };
    let mut changed = scenario.clone();
    match code {
        AdviceCode::AllowUdp => changed.nodes.iter_mut().for_each(|node| node.is_udp_blocked = false),
        AdviceCode::EnableIpv6 => changed.nodes.iter_mut().for_each(|node| node.has_ipv6 = true),
        AdviceCode::EnableHairpinning => {
            changed.shared.iter_mut().for_each(|nat| nat.hairpinning = Hairpinning::Open);
        }
        AdviceCode::EnablePortMapping if sentence.contains("both home routers") => {
            return vec![mapped(&[0, 1])];
        }
        AdviceCode::EnablePortMapping if sentence.contains("either router") => {
            return vec![mapped(&[0]), mapped(&[1])];
        }
        // No box of the simulator stands for these.
        AdviceCode::RouteBetweenNetworks => return Vec::new(),
        AdviceCode::EnablePortMapping
        | AdviceCode::OpenFirewall
        | AdviceCode::RaiseMtu
        | AdviceCode::CheckAgents => panic!("{code:?} was not expected: {sentence}"),
    }
    vec![changed]
}

#[test]
fn whoever_does_what_is_advised_is_connected_directly() {
    let address_dependent =
        NatBehaviour::new(Dependence::AddressDependent, Dependence::AddressAndPortDependent);
    let mut blocked = scenario(&[HOME], &[HOME]);
    blocked.nodes[1].is_udp_blocked = true;
    let mut one_ipv6 = scenario(&[RANDOM], &[RANDOM]);
    one_ipv6.nodes[1].has_ipv6 = true;
    let one_carrier = Scenario { shared: vec![carrier(Hairpinning::None)], ..scenario(&[HOME], &[HOME]) };
    let mut followed_in_all = BTreeSet::new();
    for before in [
        scenario(&[RANDOM], &[RANDOM]),
        scenario(&[RANDOM], &[sequential(1)]),
        scenario(&[port_block(512)], &[port_block(512)]),
        scenario(&[address_dependent], &[address_dependent]),
        one_ipv6,
        one_carrier,
        blocked,
    ] {
        let run = simulate(&before).unwrap();
        assert!(!run.is_direct && !run.explanation.advice.is_empty(), "{:?}", run.explanation);
        for advice in run.explanation.advice {
            for after in followed(&before, advice.code, &advice.sentence) {
                let run = simulate(&after).unwrap();
                assert!(run.is_direct, "{} did not help: {}", advice.sentence, run.explanation.sentence);
                followed_in_all.insert(format!("{:?}", advice.code));
            }
        }
    }
    assert_eq!(followed_in_all.len(), 4, "{followed_in_all:?}");
}
