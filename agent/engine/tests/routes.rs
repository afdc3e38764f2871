//! Networks behind nodes, from the map and the user's choices to the tunnel.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use endpoint_selection::Timestamp;
use endpoint_selection::nat::NatProfile;
use engine::tunnel_config::TunnelConfig;
use engine::{Engine, EngineConfig, Input, Output, RouteSettings, RouteSkipped};
use ipnet::IpNet;
use protocol::api::{MapEvent, NetworkMap, OwnNode, Peer, Route, Standing};
use protocol::key::PrivateKey;
use uuid::Uuid;
use zeroize::Zeroizing;

const START: Timestamp = Timestamp::from_micros(1_000_000);
const LAN: &str = "192.168.5.0/24";

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn route(text: &str, priority: u16) -> Route {
    Route { prefix: net(text), priority }
}

/// Peer 2 runs an agent that nothing reaches; peer 3 is a plain WireGuard peer.
fn peer(byte: u8, routes: Vec<Route>) -> Peer {
    Peer {
        id: Uuid::from_bytes([byte; 16]),
        name: format!("peer-{byte}").parse().unwrap(),
        public_key: PrivateKey::from_random([byte; 32]).public_key(),
        allowed_ips: vec![format!("100.92.0.{byte}/32").parse().unwrap()],
        online: true,
        candidates: Vec::new(),
        nat: NatProfile::default(),
        plain_endpoint: (byte == 3).then(|| "198.51.100.7:51820".parse().unwrap()),
        tags: Vec::new(),
        routes,
    }
}

struct Node {
    engine: Engine,
    map: NetworkMap,
}

impl Node {
    fn new(own_routes: Vec<Route>, peers: Vec<Peer>) -> Self {
        let config = EngineConfig {
            private_key: PrivateKey::from_random([1; 32]),
            local_port: 4000,
            seed: Zeroizing::new([7; 32]),
            static_candidates: Vec::new(),
            agent_version: "test".into(),
        };
        let own = OwnNode {
            id: Uuid::nil(),
            name: "own".parse().unwrap(),
            network: "default".into(),
            zone: None,
            addresses: vec![net("100.92.0.1/16")],
            relay: None,
            standing: Standing::Admitted,
            access: None,
            routes: own_routes,
        };
        let map = NetworkMap { revision: 5, own, peers, relays: Vec::new(), stun_servers: Vec::new() };
        let mut node = Self { engine: Engine::new(config, START), map: map.clone() };
        node.engine.handle_input(START, Input::Map(MapEvent::Snapshot(map)));
        node
    }

    fn set(&mut self, settings: RouteSettings) {
        self.engine.handle_input(START, Input::Routes(settings));
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    /// The networks that the next report offers.
    fn reported(&mut self) -> Vec<IpNet> {
        let report = |output| if let Output::Report(report) = output { Some(report) } else { None };
        let mut moments = (1..100).map(|tenth| START + Duration::from_millis(100 * tenth));
        let reported = moments.find_map(|now| {
            self.engine.handle_timeout(now);
            self.outputs().into_iter().find_map(report)
        });
        reported.expect("a report within ten seconds").routes.unwrap()
    }

    /// The last tunnel that was asked for.
    fn tunnel(&mut self) -> TunnelConfig {
        let wish = |output| if let Output::SetTunnel(tunnel) = output { Some(tunnel) } else { None };
        self.outputs().into_iter().filter_map(wish).next_back().unwrap()
    }
}

#[test]
fn a_network_goes_to_the_peer_that_is_reachable_and_to_the_kernel() {
    let mut node = Node::new(Vec::new(), vec![peer(2, vec![route(LAN, 1)]), peer(3, vec![route(LAN, 2)])]);
    let tunnel = node.tunnel();
    let [agent, plain] = [2, 3].map(|byte| &tunnel.peers[&peer(byte, Vec::new()).public_key].allowed_ips);
    assert_eq!(tunnel.routes, [net(LAN)]);
    assert_eq!(*plain, [net("100.92.0.3/32"), net(LAN)]);
    assert_eq!(*agent, [net("100.92.0.2/32")]);
}

#[test]
fn a_node_that_accepts_no_routes_has_none_and_says_why() {
    let mut node = Node::new(Vec::new(), vec![peer(3, vec![route(LAN, 1)])]);
    assert_eq!(node.tunnel().routes, [net(LAN)]);
    node.set(RouteSettings { is_accepting: false, ..RouteSettings::default() });
    let tunnel = node.tunnel();
    assert!(tunnel.routes.is_empty() && tunnel.peers.values().all(|peer| peer.allowed_ips.len() == 1));
    assert_eq!(node.engine.status().routes[0].skipped, Some(RouteSkipped::NotAccepted));
}

#[test]
fn a_peers_plain_endpoint_in_a_network_keeps_that_network_out_of_the_tunnel() {
    let mut node = Node::new(Vec::new(), vec![peer(3, vec![route("198.51.100.0/24", 1)])]);
    assert!(node.tunnel().routes.is_empty());
}

#[test]
fn only_what_is_offered_and_approved_is_passed_on_and_all_that_is_offered_is_reported() {
    let mut node = Node::new(vec![route(LAN, 1), route("10.8.0.0/16", 1)], Vec::new());
    assert!(node.tunnel().forwarded.is_empty());
    let advertised = vec![net(LAN), net("10.9.0.0/16")];
    node.set(RouteSettings { advertised: advertised.clone(), ..RouteSettings::default() });
    let outputs = node.outputs();
    assert!(outputs.contains(&Output::SetForwarding(vec![net(LAN)])), "{outputs:?}");
    assert_eq!(node.reported(), advertised);
    node.map.own.routes.clear();
    node.engine
        .handle_input(START + Duration::from_secs(9), Input::Map(MapEvent::Snapshot(node.map.clone())));
    assert!(node.outputs().contains(&Output::SetForwarding(Vec::new())), "the approval is withdrawn");
}

#[test]
fn an_exit_node_passes_on_what_goes_to_the_internet_and_nothing_to_where_it_stands_itself() {
    let mut node = Node::new(vec![route("0.0.0.0/0", 1), route(LAN, 1)], Vec::new());
    let attached = vec![net("203.0.113.0/24"), net(LAN)];
    node.set(RouteSettings {
        advertised: vec![net("0.0.0.0/0"), net(LAN)],
        attached,
        ..RouteSettings::default()
    });
    let outputs = node.outputs();
    let forwarded = outputs
        .iter()
        .find_map(|output| if let Output::SetForwarding(prefixes) = output { Some(prefixes) } else { None });
    let passes = |text: &str| forwarded.unwrap().iter().filter(|prefix| prefix.contains(&net(text))).count();
    assert_eq!(
        ["1.1.1.1/32", "203.0.112.9/32", "192.168.5.9/32"].map(passes),
        [1, 1, 1],
        "the approved LAN, too"
    );
    for inside in ["203.0.113.9/32", "192.168.6.1/32", "100.92.0.9/32", "169.254.169.254/32"] {
        assert_eq!(passes(inside), 0, "{inside}");
    }
    assert_eq!(node.reported(), [net("0.0.0.0/0"), net(LAN)], "offered as what it is");
}

#[test]
fn a_router_that_cannot_forward_offers_nothing_and_is_asked_to_all_the_same() {
    let mut node = Node::new(vec![route(LAN, 1)], Vec::new());
    node.set(RouteSettings { advertised: vec![net(LAN)], can_forward: false, ..RouteSettings::default() });
    assert!(node.outputs().contains(&Output::SetForwarding(vec![net(LAN)])));
    assert_eq!(node.reported(), []);
    assert_eq!(node.engine.status().advertised, [net(LAN)], "who asks is told why");
}

#[test]
fn a_network_that_holds_the_coordinator_is_kept_out_of_the_tunnel() {
    let mut node = Node::new(Vec::new(), vec![peer(3, vec![route(LAN, 1)])]);
    assert_eq!(node.tunnel().routes, [net(LAN)]);
    let address = net(LAN).hosts().next().unwrap();
    node.set(RouteSettings { coordinator: Some(address), ..RouteSettings::default() });
    assert!(node.tunnel().routes.is_empty());
    assert_eq!(node.engine.status().routes[0].skipped, Some(RouteSkipped::Carrier { address }));
}
