//! Relays on machines of their own: an administrator names them, and every node hears of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::service::relays::{self, NewRelay};
use coordinator::service::{AdminError, MapPoll, MapSubscription};
use fixture::{Fixture, START};
use protocol::api::{MapDelta, MapEvent};
use protocol::key::{PrivateKey, PublicKey};

fn key(byte: u8) -> PublicKey {
    PrivateKey::from_random([byte; 32]).public_key()
}

fn new(name: &str, key_byte: u8, addresses: &[&str]) -> NewRelay {
    NewRelay {
        name: name.to_owned(),
        public_key: key(key_byte),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        stun_servers: vec!["198.51.100.7:3479".parse().unwrap()],
    }
}

/// What `admin relay add` does beside a coordinator that serves.
fn add(fixture: &Fixture, new: NewRelay) -> Result<(), AdminError> {
    relays::add(&fixture.other_process(), fixture.coordinator.entropy(), START, new)?;
    Ok(fixture.coordinator.sync()?)
}

fn delta(stream: &mut MapSubscription) -> MapDelta {
    let MapPoll::Event(event) = stream.poll_event() else { panic!("an event") };
    let MapEvent::Delta(delta) = *event else { panic!("a delta") };
    delta
}

fn relay_names(fixture: &Fixture) -> Vec<String> {
    fixture.coordinator.servers().relays.iter().map(|relay| relay.name.clone()).collect()
}

#[test]
fn a_relay_that_an_administrator_names_is_in_every_map_by_a_change_and_so_is_its_end() {
    let fixture = Fixture::new(1);
    let node = fixture.node("a");
    let mut stream = fixture.coordinator.open_map(&node.identity, None).unwrap();
    let MapPoll::Event(event) = stream.poll_event() else { panic!("a snapshot") };
    let MapEvent::Snapshot(mut map) = *event else { panic!("a snapshot") };
    assert!(map.relays.is_empty());

    add(&fixture, new("par1", 3, &["198.51.100.7:3478", "[2001:db9::7]:3478"])).unwrap();
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

    relays::remove(&fixture.other_process(), START, "par1").unwrap();
    fixture.coordinator.sync().unwrap();
    map.apply(delta(&mut stream)).unwrap();
    assert!(map.relays.is_empty());
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
fn relays_outlive_a_restart() {
    let fixture = Fixture::new(1);
    add(&fixture, new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    assert_eq!(relay_names(&fixture.restart()), ["par1"]);
}

#[test]
fn name_key_and_address_are_of_one_relay_only_and_addresses_are_reachable_ones() {
    let fixture = Fixture::new(1);
    add(&fixture, new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    let refused = |new: NewRelay, why: &str| {
        let error = add(&fixture, new).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(new("par1", 4, &["198.51.100.8:3478"]), "choose another name");
    refused(new("coordinator", 4, &["198.51.100.8:3478"]), "choose another name");
    refused(new("fra1", 3, &["198.51.100.8:3478"]), "relay `par1` has this public key");
    refused(new("fra1", 4, &["198.51.100.7:3478"]), "relay `par1` has this public key");
    refused(new("fra1", 4, &[]), "give 1 to 4 addresses");
    refused(new("fra1", 4, &["198.51.100.8:1"; 5]), "give 1 to 4 addresses");
    refused(new("fra1", 4, &["127.0.0.1:3478"]), "127.0.0.1:3478");
    refused(new("", 4, &["198.51.100.8:3478"]), "1 to 63 characters");
    let low_order = PublicKey::from_bytes([0; 32]);
    refused(NewRelay { public_key: low_order, ..new("fra1", 4, &["198.51.100.8:3478"]) }, "low order");
    assert_eq!(relay_names(&fixture), ["par1"]);
}

#[test]
fn there_are_at_most_sixteen() {
    let fixture = Fixture::new(1);
    for index in 0..16 {
        add(&fixture, new(&format!("r{index}"), index + 1, &[&format!("198.51.100.{index}:3478")])).unwrap();
    }
    let error = add(&fixture, new("one-more", 99, &["203.0.113.1:3478"])).unwrap_err();
    assert!(error.to_string().contains("16 relays already"), "{error}");
}

#[test]
fn a_row_that_cannot_be_read_harms_no_other_relay() {
    let fixture = Fixture::new(1);
    add(&fixture, new("par1", 3, &["198.51.100.7:3478"])).unwrap();
    add(&fixture, new("fra1", 4, &["198.51.100.8:3478"])).unwrap();
    fixture.raw().execute("UPDATE relays SET addresses = 'x' WHERE name = 'par1'", ()).unwrap();
    fixture.coordinator.sync().unwrap();
    assert_eq!(relay_names(&fixture), ["fra1"]);
}
