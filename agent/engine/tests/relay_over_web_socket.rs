//! A relay that UDP does not reach is reached over WebSocket, and over UDP again when that works, in simulated time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{SocketId, Timestamp};
use engine::{Engine, EngineConfig, Input, LocalAddress, Output, RelayTransport, TunnelPath};
use protocol::api::{MapEvent, NetworkMap, OwnNode, Peer, RelayInfo, ReportResponse};
use protocol::key::PrivateKey;
use protocol::relay::{
    Frame, RelayKey, SessionId, decode, encode_challenge, encode_keepalive_reply, encode_no_session,
};
use protocol::relay_token::{SignedToken, TOKEN_LEN};
use uuid::Uuid;
use zeroize::Zeroizing;

const START: Timestamp = Timestamp::from_micros(1_000_000);
/// One way to the relay and back.
const RTT: Duration = Duration::from_millis(20);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn udp() -> SocketAddr {
    address("198.51.100.1:3478")
}

fn stand_in() -> SocketAddr {
    address("127.0.0.1:50001")
}

/// The engine, and a relay that is reached by one way, both, or none.
struct World {
    engine: Engine,
    now: Timestamp,
    relay: RelayKey,
    is_udp_open: bool,
    is_web_socket_answered: bool,
    /// How often a WebSocket was asked for, and when last.
    opened: Vec<Timestamp>,
    is_open: bool,
    /// Where the node's one session lives, and its number.
    session: Option<(SocketAddr, u8)>,
    made: u8,
    path: Option<TunnelPath>,
    believed: Vec<SocketAddr>,
    reported: Vec<SocketAddr>,
    /// Answers on their way.
    answers: Vec<(Timestamp, SocketAddr, Vec<u8>)>,
}

impl World {
    fn new(url: Option<&str>) -> Self {
        let own = PrivateKey::from_random([1; 32]);
        let relay_key = PrivateKey::from_random([9; 32]);
        let config = EngineConfig {
            private_key: own.clone(),
            local_port: 4000,
            seed: Zeroizing::new([7; 32]),
            static_candidates: Vec::new(),
            agent_version: "test".into(),
        };
        let relay = RelayKey::of_relay(&relay_key, &own.public_key()).unwrap();
        let mut world = Self {
            engine: Engine::new(config, START),
            now: START,
            relay,
            is_udp_open: false,
            is_web_socket_answered: true,
            opened: Vec::new(),
            is_open: false,
            session: None,
            made: 0,
            path: None,
            believed: Vec::new(),
            reported: Vec::new(),
            answers: Vec::new(),
        };
        let address = LocalAddress { interface: "eth0".into(), address: "192.168.1.2".parse().unwrap() };
        world.give(Input::LocalAddresses(vec![address]));
        let relays = vec![RelayInfo {
            name: "main".into(),
            address: udp(),
            public_key: relay_key.public_key(),
            url: url.map(str::to_owned),
        }];
        world.give(Input::Map(MapEvent::Snapshot(map(relays))));
        world.give(Input::ReportAccepted(ReportResponse {
            relay_token: SignedToken([3; TOKEN_LEN]),
            relay_token_lifetime_s: 3600,
            report_interval_s: 60,
        }));
        world
    }

    fn give(&mut self, input: Input<'_>) {
        self.engine.handle_input(self.now, input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { to, datagram, .. } => self.deliver(to, &datagram),
                Output::OpenWebSocket { relay, url } => {
                    assert_eq!((relay, url.as_str()), (udp(), "https://c.example/api/v1/relay"));
                    self.opened.push(self.now);
                    self.is_open = true;
                }
                Output::CloseWebSocket { relay } => {
                    assert_eq!(relay, udp());
                    self.is_open = false;
                }
                Output::SetPath { path, .. } => self.path = path,
                Output::SetRelays(relays) => self.believed = relays,
                Output::Report(report) => {
                    self.reported = report.candidates.iter().map(|candidate| candidate.address).collect();
                }
                Output::OpenSocket(_)
                | Output::CloseSocket(_)
                | Output::SetTunnel(_)
                | Output::SaveMap
                | Output::RequestSnapshot
                | Output::Pinged { .. }
                | Output::PathChanged { .. } => {}
            }
        }
    }

    /// What the relay says to a datagram.
    fn deliver(&mut self, to: SocketAddr, datagram: &[u8]) {
        let is_through =
            if to == udp() { self.is_udp_open } else { self.is_web_socket_answered && self.is_open };
        let Ok(frame) = decode(datagram) else { return };
        if !is_through || (to != udp() && to != stand_in()) {
            return;
        }
        let answer = match frame {
            Frame::Register(register) if register.cookie == [0; 16] => encode_challenge([5; 16]),
            Frame::Register(register) => {
                self.made += 1;
                self.session = Some((to, self.made));
                // Over WebSocket the relay sees an address that nobody has.
                let seen = if to == udp() { "203.0.113.5:4000" } else { "[100:1234::1]:1" };
                self.relay.encode_registered(SessionId([self.made; 8]), address(seen), 3600, register.nonce)
            }
            Frame::Keepalive { session, echo } if self.session == Some((to, session.0[0])) => {
                encode_keepalive_reply(echo)
            }
            Frame::Keepalive { session, .. } => encode_no_session(session),
            Frame::Challenge(_)
            | Frame::Registered(_)
            | Frame::Refused { .. }
            | Frame::Send { .. }
            | Frame::Deliver { .. }
            | Frame::KeepaliveReply { .. }
            | Frame::NoSession(_)
            | Frame::Unreachable { .. }
            | Frame::VersionUnsupported => return,
        };
        self.answers.push((self.now + RTT, to, answer));
    }

    /// Lets time pass.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..100_000 {
            let answer = self.answers.iter().map(|(at, ..)| *at).min();
            let deadline = self.engine.poll_timeout().map(|(at, _)| at);
            let Some(next) = answer.into_iter().chain(deadline).min().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = next.max(self.now);
            if answer == Some(next) {
                let index = self.answers.iter().position(|(at, ..)| *at == next).unwrap();
                let (_, from, datagram) = self.answers.remove(index);
                self.give(Input::Datagram { socket: SocketId::MAIN, from, datagram: &datagram });
            } else {
                self.engine.handle_timeout(self.now);
                self.settle();
            }
        }
        panic!("the engine is never done");
    }

    /// Until it asks for a WebSocket; then that is open.
    fn open(&mut self) {
        self.run(Duration::from_millis(400));
        assert!(self.is_open, "asked for");
        self.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
        self.run(Duration::from_millis(100));
    }

    fn server(&self) -> Option<SocketAddr> {
        match self.path {
            Some(TunnelPath::Relay { server, .. }) => Some(server),
            Some(TunnelPath::Direct { .. }) | None => None,
        }
    }

    fn transport(&self) -> (RelayTransport, bool) {
        let status = &self.engine.status().relays[0];
        assert_eq!(status.address, udp(), "people know it by its own address");
        (status.transport, status.registered)
    }
}

fn map(relays: Vec<RelayInfo>) -> NetworkMap {
    NetworkMap {
        revision: 5,
        own: OwnNode {
            id: Uuid::nil(),
            name: "own".parse().unwrap(),
            network: "default".into(),
            addresses: vec!["100.92.0.1/16".parse().unwrap()],
        },
        peers: vec![Peer {
            id: Uuid::from_bytes([2; 16]),
            name: "peer".parse().unwrap(),
            public_key: PrivateKey::from_random([2; 32]).public_key(),
            allowed_ips: vec!["100.92.0.2/32".parse().unwrap()],
            online: true,
            candidates: Vec::new(),
            nat: NatProfile::default(),
            plain_endpoint: None,
        }],
        relays,
        stun_servers: Vec::new(),
    }
}

const URL: Option<&str> = Some("https://c.example/api/v1/relay");

#[test]
fn where_udp_is_silent_the_relay_is_reached_over_web_socket_within_half_a_second() {
    let mut world = World::new(URL);
    world.open();
    assert!(world.now.since(START) <= Duration::from_millis(500));
    assert_eq!(world.transport(), (RelayTransport::WebSocket, true));
    assert_eq!(world.server(), Some(stand_in()));
    assert_eq!(world.believed, [udp(), stand_in()]);
    world.run(Duration::from_secs(120));
    assert_eq!((world.server(), world.opened.len()), (Some(stand_in()), 1), "and stays");
}

#[test]
fn what_a_relay_sees_over_web_socket_is_no_candidate() {
    let mut world = World::new(URL);
    world.open();
    world.run(Duration::from_secs(10));
    assert_eq!(world.reported, [address("192.168.1.2:4000")]);
}

#[test]
fn where_udp_works_no_connection_is_opened_and_a_slow_answer_ends_the_attempt() {
    let mut world = World::new(URL);
    world.is_udp_open = true;
    world.run(Duration::from_secs(120));
    assert_eq!(world.transport(), (RelayTransport::Udp, true));
    assert!(world.opened.is_empty());
    let mut slow = World::new(URL);
    slow.run(Duration::from_millis(350));
    assert!(slow.is_open);
    slow.is_udp_open = true;
    slow.run(Duration::from_secs(2));
    assert!(!slow.is_open);
    assert_eq!((slow.server(), slow.opened.len()), (Some(udp()), 1));
}

#[test]
fn a_relay_without_a_url_is_asked_over_udp_alone() {
    let mut world = World::new(None);
    world.run(Duration::from_secs(60));
    assert!(world.opened.is_empty());
}

#[test]
fn a_session_that_udp_loses_moves_to_web_socket_and_back_when_udp_answers_for_a_while() {
    let mut world = World::new(URL);
    world.is_udp_open = true;
    world.run(Duration::from_secs(5));
    world.is_udp_open = false;
    // A keepalive each 10 s, three of 700 ms unanswered, and the patience with the next registration.
    world.run(Duration::from_secs(13));
    assert!(world.is_open);
    world.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
    world.run(Duration::from_secs(30));
    assert_eq!((world.transport(), world.server()), ((RelayTransport::WebSocket, true), Some(stand_in())));
    world.is_udp_open = true;
    let (mut without_path, mut waited) = (0, 0);
    while world.server() != Some(udp()) && waited < 60_000 {
        world.run(Duration::from_millis(1));
        without_path += u32::from(world.path.is_none());
        waited += 1;
    }
    assert!((10_000..20_000).contains(&waited), "{waited} ms");
    assert_eq!(without_path, 0, "traffic has a path all the time");
    assert!(!world.is_open);
    assert_eq!((world.transport(), world.believed.clone()), ((RelayTransport::Udp, true), vec![udp()]));
}

#[test]
fn one_lucky_answer_over_udp_does_not_end_the_web_socket() {
    let mut world = World::new(URL);
    world.open();
    for _ in 0..10 {
        world.is_udp_open = true;
        world.run(Duration::from_secs(5));
        world.is_udp_open = false;
        world.run(Duration::from_secs(10));
    }
    assert_eq!(world.transport(), (RelayTransport::WebSocket, true));
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_web_socket_that_cannot_be_opened_is_tried_again_ever_less_often() {
    let mut world = World::new(URL);
    let mut tried = 0;
    for _ in 0..6_000 {
        world.run(Duration::from_millis(100));
        if world.opened.len() > tried {
            tried = world.opened.len();
            world.is_open = false;
            world.give(Input::WebSocketClosed { relay: udp() });
        }
    }
    // Ten minutes: pauses of 0.5 to 1 s that double up to 30 to 60 s.
    assert!((12..30).contains(&tried), "{tried}");
    let pauses: Vec<_> = world.opened.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(75)), "{pauses:?}");
    assert!(pauses.last().unwrap() >= &Duration::from_secs(30), "{pauses:?}");
    world.give(Input::Rediscover);
    world.run(Duration::from_secs(1));
    assert_eq!(world.opened.len(), tried + 1, "another network is tried at once");
}

#[test]
fn a_web_socket_that_dies_or_falls_silent_is_replaced() {
    let mut world = World::new(URL);
    world.open();
    world.is_open = false;
    world.give(Input::WebSocketClosed { relay: udp() });
    assert_eq!(world.path, None);
    world.run(Duration::from_secs(3));
    assert!(world.is_open, "a new one is asked for");
    world.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
    world.run(Duration::from_secs(1));
    assert_eq!(world.server(), Some(stand_in()));
    world.is_web_socket_answered = false;
    world.run(Duration::from_secs(20));
    assert_eq!(world.opened.len(), 3, "a dead one is given up and another one asked for");
}

#[test]
fn an_answer_to_a_wish_that_nobody_has_any_more_closes_what_was_opened() {
    let mut world = World::new(URL);
    world.is_udp_open = true;
    world.run(Duration::from_secs(1));
    world.is_open = true;
    world.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
    assert!(!world.is_open);
    assert_eq!(world.server(), Some(udp()));
    world.give(Input::WebSocketClosed { relay: udp() });
    world.give(Input::WebSocketOpened { relay: address("192.0.2.99:1"), address: stand_in() });
    world.run(Duration::from_secs(60));
    assert_eq!(world.server(), Some(udp()));
}
