//! Nodes that are relays for their network: who may, who hears of it, and when it is over.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::service::administration::PEER_RELAYS_MAX;
use coordinator::service::resources::ResourceError;
use coordinator::service::resources::networks::NewNetwork;
use coordinator::service::resources::nodes::{NewPlainNode, NodeChange};
use coordinator::service::resources::relays::NewRelay;
use coordinator::service::{MapPoll, MapSubscription, NodeIdentity};
use fixture::{Fixture, HOUR, Machine, START, report};
use protocol::api::{MapEvent, NetworkMap, OwnRelay, RelayInfo, Report};
use protocol::key::{PrivateKey, PublicKey};
use protocol::relay_token::RelayToken;

const AT: &str = "198.51.100.7:4000";

fn key(byte: u8) -> PublicKey {
    PrivateKey::from_random([byte; 32]).public_key()
}

/// What `admin node allow-relay` does beside a coordinator that serves.
fn set_may_relay(fixture: &Fixture, node: &str, may_relay: bool) -> Result<(), ResourceError> {
    let change = NodeChange { may_relay: Some(may_relay), ..NodeChange::default() };
    fixture.command(START, |call| call.update_node(fixture.id_of(node), change))?;
    Ok(fixture.coordinator.sync()?)
}

fn relay_at(public_key: PublicKey, addresses: &[&str]) -> Report {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    Report { relay: Some(OwnRelay { public_key, addresses }), ..report(&["198.51.100.7:1"]) }
}

/// A node's map as it follows the stream.
struct Follower {
    stream: MapSubscription,
    map: NetworkMap,
}

impl Follower {
    fn new(fixture: &Fixture, identity: &NodeIdentity) -> Self {
        let mut stream = fixture.coordinator.open_map(identity, None).unwrap();
        let MapPoll::Event(event) = stream.poll_event() else { panic!("a snapshot") };
        let MapEvent::Snapshot(map) = *event else { panic!("a snapshot") };
        Self { stream, map }
    }

    /// The relays that the map names now, as a stream and as a snapshot would have it.
    fn relays(&mut self) -> Vec<RelayInfo> {
        self.follow();
        self.map.relays.clone()
    }

    fn follow(&mut self) {
        while let MapPoll::Event(event) = self.stream.poll_event() {
            match *event {
                MapEvent::Snapshot(map) => self.map = map,
                MapEvent::Delta(delta) => self.map.apply(delta).unwrap(),
            }
        }
    }
}

/// A network with a node that may relay and does, and one beside it.
struct Scene {
    fixture: Fixture,
    relay: Machine,
    relay_map: Follower,
    other_map: Follower,
}

impl Scene {
    fn new() -> Self {
        let fixture = Fixture::new(1);
        let (relay, other) = (fixture.node("relay"), fixture.node("other"));
        let other_map = Follower::new(&fixture, &other.identity);
        let relay_map = Follower::new(&fixture, &relay.identity);
        set_may_relay(&fixture, "relay", true).unwrap();
        fixture.coordinator.report(START, &relay.identity, relay_at(key(9), &[AT])).unwrap();
        Self { fixture, relay, relay_map, other_map }
    }

    /// The coordinator's owner adds a relay, `par1`.
    fn add_owners_relay(&self) {
        let new = NewRelay {
            name: "par1".into(),
            public_key: key(3),
            addresses: vec!["198.51.100.8:3478".parse().unwrap()],
            stun_servers: Vec::new(),
        };
        self.fixture.command(START, |call| call.create_relay(new)).unwrap();
        self.fixture.coordinator.sync().unwrap();
    }

    fn names(&mut self) -> Vec<String> {
        self.other_map.relays().into_iter().map(|relay| relay.name).collect()
    }
}

#[test]
fn a_node_hears_by_a_change_that_it_may_be_a_relay_and_with_which_tokens() {
    let fixture = Fixture::new(1);
    let (node, other) = (fixture.node("a"), fixture.node("b"));
    let mut map = Follower::new(&fixture, &node.identity);
    let mut other_map = Follower::new(&fixture, &other.identity);
    assert_eq!(map.map.own.relay, None);
    set_may_relay(&fixture, "a", true).unwrap();
    map.follow();
    other_map.follow();
    let permission = map.map.own.relay.clone().unwrap();
    assert_eq!((permission.network, &other_map.map.own.relay), (fixture.network.id, &None));
    let answer = fixture.coordinator.report(START, &other.identity, report(&[])).unwrap();
    let now_s = u64::try_from(START / 1000).unwrap();
    let token = RelayToken::verify(&answer.relay_token.0, &permission.verify_keys[0], now_s).unwrap();
    assert_eq!(token.network, permission.network);
    assert_eq!(Follower::new(&fixture, &node.identity).map.own.relay, Some(permission), "in a snapshot too");

    set_may_relay(&fixture, "a", false).unwrap();
    let mut map = Follower::new(&fixture, &node.identity);
    set_may_relay(&fixture, "a", true).unwrap();
    set_may_relay(&fixture, "a", false).unwrap();
    map.follow();
    assert_eq!(map.map.own.relay, None);
}

#[test]
fn that_a_node_may_relay_outlives_a_restart() {
    let fixture = Fixture::new(1);
    let node = fixture.node("a");
    set_may_relay(&fixture, "a", true).unwrap();
    let fixture = fixture.restart();
    assert!(Follower::new(&fixture, &node.identity).map.own.relay.is_some());
}

#[test]
fn a_peer_relay_is_in_the_maps_of_the_others_after_the_owners_relays_and_not_in_its_own() {
    let mut scene = Scene::new();
    scene.add_owners_relay();
    assert_eq!(scene.names(), ["par1", "relay"]);
    let peer_relay = scene.other_map.relays().pop().unwrap();
    assert_eq!((peer_relay.address.to_string().as_str(), peer_relay.public_key), (AT, key(9)));
    assert_eq!(peer_relay.node, Some(scene.relay.private_key.public_key()));
    let own: Vec<_> = scene.relay_map.relays().into_iter().map(|relay| relay.name).collect();
    assert_eq!(own, ["par1"]);
}

#[test]
fn nodes_of_another_network_hear_nothing_of_it() {
    let scene = Scene::new();
    let fixture = &scene.fixture;
    let network = fixture.command(START, |call| call.create_network(NewNetwork::named("elsewhere"))).unwrap();
    fixture.coordinator.sync().unwrap();
    let private_key = PrivateKey::from_random([77; 32]);
    let public_key = private_key.public_key();
    let machine =
        fixture.enroll(START, &fixture.new_key_of("elsewhere", true).key, private_key, "far").unwrap();
    let identity = NodeIdentity { node: machine.response.node_id, network: network.id, public_key };
    assert!(Follower::new(fixture, &identity).relays().is_empty());
}

#[test]
fn a_peer_relay_that_stays_offline_is_gone_from_the_maps_until_it_is_back() {
    let Scene { fixture, relay, relay_map, mut other_map } = Scene::new();
    let other = fixture.node("third");
    drop(relay_map);
    assert_eq!(other_map.relays().len(), 1, "a stream that begins anew moves nobody");
    let pass = |ms: i64| fixture.coordinator.report(START + ms, &other.identity, report(&[])).unwrap();
    pass(149_000);
    assert_eq!(other_map.relays().len(), 1);
    pass(150_000);
    assert!(other_map.relays().is_empty());
    let _back = Follower::new(&fixture, &relay.identity);
    assert_eq!(other_map.relays().len(), 1);
}

#[test]
fn a_relays_key_and_address_are_those_of_the_node_that_was_named_first() {
    let mut scene = Scene::new();
    let second = scene.fixture.node("second");
    let _online = Follower::new(&scene.fixture, &second.identity);
    set_may_relay(&scene.fixture, "second", true).unwrap();
    let mut report = |identity: &NodeIdentity, report| {
        scene.fixture.coordinator.report(START, identity, report).unwrap();
        let named = scene.other_map.relays().into_iter();
        let mut named: Vec<_> = named.map(|relay| format!("{} {}", relay.name, relay.address)).collect();
        named.sort();
        named
    };
    let (first, second) = (&scene.relay.identity, &second.identity);
    let own = [format!("relay {AT}")];
    assert_eq!(report(second, relay_at(key(9), &["198.51.100.8:1"])), own, "its key");
    assert_eq!(report(second, relay_at(key(10), &[AT])), own, "its address");
    let [own] = own;
    let both = [own, "second 198.51.100.8:1".to_owned()];
    assert_eq!(report(second, relay_at(key(10), &["198.51.100.8:1"])), both);
    // The other way round: who enrolled first has no better right.
    let second_alone = ["second 198.51.100.8:1"];
    assert_eq!(report(first, relay_at(key(10), &["198.51.100.9:1"])), second_alone);
    assert_eq!(report(first, relay_at(key(9), &["198.51.100.8:1"])), second_alone);
    assert_eq!(
        report(first, relay_at(key(9), &["198.51.100.7:1"])),
        second_alone,
        "where another is reached"
    );
}

#[test]
fn a_peer_relay_that_is_forbidden_or_deleted_is_gone_from_the_maps_at_once() {
    let mut scene = Scene::new();
    set_may_relay(&scene.fixture, "relay", false).unwrap();
    assert!(scene.names().is_empty());
    set_may_relay(&scene.fixture, "relay", true).unwrap();
    assert_eq!(scene.names(), ["relay"]);
    scene.fixture.coordinator.delete_node(START, scene.relay.identity.node).unwrap();
    assert!(scene.names().is_empty());
}

#[test]
fn a_report_without_a_relay_takes_it_out_and_one_at_another_address_moves_it() {
    let mut scene = Scene::new();
    let report_it = |scene: &Scene, report| {
        scene.fixture.coordinator.report(START, &scene.relay.identity, report).unwrap();
    };
    report_it(&scene, relay_at(key(9), &["203.0.113.1:1", "[2001:db8::1]:1", "[::ffff:203.0.113.2]:1"]));
    let at: Vec<_> = scene.other_map.relays().iter().map(|relay| relay.address.to_string()).collect();
    assert_eq!(at, ["203.0.113.1:1", "[2001:db8::1]:1", "203.0.113.2:1"]);
    report_it(&scene, report(&["198.51.100.7:1"]));
    assert!(scene.names().is_empty());
}

#[test]
fn what_a_node_that_may_not_reports_of_a_relay_is_ignored() {
    let mut scene = Scene::new();
    let intruder = scene.fixture.node("intruder");
    let _online = Follower::new(&scene.fixture, &intruder.identity);
    let report = relay_at(key(11), &["198.51.100.9:4000"]);
    scene.fixture.coordinator.report(START, &intruder.identity, report).unwrap();
    assert_eq!(scene.names(), ["relay"]);
}

#[test]
fn a_relay_at_a_bad_address_or_with_a_bad_key_is_refused_and_the_error_names_the_field() {
    let mut scene = Scene::new();
    let refused = |report: Report| {
        scene.fixture.coordinator.report(START, &scene.relay.identity, report).unwrap_err().to_string()
    };
    let private = refused(relay_at(key(9), &[AT, "192.168.1.1:4000"]));
    assert_eq!(private, "relay.addresses[1]: 192.168.1.1:4000 is no address of the internet");
    let mesh = refused(relay_at(key(9), &["100.92.0.1:4000"]));
    assert!(mesh.starts_with("relay.addresses[0]"), "{mesh}");
    assert!(refused(relay_at(key(9), &[AT; 5])).starts_with("relay.addresses: 5 given"));
    let low_order = PublicKey::from_bytes([0; 32]);
    assert!(refused(relay_at(low_order, &[AT])).starts_with("relay.public_key"));
    assert_eq!(scene.names(), ["relay"], "the last good one stays");
}

#[test]
fn a_peer_relay_cannot_put_itself_in_the_place_of_another_relay() {
    let mut scene = Scene::new();
    scene.add_owners_relay();
    let pretend = |scene: &mut Scene, report| {
        scene.fixture.coordinator.report(START, &scene.relay.identity, report).unwrap();
        scene.names()
    };
    assert_eq!(pretend(&mut scene, relay_at(key(3), &["198.51.100.9:1"])), ["par1"], "its key");
    assert_eq!(pretend(&mut scene, relay_at(key(9), &["198.51.100.8:3478"])), ["par1"], "its address");
    assert_eq!(pretend(&mut scene, relay_at(key(9), &["198.51.100.9:1"])), ["par1", "relay"]);
}

#[test]
fn a_plain_peer_and_a_ninth_node_may_not_relay() {
    let fixture = Fixture::new(1);
    let endpoint = "203.0.113.5:51820".parse().unwrap();
    let (network, name) = (fixture.network.id, "plain".parse().unwrap());
    let plain = NewPlainNode { network, name, public_key: key(5), endpoint };
    fixture.command(START, |call| call.create_plain_node(plain)).unwrap();
    let refused = |node: &str| set_may_relay(&fixture, node, true).unwrap_err().to_string();
    assert!(refused("plain").contains("a plain WireGuard peer cannot be a relay"));
    for index in 0..=PEER_RELAYS_MAX {
        fixture
            .enroll(START + HOUR / 2, &fixture.new_key(true).key, any_key(index), &format!("n{index}"))
            .unwrap();
    }
    for index in 0..PEER_RELAYS_MAX {
        set_may_relay(&fixture, &format!("n{index}"), true).unwrap();
    }
    assert!(refused("n8").contains("8 nodes of this network may relay already"));
    set_may_relay(&fixture, "n0", true).expect("it may already");
    set_may_relay(&fixture, "n0", false).unwrap();
    set_may_relay(&fixture, "n8", true).unwrap();
}

fn any_key(index: usize) -> PrivateKey {
    PrivateKey::from_random([u8::try_from(100 + index).unwrap(); 32])
}
