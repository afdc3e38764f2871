//! Links that lose in bursts, repeat and reorder.

use crate::*;

#[test]
fn a_direct_path_opens_and_stays_through_bursts_of_loss() {
    for seed in 0..10 {
        let (mut world, a, b) = two_nodes(seed, Recipe::PortRestricted, Recipe::PortRestricted);
        // One packet in a hundred begins a burst of ten on average.
        let bursts =
            Impairments { burst_begin_ppm: 10_000, burst_end_ppm: 100_000, ..Impairments::default() };
        world.set_impairments(bursts);
        assert!(world.run_until_done(seconds(10), |world| world.is_direct(a, b)).is_some());
        let mut direct = 0;
        for _ in 0..300 {
            world.run_for(seconds(1));
            direct += u32::from(world.is_direct(a, b));
        }
        assert!(direct > 270, "seed {seed}: direct in {direct} of 300 seconds\n{}", world.transcript());
    }
}

#[test]
fn copies_and_packets_out_of_order_neither_move_a_path_nor_reach_the_tunnel_twice() {
    for seed in 0..5 {
        let (mut world, a, b) = two_nodes(seed, Recipe::PortRestricted, Recipe::PortRestricted);
        let (duplicate_ppm, reorder_ppm) = (200_000, 200_000);
        world.set_impairments(Impairments { duplicate_ppm, reorder_ppm, ..Impairments::default() });
        assert!(world.run_until_done(seconds(3), |world| world.is_direct(a, b)).is_some());
        world.run_for(seconds(5));
        let switches = |world: &World| world.peer_status(a, b).map(|status| status.switches);
        let before = switches(&world);
        world.mark();
        world.run_for(seconds(600));
        assert_eq!(switches(&world), before, "{}", world.transcript());
        for (from, to) in [(a, b), (b, a)] {
            let flow = world.flow(from, to);
            assert!(flow.received <= flow.sent + 2 && flow.received + 2 >= flow.sent, "{flow:?}");
        }
    }
}

#[test]
fn relayed_traffic_survives_links_that_do_everything_wrong_at_once() {
    for seed in 0..5 {
        let (mut world, a, b) = two_nodes(seed, Recipe::Symmetric, Recipe::Symmetric);
        world.run_for(seconds(10));
        world.set_impairments(Impairments {
            loss_ppm: 20_000,
            burst_begin_ppm: 10_000,
            burst_end_ppm: 200_000,
            duplicate_ppm: 50_000,
            reorder_ppm: 100_000,
            ..Impairments::default()
        });
        world.mark();
        world.run_for(seconds(600));
        let (flow, lost) = (world.flow(a, b), world.flow(a, b).sent - world.flow(a, b).received);
        // Four crossings, each of which loses some seven in a hundred.
        assert!(lost * 100 < flow.sent * 35, "{flow:?}\n{}", world.transcript());
        world.set_impairments(Impairments::default());
        world.run_for(seconds(30));
        assert!(world.is_relayed(a, b) && world.is_alive(a, b), "{}", world.transcript());
    }
}
