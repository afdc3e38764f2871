//! What is tried where plain opening opens nothing, and what it costs.

use std::num::{NonZeroI16, NonZeroU16};

use crate::*;

/// Foreign flows of a busy household in a tenth of a second.
const BUSY: u32 = 2;

/// A box that maps and filters by address and port, and takes such ports.
fn symmetric(allocation: PortAllocation) -> NatBehaviour {
    let dependence = Dependence::AddressAndPortDependent;
    NatBehaviour { allocation, ..NatBehaviour::new(dependence, dependence) }
}

fn port_restricted() -> NatBehaviour {
    NatBehaviour::new(Dependence::EndpointIndependent, Dependence::AddressAndPortDependent)
}

/// Two nodes on machines that give side sockets, and the networks they are in.
fn pair(seed: u64, boxes: [NatBehaviour; 2]) -> (World, [Segment; 2], [NodeId; 2]) {
    let mut world = World::new(seed).with_transcript();
    let homes = boxes.map(|behaviour| world.network_behind(INTERNET, behaviour));
    let nodes = homes.map(|home| {
        let node = world.node_stopped(home);
        world.set_side_sockets_max(node, engine::SIDE_SOCKETS_MAX);
        world.start(node);
        node
    });
    world.connect(nodes[0], nodes[1]);
    (world, homes, nodes)
}

/// How long such a pair takes to be direct, with twenty seeds, in order. Then it stays so, and all its traffic arrives.
fn times_to_direct(boxes: [NatBehaviour; 2], foreign_flows: u32) -> Vec<Duration> {
    let mut times = Vec::new();
    for seed in 0..20 {
        let (mut world, homes, [a, b]) = pair(seed, boxes);
        let start = world.now();
        let mut is_direct = false;
        while !is_direct && world.now().since(start) < seconds(60) {
            homes.iter().for_each(|home| _ = world.foreign_flows(*home, foreign_flows));
            is_direct = world.run_until_done(millis(100), |world| world.is_direct(a, b)).is_some();
        }
        assert!(is_direct, "seed {seed} is not direct\n{}", world.transcript());
        times.push(world.now().since(start));
        world.run_for(seconds(1));
        world.mark();
        world.run_for(seconds(60));
        assert!(world.is_direct(a, b), "{}", world.transcript());
        assert_traffic_flows(&world, a, b);
    }
    times.sort();
    times
}

#[test]
fn random_ports_are_guessed_within_four_seconds_half_of_the_time_and_ten_nearly_always() {
    for partner in [port_restricted(), NatBehaviour::firewall()] {
        let times = times_to_direct([partner, symmetric(PortAllocation::Random)], BUSY);
        assert!(times[9] < seconds(4) && times[18] < seconds(10), "{times:?}");
    }
}

#[test]
fn ports_in_sequence_are_predicted_within_three_seconds_beside_foreign_flows() {
    for step in [1, 2, -1] {
        let allocation = PortAllocation::Sequential { step: NonZeroI16::new(step).unwrap() };
        let times = times_to_direct([port_restricted(), symmetric(allocation)], BUSY);
        assert!(times[18] < seconds(3), "step {step}: {times:?}");
    }
}

#[test]
fn two_sequences_meet_within_three_seconds_beside_foreign_flows() {
    let times = times_to_direct([symmetric(PortAllocation::NEXT); 2], BUSY);
    assert!(times[18] < seconds(3), "{times:?}");
}

#[test]
fn a_block_of_ports_is_searched_within_five_seconds() {
    let block = PortAllocation::PortBlock { size: NonZeroU16::new(512).unwrap() };
    let times = times_to_direct([port_restricted(), symmetric(block)], 0);
    assert!(times[18] < seconds(5), "{times:?}");
}

#[test]
fn random_ports_on_both_sides_cost_no_attempt() {
    let (mut world, _, [a, b]) = pair(1, [symmetric(PortAllocation::Random); 2]);
    world.run_for(seconds(600));
    assert!(world.is_relayed(a, b));
    assert_eq!(world.peaks().guesses, 0, "{}", world.transcript());
    assert_traffic_flows(&world, a, b);
}

/// Where a firewall swallows all that is guessed, attempts end, and the pauses between them grow.
#[test]
fn attempts_in_vain_become_rare() {
    let (mut world, _, [a, b]) = pair(2, [port_restricted(), symmetric(PortAllocation::Random)]);
    world.run_for(seconds(1));
    world.partition(a, b);
    world.run_for(seconds(1_800));
    world.mark();
    let before = world.probes_sent(a, b);
    world.run_for(seconds(6_000));
    let sent = world.probes_sent(a, b) - before;
    // An attempt of at most 2,048 probes in ten minutes, beside rounds and what is asked over the relay: 24 a minute for the
    // path and 8 for its tunnel MTU.
    assert!(sent < 10 * (2_048 + 10 * 32 + 3 * 2 * 9 * 4), "{sent}");
    assert!(sent > 6 * 2_048, "it stopped trying: {sent}");
    assert_traffic_flows(&world, a, b);
}

#[test]
fn an_attempt_that_succeeds_leaves_all_other_sockets_to_the_next() {
    let (mut world, homes, [a, b]) = pair(3, [port_restricted(), symmetric(PortAllocation::Random)]);
    for _ in 0..10 {
        let direct = world.run_until_done(seconds(30), |world| world.is_direct(a, b));
        assert!(direct.is_some(), "{}", world.transcript());
        world.run_for(seconds(3));
        world.reboot_nat(homes[1]);
        let relayed = world.run_until_done(seconds(30), |world| world.is_relayed(a, b));
        assert!(relayed.is_some(), "{}", world.transcript());
    }
}

/// Two servers in the internet and one in the carrier's network: only the first two see what peers have to send to.
#[test]
fn a_server_inside_the_carrier_s_network_does_not_mislead_an_attempt() {
    let mut world = World::new(4).with_transcript();
    let outer = NatBehaviour::new(Dependence::EndpointIndependent, Dependence::AddressAndPortDependent);
    let carrier = world.network_with(INTERNET, outer, Addresses::Carrier(1));
    world.add_stun_server(carrier);
    let inner = world.network_behind(carrier, symmetric(PortAllocation::NEXT));
    let home = world.network_behind(INTERNET, port_restricted());
    let [a, b] = [inner, home].map(|segment| {
        let node = world.node_stopped(segment);
        world.set_side_sockets_max(node, engine::SIDE_SOCKETS_MAX);
        world.start(node);
        node
    });
    world.connect(a, b);
    let direct = world.run_until_done(seconds(30), |world| world.is_direct(a, b));
    assert!(direct.is_some(), "{}", world.transcript());
}
