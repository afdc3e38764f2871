//! Networks behind nodes: offered by the node, approved by an administrator, told to its peers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use coordinator::service::MapPoll;
use coordinator::service::resources::ResourceError;
use coordinator::service::resources::nodes::{NodeChange, NodeRoute};
use coordinator::store::Role;
use fixture::{Fixture, Machine, START};
use protocol::api::{MapEvent, NetworkMap, Report, Route};
use serde_json::{Value, json};

const LAN: &str = "192.168.5.0/24";

fn wanted(change: Value) -> NodeChange {
    serde_json::from_value(change).unwrap()
}

fn change(fixture: &Fixture, node: &Machine, change: Value) -> Result<(), ResourceError> {
    let wanted = wanted(change);
    let (owner, id) = (fixture.member(Role::Owner), node.identity.node);
    fixture.coordinator.call(START, &owner).update_node(id, wanted)?;
    Ok(fixture.coordinator.reload()?)
}

fn approve(fixture: &Fixture, node: &Machine, prefix: &str, priority: u16) -> Result<(), ResourceError> {
    change(fixture, node, json!({"approve_routes": [{"prefix": prefix, "priority": priority}]}))
}

fn offer(fixture: &Fixture, node: &Machine, prefixes: &[&str]) {
    let routes = Some(prefixes.iter().map(|prefix| prefix.parse().unwrap()).collect());
    let report = Report { routes, ..Report::default() };
    fixture.coordinator.report(START, &node.identity, report).unwrap();
}

fn map(fixture: &Fixture, node: &Machine) -> NetworkMap {
    match fixture.coordinator.open_map(&node.identity, None).unwrap().poll_event() {
        MapPoll::Event(event) => match *event {
            MapEvent::Snapshot(map) => map,
            MapEvent::Delta(delta) => panic!("{delta:?}"),
        },
        other @ (MapPoll::Request(_) | MapPoll::Idle | MapPoll::Ended(_)) => panic!("{other:?}"),
    }
}

fn route(prefix: &str, priority: u16) -> Route {
    Route { prefix: prefix.parse().unwrap(), priority }
}

fn shown(fixture: &Fixture, node: &Machine) -> Vec<NodeRoute> {
    fixture.coordinator.node(fixture.network.organization_id, node.identity.node).unwrap().routes
}

#[test]
fn peers_are_told_of_a_network_that_is_offered_and_approved_and_of_no_other() {
    let fixture = Fixture::new(1);
    let (router, viewer) = (fixture.node("router"), fixture.node("viewer"));
    offer(&fixture, &router, &[LAN, "10.9.0.0/16"]);
    assert!(map(&fixture, &viewer).peers[0].routes.is_empty(), "not approved");
    approve(&fixture, &router, LAN, 7).unwrap();
    approve(&fixture, &router, "fd12::/64", 8).unwrap();
    assert_eq!(map(&fixture, &viewer).peers[0].routes, [route(LAN, 7)]);
    assert_eq!(map(&fixture, &router).own.routes, [route(LAN, 7), route("fd12::/64", 8)]);
    let told = |prefix: &str, advertised, approved, priority| NodeRoute {
        prefix: prefix.parse().unwrap(),
        advertised: Some(advertised),
        approved,
        priority,
    };
    let expected =
        [told("10.9.0.0/16", true, false, 100), told(LAN, true, true, 7), told("fd12::/64", false, true, 8)];
    assert_eq!(shown(&fixture, &router), expected);
    offer(&fixture, &router, &[]);
    assert!(map(&fixture, &viewer).peers[0].routes.is_empty(), "not offered any more");
}

#[test]
fn a_change_of_routes_is_a_delta_for_the_peers_and_for_the_node() {
    let fixture = Fixture::new(1);
    let (router, viewer) = (fixture.node("router"), fixture.node("viewer"));
    offer(&fixture, &router, &[LAN]);
    let open = |node: &Machine| {
        let mut stream = Arc::clone(&fixture.coordinator).open_map(&node.identity, None).unwrap();
        assert!(matches!(stream.poll_event(), MapPoll::Event(_)));
        stream
    };
    let (mut of_router, mut of_viewer) = (open(&router), open(&viewer));
    while matches!(of_router.poll_event(), MapPoll::Event(_)) {}
    while matches!(of_viewer.poll_event(), MapPoll::Event(_)) {}
    approve(&fixture, &router, LAN, 1).unwrap();
    let delta = |poll: MapPoll| match poll {
        MapPoll::Event(event) => match *event {
            MapEvent::Delta(delta) => delta,
            MapEvent::Snapshot(map) => panic!("{map:?}"),
        },
        other @ (MapPoll::Request(_) | MapPoll::Idle | MapPoll::Ended(_)) => panic!("{other:?}"),
    };
    assert_eq!(delta(of_router.poll_event()).own.unwrap().routes, [route(LAN, 1)]);
    assert_eq!(delta(of_viewer.poll_event()).upserts[0].routes, [route(LAN, 1)]);
}

#[test]
fn approvals_outlive_a_restart_and_count_until_the_node_has_reported() {
    let fixture = Fixture::new(1);
    let (router, viewer) = (fixture.node("router"), fixture.node("viewer"));
    offer(&fixture, &router, &[LAN]);
    approve(&fixture, &router, LAN, 7).unwrap();
    let fixture = fixture.restart();
    assert_eq!(map(&fixture, &viewer).peers[0].routes, [route(LAN, 7)]);
    offer(&fixture, &router, &[]);
    assert!(map(&fixture, &viewer).peers[0].routes.is_empty());
}

#[test]
fn several_nodes_may_have_one_network_and_a_withdrawn_one_has_it_no_more() {
    let fixture = Fixture::new(1);
    let [a, b, viewer] = ["a", "b", "viewer"].map(|name| fixture.node(name));
    for (node, priority) in [(&a, 10), (&b, 20)] {
        offer(&fixture, node, &[LAN]);
        approve(&fixture, node, LAN, priority).unwrap();
    }
    let count =
        |fixture: &Fixture| map(fixture, &viewer).peers.iter().filter(|peer| !peer.routes.is_empty()).count();
    assert_eq!(count(&fixture), 2);
    change(&fixture, &a, json!({"withdraw_routes": [LAN]})).unwrap();
    assert_eq!(count(&fixture), 1);
    assert!(matches!(
        change(&fixture, &a, json!({"withdraw_routes": [LAN]})),
        Err(ResourceError::Conflict(_))
    ));
}

#[test]
fn what_no_node_may_route_to_is_refused_with_a_sentence() {
    let fixture = Fixture::new(1);
    let router = fixture.node("router");
    let own = fixture.network.ipv4.to_string();
    for prefix in ["127.0.0.0/8", "224.0.0.0/4", "192.168.5.1/24", own.as_str()] {
        let Err(ResourceError::Invalid { field, why, .. }) = approve(&fixture, &router, prefix, 1) else {
            panic!("{prefix} is approved");
        };
        assert!(field == "approve_routes" && why.contains(prefix), "{field}: {why}");
    }
    for third in 0..32 {
        approve(&fixture, &router, &format!("10.{third}.0.0/16"), 1).unwrap();
    }
    assert!(matches!(approve(&fixture, &router, LAN, 1), Err(ResourceError::Invalid { .. })));
    for exit in ["0.0.0.0/0", "::/0"] {
        approve(&fixture, &router, exit, 1).unwrap();
    }
    assert!(approve(&fixture, &router, "10.0.0.0/16", 2).is_ok(), "another priority is no further route");
}

#[test]
fn a_node_that_moves_to_another_network_routes_to_none() {
    let fixture = Fixture::new(1);
    let router = fixture.node("router");
    approve(&fixture, &router, LAN, 1).unwrap();
    let owner = fixture.member(Role::Owner);
    let other = serde_json::from_value(json!({"name": "other"})).unwrap();
    let other = fixture.coordinator.call(START, &owner).create_network(other).unwrap().id;
    change(&fixture, &router, json!({"network": other})).unwrap();
    assert!(shown(&fixture, &router).is_empty());
}
