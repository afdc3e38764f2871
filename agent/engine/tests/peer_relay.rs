//! Relays that nodes run: which addresses of its own a node tells, and that it is no relay to itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{PortMappingProtocol, SocketId, Timestamp};
use engine::{Engine, EngineConfig, Input, LocalAddress, Output, PortMapping, RelayServer};
use proptest::prelude::*;
use protocol::api::{
    MapEvent, NetworkMap, OwnNode, Peer, RelayInfo, RelayPermission, Report, ReportResponse,
};
use protocol::frame::{DatagramClass, classify};
use protocol::key::{PrivateKey, PublicKey};
use protocol::relay::{Frame, RelayKey, SessionId, decode, encode_no_session};
use protocol::relay_token::{SignedToken, TOKEN_LEN, TokenSigningKey};
use uuid::Uuid;
use zeroize::Zeroizing;

const START: Timestamp = Timestamp::from_micros(1_000_000);
const OWNERS: &str = "198.51.100.1:3478";
const PEERS: &str = "198.51.100.2:4000";

fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_random([byte; 32])
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn permission() -> RelayPermission {
    let verify_key = TokenSigningKey::from_random(&Zeroizing::new([5; 32])).verifying_key();
    RelayPermission { network: Uuid::nil(), verify_keys: vec![verify_key] }
}

fn peer(byte: u8) -> Peer {
    Peer {
        id: Uuid::from_bytes([byte; 16]),
        name: format!("peer-{byte}").parse().unwrap(),
        public_key: key(byte).public_key(),
        allowed_ips: vec![format!("100.92.0.{byte}/32").parse().unwrap()],
        online: true,
        candidates: Vec::new(),
        nat: NatProfile::default(),
        plain_endpoint: None,
        tags: Vec::new(),
        routes: Vec::new(),
    }
}

fn relay(text: &str, byte: u8, node: Option<PublicKey>) -> RelayInfo {
    RelayInfo {
        name: text.to_owned(),
        address: address(text),
        public_key: key(byte).public_key(),
        url: None,
        node,
    }
}

struct Node {
    engine: Engine,
    now: Timestamp,
    map: NetworkMap,
}

impl Node {
    /// Node 1 with peers 2 and 3.
    fn new(relay: Option<RelayPermission>, relays: Vec<RelayInfo>) -> Self {
        let config = EngineConfig {
            private_key: key(1),
            local_port: 4000,
            seed: Zeroizing::new([7; 32]),
            static_candidates: Vec::new(),
            agent_version: "test".into(),
        };
        let map = NetworkMap {
            revision: 5,
            own: OwnNode {
                id: Uuid::nil(),
                name: "own".parse().unwrap(),
                network: "default".into(),
                zone: None,
                addresses: vec!["100.92.0.1/16".parse().unwrap()],
                relay,
                standing: protocol::api::Standing::Admitted,
                access: None,
                routes: Vec::new(),
            },
            peers: vec![peer(2), peer(3)],
            relays,
            stun_servers: Vec::new(),
        };
        let mut node = Self { engine: Engine::new(config, START), now: START, map: map.clone() };
        node.hear(Input::Map(MapEvent::Snapshot(map)));
        node
    }

    fn hear(&mut self, input: Input<'_>) {
        self.engine.handle_input(self.now, input);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    /// What the node does within this time, until it has nothing to do.
    fn pass(&mut self, time: Duration) -> Vec<Output> {
        let end = self.now + time;
        let mut outputs = self.outputs();
        while let Some((at, _)) = self.engine.poll_timeout()
            && at <= end
        {
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
            outputs.extend(self.outputs());
        }
        self.now = end;
        outputs
    }

    /// The report that is due within a second, if there is one; it is accepted.
    fn report(&mut self) -> Option<Report> {
        let outputs = self.pass(Duration::from_secs(1));
        let report = outputs
            .into_iter()
            .find_map(|output| if let Output::Report(report) = output { Some(report) } else { None })?;
        self.accept_report();
        Some(report)
    }

    fn accept_report(&mut self) {
        self.hear(Input::ReportAccepted(ReportResponse {
            relay_token: SignedToken([0; TOKEN_LEN]),
            relay_token_lifetime_s: 3_600,
            report_interval_s: 60,
            wants_all_paths: false,
        }));
    }

    fn addresses(&mut self, addresses: &[&str]) {
        let local = |text: &&str| LocalAddress { interface: "eth0".into(), address: text.parse().unwrap() };
        self.hear(Input::LocalAddresses(addresses.iter().map(local).collect()));
    }

    fn serve(&mut self, external: Option<&str>, given: &[&str]) {
        let mapping = external.map(|external| PortMapping {
            external: address(external),
            base: address("192.168.1.2:5000"),
            protocol: PortMappingProtocol::Pcp,
        });
        let static_addresses = given.iter().map(|text| address(text)).collect();
        let public_key = key(8).public_key();
        self.hear(Input::RelayServer(Some(RelayServer {
            public_key,
            port: 5000,
            mapping,
            static_addresses,
        })));
    }

    fn told(&mut self) -> Vec<String> {
        let relay = self.report().expect("a report").relay;
        relay.iter().flat_map(|relay| &relay.addresses).map(ToString::to_string).collect()
    }

    /// Lets the node in at a relay with the private key of this byte, as soon as it asks.
    fn admit(&mut self, at: &str, byte: u8, session: SessionId) {
        let relay_key = RelayKey::of_relay(&key(byte), &key(1).public_key()).unwrap();
        let outputs = self.pass(Duration::from_secs(2));
        let nonce = frames(&outputs, at).rev().find_map(|frame| {
            if let Frame::Register(register) = frame { Some(register.nonce) } else { None }
        });
        let nonce = nonce.expect("a registration");
        let frame = relay_key.encode_registered(session, address("203.0.113.1:4000"), 3_600, nonce);
        self.hear(Input::Datagram { socket: SocketId::MAIN, from: address(at), datagram: &frame });
    }
}

/// What was sent to this relay.
fn frames<'o>(outputs: &'o [Output], at: &str) -> impl DoubleEndedIterator<Item = Frame<'o>> {
    let at = address(at);
    outputs.iter().filter_map(move |output| {
        let Output::Transmit { to, datagram, .. } = output else { return None };
        decode(datagram).ok().filter(|_| *to == at)
    })
}

/// To whom sealed packets went through this relay.
fn destinations(outputs: &[Output], at: &str) -> Vec<PublicKey> {
    let sent = frames(outputs, at).filter_map(|frame| {
        let Frame::Send { destination, payload, .. } = frame else { return None };
        (classify(payload) == DatagramClass::Probe).then_some(destination)
    });
    sent.collect()
}

#[test]
fn the_shell_is_told_to_be_a_relay_once_and_again_when_that_changes() {
    let mut node = Node::new(Some(permission()), Vec::new());
    let wishes = |outputs: Vec<Output>| {
        let wish =
            |output| if let Output::SetOwnRelay(permission) = output { Some(permission) } else { None };
        outputs.into_iter().filter_map(wish).collect::<Vec<_>>()
    };
    assert_eq!(wishes(node.outputs()), [Some(permission())]);
    let mut map = node.map.clone();
    node.hear(Input::Map(MapEvent::Snapshot(map.clone())));
    assert_eq!(wishes(node.outputs()), []);
    map.own.relay = None;
    node.hear(Input::Map(MapEvent::Snapshot(map)));
    assert_eq!(wishes(node.outputs()), [None]);
}

#[test]
fn the_coordinator_is_told_public_addresses_open_ports_and_what_the_user_gave_and_no_others() {
    let mut node = Node::new(Some(permission()), Vec::new());
    node.addresses(&["192.168.1.2", "100.64.0.9", "198.51.100.7", "fd00::7", "2001:db8::7", "fe80::7"]);
    node.serve(Some("203.0.113.9:6000"), &["203.0.113.10:7000"]);
    assert_eq!(
        node.told(),
        ["203.0.113.10:7000", "198.51.100.7:5000", "203.0.113.9:6000", "[2001:db8::7]:5000"]
    );
    node.addresses(&["192.168.1.2"]);
    node.serve(Some("100.64.0.9:6000"), &[]);
    assert!(node.told().is_empty(), "an address inside the carrier's NAT is no stranger's way in");
    node.hear(Input::RelayServer(None));
    assert_eq!(node.engine.status().own_relay, None);
}

#[test]
fn a_relay_that_nobody_allows_is_not_told_of() {
    let mut node = Node::new(None, Vec::new());
    node.addresses(&["198.51.100.7"]);
    node.serve(None, &[]);
    assert!(node.told().is_empty());
}

#[test]
fn a_new_snapshot_makes_the_node_say_again_where_its_relay_is() {
    let mut node = Node::new(Some(permission()), Vec::new());
    node.addresses(&["198.51.100.7"]);
    node.serve(None, &[]);
    assert_eq!(node.told(), ["198.51.100.7:5000"]);
    assert_eq!(node.report(), None, "nothing is new");
    let map = node.map.clone();
    node.hear(Input::Map(MapEvent::Snapshot(map)));
    assert_eq!(node.told(), ["198.51.100.7:5000"]);
}

#[test]
fn a_node_uses_no_relay_of_its_own_even_where_the_map_names_it() {
    let own = key(1).public_key();
    let mut node = Node::new(Some(permission()), vec![relay(PEERS, 9, Some(own))]);
    node.accept_report();
    node.pass(Duration::from_secs(10));
    assert!(node.engine.status().relays.is_empty());
}

#[test]
fn a_peer_relay_is_a_way_to_every_peer_but_the_one_that_runs_it() {
    let (runs_it, other) = (key(2).public_key(), key(3).public_key());
    let mut node = Node::new(None, vec![relay(PEERS, 9, Some(runs_it))]);
    node.accept_report();
    for peer in [runs_it, other] {
        node.hear(Input::Ping { peer, id: 1 });
    }
    node.admit(PEERS, 9, SessionId([1; 8]));
    let asked = destinations(&node.pass(Duration::from_secs(2)), PEERS);
    assert!(asked.contains(&other) && !asked.contains(&runs_it), "{asked:?}");
    let status = node.engine.status();
    let remote = |key: &PublicKey| {
        let peer = status.peers.iter().find(|peer| peer.public_key == *key).unwrap();
        peer.path.remote
    };
    assert_eq!((remote(&other), remote(&runs_it)), (Some(address(PEERS)), None));
}

#[test]
fn only_pairs_that_talk_greet_each_other_at_a_new_peer_relay() {
    let greeted_at = |node_of_it| {
        let mut node = Node::new(None, vec![relay(PEERS, 9, node_of_it)]);
        node.accept_report();
        node.admit(PEERS, 9, SessionId([1; 8]));
        destinations(&node.pass(Duration::from_secs(2)), PEERS).len()
    };
    assert_eq!(greeted_at(None), 2, "both peers, at an owner's relay");
    assert_eq!(greeted_at(Some(key(4).public_key())), 0);
}

#[test]
fn a_peer_relay_that_ends_each_session_at_once_is_asked_ever_less_often() {
    let asked = |node_of_it| {
        let mut node = Node::new(None, vec![relay(PEERS, 9, node_of_it)]);
        node.accept_report();
        let mut asked = 0;
        for second in 0..600 {
            let outputs = node.pass(Duration::from_secs(1));
            let registers = frames(&outputs, PEERS).any(|frame| matches!(frame, Frame::Register(_)));
            if second % 60 == 59 {
                node.accept_report();
            }
            if registers {
                asked += 1;
                let nonce = frames(&outputs, PEERS).rev().find_map(|frame| {
                    if let Frame::Register(register) = frame { Some(register.nonce) } else { None }
                });
                let relay_key = RelayKey::of_relay(&key(9), &key(1).public_key()).unwrap();
                let session = SessionId([1; 8]);
                let seen = address("203.0.113.1:4000");
                let granted = relay_key.encode_registered(session, seen, 0, nonce.unwrap());
                let ended = encode_no_session(session);
                for datagram in [&granted[..], &ended[..]] {
                    node.hear(Input::Datagram { socket: SocketId::MAIN, from: address(PEERS), datagram });
                }
            }
        }
        asked
    };
    assert!(asked(None) > 100, "an owner's relay that restarts is used again at once");
    assert!((2..=8).contains(&asked(Some(key(2).public_key()))));
}

#[test]
fn where_a_peer_relay_sees_a_node_is_no_candidate_of_it() {
    let seen_by = |node_of_it| {
        let mut node = Node::new(None, vec![relay(PEERS, 9, node_of_it)]);
        node.accept_report();
        node.admit(PEERS, 9, SessionId([1; 8]));
        let candidates = node.engine.status().candidates;
        candidates.iter().map(|candidate| candidate.address.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(seen_by(None), ["203.0.113.1:4000"], "an owner's relay is a server like any other");
    assert!(seen_by(Some(key(2).public_key())).is_empty());
}

#[test]
fn the_relay_of_the_coordinators_owner_is_asked_a_second_before_a_peer_relay() {
    let node_of_it = key(2).public_key();
    let relays = vec![relay(PEERS, 9, Some(node_of_it)), relay(OWNERS, 10, None)];
    let mut node = Node::new(None, relays);
    node.accept_report();
    let is_asked = |outputs: &[Output], at: &str| {
        outputs.iter().any(|output| matches!(output, Output::Transmit { to, .. } if *to == address(at)))
    };
    let first = node.pass(Duration::from_millis(990));
    assert!(is_asked(&first, OWNERS) && !is_asked(&first, PEERS));
    assert!(is_asked(&node.pass(Duration::from_millis(20)), PEERS));
}

proptest! {
    #[test]
    fn whatever_a_router_says_of_the_relays_port_the_coordinator_takes_the_report(
        ip in any::<std::net::IpAddr>(), port in any::<u16>()
    ) {
        let mut node = Node::new(Some(permission()), Vec::new());
        node.addresses(&["198.51.100.7", "192.168.1.2"]);
        node.serve(Some(&SocketAddr::new(ip, port).to_string()), &[]);
        let report = node.report().expect("a report");
        prop_assert_eq!(report.validate(), Ok(()));
        prop_assert!(report.relay.is_some_and(|relay| relay.addresses.contains(&address("198.51.100.7:5000"))));
    }
}
