//! Pairs that do not talk: they cost next to nothing, and a relay holds the door open.

use crate::*;

/// Two nodes behind port-restricted NATs that have nothing to say to each other.
fn silent_pair(seed: u64) -> (World, NodeId, NodeId) {
    let mut world = World::new(seed).with_transcript();
    let [a, b] = [0, 1].map(|_| {
        let home = Recipe::PortRestricted.place(&mut world);
        world.node(home)
    });
    (world, a, b)
}

#[test]
fn nodes_that_never_talk_send_each_other_next_to_nothing() {
    let (mut world, a, b) = silent_pair(1);
    world.run_for(seconds(10));
    assert!(world.is_relayed(a, b), "{}", world.transcript());
    let greetings = world.probes_sent(a, b) + world.probes_sent(b, a);
    assert!(greetings <= 8, "{greetings}\n{}", world.transcript());
    world.run_for(seconds(3_600));
    assert_eq!(world.probes_sent(a, b) + world.probes_sent(b, a), greetings, "{}", world.transcript());
    assert!(world.is_relayed(a, b));
}

#[test]
fn the_first_packet_goes_over_the_relay_and_opens_a_direct_path_within_a_second() {
    let (mut world, a, b) = silent_pair(2);
    world.run_for(seconds(3_600));
    world.connect(a, b);
    let direct = world.run_until_done(seconds(1), |world| world.is_direct(a, b));
    assert!(direct.is_some(), "{}", world.transcript());
    world.run_for(seconds(5));
    assert_traffic_flows(&world, a, b);
}

#[test]
fn a_direct_path_that_nobody_uses_is_let_go_without_a_packet_being_lost_later() {
    let (mut world, a, b) = silent_pair(3);
    world.connect(a, b);
    assert!(world.run_until_done(seconds(2), |world| world.is_direct(a, b)).is_some());
    world.mark();
    // The next packet of each comes after ten minutes.
    world.set_traffic_interval(seconds(600));
    world.run_for(seconds(200));
    assert!(world.is_relayed(a, b), "{}", world.transcript());
    let before = world.probes_sent(a, b);
    world.run_for(seconds(300));
    assert_eq!(world.probes_sent(a, b), before);
    world.run_for(seconds(110));
    assert!(world.is_direct(a, b), "{}", world.transcript());
    world.run_for(seconds(3_600));
    for (from, to) in [(a, b), (b, a)] {
        let flow = world.flow(from, to);
        assert_eq!(flow.received, flow.sent, "{flow:?}");
    }
}

#[test]
fn without_a_relay_a_direct_path_is_kept_though_nobody_uses_it() {
    let (mut world, a, b) = silent_pair(4);
    world.connect(a, b);
    assert!(world.run_until_done(seconds(2), |world| world.is_direct(a, b)).is_some());
    world.set_traffic_interval(seconds(1_200));
    for relay in world.relays() {
        world.set_relay_up(relay, false);
    }
    world.run_for(seconds(1_100));
    assert!(world.is_direct(a, b), "{}", world.transcript());
}
