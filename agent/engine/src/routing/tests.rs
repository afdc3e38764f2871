//! The choice of a router, in simulated time.

use protocol::api::{OwnNode, Peer, RelayInfo, Standing};
use uuid::Uuid;

use super::*;

fn key(byte: u8) -> PublicKey {
    PublicKey::from_bytes([byte; 32])
}

fn second(count: u64) -> Timestamp {
    Timestamp::from_micros(count * 1_000_000)
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// A map whose peers have these networks with these priorities.
fn map(peers: &[(u8, &str, u16)]) -> NetworkMap {
    let peer = |(byte, prefix, priority): &(u8, &str, u16)| Peer {
        id: Uuid::from_bytes([*byte; 16]),
        name: "n".parse().unwrap(),
        public_key: key(*byte),
        allowed_ips: Vec::new(),
        online: true,
        candidates: Vec::new(),
        nat: endpoint_selection::nat::NatProfile::default(),
        plain_endpoint: None,
        tags: Vec::new(),
        routes: vec![Route { prefix: net(prefix), priority: *priority }],
    };
    let own = OwnNode {
        id: Uuid::nil(),
        name: "own".parse().unwrap(),
        network: "n".into(),
        zone: None,
        addresses: vec![net("100.92.0.1/16")],
        relay: None,
        standing: Standing::Admitted,
        access: None,
        routes: Vec::new(),
    };
    let peers = peers.iter().map(peer).collect();
    NetworkMap { revision: 1, own, peers, relays: Vec::new(), stun_servers: Vec::new() }
}

const LAN: &str = "192.168.5.0/24";

fn routing(map: &NetworkMap) -> Routing {
    let mut routing = Routing::default();
    routing.set_map(map);
    routing
}

fn router(routing: &Routing) -> Option<PublicKey> {
    routing.chosen.get(&net(LAN)).copied()
}

#[test]
fn the_lowest_priority_that_is_reachable_is_chosen_and_among_equals_the_first_key() {
    let mut routing = routing(&map(&[(1, LAN, 200), (3, LAN, 100), (2, LAN, 100)]));
    assert!(routing.choose(second(0), |_| true));
    assert_eq!(router(&routing), Some(key(2)));
    let mut routing = routing_of_two(100, 200);
    routing.choose(second(0), |peer| *peer == key(2));
    assert_eq!(router(&routing), Some(key(2)));
}

fn routing_of_two(one: u16, two: u16) -> Routing {
    routing(&map(&[(1, LAN, one), (2, LAN, two)]))
}

#[test]
fn a_router_that_is_not_reachable_is_left_at_once_and_taken_again_when_it_has_been_for_a_while() {
    let mut routing = routing_of_two(100, 200);
    routing.choose(second(0), |_| true);
    assert!(routing.choose(second(10), |peer| *peer == key(2)));
    assert_eq!(router(&routing), Some(key(2)));
    assert!(!routing.choose(second(20), |_| true) && !routing.choose(second(49), |_| true));
    assert!(!routing.choose(second(49), |peer| *peer == key(2)), "it fails again");
    assert!(!routing.choose(second(50), |_| true) && !routing.choose(second(79), |_| true));
    assert!(routing.choose(second(80), |_| true));
    assert_eq!(router(&routing), Some(key(1)));
}

#[test]
fn among_equals_traffic_stays_where_it_is() {
    let mut routing = routing_of_two(100, 100);
    routing.choose(second(0), |peer| *peer == key(2));
    assert!(!routing.choose(second(100), |_| true) && !routing.choose(second(1_000), |_| true));
    assert_eq!(router(&routing), Some(key(2)));
}

#[test]
fn where_no_router_is_reachable_the_last_one_is_kept() {
    let mut routing = routing_of_two(100, 200);
    routing.choose(second(0), |peer| *peer == key(2));
    assert!(!routing.choose(second(10), |_| false));
    assert_eq!(router(&routing), Some(key(2)));
}

#[test]
fn a_network_that_is_taken_back_goes_nowhere() {
    let mut routing = routing_of_two(100, 200);
    routing.choose(second(0), |_| true);
    assert_eq!(routing.prefixes(), [net(LAN)]);
    routing.set_map(&map(&[]));
    assert_eq!(routing.prefixes(), []);
    assert_eq!(routing.through(&key(1)).count(), 0);
}

#[test]
fn networks_that_would_harm_are_skipped_with_a_reason() {
    let skipped = |map: &NetworkMap, settings: RouteSettings| {
        let mut routing = Routing::default();
        routing.set_settings(settings);
        routing.set_map(map);
        assert!(routing.offered.is_empty());
        routing.status()[0].skipped
    };
    let wanted = || RouteSettings::default();
    let attached = |text: &str| RouteSettings { attached: vec![net(text)], ..wanted() };
    let lan = map(&[(1, LAN, 1)]);
    let not_accepted = RouteSettings { is_accepting: false, ..wanted() };
    assert_eq!(skipped(&lan, not_accepted), Some(RouteSkipped::NotAccepted));
    for here in ["192.168.5.7/24", "192.168.0.9/16"] {
        let network = net(here).trunc();
        assert_eq!(skipped(&lan, attached(here)), Some(RouteSkipped::Attached { network }));
    }
    for bad in ["100.92.5.0/24", "127.0.0.0/8"] {
        assert_eq!(skipped(&map(&[(1, bad, 1)]), wanted()), Some(RouteSkipped::Unusable), "{bad}");
    }
    let relay = RelayInfo {
        name: "main".into(),
        address: "192.168.5.9:443".parse().unwrap(),
        public_key: key(9),
        url: None,
        node: None,
    };
    let address = relay.address.ip();
    let with_relay = NetworkMap { relays: vec![relay], ..lan.clone() };
    assert_eq!(skipped(&with_relay, wanted()), Some(RouteSkipped::Carrier { address }));
}

#[test]
fn a_wider_network_than_the_attached_one_is_used_beside_it() {
    let mut routing = Routing::default();
    routing.set_settings(RouteSettings { attached: vec![net("192.168.5.0/24")], ..RouteSettings::default() });
    routing.set_map(&map(&[(1, "192.168.0.0/16", 1)]));
    let is_used = |address: &str| {
        let address: IpAddr = address.parse().unwrap();
        routing.used().any(|(start, bits)| IpNet::new(start, bits).unwrap().contains(&address))
    };
    assert!(is_used("192.168.6.1") && !is_used("192.168.5.1"));
}

#[test]
fn traffic_to_the_internet_goes_to_the_exit_node_that_the_user_chose_and_to_no_other() {
    let map = map(&[(1, "0.0.0.0/0", 1), (2, "0.0.0.0/0", 200), (2, LAN, 1)]);
    let mut routing = routing(&map);
    routing.choose(second(0), |_| true);
    assert_eq!(routing.prefixes(), [net(LAN)], "nobody chose one");
    assert_eq!(routing.exit_nodes(), [key(1), key(2)]);
    let exit_node = Some(Uuid::from_bytes([2; 16]));
    routing.set_settings(RouteSettings { exit_node, is_accepting: false, ..RouteSettings::default() });
    routing.set_map(&map);
    routing.choose(second(1), |_| true);
    assert_eq!(routing.prefixes(), [net("0.0.0.0/0")]);
    assert_eq!(routing.through(&key(1)).count(), 0);
    assert!(routing.through(&key(2)).any(|net| net.contains(&IpAddr::from([1, 1, 1, 1]))));
    assert_eq!(routing.used().count(), 0, "peers are reached past the exit node");
}

#[test]
fn a_node_that_offers_itself_as_an_exit_node_uses_the_networks_behind_others_all_the_same() {
    let mut routing = Routing::default();
    routing.set_settings(RouteSettings { advertised: vec![net("0.0.0.0/0")], ..RouteSettings::default() });
    routing.set_map(&map(&[(1, LAN, 1)]));
    routing.choose(second(0), |_| true);
    assert_eq!(router(&routing), Some(key(1)));
}
