//! Whatever arrives, the engine goes on, keeps its last good map, and stays within its bounds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, PortMappingProtocol, SocketId, Timestamp, check_address,
};
use engine::{Engine, EngineConfig, Input, LocalAddress, Output, PeerTraffic, PortMapping};
use proptest::prelude::*;
use protocol::api::{MapDelta, MapEvent, NetworkMap, OwnNode, Peer, RelayInfo};
use protocol::key::{PrivateKey, PublicKey};
use uuid::Uuid;
use zeroize::Zeroizing;

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn engine() -> Engine {
    let config = EngineConfig {
        private_key: PrivateKey::from_random([1; 32]),
        local_port: 4000,
        seed: Zeroizing::new([7; 32]),
        static_candidates: Vec::new(),
        agent_version: "test".into(),
    };
    let mut engine = Engine::new(config, NOW);
    let address = LocalAddress { interface: "eth0".into(), address: "192.168.1.2".parse().unwrap() };
    engine.handle_input(NOW, Input::LocalAddresses(vec![address]));
    engine.handle_input(NOW, Input::Map(MapEvent::Snapshot(map())));
    engine
}

fn peer(byte: u8, candidates: Vec<Candidate>) -> Peer {
    Peer {
        id: Uuid::from_bytes([byte; 16]),
        name: format!("peer-{byte}").parse().unwrap(),
        public_key: PrivateKey::from_random([byte; 32]).public_key(),
        allowed_ips: vec![format!("100.92.0.{byte}/32").parse().unwrap()],
        online: true,
        candidates,
        nat: NatProfile::default(),
        plain_endpoint: None,
        tags: Vec::new(),
        routes: Vec::new(),
    }
}

fn map() -> NetworkMap {
    NetworkMap {
        revision: 5,
        own: OwnNode {
            id: Uuid::nil(),
            name: "own".parse().unwrap(),
            network: "default".into(),
            zone: None,
            addresses: vec!["100.92.0.1/16".parse().unwrap()],
            relay: None,
            standing: protocol::api::Standing::Admitted,
            access: None,
            routes: Vec::new(),
        },
        peers: vec![peer(2, Vec::new()), peer(3, Vec::new())],
        relays: vec![RelayInfo {
            name: "main".into(),
            address: "198.51.100.1:3478".parse().unwrap(),
            public_key: PrivateKey::from_random([9; 32]).public_key(),
            url: None,
            node: None,
        }],
        stun_servers: vec!["198.51.100.1:3478".parse().unwrap()],
    }
}

fn outputs(engine: &mut Engine) -> Vec<Output> {
    std::iter::from_fn(|| engine.poll_output()).collect()
}

#[test]
fn a_change_that_skips_a_revision_asks_for_a_snapshot_and_touches_nothing() {
    let mut engine = engine();
    outputs(&mut engine);
    let delta = MapDelta {
        from_revision: 6,
        revision: 7,
        upserts: Vec::new(),
        removals: vec![peer(2, vec![]).public_key],
        servers: None,
        own: None,
    };
    engine.handle_input(NOW, Input::Map(MapEvent::Delta(delta)));
    assert_eq!(outputs(&mut engine), vec![Output::RequestSnapshot]);
    assert_eq!(engine.network_map(), Some(&map()));
}

#[test]
fn a_peer_with_a_low_order_key_harms_nobody() {
    let mut engine = engine();
    let mut hostile = peer(4, Vec::new());
    hostile.public_key = PublicKey::from_bytes([0; 32]);
    let mut map = map();
    map.peers.push(hostile);
    engine.handle_input(NOW, Input::Map(MapEvent::Snapshot(map)));
    engine.handle_timeout(NOW);
    assert_eq!(engine.status().peers.len(), 3);
}

#[test]
fn ten_thousand_candidates_of_one_peer_cost_a_bounded_number_of_probes() {
    let mut engine = engine();
    let candidates = (0..10_000_u32)
        .map(|number| Candidate {
            kind: CandidateKind::Host,
            address: SocketAddr::from((std::net::Ipv4Addr::from(0x0a00_0000 + number), 4000)),
            base: None,
            source: CandidateSource::Peer,
        })
        .collect();
    let mut map = map();
    map.peers = vec![peer(2, candidates)];
    let key = map.peers[0].public_key;
    engine.handle_input(NOW, Input::Map(MapEvent::Snapshot(map)));
    engine.handle_input(NOW, Input::Traffic(vec![PeerTraffic { peer: key, rx_bytes: 0, tx_bytes: 148 }]));
    outputs(&mut engine);
    engine.handle_timeout(NOW);
    let sent = outputs(&mut engine).iter().filter(|output| matches!(output, Output::Transmit { .. })).count();
    assert!((1..=80).contains(&sent), "{sent} datagrams");
}

#[test]
fn an_answer_from_a_server_that_was_not_asked_is_no_candidate() {
    let mut engine = engine();
    let is_request = |output: &Output| matches!(output, Output::Transmit { datagram, .. } if protocol::stun::is_stun(datagram));
    let Some(Output::Transmit { datagram: request, .. }) = outputs(&mut engine).into_iter().find(is_request)
    else {
        panic!("no binding request")
    };
    let forged = protocol::stun::respond(&request, "203.0.113.66:6".parse().unwrap()).unwrap();
    let before = engine.status().candidates;
    let stranger = "203.0.113.99:3478".parse().unwrap();
    engine.handle_input(NOW, Input::Datagram { socket: SocketId::MAIN, from: stranger, datagram: &forged });
    assert_eq!(engine.status().candidates, before);
    let server = "198.51.100.1:3478".parse().unwrap();
    engine.handle_input(NOW, Input::Datagram { socket: SocketId::MAIN, from: server, datagram: &forged });
    assert_eq!(engine.status().candidates.len(), before.len() + 1);
}

#[test]
fn what_a_server_says_that_nobody_can_send_to_is_no_candidate() {
    let own = map().own.addresses[0].addr();
    for lie in ["224.0.0.1:9", "127.0.0.1:4000", "0.0.0.0:0", "203.0.113.5:0", &format!("{own}:4000")] {
        let mut engine = engine();
        let mut requests = Vec::new();
        for output in outputs(&mut engine) {
            if let Output::Transmit { to, datagram, .. } = output
                && protocol::stun::is_stun(&datagram)
            {
                requests.push((to, datagram));
            }
        }
        assert!(!requests.is_empty());
        for (from, request) in requests {
            let answer = protocol::stun::respond(&request, lie.parse().unwrap()).unwrap();
            engine.handle_input(NOW, Input::Datagram { socket: SocketId::MAIN, from, datagram: &answer });
        }
        let candidates = engine.status().candidates;
        assert!(candidates.iter().all(|candidate| candidate.address.to_string() != lie), "{candidates:?}");
    }
}

fn router_says(external: SocketAddr) -> Input<'static> {
    let base = "192.168.1.2:4000".parse().unwrap();
    Input::PortMapping(Some(PortMapping { external, base, protocol: PortMappingProtocol::NatPmp }))
}

#[test]
fn a_port_that_the_router_opened_is_reported_as_what_it_is() {
    let mut engine = engine();
    let external: SocketAddr = "203.0.113.9:4000".parse().unwrap();
    engine.handle_input(NOW, router_says(external));
    let mut reports = Vec::new();
    while let Some((at, _)) = engine.poll_timeout().filter(|(at, _)| at.since(NOW).as_secs() < 5) {
        engine.handle_timeout(at);
        while let Some(output) = engine.poll_output() {
            reports.extend(if let Output::Report(report) = output { Some(report) } else { None });
        }
    }
    let is_told = |candidate: &Candidate| {
        candidate.kind == CandidateKind::PortMapped
            && candidate.address == external
            && candidate.source == CandidateSource::Router(PortMappingProtocol::NatPmp)
    };
    assert!(reports.iter().any(|report| report.candidates.iter().any(is_told)), "{reports:?}");
}

proptest! {
    #[test]
    fn any_datagram_from_anywhere_changes_no_path_and_panics_never(
        datagrams in proptest::collection::vec((any::<u8>(), 0_u8..0x20, proptest::collection::vec(any::<u8>(), 0..300)), 1..20),
    ) {
        let mut engine = engine();
        outputs(&mut engine);
        for (shape, kind, body) in datagrams {
            let header: &[u8] = if shape & 1 == 0 { &[] } else { &[0x57, 1, kind, 0] };
            let datagram = [header, &body].concat();
            let relay = shape & 2 == 0;
            let from = if relay { "198.51.100.1:3478" } else { "203.0.113.7:9" }.parse().unwrap();
            engine.handle_input(NOW, Input::Datagram { socket: SocketId::MAIN, from, datagram: &datagram });
        }
        for output in outputs(&mut engine) {
            prop_assert!(!matches!(output, Output::SetPath { .. }), "{output:?}");
        }
    }

    #[test]
    fn whatever_a_router_says_peers_are_told_only_what_they_can_send_to(
        address in any::<std::net::IpAddr>(), port in any::<u16>()
    ) {
        let mut engine = engine();
        engine.handle_input(NOW, router_says(SocketAddr::new(address, port)));
        let mesh = [("100.92.0.0".parse().unwrap(), 16)];
        for candidate in engine.status().candidates {
            prop_assert!(check_address(candidate.address, &mesh).is_ok(), "{}", candidate.address);
        }
    }
}
