//! The engine: takes inputs in, lets its parts react, hands wishes out.

use std::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{SocketId, Timestamp};
use ipnet::IpNet;
use protocol::api::{MapEvent, NetworkMap, OwnRelay, RelayPermission, ReportResponse};
use protocol::frame::{DatagramClass, classify};
use protocol::key::PublicKey;
use protocol::probe::tag_of;

use crate::config::EngineConfig;
use crate::context::{Context, Notice, RelaySession};
use crate::discovery::Discovery;
use crate::entropy::Entropy;
use crate::input::{Input, RelayServer};
use crate::output::Output;
use crate::peer::{Peer, Route};
use crate::relay_client::RelayClient;
use crate::reported_paths::ReportedPaths;
use crate::reported_servers::ReportedServers;
use crate::reporter::Reporter;
use crate::routing::Routing;
use crate::sockets::Sockets;
use crate::tunnel_config::TunnelConfig;
use crate::wanted_tunnel;

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
    /// Which of them the router opened.
    own_port_mapped: Option<SocketAddr>,
    /// What peers were told of the NAT in front of us.
    reported_nat: NatProfile,
    relays: BTreeMap<SocketAddr, RelayClient>,
    sessions: BTreeMap<SocketAddr, RelaySession>,
    /// The addresses that relays' packets are believed from.
    relay_sources: Vec<SocketAddr>,
    token: Option<ReportResponse>,
    /// Set where we may be a relay ourselves.
    relay_permission: Option<RelayPermission>,
    relay_server: Option<RelayServer>,
    /// What the coordinator is told of it.
    own_relay: Option<OwnRelay>,
    /// When a relay last made us doubt our direct paths.
    doubted_at: Option<Timestamp>,
    reporter: Reporter,
    reported: ReportedPaths,
    reported_servers: ReportedServers,
    routing: Routing,
    /// The networks behind this node that it passes packets on to.
    forwarded: Vec<IpNet>,
    /// Addresses that no peer is reached at: those of the mesh, and in networks that are reached through it.
    inside: Vec<(IpAddr, u8)>,
    peers: BTreeMap<PublicKey, Peer>,
    tags: BTreeMap<[u8; 8], PublicKey>,
    notices: Vec<Notice>,
    scrutinized_at: Option<Timestamp>,
    sockets: Sockets,
    underway: Option<Underway>,
    /// No attempt sends before this.
    attempts_from: Timestamp,
    /// The next deadline until the next event: to find it out costs a look at every peer.
    deadline: OnceCell<Option<(Timestamp, &'static str)>>,
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
            notices: &mut $engine.notices,
            scrutinized_at: &mut $engine.scrutinized_at,
        }
    };
}

mod own_candidates;
mod own_relay;
mod relays;
mod report;
mod routes;
mod traversal;

use traversal::Underway;

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
            own_port_mapped: None,
            reported_nat: NatProfile::default(),
            relays: BTreeMap::new(),
            sessions: BTreeMap::new(),
            relay_sources: Vec::new(),
            token: None,
            relay_permission: None,
            relay_server: None,
            own_relay: None,
            doubted_at: None,
            reporter,
            reported: ReportedPaths::default(),
            reported_servers: ReportedServers::default(),
            routing: Routing::default(),
            forwarded: Vec::new(),
            inside: Vec::new(),
            peers: BTreeMap::new(),
            tags: BTreeMap::new(),
            notices: Vec::new(),
            scrutinized_at: None,
            sockets: Sockets::default(),
            underway: None,
            attempts_from: Timestamp::default(),
            deadline: OnceCell::new(),
        }
    }

    /// Takes in one thing that happened at `now`.
    pub fn handle_input(&mut self, now: Timestamp, input: Input<'_>) {
        self.deadline.take();
        match input {
            Input::Map(event) => self.on_map(now, event),
            Input::ReportAccepted(response) => self.on_report_accepted(now, response),
            Input::ReportFailed => {
                self.reported.on_failed();
                self.reported_servers.on_failed();
                self.reporter.on_failed(now);
            }
            Input::ReportRequested(peers) => {
                self.reported.ask_evidence(peers);
                self.reporter.touch(now);
            }
            Input::Datagram { socket, from, datagram } => self.on_datagram(now, socket, from, datagram),
            Input::SocketOpened { socket, port } => self.on_socket_opened(now, socket, port),
            Input::WebSocketOpened { relay, address } => self.on_web_socket_opened(now, relay, address),
            Input::WebSocketClosed { relay } => self.on_web_socket_closed(now, relay),
            Input::LocalAddresses(addresses) => {
                if self.discovery.set_local(addresses) {
                    self.rediscover(now);
                    self.on_own_candidates_changed(now);
                }
            }
            Input::PortMapping(mapping) => {
                if self.discovery.set_port_mapping(now, mapping) {
                    self.on_own_candidates_changed(now);
                }
            }
            Input::Routes(settings) => self.on_route_settings(now, settings),
            Input::RelayServer(server) => self.on_relay_server(now, server),
            Input::Traffic(traffic) => {
                let mut is_doubtful = false;
                for traffic in traffic {
                    let Some(peer) = self.peers.get_mut(&traffic.peer) else { continue };
                    let look = peer.on_traffic(now, traffic);
                    is_doubtful |= look.is_doubtful;
                    self.is_path_changed |= look.is_woken;
                }
                if is_doubtful {
                    // A relay may be gone; and if our own mapping is, a relay knows it first.
                    self.relays.values_mut().for_each(|relay| relay.check_session(now));
                }
            }
            Input::Ping { peer, id } => match self.peers.get_mut(&peer) {
                Some(peer) => peer.ping(&mut context!(self, now), id),
                None => self.outputs.push_back(Output::Pinged { id, answer: None }),
            },
            Input::Rediscover => self.rediscover(now),
        }
        self.finish_event(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.deadline.take();
        if self.discovery.handle_timeout(&mut context!(self, now)) {
            self.on_own_candidates_changed(now);
            self.note_servers(now);
        }
        let due: Vec<SocketAddr> =
            self.relays.iter().filter(|(_, r)| is_due(r.next_at(), now)).map(key).collect();
        for address in due {
            self.handle_relay_timeout(now, address);
        }
        for peer in self.peers.values_mut().filter(|peer| is_due(peer.next_at(), now)) {
            peer.handle_timeout(&mut context!(self, now));
        }
        if is_due(self.reported_servers.check_at, now) {
            self.note_servers(now);
        }
        self.handle_attempt_timeout(now);
        self.close_silent_sockets(now);
        self.begin_attempt_that_is_due(now);
        self.finish_event(now);
        let due = self.reporter.next_at().is_some_and(|at| at <= now);
        if due {
            self.send_report(now);
        }
    }

    /// The next wish, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is wanted next, and for what.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Timestamp, &'static str)> {
        *self.deadline.get_or_init(|| self.find_deadline())
    }

    fn find_deadline(&self) -> Option<(Timestamp, &'static str)> {
        let relay = self.relays.values().filter_map(RelayClient::next_at).min();
        let peer = self.peers.values().filter_map(Peer::next_at).min();
        [
            (self.discovery.next_at(), "STUN binding request"),
            (relay, "relay session"),
            (peer, "probe"),
            (self.traversal_at(), "attempt"),
            (self.reported_servers.check_at, "servers"),
            (self.reporter.next_at(), "report"),
        ]
        .into_iter()
        .filter_map(|(at, why)| at.map(|at| (at, why)))
        .min()
    }

    /// The map as it is now, to keep a copy.
    #[must_use]
    pub const fn network_map(&self) -> Option<&NetworkMap> {
        self.map.as_ref()
    }

    fn on_map(&mut self, now: Timestamp, event: MapEvent) {
        match event {
            MapEvent::Snapshot(map) => {
                self.map = Some(map);
                if self.own_relay.is_some() {
                    // The coordinator may have started anew, and then no map names our relay.
                    self.reporter.touch(now);
                }
            }
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
        self.discovery.set_mesh(wanted_tunnel::mesh_prefixes(&map));
        self.note_routes(now, &map);
        self.note_relay_permission(&map);
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
            let peer = self.peers.remove(&key);
            if let Some(tag) = peer.as_ref().and_then(Peer::incoming_tag) {
                self.tags.remove(&tag);
            }
            self.outputs.push_back(Output::SetPath { peer: key, path: None });
            self.forget_attempt(now, &key);
            if let Some(socket) = peer.and_then(|peer| peer.side_socket()) {
                self.close_socket(now, socket);
            }
        }
        for (key, info) in wanted {
            if let Some(peer) = self.peers.get_mut(&key) {
                if !peer.is(info) {
                    peer.update(&mut context!(self, now), info.clone());
                }
                continue;
            }
            let inside = self.inside.clone();
            let mut peer = Peer::new(info.clone(), &self.config.private_key, inside, now);
            peer.start(&mut context!(self, now));
            self.tags.extend(peer.incoming_tag().map(|tag| (tag, key)));
            self.peers.insert(key, peer);
        }
    }

    fn on_datagram(&mut self, now: Timestamp, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        match classify(datagram) {
            DatagramClass::Stun => self.on_stun(now, socket, from, datagram),
            DatagramClass::Probe => self.on_probe(now, Route::Direct(socket, from), datagram),
            DatagramClass::Relay => self.on_relay_frame(now, from, datagram),
            DatagramClass::WireGuard | DatagramClass::OtherVersion(_) | DatagramClass::Unknown => {}
        }
    }

    fn on_stun(&mut self, now: Timestamp, socket: SocketId, from: SocketAddr, datagram: &[u8]) {
        let Some(answered) = self.discovery.handle_response(now, socket, from, datagram) else {
            self.discovery.handle_request(datagram);
            return;
        };
        if answered.is_changed {
            self.on_own_candidates_changed(now);
        }
        if answered.socket == SocketId::MAIN {
            self.note_servers(now);
        } else {
            self.on_side_reflexive(now, answered.socket, answered.reflexive);
        }
    }

    /// What every event ends with.
    fn finish_event(&mut self, now: Timestamp) {
        self.take_notices(now);
        self.begin_measuring(now);
        self.note_relay_sources();
        self.choose_routers(now);
        self.note_paths(now);
    }

    fn on_probe(&mut self, now: Timestamp, route: Route, datagram: &[u8]) {
        let peer =
            tag_of(datagram).and_then(|tag| self.tags.get(&tag)).and_then(|key| self.peers.get_mut(key));
        let Some(peer) = peer else { return };
        let is_heard = peer.handle_probe(&mut context!(self, now), route, datagram);
        if let (true, Route::Direct(socket, _)) = (is_heard, route) {
            self.sockets.note_heard(now, socket);
        }
    }

    fn note_paths(&mut self, now: Timestamp) {
        if std::mem::take(&mut self.is_path_changed) {
            self.reporter.touch_later(now);
        }
    }
}

fn is_due(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at <= now)
}

fn key<V>((address, _): (&SocketAddr, V)) -> SocketAddr {
    *address
}
