//! Boxes beyond the plain ones: changed at run time, full, busy with others' flows, with port blocks, with a STUN server
//! inside, and such that fool STUN.

use std::num::NonZeroU16;

use sim::Outlook;

use crate::*;

const PORT_RESTRICTED: NatBehaviour =
    NatBehaviour::new(Dependence::EndpointIndependent, Dependence::AddressAndPortDependent);
const SYMMETRIC: NatBehaviour =
    NatBehaviour::new(Dependence::AddressAndPortDependent, Dependence::AddressAndPortDependent);

/// A world with a node behind such a box and one behind a port-restricted NAT, which talk.
fn opposite(seed: u64, behaviour: NatBehaviour) -> (World, Segment, NodeId, NodeId) {
    let mut world = World::new(seed).with_transcript();
    let home = world.network_behind(INTERNET, behaviour);
    let other = Recipe::PortRestricted.place(&mut world);
    let (a, b) = (world.node(home), world.node(other));
    world.connect(a, b);
    (world, home, a, b)
}

#[test]
fn a_nat_that_turns_symmetric_and_back_is_relayed_meanwhile_and_direct_again_by_itself() {
    for seed in 0..10 {
        let (mut world, home, a, b) = opposite(seed, PORT_RESTRICTED);
        world.run_for(seconds(30));
        assert!(world.is_alive_directly(a, b));
        world.mark();
        world.change_nat(home, SYMMETRIC);
        let relayed = world.run_until_done(seconds(10), |world| world.is_relayed(a, b));
        assert!(relayed.is_some(), "seed {seed}\n{}", world.transcript());
        assert!(
            world.gap_max() < millis(4_500),
            "seed {seed}: {:?}\n{}",
            world.gap_max(),
            world.transcript()
        );
        world.run_for(seconds(120));
        assert!(world.is_relayed(a, b) && world.is_alive(a, b));
        assert_eq!(world.outlook(a, b), Outlook::Guess);
        world.change_nat(home, PORT_RESTRICTED);
        let direct = world.run_until_done(seconds(90), |world| world.is_alive_directly(a, b));
        assert!(direct.is_some(), "seed {seed}\n{}", world.transcript());
    }
}

#[test]
fn a_full_table_leaves_running_paths_alone_and_lets_new_ones_in_when_there_is_room() {
    let full = NatBehaviour { mappings_max: Some(100), ..PORT_RESTRICTED };
    let (mut world, home, a, b) = opposite(1, full);
    world.run_for(seconds(10));
    assert!(world.is_alive_directly(a, b));
    assert!(world.foreign_flows(home, 1_000) < 100);
    world.mark();
    let late = world.node(home);
    world.run_for(seconds(60));
    assert!(world.is_alive_directly(a, b) && world.gap_max() < millis(300), "{:?}", world.gap_max());
    assert!(!world.is_direct(late, b) && !world.is_relayed(late, b), "the box has no mapping left for it");
    // The others' flows are over after two minutes.
    world.connect(late, b);
    world.run_for(seconds(120));
    let direct = world.run_until_done(seconds(30), |world| world.is_direct(late, b));
    assert!(direct.is_some(), "{}", world.transcript());
}

#[test]
fn others_flows_on_a_sequential_nat_do_not_matter_where_the_mapping_is_known() {
    let counting = NatBehaviour { allocation: PortAllocation::NEXT, ..PORT_RESTRICTED };
    let (mut world, home, a, b) = opposite(2, counting);
    for _ in 0..100 {
        world.foreign_flows(home, 20);
        world.run_for(seconds(1));
    }
    assert!(world.is_alive_directly(a, b));
}

#[test]
fn two_homes_behind_a_carrier_with_port_blocks_are_direct_to_the_world_and_between_each_other_if_it_hairpins()
{
    let allocation = PortAllocation::PortBlock { size: NonZeroU16::new(512).unwrap() };
    for hairpinning in [Hairpinning::Filtered, Hairpinning::None] {
        let mut world = World::new(3).with_transcript();
        let outer = NatBehaviour { allocation, hairpinning, ..PORT_RESTRICTED };
        let carrier = world.network_with(INTERNET, outer, Addresses::Carrier(1));
        let homes = [0, 1].map(|_| world.network_behind(carrier, PORT_RESTRICTED));
        let [a, b] = homes.map(|home| world.node(home));
        let far = Recipe::PortRestricted.place(&mut world);
        let far = world.node(far);
        world.connect_all();
        world.run_for(seconds(20));
        assert!(world.is_alive_directly(a, far) && world.is_alive_directly(b, far), "{}", world.transcript());
        assert_eq!(world.is_direct(a, b), hairpinning != Hairpinning::None);
        assert_eq!(world.is_direct(a, b), world.can_be_direct(a, b));
    }
}

#[test]
fn a_stun_server_in_the_carriers_network_tells_two_homes_the_addresses_that_meet_there() {
    for has_server in [true, false] {
        let mut world = World::new(4).with_transcript();
        let carrier = world.network_with(INTERNET, SYMMETRIC, Addresses::Carrier(1));
        let homes = [0, 1].map(|_| world.network_behind(carrier, PORT_RESTRICTED));
        if has_server {
            world.add_stun_server(carrier);
        }
        let [a, b] = homes.map(|home| world.node(home));
        world.connect(a, b);
        world.run_for(seconds(20));
        assert_eq!(world.can_be_direct(a, b), has_server);
        assert_eq!(world.is_alive_directly(a, b), has_server, "{}", world.transcript());
        assert_eq!(world.is_relayed(a, b), !has_server);
    }
}

#[test]
fn a_nat_that_shows_stun_servers_one_mapping_and_peers_others_is_not_believed() {
    for (other, expected) in [(Recipe::PortRestricted, false), (Recipe::AddressRestricted, true)] {
        let mut world = World::new(5).with_transcript();
        let liar = Recipe::Symmetric.place(&mut world);
        world.exempt_stun(liar);
        let place = other.place(&mut world);
        let (a, b) = (world.node(liar), world.node(place));
        world.connect(a, b);
        world.run_for(seconds(30));
        assert_eq!(world.can_be_direct(a, b), expected);
        assert_eq!(world.is_direct(a, b), expected, "{}", world.transcript());
        world.mark();
        world.run_for(seconds(60));
        assert_traffic_flows(&world, a, b);
    }
}

#[test]
fn nodes_find_out_how_long_their_nat_keeps_an_idle_mapping() {
    for mapping in [Dependence::EndpointIndependent, Dependence::AddressAndPortDependent] {
        for timeout_ms in [10_000, 20_000, 40_000, 100_000, 200_000, 1_000_000] {
            let behaviour = NatBehaviour {
                allocation: PortAllocation::NEXT,
                ..NatBehaviour::new(mapping, Dependence::AddressAndPortDependent)
            };
            let mut world = World::new(12).with_transcript();
            let home = world.network_behind(INTERNET, behaviour.with_timeout_ms(timeout_ms));
            let node = world.node_stopped(home);
            world.set_side_sockets_max(node, 8);
            world.start(node);
            world.run_for(seconds(3_000));
            let nat = world.nat(node).unwrap();
            let lifetime = nat.lifetime.unwrap_or_default();
            let (longer, shorter) = (lifetime.longer_than_ms, lifetime.shorter_than_ms);
            let told = || format!("{timeout_ms}: {nat:?}\n{}", world.transcript());
            assert!(longer.is_none_or(|longer| longer <= timeout_ms + 100), "{}", told());
            assert!(shorter.is_none_or(|shorter| shorter >= timeout_ms), "{}", told());
            assert!(
                longer.is_some_and(|longer| longer * 3 > timeout_ms.min(300_000)) || timeout_ms < 15_000,
                "{}",
                told()
            );
        }
    }
}

#[test]
fn a_nat_that_keeps_ports_does_not_show_how_long_it_keeps_mappings() {
    let (mut world, _, a, _) = opposite(1, PORT_RESTRICTED);
    world.set_side_sockets_max(a, 8);
    world.run_for(seconds(1_500));
    assert_eq!(world.nat(a).and_then(|nat| nat.lifetime), None);
}

/// A carrier gives each subscriber a block of ports. The nodes of one reach each other within their network, and need none for it.
#[test]
fn nodes_of_one_network_do_not_use_up_their_carrier_s_block_of_ports() {
    let mut world = World::new(13).with_transcript();
    let strict = SYMMETRIC.with_timeout_ms(300_000);
    let block = PortAllocation::PortBlock { size: NonZeroU16::new(64).unwrap() };
    let of_carrier = NatBehaviour { allocation: block, hairpinning: Hairpinning::Filtered, ..strict };
    let carrier = world.network_with(INTERNET, of_carrier, Addresses::Carrier(1));
    let home = world.network_behind(carrier, strict);
    let within = [(); 4].map(|()| world.node(home));
    world.connect_all();
    // Each pair has just looked for a better path.
    world.run_for(seconds(400));
    for (a, b) in world.pairs() {
        assert!(world.is_direct(a, b), "{}", world.transcript());
    }
    let outside = world.node(INTERNET);
    within.iter().for_each(|node| world.connect(*node, outside));
    world.run_for(seconds(10));
    for minute in 0..30 {
        for node in within {
            assert!(world.is_direct(node, outside), "{node:?} in minute {minute}\n{}", world.transcript());
        }
        world.run_for(seconds(60));
    }
}
