//! How direct paths come to be, and where none can.

use crate::*;

#[test]
fn two_nodes_behind_port_restricted_nats_are_relayed_first_and_direct_within_two_seconds() {
    let (mut world, a, b) = two_nodes(1, Recipe::PortRestricted, Recipe::PortRestricted);
    let relayed = world.run_until_done(seconds(2), |world| world.is_relayed(a, b));
    assert!(relayed.is_some(), "{}", world.transcript());
    let direct = world.run_until_done(seconds(2), |world| world.is_direct(a, b));
    assert!(direct.is_some(), "{}", world.transcript());
    assert!(relayed.unwrap() + direct.unwrap() < seconds(2), "{relayed:?} {direct:?}");
    world.mark();
    world.run_for(seconds(60));
    assert_traffic_flows(&world, a, b);
}

#[test]
fn every_pair_of_boxes_is_direct_exactly_where_the_oracle_says_so() {
    for (row, first) in Recipe::ALL.into_iter().enumerate() {
        for second in &Recipe::ALL[row..] {
            let (mut world, a, b) = two_nodes(7, first, *second);
            let expected = world.can_be_direct(a, b);
            let direct = world.run_until_done(seconds(3), |world| world.is_direct(a, b));
            world.run_for(seconds(20));
            let pair = format!("{first:?} with {second:?}");
            assert_eq!(direct.is_some(), expected, "{pair}\n{}", world.transcript());
            assert_eq!(world.is_direct(a, b), expected, "{pair}");
            assert_eq!(world.is_relayed(a, b), !expected, "{pair}");
            world.mark();
            world.run_for(seconds(30));
            assert_traffic_flows(&world, a, b);
        }
    }
}

/// The table that measurements with real NATs gave, by hand: the oracle itself must not drift.
#[test]
fn the_oracle_knows_which_plain_boxes_cannot_meet() {
    use Recipe::{AddressDependent, Firewall, PortRestricted, Symmetric};
    for (row, first) in Recipe::ALL.into_iter().enumerate() {
        for second in &Recipe::ALL[row..] {
            let (world, a, b) = two_nodes(7, first, *second);
            let looks_at_ports = matches!(first, Firewall | PortRestricted | AddressDependent | Symmetric);
            let closed = looks_at_ports && matches!(second, AddressDependent | Symmetric);
            assert_eq!(world.can_be_direct(a, b), !closed, "{first:?} with {second:?}");
        }
    }
}

#[test]
fn two_nodes_on_one_lan_talk_by_their_host_addresses() {
    for recipe in [Recipe::PortRestricted, Recipe::Symmetric, Recipe::FullCone] {
        let mut world = World::new(2).with_transcript();
        let home = recipe.place(&mut world);
        let (a, b) = (world.node(home), world.node(home));
        world.connect(a, b);
        assert!(world.run_until_done(seconds(2), |world| world.is_direct(a, b)).is_some());
        world.run_for(seconds(30));
        assert_eq!(world.direct_remote(a, b), Some(world.host_address(b)));
        assert_eq!(world.direct_remote(b, a), Some(world.host_address(a)));
    }
}

#[test]
fn two_homes_on_one_carrier_nat_are_direct_where_it_hairpins_and_relayed_where_not() {
    for hairpinning in [Hairpinning::Filtered, Hairpinning::Open, Hairpinning::None] {
        let hairpin = hairpinning != Hairpinning::None;
        let mut world = World::new(3).with_transcript();
        let outer = NatBehaviour { hairpinning, ..Recipe::FullCone.behaviour().unwrap() };
        let carrier = world.network_with(INTERNET, outer, Addresses::Carrier(1));
        let homes =
            [0, 1].map(|_| world.network_behind(carrier, Recipe::PortRestricted.behaviour().unwrap()));
        let [a, b] = homes.map(|home| world.node(home));
        world.connect(a, b);
        world.run_for(seconds(10));
        assert_eq!(world.can_be_direct(a, b), hairpin);
        assert_eq!(world.is_direct(a, b), hairpin, "{}", world.transcript());
        assert_eq!(world.is_relayed(a, b), !hairpin);
    }
}

#[test]
fn ipv6_through_firewalls_is_direct_where_ipv4_cannot_be() {
    let (mut world, a, b) = two_nodes(4, Recipe::Symmetric, Recipe::Symmetric);
    world.add_ipv6(a, true);
    world.add_ipv6(b, true);
    assert!(world.can_be_direct(a, b));
    assert!(world.run_until_done(seconds(3), |world| world.is_direct(a, b)).is_some());
    assert!(world.direct_remote(a, b).unwrap().is_ipv6());
}

#[test]
fn a_symmetric_nat_that_becomes_port_restricted_is_used_directly_without_anybody_asking() {
    let mut world = World::new(6).with_transcript();
    let home = Recipe::Symmetric.place(&mut world);
    let other = Recipe::PortRestricted.place(&mut world);
    let (a, b) = (world.node(home), world.node(other));
    world.connect(a, b);
    world.run_for(seconds(60));
    assert!(world.is_relayed(a, b));
    world.replace_nat(home, Recipe::PortRestricted.behaviour().unwrap());
    let direct = world.run_until_done(seconds(30), |world| world.is_direct(a, b));
    assert!(direct.is_some(), "{}", world.transcript());
}

#[test]
fn direct_paths_open_through_loss() {
    for (percent, within) in [(20, seconds(10)), (30, seconds(20))] {
        for seed in 0..20 {
            let (mut world, a, b) = two_nodes(seed, Recipe::PortRestricted, Recipe::PortRestricted);
            // Half of it on each of the two crossings that a datagram makes.
            world.set_loss(percent * 10_000 / 2);
            let direct = world.run_until_done(within, |world| world.is_direct(a, b));
            assert!(direct.is_some(), "{percent} % loss, seed {seed}\n{}", world.transcript());
        }
    }
}

#[test]
fn a_direct_path_that_loses_a_tenth_of_all_packets_hardly_ever_leaves_it() {
    let (mut world, a, b) = two_nodes(10, Recipe::PortRestricted, Recipe::PortRestricted);
    world.set_loss(50_000);
    assert!(world.run_until_done(seconds(5), |world| world.is_direct(a, b)).is_some());
    let mut direct = 0;
    for _ in 0..600 {
        world.run_for(seconds(1));
        direct += u32::from(world.is_direct(a, b));
    }
    assert!(direct > 590, "direct in {direct} of 600 seconds\n{}", world.transcript());
}

#[test]
fn a_node_that_starts_five_seconds_late_is_direct_within_two_seconds_of_its_start() {
    let mut world = World::new(8).with_transcript();
    let homes = [0, 1].map(|_| Recipe::PortRestricted.place(&mut world));
    let a = world.node(homes[0]);
    let b = world.node_stopped(homes[1]);
    world.connect(a, b);
    world.run_for(seconds(5));
    world.start(b);
    let direct = world.run_until_done(seconds(2), |world| world.is_direct(a, b));
    assert!(direct.is_some(), "{}", world.transcript());
}

#[test]
fn the_five_nodes_of_the_demo_are_connected_as_the_oracle_says() {
    let mut world = World::new(9).with_transcript();
    let home = Recipe::PortRestricted.place(&mut world);
    let office = Recipe::AddressRestricted.place(&mut world);
    let mobile = Recipe::Symmetric.place(&mut world);
    let places = [INTERNET, home, home, office, mobile];
    let nodes = places.map(|place| world.node(place));
    world.connect_all();
    world.run_for(seconds(5));
    world.mark();
    world.run_for(seconds(60));
    for (a, b) in world.pairs() {
        assert_eq!(world.is_direct(a, b), world.can_be_direct(a, b), "{a:?} {b:?}\n{}", world.transcript());
        assert_traffic_flows(&world, a, b);
    }
    assert!(!world.can_be_direct(nodes[1], nodes[4]) && world.can_be_direct(nodes[3], nodes[4]));
}
