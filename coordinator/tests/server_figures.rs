//! Relays and STUN servers as nodes report them: who reaches what, how fast, and who may know.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::service::resources::networks::NewNetwork;
use coordinator::service::resources::relays::NewRelay;
use coordinator::service::{Caller, Credential, MapSubscription, NodeFigures};
use coordinator::store::{PersonRow, Role};
use fixture::{Fixture, Machine, START, report};
use protocol::api::{RelaySeen, Report, ServersSeen, StunServerSeen};
use protocol::key::{PrivateKey, PublicKey};
use uuid::Uuid;

const STUN: &str = "192.0.2.1:3478";

fn key(byte: u8) -> PublicKey {
    PrivateKey::from_random([byte; 32]).public_key()
}

fn seen(relay: Option<u32>, stun: Option<u32>) -> ServersSeen {
    let (address, reached) = (STUN.parse().unwrap(), stun.is_some());
    ServersSeen {
        relays: vec![RelaySeen { public_key: key(3), reached: relay.is_some(), rtt_us: relay }],
        stun_servers: vec![StunServerSeen { address, reached, rtt_us: stun }],
    }
}

/// A fixture with the relay `par1`.
fn stage() -> Fixture {
    let fixture = Fixture::new(1);
    let addresses = vec!["198.51.100.7:3478".parse().unwrap()];
    let relay = NewRelay { name: "par1".into(), public_key: key(3), addresses, stun_servers: Vec::new() };
    fixture.command(START, |call| call.create_relay(relay)).unwrap();
    fixture.coordinator.sync().unwrap();
    fixture
}

fn tell(fixture: &Fixture, node: &Machine, now_ms: i64, servers: Option<ServersSeen>) -> bool {
    let report = Report { servers, ..report(&["198.51.100.20:1"]) };
    fixture.coordinator.report(now_ms, &node.identity, report).unwrap().wants_all_paths
}

/// A node that is online.
fn node(fixture: &Fixture, name: &str, servers: ServersSeen) -> (Machine, MapSubscription) {
    let node = fixture.node(name);
    let stream = fixture.coordinator.open_map(&node.identity, None).unwrap();
    tell(fixture, &node, START, Some(servers));
    (node, stream)
}

fn relay(fixture: &Fixture, caller: &Caller) -> NodeFigures {
    fixture.coordinator.relays(caller).unwrap().relays.remove(0).nodes.unwrap()
}

fn names(figures: &NodeFigures) -> Vec<&str> {
    figures.unreached_by.iter().map(|node| node.name.as_str()).collect()
}

#[test]
fn who_reaches_a_server_is_counted_with_median_and_p95_and_who_does_not_is_named() {
    let fixture = stage();
    let viewer = fixture.caller(Some(Role::Viewer));
    let nodes = [("a", Some(10_000)), ("b", Some(20_000)), ("c", Some(90_000)), ("d", None)];
    let nodes: Vec<_> = nodes.into_iter().map(|(name, rtt)| node(&fixture, name, seen(rtt, rtt))).collect();
    let figures = relay(&fixture, &viewer);
    assert_eq!((figures.reached, figures.unreached), (3, 1));
    assert_eq!((figures.rtt_median_us, figures.rtt_p95_us), (Some(20_000), Some(90_000)));
    assert_eq!((names(&figures), figures.last_reached_at_ms), (vec!["d"], Some(START)));
    let stun = fixture.coordinator.stun_servers(&viewer).unwrap().remove(0).nodes.unwrap();
    assert_eq!((stun.reached, stun.unreached), (3, 1));
    // A report of nothing new confirms it.
    tell(&fixture, &nodes[0].0, START + 60_000, None);
    let figures = relay(&fixture, &viewer);
    assert_eq!((figures.reached, figures.last_reached_at_ms), (3, Some(START + 60_000)));
    tell(&fixture, &nodes[0].0, START + 61_000, Some(seen(None, None)));
    assert_eq!(names(&relay(&fixture, &viewer)), ["a", "d"]);
}

#[test]
fn a_node_that_is_offline_counts_for_nothing_but_when_the_server_was_last_seen() {
    let fixture = stage();
    let (_node, stream) = node(&fixture, "a", seen(Some(10_000), None));
    drop(stream);
    let figures = relay(&fixture, &fixture.caller(Some(Role::Viewer)));
    let expected = NodeFigures { last_reached_at_ms: Some(START), ..NodeFigures::default() };
    assert_eq!(figures, expected);
}

#[test]
fn an_organization_learns_nothing_of_nodes_of_others_and_the_operator_totals_without_names() {
    let fixture = stage();
    let _own = node(&fixture, "own", seen(None, None));
    let (organization, person) = (Uuid::from_u128(7), Uuid::from_u128(8));
    let stranger = PersonRow { id: person, name: "stranger".into() };
    let row = stranger.clone();
    let store = fixture.coordinator.store();
    store
        .write(move |tx| {
            tx.insert_organization(organization, "foreign", START + 5)?;
            tx.insert_person(&row, None, START + 5)?;
            tx.set_membership(organization, person, Role::Owner, START + 5)
        })
        .unwrap();
    fixture::open_session(store, stranger.clone(), person);
    let caller = Caller {
        person: stranger,
        memberships: [(organization, Role::Owner)].into(),
        credential: Credential::Session(person),
    };
    let figures = relay(&fixture, &caller);
    assert_eq!(figures, NodeFigures::default(), "an owner elsewhere sees nothing of the first organization");
    let member = coordinator::service::resources::Membership {
        caller: std::sync::Arc::new(caller.clone()),
        organization,
        role: Role::Owner,
    };
    let call = fixture.coordinator.call(START, &member);
    let network = call.create_network(NewNetwork::named("theirs")).unwrap().id;
    fixture.coordinator.reload().unwrap();
    let wanted = serde_json::json!({"network": network});
    let key = call.create_enrollment_key(serde_json::from_value(wanted).unwrap()).unwrap();
    let private_key = PrivateKey::from_random([55; 32]);
    let mut theirs = fixture.enroll(START, &key.key.parse().unwrap(), private_key, "secret-name").unwrap();
    theirs.identity.network = network;
    let _stream = fixture.coordinator.open_map(&theirs.identity, None).unwrap();
    tell(&fixture, &theirs, START, Some(seen(None, None)));
    assert_eq!(names(&relay(&fixture, &caller)), ["secret-name"]);
    for role in [Role::Viewer, Role::Admin] {
        let figures = relay(&fixture, &fixture.caller(Some(role)));
        assert_eq!((figures.unreached, names(&figures)), (1, vec!["own"]), "{role:?}");
    }
    let figures = relay(&fixture, &fixture.caller(Some(Role::Owner)));
    assert_eq!((figures.unreached, names(&figures)), (2, vec!["own"]));
}

#[test]
fn a_coordinator_that_starts_anew_asks_for_what_it_forgot() {
    let fixture = stage();
    let (node, _stream) = node(&fixture, "a", seen(Some(10_000), None));
    assert!(!tell(&fixture, &node, START, None));
    let fixture = fixture.restart();
    let _stream = fixture.coordinator.open_map(&node.identity, None).unwrap();
    let changed_only = Report { changed_paths_only: true, ..report(&[]) };
    let answer = fixture.coordinator.report(START, &node.identity, changed_only).unwrap();
    assert!(answer.wants_all_paths, "with all paths come all servers");
}

#[test]
fn what_a_node_says_of_servers_that_no_map_names_is_nobodys_business() {
    let fixture = stage();
    let servers = ServersSeen {
        relays: vec![RelaySeen { public_key: key(77), reached: true, rtt_us: Some(1) }],
        stun_servers: vec![StunServerSeen {
            address: "203.0.113.9:1".parse().unwrap(),
            reached: true,
            rtt_us: None,
        }],
    };
    let _node = node(&fixture, "a", servers);
    let caller = fixture.caller(Some(Role::Owner));
    let list = fixture.coordinator.relays(&caller).unwrap().relays;
    assert_eq!((list.len(), list[0].nodes.clone().unwrap()), (1, NodeFigures::default()));
    assert_eq!(fixture.coordinator.stun_servers(&caller).unwrap().len(), 1);
}
