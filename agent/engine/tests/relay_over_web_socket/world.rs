//! An engine in simulated time, and a relay that is reached by one way, several, or none.

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

pub(crate) const START: Timestamp = Timestamp::from_micros(1_000_000);
/// One way to the relay and back.
const RTT: Duration = Duration::from_millis(20);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn udp() -> SocketAddr {
    address("198.51.100.1:3478")
}

pub(crate) fn udp6() -> SocketAddr {
    address("[2001:db8::1]:3478")
}

pub(crate) fn stand_in() -> SocketAddr {
    address("127.0.0.1:50001")
}

/// The engine, and a relay that is reached by one way, both, or none.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    relay: RelayKey,
    pub(crate) is_udp_open: bool,
    pub(crate) is_udp6_open: bool,
    pub(crate) is_web_socket_answered: bool,
    /// How often a WebSocket was asked for, and when last.
    pub(crate) opened: Vec<Timestamp>,
    pub(crate) is_open: bool,
    /// Where the node's one session lives, and its number.
    session: Option<(SocketAddr, u8)>,
    pub(crate) made: u8,
    pub(crate) path: Option<TunnelPath>,
    pub(crate) believed: Vec<SocketAddr>,
    pub(crate) reported: Vec<SocketAddr>,
    /// Answers on their way.
    answers: Vec<(Timestamp, SocketAddr, Vec<u8>)>,
}

impl World {
    pub(crate) fn new(url: Option<&str>) -> Self {
        Self::with(url, &[udp()])
    }

    /// A relay that listens over IPv4 and IPv6.
    pub(crate) fn with_two_addresses(url: Option<&str>) -> Self {
        Self::with(url, &[udp(), udp6()])
    }

    fn with(url: Option<&str>, addresses: &[SocketAddr]) -> Self {
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
            is_udp6_open: false,
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
        let relays = addresses.iter().map(|address| RelayInfo {
            name: "main".into(),
            address: *address,
            public_key: relay_key.public_key(),
            url: url.map(str::to_owned),
            node: None,
        });
        world.give(Input::Map(MapEvent::Snapshot(map(relays.collect()))));
        world.give(Input::ReportAccepted(ReportResponse {
            relay_token: SignedToken([3; TOKEN_LEN]),
            relay_token_lifetime_s: 3600,
            report_interval_s: 60,
            wants_all_paths: false,
        }));
        world
    }

    pub(crate) fn give(&mut self, input: Input<'_>) {
        self.engine.handle_input(self.now, input);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { to, datagram, .. } | Output::TransmitWhole { to, datagram, .. } => {
                    self.deliver(to, &datagram);
                }
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
                | Output::SetTunnelMtu { .. }
                | Output::AwaitPacket { .. }
                | Output::RenewSession { .. }
                | Output::SetOwnRelay(_)
                | Output::SetForwarding(_)
                | Output::SaveMap
                | Output::RequestSnapshot
                | Output::Pinged { .. }
                | Output::PathChanged { .. } => {}
            }
        }
    }

    /// What the relay says to a datagram.
    fn deliver(&mut self, to: SocketAddr, datagram: &[u8]) {
        let ways = [
            (udp(), self.is_udp_open),
            (udp6(), self.is_udp6_open),
            (stand_in(), self.is_web_socket_answered && self.is_open),
        ];
        let Ok(frame) = decode(datagram) else { return };
        if !ways.contains(&(to, true)) {
            return;
        }
        let answer = match frame {
            Frame::Register(register) if register.cookie == [0; 16] => encode_challenge([5; 16]),
            Frame::Register(register) => {
                self.made += 1;
                self.session = Some((to, self.made));
                // Over WebSocket the relay sees an address that nobody has.
                let seen = if to == stand_in() { "[100:1234::1]:1" } else { "203.0.113.5:4000" };
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
    pub(crate) fn run(&mut self, duration: Duration) {
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
    pub(crate) fn open(&mut self) {
        self.run(Duration::from_millis(400));
        assert!(self.is_open, "asked for");
        self.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
        self.run(Duration::from_millis(100));
    }

    pub(crate) fn server(&self) -> Option<SocketAddr> {
        match self.path {
            Some(TunnelPath::Relay { server, .. }) => Some(server),
            Some(TunnelPath::Direct { .. }) | None => None,
        }
    }

    pub(crate) fn transport(&self) -> (RelayTransport, bool) {
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
            zone: None,
            addresses: vec!["100.92.0.1/16".parse().unwrap()],
            relay: None,
            standing: protocol::api::Standing::Admitted,
            access: None,
            routes: Vec::new(),
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
            tags: Vec::new(),
            routes: Vec::new(),
        }],
        relays,
        stun_servers: Vec::new(),
    }
}
