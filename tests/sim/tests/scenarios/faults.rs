//! What breaks, and how long the traffic notices.

use crate::*;

/// The longest silence of a direct path that breaks: the next question is asked within a second of one-sided traffic,
/// and three unanswered ones take a second each at most.
const SILENCE_MAX: Duration = millis(4_500);

struct Pair {
    world: World,
    homes: [Segment; 2],
    a: NodeId,
    b: NodeId,
}

/// Two nodes behind port-restricted NATs that have been direct for half a minute.
fn settled(seed: u64) -> Pair {
    let mut world = World::new(seed).with_transcript();
    let homes = [0, 1].map(|_| Recipe::PortRestricted.place(&mut world));
    let [a, b] = homes.map(|home| world.node(home));
    world.connect(a, b);
    world.run_for(seconds(30));
    assert!(world.is_alive_directly(a, b), "{}", world.transcript());
    world.mark();
    Pair { world, homes, a, b }
}

/// Waits for the traffic to flow directly again.
fn heal_directly(world: &mut World, a: NodeId, b: NodeId, within: Duration) -> Duration {
    world.run_for(millis(500));
    let direct = world.run_until_done(within, |world| world.is_alive_directly(a, b));
    assert!(direct.is_some(), "not direct again\n{}", world.transcript());
    direct.unwrap_or_default() + millis(500)
}

#[test]
fn a_restarted_node_is_reached_again_within_seconds() {
    for seed in 0..10 {
        let Pair { mut world, a, b, .. } = settled(seed);
        world.restart(a);
        heal_directly(&mut world, a, b, seconds(3));
        world.run_for(seconds(60));
        assert!(world.is_direct(a, b));
        assert!(world.gap_max() < seconds(2), "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
    }
}

#[test]
fn a_nat_reboot_with_a_new_address_falls_back_to_the_relay_and_returns_to_direct() {
    for seed in 0..10 {
        let Pair { mut world, homes, a, b } = settled(seed);
        world.reboot_nat(homes[0]);
        let direct = heal_directly(&mut world, a, b, seconds(30));
        println!("seed {seed}: direct again after {direct:?}, silent for {:?}", world.gap_max());
        assert!(world.gap_max() < SILENCE_MAX, "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
        world.run_for(seconds(120));
        assert!(world.is_alive_directly(a, b));
    }
}

#[test]
fn a_partition_falls_back_to_the_relay_and_direct_returns_when_it_heals() {
    for seed in 0..10 {
        let Pair { mut world, a, b, .. } = settled(seed);
        world.partition(a, b);
        let relayed = world.run_until_done(seconds(10), |world| world.is_relayed(a, b));
        assert!(relayed.is_some(), "seed {seed}\n{}", world.transcript());
        assert!(world.gap_max() < SILENCE_MAX, "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
        world.run_for(seconds(60));
        assert!(world.is_relayed(a, b) && world.is_alive(a, b));
        world.heal();
        heal_directly(&mut world, a, b, seconds(150));
    }
}

#[test]
fn a_relay_that_restarts_knows_its_nodes_again_within_its_keepalive_and_direct_paths_do_not_notice() {
    let Pair { mut world, a, b, .. } = settled(3);
    let relay = world.relays()[0];
    world.restart_relay(relay);
    world.run_for(seconds(20));
    assert!(world.is_alive_directly(a, b) && world.gap_max() < millis(200));
    world.partition(a, b);
    world.run_for(seconds(10));
    assert!(world.is_relayed(a, b) && world.is_alive(a, b), "{}", world.transcript());
    world.mark();
    world.restart_relay(relay);
    world.run_for(seconds(30));
    assert!(world.is_relayed(a, b) && world.is_alive(a, b), "{}", world.transcript());
    // A relayed packet is answered "no session" at once; the other side hears of it at its own next packet.
    assert!(world.gap_max() < seconds(1), "{:?}\n{}", world.gap_max(), world.transcript());
}

#[test]
fn ten_minutes_without_a_coordinator_do_not_disturb_traffic_even_if_a_nat_reboots_meanwhile() {
    for seed in 0..5 {
        let Pair { mut world, homes, a, b } = settled(seed);
        world.stop_coordinator();
        world.run_for(seconds(300));
        assert!(world.is_alive_directly(a, b) && world.gap_max() < millis(200));
        world.reboot_nat(homes[0]);
        heal_directly(&mut world, a, b, seconds(60));
        assert!(world.gap_max() < SILENCE_MAX, "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
        world.run_for(seconds(300));
        assert!(world.is_alive_directly(a, b));
        world.start_coordinator();
        world.mark();
        world.run_for(seconds(120));
        assert!(world.is_alive_directly(a, b) && world.gap_max() < millis(200));
    }
}

#[test]
fn a_nat_that_forgets_its_table_and_takes_other_ports_is_direct_again_without_a_coordinator() {
    for seed in 0..5 {
        let mut world = World::new(seed).with_transcript();
        let behaviour = Recipe::PortRestricted.behaviour().unwrap();
        let random = NatBehaviour { allocation: PortAllocation::Random, ..behaviour };
        let homes = [0, 1].map(|_| world.network_behind(INTERNET, random));
        let [a, b] = homes.map(|home| world.node(home));
        world.connect(a, b);
        world.run_for(seconds(30));
        assert!(world.is_alive_directly(a, b));
        world.stop_coordinator();
        world.mark();
        world.flush_nat(homes[0]);
        heal_directly(&mut world, a, b, seconds(20));
        assert!(world.gap_max() < SILENCE_MAX, "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
    }
}

#[test]
fn a_node_that_restarts_while_the_coordinator_is_down_lives_on_its_copy_of_the_map() {
    let Pair { mut world, a, b, .. } = settled(5);
    world.stop_coordinator();
    world.run_for(seconds(10));
    world.restart(a);
    // No coordinator, no relay token: the addresses that the copy names are all it has, and they suffice.
    heal_directly(&mut world, a, b, seconds(20));
    world.start_coordinator();
    world.run_for(seconds(70));
    assert!(world.is_alive_directly(a, b));
}

#[test]
fn a_node_that_moves_to_another_network_is_direct_again_within_seconds() {
    for seed in 0..10 {
        let Pair { mut world, a, b, .. } = settled(seed);
        let cafe = Recipe::AddressRestricted.place(&mut world);
        world.move_to(a, cafe);
        heal_directly(&mut world, a, b, seconds(10));
        assert!(world.gap_max() < SILENCE_MAX, "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
    }
}

#[test]
fn a_standby_path_that_answered_long_ago_is_not_turned_to_when_the_one_in_use_falls_silent() {
    for seed in 0..5 {
        let mut world = World::new(seed).with_transcript();
        let homes = [0, 1].map(|_| Recipe::PortRestricted.place(&mut world));
        let [a, b] = homes.map(|home| world.node(home));
        world.add_ipv6(a, true);
        world.add_ipv6(b, true);
        world.connect(a, b);
        world.run_for(seconds(90));
        assert!(world.is_alive_directly(a, b));
        world.mark();
        world.partition(a, b);
        // Safety at each step says that no dead path is set; so the relay must come next.
        let relayed = world.run_until_done(SILENCE_MAX, |world| world.is_relayed(a, b));
        assert!(relayed.is_some(), "seed {seed}\n{}", world.transcript());
        world.run_for(seconds(5));
        assert!(world.gap_max() < SILENCE_MAX, "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
    }
}

#[test]
fn a_move_that_takes_ipv6_away_goes_on_over_ipv4() {
    for seed in 0..5 {
        let mut world = World::new(seed).with_transcript();
        let homes = [0, 1, 2].map(|_| Recipe::PortRestricted.place(&mut world));
        let (a, b) = (world.node(homes[0]), world.node(homes[1]));
        world.add_ipv6(a, true);
        world.add_ipv6(b, true);
        world.connect(a, b);
        world.run_for(seconds(60));
        assert!(world.is_alive_directly(a, b));
        world.mark();
        // The old network's addresses are gone; safety at each step says that none of them is turned to.
        world.move_to(a, homes[2]);
        heal_directly(&mut world, a, b, seconds(10));
        assert!(world.direct_remote(b, a).is_some_and(|remote| remote.is_ipv4()));
        assert!(world.gap_max() < SILENCE_MAX, "seed {seed}: {:?}\n{}", world.gap_max(), world.transcript());
    }
}

#[test]
fn mappings_that_live_fifteen_seconds_are_kept_open() {
    let mut world = World::new(6).with_transcript();
    let short = Recipe::PortRestricted.behaviour().unwrap().with_timeout_ms(15_000);
    let homes = [0, 1].map(|_| world.network_behind(INTERNET, short));
    let [a, b] = homes.map(|home| world.node(home));
    // A packet a minute: only the engine's own questions keep the mapping.
    world.set_traffic_interval(seconds(60));
    world.connect(a, b);
    assert!(world.run_until_done(seconds(70), |world| world.is_direct(a, b)).is_some());
    let switches = |world: &World| world.peer_status(a, b).map(|status| status.switches);
    let before = switches(&world);
    world.run_for(seconds(600));
    assert!(world.is_direct(a, b));
    assert_eq!(switches(&world), before);
    assert!(world.is_alive_directly(a, b));
}
