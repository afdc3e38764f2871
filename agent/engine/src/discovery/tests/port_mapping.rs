//! What is made of a router's word about its port.

use endpoint_selection::PortMappingProtocol;

use super::*;

fn mapping(external: &str) -> PortMapping {
    PortMapping {
        external: external.parse().unwrap(),
        base: "192.168.1.5:40000".parse().unwrap(),
        protocol: PortMappingProtocol::Pcp,
    }
}

fn mapped(world: &World) -> Option<Candidate> {
    world.discovery.candidates().into_iter().find(|candidate| candidate.kind == CandidateKind::PortMapped)
}

/// A world whose router told this, and whose servers see 203.0.113.9.
fn told(external: &str) -> World {
    let mut world = World::new();
    world.answer(|_, _| 50_000);
    world.discovery.set_port_mapping(world.now, Some(mapping(external)));
    world
}

#[test]
fn the_routers_port_is_a_candidate_with_its_base_and_source_before_all_that_servers_saw() {
    let world = told("203.0.113.9:40000");
    let candidate = mapped(&world).unwrap();
    assert_eq!(candidate.address, "203.0.113.9:40000".parse().unwrap());
    assert_eq!(candidate.base, Some("192.168.1.5:40000".parse().unwrap()));
    assert_eq!(candidate.source, CandidateSource::Router(PortMappingProtocol::Pcp));
    let kinds: Vec<CandidateKind> =
        world.discovery.candidates().iter().map(|candidate| candidate.kind).collect();
    assert_eq!(kinds, [CandidateKind::Host, CandidateKind::PortMapped, CandidateKind::ServerReflexive]);
}

#[test]
fn the_same_word_again_is_no_news_and_none_takes_the_candidate_away() {
    let mut world = told("203.0.113.9:40000");
    assert!(!world.discovery.set_port_mapping(world.now, Some(mapping("203.0.113.9:40000"))));
    assert!(world.discovery.set_port_mapping(world.now, None));
    assert_eq!(mapped(&world), None);
    assert_eq!(world.discovery.evidence.router_address, None);
}

#[test]
fn an_internet_address_that_servers_do_not_see_is_doubted_and_not_offered() {
    let mut world = told("198.51.100.77:40000");
    assert!(world.discovery.doubts_port_mapping());
    assert_eq!(mapped(&world), None);
    let relay = "198.51.100.3:3478".parse().unwrap();
    world.discovery.set_seen_by_relay(relay, "198.51.100.77:1".parse().unwrap());
    assert!(mapped(&world).is_some(), "a relay sees it: the network has two ways out");
}

#[test]
fn before_any_server_answered_the_router_is_believed() {
    let mut world = World::new();
    world.discovery.set_port_mapping(world.now, Some(mapping("198.51.100.77:40000")));
    assert!(mapped(&world).is_some());
    world.answer(|_, _| 50_000);
    assert_eq!(mapped(&world), None);
}

#[test]
fn addresses_that_mean_nothing_and_those_of_the_mesh_are_not_offered() {
    for external in ["224.0.0.1:5", "127.0.0.1:5", "0.0.0.0:5", "203.0.113.9:0", "100.92.0.7:5"] {
        let mut world = World::new();
        world.discovery.set_mesh(vec![("100.92.0.0".parse().unwrap(), 16)]);
        world.discovery.set_port_mapping(world.now, Some(mapping(external)));
        assert_eq!(mapped(&world), None, "{external}");
    }
}

#[test]
fn a_carriers_address_is_offered_within_the_carrier_and_shows_a_nat_between() {
    let mut world = told("100.64.0.9:40000");
    assert!(mapped(&world).is_some());
    assert_eq!(world.discovery.next_at(), Some(world.now), "servers are asked, and all is judged together");
    world.discovery.handle_timeout(&mut context!(world));
    world.answer(|_, _| 50_000);
    assert_eq!(world.discovery.nat().inner_address, Some("100.64.0.9".parse().unwrap()));
}

#[test]
fn a_mapping_stays_while_its_base_is_ours_and_goes_with_it() {
    let mut world = told("100.64.0.9:40000");
    let local = |address: &str| LocalAddress { interface: "eth0".into(), address: address.parse().unwrap() };
    world.discovery.set_local(vec![local("192.168.1.5"), local("10.0.0.1")]);
    assert!(mapped(&world).is_some());
    assert!(world.discovery.evidence.router_address.is_some());
    world.discovery.set_local(vec![local("10.0.0.1")]);
    assert_eq!(mapped(&world), None);
    assert_eq!(world.discovery.evidence.router_address, None);
}
