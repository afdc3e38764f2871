//! A working node: the engine, and everything that it asks for done for real.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use endpoint_selection::{LocalRules, Timestamp};
use engine::{Engine, EngineConfig, Input, LocalAddress, Output, PingAnswer, TunnelPath};
use ipnet::IpNet;
use protocol::api::{MapEvent, ReportResponse};
use protocol::key::PublicKey;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tunnel::{Embedded, Path, PathLayer, Received, TunInterface, TunnelError};

use crate::clock::Clock;
use crate::coordinator_client::{CallError, CoordinatorClient};
use crate::entropy;
use crate::exit_guard::ExitGuard;
use crate::failure::{Code, Failure};
use crate::firewall::Firewall;
use crate::map_stream::{MapStream, StreamNews, StreamWish, Verifier};
use crate::names::{self, Names};
use crate::net::{KernelWatch, Nat64Watch};
use crate::peer_relay::{self, PeerRelay};
use crate::port_mapping::{self, PortMapper};
use crate::relay_web_sockets::RelayWebSockets;
use crate::state::{Choices, Identity, StateFolder};

use super::Options;
use super::happening::Happening;
use super::map_saver::MapSaver;
use super::tunnel_keeper::TunnelKeeper;
use opening::{open_paths, watch_interfaces};

mod coordinator;
mod opening;
mod routes;
mod surroundings;

/// Datagrams that wait for the engine; at 1400 bytes each about 1.4 MB. More are dropped and counted.
const DATAGRAMS_MAX: usize = 1024;

/// Map events that wait for the engine: they are large, and the stream can wait.
const NEWS_MAX: usize = 2;

/// The node at work.
pub(crate) struct Node {
    identity: Identity,
    state: StateFolder,
    interface: String,
    rules: LocalRules,
    clock: Clock,
    engine: Engine,
    // Declared before the path layer: a tunnel lets go of the port before the port closes.
    pub(super) tunnel: TunnelKeeper,
    pub(super) paths: PathLayer,
    /// Absent where the user wants none.
    port_mapper: Option<PortMapper>,
    own_relay: PeerRelay,
    nat64: Nat64Watch,
    /// Absent where the system tells of no changes.
    interface_watch: Option<KernelWatch>,
    /// Told when the tunnel sends a packet that the engine waits for.
    packet: Arc<Notify>,
    client: CoordinatorClient,
    web_sockets: RelayWebSockets,
    saver: MapSaver,
    choices: Choices,
    attached: Vec<IpNet>,
    firewall: Firewall,
    exit_guard: ExitGuard,
    names: Names,
    datagrams: mpsc::Receiver<Received>,
    news: mpsc::Receiver<StreamNews>,
    wishes: mpsc::Sender<StreamWish>,
    reports: mpsc::Receiver<Result<ReportResponse, CallError>>,
    reports_sender: mpsc::Sender<Result<ReportResponse, CallError>>,
    tasks: JoinSet<()>,
    pings: BTreeMap<u64, oneshot::Sender<Option<PingAnswer>>>,
    next_ping: u64,
    addresses: Vec<LocalAddress>,
    slept: Duration,
    ticks: u32,
    /// Ticks that are left until the tunnel is at rest.
    moving_ticks: u32,
    looked_at: Timestamp,
    connection: Connection,
    deletion: Option<String>,
}

/// How it stands with the coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Whether the map stream is open.
    pub(crate) is_open: bool,
    /// Why it is not, or why a report did not get through.
    pub(crate) error: Option<String>,
    /// Why the coordinator's newest map is not used; `None` where it is.
    pub(crate) refusal: Option<String>,
    /// The address that last answered; a proxy's where one is between.
    pub(crate) remote: Option<IpAddr>,
}

impl Node {
    /// A node that begins with what the last life knew, so that it needs no coordinator to find its peers.
    ///
    /// # Errors
    /// Where the machine gives no UDP port, no certificates, or takes no such interface name.
    pub(crate) fn start(
        identity: Identity,
        state: StateFolder,
        options: &Options,
        exit_guard: &ExitGuard,
        clock: Clock,
    ) -> Result<Self, Failure> {
        let opener = TunInterface::new(&options.interface).map_err(|error| failure(&error))?;
        let client = CoordinatorClient::of_node(&identity, exit_guard)?;
        let (paths, datagrams) = open_paths(&state)?;
        let config = EngineConfig {
            private_key: identity.private_key.clone(),
            local_port: paths.local_port(),
            seed: entropy::bytes(),
            static_candidates: options.offer.static_candidates.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let (news_sender, news) = mpsc::channel(NEWS_MAX);
        let (wishes, wishes_receiver) = mpsc::channel(4);
        let (reports_sender, reports) = mpsc::channel(1);
        let map = state.network_map(&identity);
        let newest = map.as_ref().map(|map| map.revision);
        let verifier = Verifier::new(identity.node_id, identity.map_key, newest);
        let port_mapper = NonZeroU16::new(paths.local_port())
            .filter(|_| options.offer.port_mapping)
            .map(|port| PortMapper::start(port, &identity.private_key, clock));
        let packet = Arc::new(Notify::new());
        let (told, mut tasks) = (Arc::clone(&packet), JoinSet::new());
        paths.on_awaited_packet(move || told.notify_one());
        // One without a zone may be of an agent that left out what it did not know: the whole map says more.
        let from = verifier.newest().filter(|_| map.as_ref().is_some_and(|map| map.own.zone.is_some()));
        tasks.spawn(MapStream::new(client.clone(), from, verifier, wishes_receiver, news_sender).run());
        let mut node = Self {
            engine: Engine::new(config, clock.now()),
            tunnel: TunnelKeeper::new(Box::new(Embedded::new(&paths, opener))),
            web_sockets: RelayWebSockets::new(client.clone(), paths.local_port()),
            paths,
            port_mapper,
            own_relay: PeerRelay::start(state.clone(), options.relay.clone(), clock),
            choices: state.choices(),
            attached: Vec::new(),
            firewall: Firewall::new(&state, &options.interface),
            exit_guard: exit_guard.clone(),
            names: Names::start(&options.interface, options.names_port),
            saver: MapSaver::new(state.clone(), identity.private_key.clone()),
            state,
            identity,
            interface: options.interface.clone(),
            rules: options.offer.rules.clone(),
            clock,
            nat64: Nat64Watch::start(),
            interface_watch: watch_interfaces(),
            packet,
            client,
            datagrams,
            news,
            wishes,
            reports,
            reports_sender,
            tasks,
            pings: BTreeMap::new(),
            next_ping: 0,
            addresses: Vec::new(),
            slept: Clock::slept(),
            ticks: 0,
            moving_ticks: 0,
            looked_at: clock.now(),
            connection: Connection::default(),
            deletion: None,
        };
        node.look_at_interfaces();
        if let Some(map) = map {
            let (revision, peers) = (map.revision, map.peers.len());
            tracing::info!(revision, peers, "starting from the saved network map");
            node.input(Input::Map(MapEvent::Snapshot(map)));
        }
        Ok(node)
    }

    /// Who the node is.
    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The interface's name.
    pub(crate) fn interface(&self) -> &str {
        &self.interface
    }

    /// The client for calls to the coordinator.
    pub(crate) const fn client(&self) -> &CoordinatorClient {
        &self.client
    }

    /// How it stands with the coordinator.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// What the engine knows, and the time at which it does.
    pub(crate) fn status(&self) -> (engine::Status, Timestamp) {
        (self.engine.status(), self.clock.now())
    }

    /// Addresses of the machine, as of the last look.
    pub(crate) fn addresses(&self) -> &[LocalAddress] {
        &self.addresses
    }

    /// What is known of the router's port; `None` where the user wants none.
    pub(crate) fn port_mapping(&self) -> Option<port_mapping::Facts> {
        self.port_mapper.as_ref().map(PortMapper::facts)
    }

    /// How it stands with the relay that the node runs for its network.
    pub(crate) fn own_relay(&self) -> peer_relay::Facts {
        self.own_relay.facts()
    }

    /// How it stands with the DNS names of the network.
    pub(crate) fn names(&self) -> names::Facts {
        self.names.facts()
    }

    /// Whether the node may be a relay for its network.
    pub(crate) fn may_relay(&self) -> bool {
        self.engine.network_map().is_some_and(|map| map.own.relay.is_some())
    }

    /// Why the coordinator deleted the node, once, where it did.
    pub(crate) fn take_deletion(&mut self) -> Option<String> {
        self.deletion.take()
    }

    /// Waits for the next happening. May be dropped at any time without losing one.
    pub(crate) async fn next(&mut self) -> Happening {
        let now = self.clock.now();
        let wait = self.engine.poll_timeout().map(|(at, _)| at.since(now));
        tokio::select! {
            // Deadlines first: a flood of datagrams must not hold up what is due.
            biased;
            () = sleep(wait.unwrap_or(Duration::MAX)), if wait.is_some() => Happening::Deadline,
            Some(news) = self.news.recv() => Happening::Stream(news),
            Some(report) = self.reports.recv() => Happening::Reported(report),
            () = changed(self.port_mapper.as_mut()) => Happening::PortMapping,
            () = self.own_relay.changed() => Happening::OwnRelay,
            () = self.packet.notified() => Happening::Packet,
            () = self.nat64.changed() => Happening::Nat64,
            news = self.web_sockets.next() => Happening::WebSocket(news),
            Some(datagram) = self.datagrams.recv() => Happening::Datagram(datagram),
        }
    }

    /// Takes in what happened.
    pub(crate) fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Datagram(Received { socket, from, datagram, .. }) => {
                self.input(Input::Datagram { socket, from, datagram: &datagram });
            }
            Happening::Stream(news) => self.on_news(news),
            Happening::Reported(Ok(response)) => {
                if self.connection.is_open {
                    self.connection.error = None;
                }
                self.input(Input::ReportAccepted(response));
            }
            Happening::Reported(Err(error)) => self.on_report_failed(error),
            Happening::PortMapping => self.tell_port_mapping(),
            Happening::OwnRelay => self.input(Input::RelayServer(self.own_relay.facts().server)),
            Happening::Nat64 => self.on_nat64(),
            Happening::Packet => self.on_awaited_packet(),
            Happening::WebSocket(news) => {
                if let Some(input) = self.web_sockets.take_in(news) {
                    self.input(input);
                }
            }
            Happening::Deadline => self.engine.handle_timeout(self.clock.now()),
        }
    }

    /// Starts one round trip to a peer; the answer comes through the receiver, `None` where none came in time.
    pub(crate) fn ping(&mut self, peer: PublicKey) -> oneshot::Receiver<Option<PingAnswer>> {
        let (sender, receiver) = oneshot::channel();
        self.next_ping += 1;
        // Callers that went away.
        self.pings.retain(|_, waiting| !waiting.is_closed());
        self.pings.insert(self.next_ping, sender);
        self.input(Input::Ping { peer, id: self.next_ping });
        receiver
    }

    /// Does what the engine asks for.
    ///
    /// # Errors
    /// Where this machine gives no tunnel at all.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit { socket, to, datagram } => {
                    if let Err(error) = self.paths.send_to(socket, &datagram, to) {
                        // Usual with candidates of a family or network that this machine has no route to.
                        tracing::trace!(%error, %to, "not sent");
                    }
                }
                Output::TransmitWhole { socket, to, datagram } => {
                    if let Err(error) = self.paths.send_whole(socket, &datagram, to) {
                        // Usual where it is too long for the first link already.
                        tracing::trace!(%error, %to, len = datagram.len(), "not sent in one piece");
                    }
                }
                Output::SetTunnelMtu { peer, mtu } => self.paths.set_tunnel_mtu(&peer, mtu),
                Output::AwaitPacket { peer } => self.paths.await_packet(&peer),
                Output::RenewSession { peer } => self.paths.renew_session(&peer),
                Output::OpenSocket(socket) => {
                    let port = self.paths.open_socket(socket);
                    let port = port.inspect_err(|error| tracing::debug!(%error, "no side socket")).ok();
                    self.input(Input::SocketOpened { socket, port });
                }
                Output::CloseSocket(socket) => warn(self.paths.close_socket(socket)),
                Output::SetPath { peer, path } => warn(self.paths.set_path(&peer, path.map(tunnel_path))),
                Output::SetRelays(relays) => self.paths.set_relays(relays),
                Output::SetOwnRelay(permission) => self.own_relay.set_permission(permission),
                Output::OpenWebSocket { relay, url } => self.web_sockets.open(relay, url),
                Output::CloseWebSocket { relay } => self.web_sockets.close(relay),
                Output::SetTunnel(config) => self.want_tunnel(config)?,
                Output::Report(report) => self.report(report),
                Output::SetForwarding(prefixes) => self.forward(prefixes),
                Output::SaveMap => self.save_map(),
                Output::RequestSnapshot => self.wish(StreamWish::Snapshot),
                Output::Pinged { id, answer } => {
                    if let Some(waiting) = self.pings.remove(&id) {
                        // The caller may have given up.
                        let _ = waiting.send(answer);
                    }
                }
                Output::PathChanged { name, kind, remote } => {
                    tracing::info!(peer = %name, ?kind, ?remote, "path changed");
                }
            }
        }
        Ok(())
    }

    /// Takes everything down: the interface is gone and the map on disk on return.
    pub(crate) async fn stop(mut self: Box<Self>) {
        self.tasks.shutdown().await;
        self.tunnel.remove();
        self.firewall.stop();
        let give_back = async {
            if let Some(mapper) = self.port_mapper.take() {
                mapper.stop().await;
            }
        };
        tokio::join!(give_back, self.own_relay.stop(), self.names.stop());
        self.saver.finish(self.engine.network_map()).await;
    }

    fn input(&mut self, input: Input<'_>) {
        self.engine.handle_input(self.clock.now(), input);
    }
}

/// Waits for the router's news; forever, where nobody asks it.
async fn changed(mapper: Option<&mut PortMapper>) {
    match mapper {
        Some(mapper) => mapper.changed().await,
        None => std::future::pending().await,
    }
}

const fn tunnel_path(path: TunnelPath) -> Path {
    match path {
        TunnelPath::Direct { socket, remote } => Path::Direct { socket, remote },
        TunnelPath::Relay { server, prefix } => Path::Relay { server, prefix },
    }
}

/// What the engine asks of sockets and paths is in order; where it is not, that is a fault to be told of.
fn warn(result: Result<(), TunnelError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the path layer refused");
    }
}

fn failure(error: &TunnelError) -> Failure {
    Failure::new(Code::Failed, error.to_string())
}
