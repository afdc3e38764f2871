//! Links that carry no long packets: each path ends at its own tunnel MTU, and one that narrows later is found out.

use crate::*;

/// What a direct path over IPv4 adds to a tunnel packet: WireGuard 32, UDP 8, IP 20.
const DIRECT: u16 = 60;
/// What a path through a relay adds, over IPv6 at worst: the frame's 44 and 20 more.
const RELAYED: u16 = 124;

/// A pair of nodes behind such boxes, on links that carry IP packets of so many bytes.
fn narrow_pair(seed: u64, recipe: Recipe, mtu: u16) -> (World, NodeId, NodeId) {
    let (mut world, a, b) = two_nodes(seed, recipe, recipe);
    world.set_impairments(Impairments::narrow(mtu));
    (world, a, b)
}

/// The tunnel MTU of both directions, where they agree.
fn agreed(world: &World, a: NodeId, b: NodeId) -> Option<u16> {
    let both = [world.tunnel_mtu(a, b), world.tunnel_mtu(b, a)];
    (both[0] == both[1]).then_some(both[0])
}

#[test]
fn a_direct_path_ends_at_what_its_links_carry_within_seconds() {
    for mtu in [1_500, 1_492, 1_480, 1_460, 1_450, 1_420, 1_400, 1_340, 1_300, 1_280] {
        let (mut world, a, b) = narrow_pair(1, Recipe::PortRestricted, mtu);
        let expected = (mtu - DIRECT).min(1_420);
        let found = world.run_until_done(seconds(15), |world| {
            world.is_direct(a, b) && agreed(world, a, b) == Some(expected)
        });
        assert!(found.is_some(), "{mtu}: {} {}", world.tunnel_mtu(a, b), world.transcript());
        world.run_for(seconds(60));
        assert_eq!(agreed(&world, a, b), Some(expected), "{mtu}");
        assert_traffic_flows(&world, a, b);
    }
}

#[test]
fn a_path_through_a_relay_leaves_room_for_its_frame() {
    for mtu in [1_500, 1_420, 1_400, 1_280] {
        let (mut world, a, b) = narrow_pair(2, Recipe::Symmetric, mtu);
        world.run_for(seconds(20));
        assert!(world.is_relayed(a, b));
        // The simulated relay is reached over IPv4, of which 20 bytes less are needed than is reckoned with.
        let found = agreed(&world, a, b).unwrap();
        assert!(found + RELAYED <= mtu + 20 && found + RELAYED + 20 >= mtu, "{mtu}: {found}");
        assert_traffic_flows(&world, a, b);
    }
}

#[test]
fn a_path_that_becomes_a_black_hole_for_long_packets_is_found_out_and_does_not_flap() {
    let (mut world, a, b) = two_nodes(3, Recipe::PortRestricted, Recipe::PortRestricted);
    world.run_for(seconds(10));
    assert_eq!(agreed(&world, a, b), Some(1_420), "{}", world.transcript());
    world.set_impairments(Impairments { loses_fragments: true, ..Impairments::narrow(1_400) });
    // Nothing long is on its way, so only the next check can find out.
    let lowered = world.run_until_done(seconds(20), |world| {
        world.tunnel_mtu(a, b) + DIRECT <= 1_400 && world.tunnel_mtu(b, a) + DIRECT <= 1_400
    });
    assert!(lowered.is_some(), "{}", world.transcript());
    world.run_for(seconds(20));
    for _ in 0..500 {
        assert_eq!(agreed(&world, a, b), Some(1_400 - DIRECT), "{}", world.transcript());
        assert!(world.is_direct(a, b));
        world.run_for(seconds(1));
    }
    world.set_impairments(Impairments::default());
    world.run_for(seconds(620));
    assert_eq!(agreed(&world, a, b), Some(1_420), "a larger one is tried again");
}

#[test]
fn a_path_that_loses_a_few_packets_keeps_its_tunnel_mtu() {
    for seed in 0..4 {
        let (mut world, a, b) = two_nodes(seed, Recipe::PortRestricted, Recipe::PortRestricted);
        world.run_for(seconds(10));
        // Four crossings per round trip: eight in a hundred are lost.
        world.set_loss(20_000);
        let mut shorter = 0;
        for _ in 0..600 {
            world.run_for(seconds(1));
            let is_shorter = agreed(&world, a, b).is_some_and(|mtu| mtu != 1_420);
            shorter += u32::from(world.is_direct(a, b) && is_shorter);
        }
        // A path that was lost and came back begins anew, half a second before it is measured.
        assert!(shorter <= 3, "seed {seed}: {shorter} s of 600");
    }
}

#[test]
fn a_pair_that_changes_to_a_relay_begins_with_what_every_path_carries() {
    let (mut world, a, b) = two_nodes(4, Recipe::PortRestricted, Recipe::PortRestricted);
    world.run_for(seconds(10));
    assert_eq!(agreed(&world, a, b), Some(1_420));
    world.partition(a, b);
    let relayed = world.run_until_done(seconds(20), |world| world.is_relayed(a, b));
    assert!(relayed.is_some());
    assert!(agreed(&world, a, b).is_some_and(|mtu| mtu <= 1_376));
    world.run_for(seconds(10));
    assert_eq!(agreed(&world, a, b), Some(1_376));
}
