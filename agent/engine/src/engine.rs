//! The engine: takes inputs in, lets its parts react, hands wishes out.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use endpoint_selection::Timestamp;
use protocol::api::{MapEvent, NetworkMap, Report, ReportResponse};
use protocol::frame::{DatagramClass, classify};
use protocol::key::PublicKey;
use protocol::probe::{CALL_CANDIDATES_MAX, tag_of};
use protocol::relay::SessionId;

use crate::config::EngineConfig;
use crate::context::Context;
use crate::discovery::Discovery;
use crate::entropy::Entropy;
use crate::input::Input;
use crate::output::Output;
use crate::peer::{Peer, Route};
use crate::plan;
use crate::relay_client::RelayClient;
use crate::reporter::Reporter;
use crate::status::Status;
use crate::tunnel_config::TunnelConfig;

/// Paths in a report: they serve people who look at a dashboard, and must not make a report too large to be taken.
const REPORTED_PATHS_MAX: usize = 1_000;

/// The agent's brain; see the crate's first page.
pub struct Engine {
    config: EngineConfig,
    entropy: Entropy,
    epoch: u64,
    is_path_changed: bool,
    outputs: VecDeque<Output>,
    map: Option<NetworkMap>,
    tunnel: Option<TunnelConfig>,
    discovery: Discovery,
    own_addresses: Vec<SocketAddr>,
    relays: BTreeMap<SocketAddr, RelayClient>,
    sessions: BTreeMap<SocketAddr, SessionId>,
    token: Option<ReportResponse>,
    /// When a relay last made us doubt our direct paths.
    doubted_at: Option<Timestamp>,
    reporter: Reporter,
    peers: BTreeMap<PublicKey, Peer>,
    tags: BTreeMap<[u8; 8], PublicKey>,
}

/// The surroundings of one event, borrowed beside the part that handles it.
macro_rules! context {
    ($engine:ident, $now:expr) => {
        Context {
            now: $now,
            entropy: &mut $engine.entropy,
            outputs: &mut $engine.outputs,
            epoch: $engine.epoch,
            is_path_changed: &mut $engine.is_path_changed,
            sessions: &$engine.sessions,
            own_addresses: &$engine.own_addresses,
        }
    };
}

mod relays;

impl Engine {
    /// An engine that knows nothing yet: feed it the machine's addresses and a map.
    #[must_use]
    pub fn new(config: EngineConfig, now: Timestamp) -> Self {
        let mut entropy = Entropy::new(&config.seed);
        let epoch = entropy.number().max(1);
        let mut reporter = Reporter::new();
        reporter.touch(now);
        Self {
            discovery: Discovery::new(config.local_port, config.static_candidates.clone()),
            config,
            entropy,
            epoch,
            is_path_changed: false,
            outputs: VecDeque::new(),
            map: None,
            tunnel: None,
            own_addresses: Vec::new(),
            relays: BTreeMap::new(),
            sessions: BTreeMap::new(),
            token: None,
            doubted_at: None,
            reporter,
            peers: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Takes in one thing that happened at `now`.
    pub fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        match input {
            Input::Map(event) => self.on_map(now, event),
            Input::ReportAccepted(response) => self.on_report_accepted(now, response),
            Input::ReportFailed => self.reporter.on_failed(now),
            Input::Datagram { socket: _, from, datagram } => self.on_datagram(now, from, datagram),
            // Nothing asks for side sockets yet.
            Input::SocketOpened { .. } => {}
            Input::LocalAddresses(addresses) => {
                if self.discovery.set_local(addresses) {
                    self.rediscover(now);
                    self.on_own_candidates_changed(now);
                }
            }
            Input::Traffic(traffic) => {
                let mut is_doubtful = false;
                for traffic in traffic {
                    let peer = self.peers.get_mut(&traffic.peer);
                    is_doubtful |= peer.is_some_and(|peer| peer.on_traffic(now, traffic));
                }
                if is_doubtful {
                    // If our own mapping is gone, the relay knows it first.
                    self.relays.values_mut().for_each(|relay| relay.check_session(now));
                }
            }
            Input::Ping { peer, id } => match self.peers.get_mut(&peer) {
                Some(peer) => peer.ping(&mut context!(self, now), id),
                None => self.outputs.push_back(Output::Pinged { id, answer: None }),
            },
            Input::Rediscover => self.rediscover(now),
        }
        self.note_paths(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.discovery.handle_timeout(&mut context!(self, now)) {
            self.on_own_candidates_changed(now);
        }
        let due: Vec<SocketAddr> =
            self.relays.iter().filter(|(_, r)| is_due(r.next_at(), now)).map(key).collect();
        for address in due {
            let event =
                self.relays.get_mut(&address).and_then(|r| r.handle_timeout(&mut context!(self, now)));
            self.on_relay_event(now, address, event);
        }
        for peer in self.peers.values_mut().filter(|peer| is_due(peer.next_at(), now)) {
            peer.handle_timeout(&mut context!(self, now));
        }
        self.note_paths(now);
        let due = self.reporter.next_at().is_some_and(|at| at <= now);
        if due {
            let report = self.report();
            self.outputs.extend(self.reporter.take_due(now, || report).map(Output::Report));
        }
    }

    /// The next wish, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted next, and for what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Timestamp, &'static str)> {
        let relay = self.relays.values().filter_map(RelayClient::next_at).min();
        let peer = self.peers.values().filter_map(Peer::next_at).min();
        [
            (self.discovery.next_at(), "STUN binding request"),
            (relay, "relay session"),
            (peer, "probe"),
            (self.reporter.next_at(), "report"),
        ]
        .into_iter()
        .filter_map(|(at, why)| at.map(|at| (at, why)))
        .min()
    }

    /// What the engine knows, for people.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut peers: Vec<_> = self.peers.values().map(Peer::status).collect();
        peers.sort_by(|a, b| a.name.cmp(&b.name));
        Status {
            own: self.map.as_ref().map(|map| map.own.clone()),
            revision: self.map.as_ref().map(|map| map.revision),
            candidates: self.discovery.candidates(),
            nat: self.discovery.nat(),
            relays: self.relays.values().map(RelayClient::status).collect(),
            stun: self.discovery.stun_status(),
            peers,
        }
    }

    /// The map as it is now, to keep a copy.
    #[must_use]
    pub const fn network_map(&self) -> Option<&NetworkMap> {
        self.map.as_ref()
    }

    fn on_map(&mut self, now: Timestamp, event: MapEvent) {
        match event {
            MapEvent::Snapshot(map) => self.map = Some(map),
            MapEvent::Delta(delta) => {
                let applied = self.map.as_mut().is_some_and(|map| map.apply(delta).is_ok());
                if !applied {
                    self.outputs.push_back(Output::RequestSnapshot);
                    return;
                }
            }
        }
        let Some(map) = self.map.clone() else { return };
        self.outputs.push_back(Output::SaveMap);
        self.discovery.set_mesh(plan::mesh_prefixes(&map));
        let tunnel = plan::tunnel_config(&map, &self.config.private_key);
        if self.tunnel.as_ref() != Some(&tunnel) {
            self.tunnel = Some(tunnel.clone());
            self.outputs.push_back(Output::SetTunnel(tunnel));
        }
        self.set_relays(now, &map);
        self.set_peers(now, &map);
        self.discovery.set_servers(&mut context!(self, now), &map.stun_servers);
        self.on_own_candidates_changed(now);
    }

    fn set_peers(&mut self, now: Timestamp, map: &NetworkMap) {
        let own = self.config.private_key.public_key();
        let wanted: BTreeMap<PublicKey, &protocol::api::Peer> = map
            .peers
            .iter()
            .filter(|peer| peer.public_key != own)
            .map(|peer| (peer.public_key, peer))
            .collect();
        let gone: Vec<PublicKey> =
            self.peers.keys().filter(|key| !wanted.contains_key(key)).copied().collect();
        for key in gone {
            if let Some(tag) = self.peers.remove(&key).and_then(|peer| peer.incoming_tag()) {
                self.tags.remove(&tag);
            }
            self.outputs.push_back(Output::SetPath { peer: key, path: None });
        }
        for (key, info) in wanted {
            if let Some(peer) = self.peers.get_mut(&key) {
                if !peer.is(info) {
                    peer.update(&mut context!(self, now), info.clone());
                }
                continue;
            }
            let mesh = plan::mesh_prefixes(map);
            let mut peer = Peer::new(info.clone(), &self.config.private_key, mesh, now);
            peer.start(&mut context!(self, now));
            self.tags.extend(peer.incoming_tag().map(|tag| (tag, key)));
            self.peers.insert(key, peer);
        }
    }

    fn on_report_accepted(&mut self, now: Timestamp, response: ReportResponse) {
        self.reporter.on_accepted(now, response.report_interval_s);
        for relay in self.relays.values_mut() {
            relay.set_token(&mut context!(self, now), &response);
        }
        self.token = Some(response);
    }

    fn on_datagram(&mut self, now: Timestamp, from: SocketAddr, datagram: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        match classify(datagram) {
            DatagramClass::Stun => {
                if self.discovery.handle_response(from, datagram) {
                    self.on_own_candidates_changed(now);
                }
            }
            DatagramClass::Probe => self.on_probe(now, Route::Direct(from), datagram),
            DatagramClass::Relay => self.on_relay_frame(now, from, datagram),
            DatagramClass::WireGuard | DatagramClass::OtherVersion(_) | DatagramClass::Unknown => {}
        }
    }

    fn on_probe(&mut self, now: Timestamp, route: Route, datagram: &[u8]) {
        let peer =
            tag_of(datagram).and_then(|tag| self.tags.get(&tag)).and_then(|key| self.peers.get_mut(key));
        if let Some(peer) = peer {
            peer.handle_probe(&mut context!(self, now), route, datagram);
        }
    }

    fn note_paths(&mut self, now: Timestamp) {
        if std::mem::take(&mut self.is_path_changed) {
            self.reporter.touch_later(now);
        }
    }

    fn rediscover(&mut self, now: Timestamp) {
        self.discovery.ask_all(&mut context!(self, now));
        for relay in self.relays.values_mut() {
            relay.check_now(now);
        }
    }

    fn on_own_candidates_changed(&mut self, now: Timestamp) {
        let addresses: Vec<SocketAddr> = self
            .discovery
            .candidates()
            .into_iter()
            .map(|candidate| candidate.address)
            .take(CALL_CANDIDATES_MAX)
            .collect();
        if self.own_addresses != addresses {
            self.own_addresses = addresses;
            self.reporter.touch(now);
            for peer in self.peers.values_mut() {
                peer.on_own_change(now);
            }
        }
    }

    fn report(&self) -> Report {
        Report {
            candidates: self.discovery.candidates(),
            nat: self.discovery.nat(),
            paths: self.peers.values().map(Peer::path_report).take(REPORTED_PATHS_MAX).collect(),
            agent_version: self.config.agent_version.clone(),
        }
    }
}

fn is_due(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at <= now)
}

fn key<V>((address, _): (&SocketAddr, V)) -> SocketAddr {
    *address
}
