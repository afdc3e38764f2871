//! A hostile neighbour gets no path, and prevents none.

use crate::*;

/// Two nodes behind port-restricted NATs; in each home a stranger holds the other node's private address, records all
/// that it hears and replays it.
fn with_strangers(seed: u64, haste: Haste) -> (World, NodeId, NodeId) {
    let mut world = World::new(seed).with_transcript();
    let homes = [0, 1].map(|_| Recipe::PortRestricted.place(&mut world));
    let [a, b] = homes.map(|home| world.node(home));
    world.connect(a, b);
    world.add_stranger(homes[0], b, haste);
    world.add_stranger(homes[1], a, haste);
    (world, a, b)
}

fn assert_no_path_to_strangers(world: &World, a: NodeId, b: NodeId) {
    assert_ne!(world.direct_remote(a, b), Some(world.host_address(b)));
    assert_ne!(world.direct_remote(b, a), Some(world.host_address(a)));
}

#[test]
fn a_replayed_or_reflected_probe_never_makes_a_path() {
    for seed in 0..10 {
        let (mut world, a, b) = with_strangers(seed, Haste::Late);
        let direct = world.run_until_done(seconds(3), |world| world.is_direct(a, b));
        assert!(direct.is_some(), "{}", world.transcript());
        world.mark();
        for round in 0..5 {
            world.run_for(seconds(60));
            assert_no_path_to_strangers(&world, a, b);
            if round == 2 {
                world.restart(a);
            }
        }
        assert!(world.is_alive_directly(a, b));
        assert!(world.replayed() > 1_000, "the stranger did nothing: {}", world.replayed());
        assert!(world.gap_max() < seconds(2), "seed {seed}: {:?}", world.gap_max());
    }
}

#[test]
fn a_neighbour_whose_copy_always_comes_first_gets_no_path_and_the_relay_still_carries() {
    for seed in 0..3 {
        let (mut world, a, b) = with_strangers(seed, Haste::Racing);
        world.run_for(seconds(3));
        world.mark();
        for _ in 0..2 {
            world.run_for(seconds(60));
            assert_no_path_to_strangers(&world, a, b);
        }
        assert!(world.is_alive(a, b));
        assert!(world.gap_max() < seconds(2), "seed {seed}: {:?}", world.gap_max());
    }
}

#[test]
fn a_neighbour_whose_copy_always_comes_first_cannot_prevent_the_direct_path() {
    for seed in 0..10 {
        let (mut world, a, b) = with_strangers(seed, Haste::Racing);
        let direct = world.run_until_done(seconds(3), |world| world.is_direct(a, b));
        assert!(direct.is_some(), "seed {seed}: {} replayed", world.replayed());
    }
}
