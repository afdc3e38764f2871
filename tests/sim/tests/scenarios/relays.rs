//! Several relays: which one carries the traffic, and what happens where one is gone.

use std::net::SocketAddr;

use engine::TunnelPath;
use sim::RelayId;

use crate::*;

struct Pair {
    world: World,
    relays: Vec<RelayId>,
    a: NodeId,
    b: NodeId,
}

/// Two nodes that only a relay connects, talking for half a minute.
fn relayed(seed: u64, delays_us: [u64; 2]) -> Pair {
    let mut world = World::with_relays(seed, 2).with_transcript();
    let relays = world.relays();
    for (relay, delay_us) in relays.iter().zip(delays_us) {
        world.set_relay_delay(*relay, delay_us);
    }
    let homes = [0, 1].map(|_| Recipe::Symmetric.place(&mut world));
    let [a, b] = homes.map(|home| world.node(home));
    world.connect(a, b);
    world.run_for(seconds(30));
    assert!(world.is_relayed(a, b) && world.is_alive(a, b), "{}", world.transcript());
    world.mark();
    Pair { world, relays, a, b }
}

/// The number of the relay that carries what `from` sends.
fn carrier(world: &World, from: NodeId, to: NodeId) -> Option<u8> {
    match world.path(from, to) {
        Some(TunnelPath::Relay { server: SocketAddr::V4(server), .. }) => Some(server.ip().octets()[3] - 100),
        _ => None,
    }
}

#[test]
fn the_nearest_of_several_relays_carries_the_traffic_of_both_sides() {
    for seed in 0..5 {
        for (delays_us, nearest) in [([5_000, 30_000], 0), ([30_000, 5_000], 1)] {
            let Pair { world, a, b, .. } = relayed(seed, delays_us);
            let carriers = [carrier(&world, a, b), carrier(&world, b, a)];
            assert_eq!(carriers, [Some(nearest); 2], "seed {seed}\n{}", world.transcript());
        }
    }
}

#[test]
fn a_relay_that_is_hardly_nearer_moves_nothing() {
    for seed in 0..5 {
        let Pair { mut world, relays, a, b } = relayed(seed, [20_000, 40_000]);
        let switches = |world: &World| world.peer_status(a, b).map(|status| status.switches);
        let before = switches(&world);
        // Four crossings of this link make a round trip: 2 ms of some 80.
        world.set_relay_delay(relays[1], 19_500);
        world.run_for(seconds(900));
        assert_eq!(carrier(&world, a, b), Some(0), "seed {seed}\n{}", world.transcript());
        assert_eq!(switches(&world), before, "seed {seed}\n{}", world.transcript());
    }
}

#[test]
fn a_relay_that_dies_under_load_is_left_for_another_one_within_two_seconds() {
    for seed in 0..20 {
        let Pair { mut world, relays, a, b } = relayed(seed, [5_000, 20_000]);
        world.set_relay_up(relays[0], false);
        world.run_for(seconds(40));
        assert!(world.is_alive(a, b), "{}", world.transcript());
        assert!(world.gap_max() < seconds(2), "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
        // Back again it is the nearest one, after a while.
        world.set_relay_up(relays[0], true);
        let is_back = |world: &World| [carrier(world, a, b), carrier(world, b, a)] == [Some(0); 2];
        assert!(world.run_until_done(seconds(400), is_back).is_some(), "{}", world.transcript());
    }
}

#[test]
fn both_relays_dead_do_not_touch_a_direct_path() {
    let mut world = World::with_relays(7, 2).with_transcript();
    let homes = [0, 1].map(|_| Recipe::PortRestricted.place(&mut world));
    let [a, b] = homes.map(|home| world.node(home));
    world.connect(a, b);
    world.run_for(seconds(30));
    world.mark();
    for relay in world.relays() {
        world.set_relay_up(relay, false);
    }
    world.run_for(seconds(600));
    assert!(world.is_alive_directly(a, b), "{}", world.transcript());
    assert!(world.gap_max() < millis(400), "{:?}\n{}", world.gap_max(), world.transcript());
}

#[test]
fn a_node_that_no_longer_reaches_one_relay_is_reached_over_the_other_by_both_sides() {
    for seed in 0..20 {
        let Pair { mut world, relays, a, b } = relayed(seed, [5_000, 20_000]);
        world.cut_off(a, relays[0]);
        world.run_for(seconds(60));
        let carriers = [carrier(&world, a, b), carrier(&world, b, a)];
        assert_eq!(carriers, [Some(1); 2], "seed {seed}\n{}", world.transcript());
        assert!(world.is_alive(a, b), "seed {seed}\n{}", world.transcript());
        // One side notices by its session, the other by questions that nobody answers.
        assert!(world.gap_max() < seconds(4), "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
    }
}

#[test]
fn a_peer_that_is_gone_does_not_make_the_relays_take_turns() {
    let Pair { mut world, a, b, .. } = relayed(3, [5_000, 20_000]);
    world.stop(b);
    world.run_for(seconds(10));
    let switches = |world: &World| world.peer_status(a, b).map_or(0, |status| status.switches);
    let before = switches(&world);
    world.run_for(seconds(110));
    // Its sessions expire, and the relays say so: then there is no path at all.
    assert!(switches(&world) <= before + 1, "{}", world.transcript());
    world.start(b);
    world.run_for(seconds(5));
    assert!(world.is_relayed(a, b) && world.is_alive(a, b), "{}", world.transcript());
}

#[test]
fn a_relay_that_loses_repeats_forges_and_lies_prevents_no_direct_path_and_ends_none() {
    for seed in 0..10 {
        let mut world = World::new(seed).with_transcript();
        let relay = world.relays()[0];
        world.corrupt_relay(relay);
        let homes = [0, 1].map(|_| Recipe::PortRestricted.place(&mut world));
        let [a, b] = homes.map(|home| world.node(home));
        world.connect(a, b);
        let direct = world.run_until_done(seconds(60), |world| world.is_direct(a, b));
        assert!(direct.is_some(), "seed {seed}\n{}", world.transcript());
        world.run_for(seconds(5));
        world.mark();
        world.run_for(seconds(300));
        assert!(world.is_alive_directly(a, b), "seed {seed}\n{}", world.transcript());
        // It may send us through itself for a while, by what only it can know; there it loses a quarter of the packets.
        let (flow, most) = (world.flow(a, b), world.flow(a, b).sent * 9 / 10);
        assert!(flow.received > most, "seed {seed}: {flow:?}\n{}", world.transcript());
    }
}

#[test]
fn an_honest_relay_carries_the_traffic_where_another_one_lies() {
    for seed in 0..5 {
        let Pair { mut world, relays, a, b } = relayed(seed, [5_000, 20_000]);
        world.corrupt_relay(relays[0]);
        world.run_for(seconds(60));
        world.mark();
        world.run_for(seconds(300));
        let flow = world.flow(a, b);
        assert!(flow.received + 30 > flow.sent, "seed {seed}: {flow:?}\n{}", world.transcript());
        assert_eq!(carrier(&world, a, b), Some(1), "seed {seed}\n{}", world.transcript());
    }
}

/// For each relay, how many nodes reach it, and the names of those that do not.
fn reach(world: &World) -> Vec<(u32, Vec<String>)> {
    let listed = world.listed_relays();
    let nodes = listed.iter().filter_map(|relay| relay.nodes.as_ref());
    let names =
        |nodes: &[coordinator::service::NamedNode]| nodes.iter().map(|node| node.name.to_string()).collect();
    nodes.map(|nodes| (nodes.reached, names(&nodes.unreached_by))).collect()
}

#[test]
fn the_coordinator_says_within_twenty_seconds_which_relay_is_gone_and_which_is_back() {
    for seed in 0..10 {
        let Pair { mut world, relays, .. } = relayed(seed, [5_000, 20_000]);
        let (all, none) = ((2, Vec::new()), |world: &World| {
            let (reached, missing) = reach(world).swap_remove(0);
            reached == 0 && missing.len() == 2
        });
        assert_eq!(reach(&world), [all.clone(), all.clone()], "seed {seed}\n{}", world.transcript());
        world.set_relay_up(relays[0], false);
        assert!(world.run_until_done(seconds(20), none).is_some(), "seed {seed}\n{}", world.transcript());
        assert_eq!(reach(&world)[1], all, "seed {seed}");
        world.set_relay_up(relays[0], true);
        let is_back = |world: &World| reach(world)[0] == (2, Vec::new());
        assert!(world.run_until_done(seconds(20), is_back).is_some(), "seed {seed}\n{}", world.transcript());
    }
}

#[test]
fn a_relay_that_one_node_cannot_reach_is_named_with_that_node() {
    for seed in 0..5 {
        let Pair { mut world, relays, a, .. } = relayed(seed, [5_000, 20_000]);
        world.cut_off(a, relays[0]);
        let is_told = |world: &World| {
            let told = reach(world);
            told[0].0 == 1 && told[0].1.len() == 1 && told[1].0 == 2
        };
        assert!(world.run_until_done(seconds(20), is_told).is_some(), "seed {seed}\n{}", world.transcript());
    }
}

#[test]
fn rtts_that_only_jitter_are_told_once() {
    let Pair { mut world, relays, .. } = relayed(1, [5_000, 20_000]);
    let rtt = |world: &World| {
        world.listed_relays().iter().map(|it| it.nodes.clone()?.rtt_median_us).collect::<Vec<_>>()
    };
    let before = rtt(&world);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    world.set_relay_delay(relays[0], 5_300);
    world.run_for(seconds(300));
    assert_eq!(rtt(&world), before);
    world.set_relay_delay(relays[0], 60_000);
    world.run_for(seconds(300));
    assert!(rtt(&world)[0] > before[0].map(|rtt_us| rtt_us * 2), "{before:?} {:?}", rtt(&world));
}
