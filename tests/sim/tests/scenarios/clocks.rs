//! Machines that sleep, and wall clocks that jump.

use sim::SleepClock;

use crate::*;

const HOUR_MS: i64 = 3600 * 1000;

/// Two nodes behind such boxes that have talked for half a minute.
fn talking(seed: u64, a: Recipe, b: Recipe) -> (World, NodeId, NodeId) {
    let (mut world, a, b) = two_nodes(seed, a, b);
    world.run_for(seconds(30));
    assert!(world.is_alive(a, b), "{}", world.transcript());
    world.mark();
    (world, a, b)
}

#[test]
fn a_node_that_slept_however_long_is_direct_again_within_seconds() {
    for clock in [SleepClock::StandsStill, SleepClock::Jumps] {
        for (seed, minutes) in [(1, 0), (2, 1), (3, 10), (4, 60), (5, 600)] {
            let (mut world, a, b) = talking(seed, Recipe::PortRestricted, Recipe::PortRestricted);
            world.suspend(a, clock);
            world.run_for(seconds(20 + 60 * minutes));
            assert!(!world.is_alive(a, b));
            world.resume(a);
            let direct = world.run_until_done(seconds(10), |world| world.is_alive_directly(a, b));
            let told = || format!("{clock:?} for {minutes} minutes\n{}", world.transcript());
            assert!(direct.is_some(), "{}", told());
        }
    }
}

#[test]
fn the_peer_of_a_sleeping_node_falls_back_to_the_relay_and_does_not_storm() {
    let (mut world, a, b) = talking(6, Recipe::PortRestricted, Recipe::PortRestricted);
    world.suspend(a, SleepClock::Jumps);
    world.run_for(seconds(10));
    assert!(!world.is_direct(b, a), "{}", world.transcript());
    world.run_for(seconds(600));
    let before = world.probes_sent(b, a);
    world.run_for(seconds(600));
    // Ten minutes hold two rounds or three at the longest pause, of nine steps to some four addresses, and an upkeep
    // question each five seconds.
    let sent = world.probes_sent(b, a) - before;
    assert!(sent < 3 * 9 * 4 + 2 * 120, "{sent}");
}

#[test]
fn a_wall_clock_that_jumps_a_day_disturbs_neither_direct_nor_relayed_traffic() {
    for (recipe, is_direct) in [(Recipe::PortRestricted, true), (Recipe::Symmetric, false)] {
        for hours in [-24, 24] {
            let (mut world, a, b) = talking(7, recipe, recipe);
            assert_eq!(world.is_direct(a, b), is_direct);
            let relay = world.relays()[0];
            // The coordinator, then the relay, then both right again: the relay holds its sessions to the end of their
            // tokens, by its monotonic clock.
            world.set_coordinator_clock(hours * HOUR_MS);
            world.run_for(seconds(300));
            world.set_relay_clock(relay, hours * HOUR_MS);
            world.run_for(seconds(300));
            world.set_coordinator_clock(0);
            world.set_relay_clock(relay, 0);
            world.run_for(seconds(300));
            assert!(
                world.gap_max() < millis(500),
                "{hours} h: {:?}\n{}",
                world.gap_max(),
                world.transcript()
            );
            assert_eq!(world.is_direct(a, b), is_direct);
        }
    }
}

#[test]
fn a_relay_whose_clock_was_a_day_ahead_takes_its_nodes_back_within_a_minute_of_being_set_right() {
    let (mut world, a, b) = talking(8, Recipe::Symmetric, Recipe::Symmetric);
    let relay = world.relays()[0];
    world.set_relay_clock(relay, 24 * HOUR_MS);
    world.restart_relay(relay);
    world.run_for(seconds(120));
    assert!(!world.is_alive(a, b), "it takes tokens that are over");
    world.set_relay_clock(relay, 0);
    let alive = world.run_until_done(seconds(60), |world| world.is_relayed(a, b) && world.is_alive(a, b));
    assert!(alive.is_some(), "{}", world.transcript());
}
