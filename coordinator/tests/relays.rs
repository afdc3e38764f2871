//! Relays and STUN servers: the operator registers them, and every node hears of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::service::resources::ResourceError;
use coordinator::service::resources::relays::{NewRelay, RelayChange};
use coordinator::service::resources::servers::ServerOrigin;
use coordinator::service::resources::stun_servers::{NewStunServer, StunServerChange};
use coordinator::service::{MapPoll, MapSubscription};
use coordinator::store::Role;
use fixture::{Fixture, START};
use protocol::api::{MapDelta, MapEvent, NetworkMap};
use protocol::key::{PrivateKey, PublicKey};
use uuid::Uuid;

fn key(byte: u8) -> PublicKey {
    PrivateKey::from_random([byte; 32]).public_key()
}

fn new(name: &str, key_byte: u8, addresses: &[&str]) -> NewRelay {
    NewRelay {
        name: name.to_owned(),
        public_key: key(key_byte),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        stun_servers: Vec::new(),
    }
}

fn stun(name: &str, address: &str) -> NewStunServer {
    NewStunServer { name: name.to_owned(), address: address.parse().unwrap() }
}

/// What `admin relay add` does beside a coordinator that serves.
fn add(fixture: &Fixture, new: NewRelay) -> Result<Uuid, ResourceError> {
    let made = fixture.command(START, |call| call.create_relay(new))?;
    fixture.coordinator.sync()?;
    Ok(made.id.unwrap())
}

fn add_stun(fixture: &Fixture, new: NewStunServer) -> Result<Uuid, ResourceError> {
    let made = fixture.command(START, |call| call.create_stun_server(new))?;
    fixture.coordinator.sync()?;
    Ok(made.id.unwrap())
}

fn change(fixture: &Fixture, id: Uuid, wanted: RelayChange) -> Result<(), ResourceError> {
    fixture.command(START, |call| call.update_relay(id, wanted))?;
    Ok(fixture.coordinator.sync()?)
}

fn disable(disabled: bool) -> RelayChange {
    RelayChange { disabled: Some(disabled), ..RelayChange::default() }
}

fn delta(stream: &mut MapSubscription) -> MapDelta {
    let MapPoll::Event(event) = stream.poll_event() else { panic!("an event") };
    let MapEvent::Delta(delta) = *event else { panic!("a delta") };
    delta
}

/// A node's stream and its map.
fn follow(fixture: &Fixture) -> (MapSubscription, NetworkMap) {
    let node = fixture.node("a");
    let mut stream = fixture.coordinator.open_map(&node.identity, None).unwrap();
    let MapPoll::Event(event) = stream.poll_event() else { panic!("a snapshot") };
    let MapEvent::Snapshot(map) = *event else { panic!("a snapshot") };
    (stream, map)
}

fn relay_names(fixture: &Fixture) -> Vec<String> {
    fixture.coordinator.servers().relays.iter().map(|relay| relay.name.clone()).collect()
}

#[test]
fn a_relay_that_is_registered_is_in_every_map_by_a_change_and_so_is_its_end() {
    let fixture = Fixture::new(1);
    let (mut stream, mut map) = follow(&fixture);
    assert!(map.relays.is_empty());
    let stun_servers = vec!["198.51.100.7:3479".parse().unwrap()];
    let wanted = NewRelay { stun_servers, ..new("par1", 3, &["198.51.100.7:3478", "[2001:db9::7]:3478"]) };
    let id = add(&fixture, wanted).unwrap();
    let change = delta(&mut stream);
    assert!(change.upserts.is_empty() && change.removals.is_empty());
    map.apply(change).unwrap();
    let told: Vec<_> = map.relays.iter().map(|relay| (relay.address.to_string(), relay.public_key)).collect();
    assert_eq!(
        told,
        [("198.51.100.7:3478".into(), key(3)), ("[2001:db9::7]:3478".into(), key(3))],
        "one relay at two addresses"
    );
    assert_eq!(map.stun_servers.len(), 2, "the coordinator's own, and the relay's");
    assert_eq!(stream.poll_event(), MapPoll::Idle);

    fixture.command(START, |call| call.delete_relay(id)).unwrap();
    fixture.coordinator.sync().unwrap();
    map.apply(delta(&mut stream)).unwrap();
    assert!(map.relays.is_empty());
}

#[test]
fn a_relay_that_is_disabled_is_in_no_map_with_its_stun_server_and_comes_back_as_it_was() {
    let fixture = Fixture::new(1);
    let (mut stream, mut map) = follow(&fixture);
    let stun_servers = vec!["198.51.100.7:3479".parse().unwrap()];
    let id = add(&fixture, NewRelay { stun_servers, ..new("par1", 3, &["198.51.100.7:3478"]) }).unwrap();
    map.apply(delta(&mut stream)).unwrap();
    let before = map.clone();
    change(&fixture, id, disable(true)).unwrap();
    map.apply(delta(&mut stream)).unwrap();
    assert_eq!((map.relays.len(), map.stun_servers.len()), (0, 1));
    let list = fixture.coordinator.relays(&fixture.caller(Some(Role::Viewer))).unwrap();
    assert!(list.relays[0].disabled);
    change(&fixture, id, disable(false)).unwrap();
    map.apply(delta(&mut stream)).unwrap();
    assert_eq!((map.relays, map.stun_servers), (before.relays, before.stun_servers));
}

#[test]
fn a_relay_is_renamed_and_moved_and_what_is_not_named_stays() {
    let fixture = Fixture::new(1);
    let id = add(&fixture, new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    add(&fixture, new("fra1", 4, &["198.51.100.8:3478"])).unwrap();
    let name = |name: &str| RelayChange { name: Some(name.into()), ..RelayChange::default() };
    change(&fixture, id, name("par2")).unwrap();
    let addresses = Some(vec!["198.51.100.9:3478".parse().unwrap()]);
    change(&fixture, id, RelayChange { addresses, ..RelayChange::default() }).unwrap();
    let servers = fixture.coordinator.servers();
    let moved = servers.relays.iter().find(|relay| relay.name == "par2").unwrap();
    assert_eq!((moved.address.to_string(), moved.public_key), ("198.51.100.9:3478".into(), key(3)));
    for (wanted, why) in [(name("fra1"), "taken"), (name("coordinator"), "taken"), (name(""), "1 to 63")] {
        let error = change(&fixture, id, wanted).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    let addresses = Some(vec!["198.51.100.8:3478".parse().unwrap()]);
    let error = change(&fixture, id, RelayChange { addresses, ..RelayChange::default() }).unwrap_err();
    assert!(error.to_string().contains("relay `fra1` has"), "{error}");
    let missing = change(&fixture, Uuid::nil(), disable(true)).unwrap_err();
    assert!(matches!(missing, ResourceError::NotFound("relay")));
}

#[test]
fn a_node_that_was_away_hears_of_a_new_relay_by_a_change() {
    let fixture = Fixture::new(1);
    let node = fixture.node("a");
    let mut stream = fixture.coordinator.open_map(&node.identity, None).unwrap();
    let MapPoll::Event(event) = stream.poll_event() else { panic!("a snapshot") };
    let revision = event.revision();
    drop(stream);
    add(&fixture, new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    let mut stream = fixture.coordinator.open_map(&node.identity, Some(revision)).unwrap();
    assert_eq!(delta(&mut stream).servers.unwrap().relays.len(), 1);
}

#[test]
fn relays_and_stun_servers_outlive_a_restart() {
    let fixture = Fixture::new(1);
    add(&fixture, new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    add_stun(&fixture, stun("ams", "198.51.100.9:3478")).unwrap();
    let fixture = fixture.restart();
    assert_eq!(relay_names(&fixture), ["par1"]);
    assert_eq!(fixture.coordinator.servers().stun_servers.len(), 2);
}

#[test]
fn name_key_and_address_are_of_one_relay_only_and_addresses_are_reachable_ones() {
    let fixture = Fixture::new(1);
    let stun_servers = vec!["198.51.100.7:3479".parse().unwrap()];
    add(&fixture, NewRelay { stun_servers, ..new("par1", 3, &["198.51.100.7:3478"]) }).unwrap();
    add_stun(&fixture, stun("ams", "198.51.100.9:3478")).unwrap();
    let refused = |new: NewRelay, why: &str| {
        let error = add(&fixture, new).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(new("par1", 4, &["198.51.100.8:3478"]), "the name `par1` is taken");
    refused(new("coordinator", 4, &["198.51.100.8:3478"]), "the name `coordinator` is taken");
    refused(new("fra1", 3, &["198.51.100.8:3478"]), "relay `par1` has this public key");
    refused(new("fra1", 4, &["198.51.100.7:3478"]), "relay `par1` has this public key");
    refused(new("fra1", 4, &[]), "addresses: 1 to 4 addresses");
    refused(new("fra1", 4, &["198.51.100.8:1"; 5]), "addresses: 1 to 4 addresses");
    refused(new("fra1", 4, &["127.0.0.1:3478"]), "addresses: 127.0.0.1:3478");
    refused(new("", 4, &["198.51.100.8:3478"]), "name: 1 to 63 characters");
    for (address, why) in [
        ("198.51.100.7:3479", "relay `par1` answers STUN"),
        ("198.51.100.9:3478", "STUN server `ams` has"),
        ("0.0.0.0:3478", "stun_servers: 0.0.0.0:3478"),
    ] {
        let stun_servers = vec![address.parse().unwrap()];
        refused(NewRelay { stun_servers, ..new("fra1", 4, &["198.51.100.8:3478"]) }, why);
    }
    let low_order = PublicKey::from_bytes([0; 32]);
    refused(NewRelay { public_key: low_order, ..new("fra1", 4, &["198.51.100.8:3478"]) }, "low order");
    assert_eq!(relay_names(&fixture), ["par1"]);
}

#[test]
fn there_are_at_most_sixteen_relays_and_as_many_stun_servers_as_nodes_ask() {
    let fixture = Fixture::new(1);
    for index in 0..16 {
        add(&fixture, new(&format!("r{index}"), index + 1, &[&format!("198.51.100.{index}:3478")])).unwrap();
    }
    let error = add(&fixture, new("one-more", 99, &["203.0.113.1:3478"])).unwrap_err();
    assert!(error.to_string().contains("16 relays already"), "{error}");
    for index in 0..8 {
        add_stun(&fixture, stun(&format!("s{index}"), &format!("203.0.113.{index}:3478"))).unwrap();
    }
    let error = add_stun(&fixture, stun("one-more", "203.0.113.99:3478")).unwrap_err();
    assert!(error.to_string().contains("8 STUN servers already"), "{error}");
}

#[test]
fn a_row_that_cannot_be_read_harms_no_other_server() {
    let fixture = Fixture::new(1);
    let id = add(&fixture, new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    add(&fixture, new("fra1", 4, &["198.51.100.8:3478"])).unwrap();
    add_stun(&fixture, stun("bad", "198.51.100.9:3478")).unwrap();
    add_stun(&fixture, stun("good", "198.51.100.10:3478")).unwrap();
    fixture.raw().execute("UPDATE relays SET addresses = 'x' WHERE name = 'par1'", ()).unwrap();
    fixture.raw().execute("UPDATE stun_servers SET address = 'nonsense!' WHERE name = 'bad'", ()).unwrap();
    fixture.coordinator.sync().unwrap();
    assert_eq!(relay_names(&fixture), ["fra1"]);
    let told = fixture.coordinator.servers().stun_servers.clone();
    assert_eq!(told[1..], ["198.51.100.10:3478".parse().unwrap()]);
    fixture.command(START, |call| call.delete_relay(id)).unwrap();
}

#[test]
fn a_stun_server_that_is_registered_follows_the_coordinators_own_and_precedes_those_at_relays() {
    let fixture = Fixture::new(1);
    let stun_servers = vec!["198.51.100.7:3479".parse().unwrap()];
    add(&fixture, NewRelay { stun_servers, ..new("par1", 3, &["198.51.100.7:3478"]) }).unwrap();
    let id = add_stun(&fixture, stun("ams", "198.51.100.9:3478")).unwrap();
    let told = || {
        let told = fixture.coordinator.servers().stun_servers.clone();
        told.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(), ["192.0.2.1:3478", "198.51.100.9:3478", "198.51.100.7:3479"]);
    let list = fixture.coordinator.stun_servers(&fixture.caller(Some(Role::Viewer))).unwrap();
    let origins: Vec<_> =
        list.iter().map(|server| (server.name.as_str(), server.origin, server.asked)).collect();
    assert_eq!(
        origins,
        [
            ("coordinator", ServerOrigin::Settings, true),
            ("ams", ServerOrigin::Registered, true),
            ("par1", ServerOrigin::Relay, true),
        ]
    );
    let change = |wanted: StunServerChange| {
        fixture.command(START, |call| call.update_stun_server(id, wanted)).map(|_| ())?;
        Ok::<_, ResourceError>(fixture.coordinator.sync()?)
    };
    let address = Some("198.51.100.11:3478".parse().unwrap());
    change(StunServerChange { address, name: Some("ams2".into()), disabled: None }).unwrap();
    assert_eq!(told()[1], "198.51.100.11:3478");
    change(StunServerChange { disabled: Some(true), ..StunServerChange::default() }).unwrap();
    assert_eq!(told(), ["192.0.2.1:3478", "198.51.100.7:3479"]);
    let taken = Some("198.51.100.7:3479".parse().unwrap());
    let error = change(StunServerChange { address: taken, ..StunServerChange::default() }).unwrap_err();
    assert!(error.to_string().contains("relay `par1` answers STUN"), "{error}");
    fixture.command(START, |call| call.delete_stun_server(id)).unwrap();
}

#[test]
fn nodes_ask_the_first_eight_stun_servers_and_the_list_says_which() {
    let fixture = Fixture::new(1);
    for index in 0..3 {
        let stun_servers =
            (0..4).map(|port| format!("198.51.100.{index}:{}", 3478 + port).parse().unwrap()).collect();
        let relay = new(&format!("r{index}"), index + 1, &[&format!("198.51.100.{index}:443")]);
        add(&fixture, NewRelay { stun_servers, ..relay }).unwrap();
    }
    let list = fixture.coordinator.stun_servers(&fixture.caller(Some(Role::Viewer))).unwrap();
    assert_eq!((list.len(), list.iter().filter(|server| server.asked).count()), (13, 8));
    assert!(list[..8].iter().all(|server| server.asked));
}

#[test]
fn nobody_but_the_operator_changes_what_is_of_the_installation() {
    let fixture = Fixture::new(1);
    for role in [Role::Viewer, Role::Member, Role::Admin] {
        let member = fixture.member(role);
        let call = fixture.coordinator.call(START, &member);
        let refused = call.create_relay(new("par1", 3, &["198.51.100.7:3478"])).unwrap_err();
        assert!(matches!(refused, ResourceError::Forbidden(_)), "{role:?}: {refused}");
        let refused = call.create_stun_server(stun("ams", "198.51.100.9:3478")).unwrap_err();
        assert!(matches!(refused, ResourceError::Forbidden(_)), "{role:?}: {refused}");
    }
    let owner = fixture.member(Role::Owner);
    let call = fixture.coordinator.call(START, &owner);
    call.create_relay(new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    let entry = call.audit_log(None).unwrap().remove(0);
    assert_eq!((entry.action.as_str(), entry.subject.as_str()), ("relay.create", "par1"));
    let admin = fixture.member(Role::Admin);
    let log = fixture.coordinator.call(START, &admin).audit_log(None).unwrap();
    assert!(
        log.iter().all(|entry| entry.action != "relay.create"),
        "what is of the installation is the operator's to see"
    );
}
