//! One peer's life: its candidates, the probes to and from it, and the path in use.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::nat::Mapping;
use endpoint_selection::traversal::TriggeredChecks;
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, Observation, ObservationKind, Policy, Selector, SocketId,
    Timestamp,
};
use protocol::api::{self, PathKind};
use protocol::key::PrivateKey;
use protocol::probe::PairKeys;
use protocol::replay::ReplayWindow;

use crate::context::{Context, Notice};
use crate::input::PeerTraffic;
use crate::output::{Output, TunnelPath};
use crate::schedule::{Due, Schedule};

mod activity;
mod data_check;
mod path_mtu;
mod probing;
mod punching;
mod reach;
mod receive;
mod upkeep;
mod view;

use activity::Activity;
use data_check::DataCheck;
use punching::Punching;
use reach::Reach;
use upkeep::Upkeep;

/// How long a reply may take; replies after that count for nothing.
const REPLY_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a user's ping waits.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Peer {
    info: api::Peer,
    keys: Option<PairKeys>,
    selector: Selector,
    replay: ReplayWindow,
    /// The life that the peer last spoke from; only a hint until a fresh probe confirms it.
    claimed_epoch: u64,
    counter: u64,
    outstanding: BTreeMap<u64, Sent>,
    schedule: Schedule,
    /// The next round answers the peer's call.
    is_called: bool,
    /// When the peer was called last, and what it was told.
    last_call: Option<(Timestamp, Vec<SocketAddr>)>,
    activity: Activity,
    upkeep: Upkeep,
    reach: Reach,
    pings: BTreeMap<u64, Ping>,
    path: Option<TunnelPath>,
    since: Timestamp,
    switches: u32,
    /// When the paths were judged last.
    judged_at: Timestamp,
    traffic: Option<PeerTraffic>,
    data: DataCheck,
    punching: Punching,
    triggered: TriggeredChecks,
    /// The address that only a side socket reaches, and that socket.
    side: Option<(SocketAddr, SocketId)>,
}

/// The way a probe travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Straight to this address, from this socket.
    Direct(SocketId, SocketAddr),
    /// Through the relay at this address.
    Relay(SocketAddr),
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    route: Route,
    at: Timestamp,
    receiver_epoch: u64,
    /// It was as long as the tunnel's longest packet.
    is_long: bool,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    id: u64,
    deadline: Timestamp,
}

impl Peer {
    pub(crate) fn new(info: api::Peer, own: &PrivateKey, mesh: Vec<(IpAddr, u8)>, now: Timestamp) -> Self {
        let keys = PairKeys::derive(own, &info.public_key);
        let mut selector = Selector::new(Policy::default(), mesh);
        selector.set_candidates(&info.candidates, now);
        Self {
            info,
            keys,
            selector,
            replay: ReplayWindow::default(),
            claimed_epoch: 0,
            counter: 0,
            outstanding: BTreeMap::new(),
            schedule: Schedule::idle(),
            is_called: false,
            last_call: None,
            activity: Activity::new(),
            upkeep: Upkeep::default(),
            reach: Reach::default(),
            pings: BTreeMap::new(),
            path: None,
            since: now,
            switches: 0,
            judged_at: now,
            traffic: None,
            data: DataCheck::default(),
            punching: Punching::default(),
            triggered: TriggeredChecks::default(),
            side: None,
        }
    }

    /// Whether the map says the same as before.
    pub(crate) fn is(&self, info: &api::Peer) -> bool {
        self.info == *info
    }

    pub(crate) fn incoming_tag(&self) -> Option<[u8; 8]> {
        self.keys.as_ref().map(PairKeys::incoming_tag)
    }

    /// Begins: relays first, then the search for a direct path.
    pub(crate) fn start(&mut self, context: &mut Context<'_>) {
        if let Some(remote) = self.info.plain_endpoint {
            self.set_path(context, Some(TunnelPath::Direct { socket: SocketId::MAIN, remote }));
            return;
        }
        self.use_relays(context);
        self.search(context.now);
        if self.is_idle(context.now) {
            context.outputs.push_back(Output::AwaitPacket { peer: self.info.public_key });
        }
    }

    /// Takes every relay that holds a session of ours as a way to the peer.
    fn use_relays(&mut self, context: &mut Context<'_>) {
        let relays: Vec<SocketAddr> = context.sessions.keys().copied().collect();
        for relay in relays {
            self.on_relay(context, relay, true);
        }
    }

    /// Whether tunnel packets go straight to the peer.
    pub(crate) const fn is_direct(&self) -> bool {
        matches!(self.path, Some(TunnelPath::Direct { .. }))
    }

    /// The map says something else about the peer.
    pub(crate) fn update(&mut self, context: &mut Context<'_>, info: api::Peer) {
        let came_online = info.online && !self.info.online;
        let plain_changed = info.plain_endpoint != self.info.plain_endpoint;
        let is_other_mapping = info.nat.mapping != self.info.nat.mapping;
        self.info = info;
        let addresses = self.info.candidates.iter().map(|candidate| candidate.address);
        let is_news = is_other_mapping || self.is_news(addresses);
        self.selector.set_candidates(&self.info.candidates, context.now);
        if self.info.plain_endpoint.is_some() || plain_changed {
            self.start(context);
            return;
        }
        if came_online {
            self.reach.note_online();
            self.use_relays(context);
        }
        if is_news || came_online {
            self.search(context.now);
        }
    }

    /// Whether one of the peer's addresses is a reason to search anew: an unknown one, unless it is only one more port of a
    /// known address and the peer's NAT has another port for each destination.
    fn is_news(&self, mut addresses: impl Iterator<Item = SocketAddr>) -> bool {
        let is_dependent = self.info.nat.mapping.is_some_and(Mapping::is_dependent);
        let is_known = |ip: IpAddr| self.selector.probe_targets().any(|target| target.ip() == ip);
        addresses.any(|address| {
            self.selector.status(address).is_none() && !(is_dependent && is_known(address.ip()))
        })
    }

    /// Looks for a direct path, from now on, if anybody would use it.
    pub(crate) fn search(&mut self, now: Timestamp) {
        if self.info.plain_endpoint.is_none() && self.keys.is_some() && self.activity.is_active(now) {
            self.schedule.start(now);
        }
    }

    /// Whether nobody talks with the peer.
    pub(crate) const fn is_idle(&self, now: Timestamp) -> bool {
        !self.activity.is_active(now) && self.info.plain_endpoint.is_none()
    }

    /// We registered at a relay. The peer hears from us through it at once, before the tunnel's first packet: it may have
    /// learnt that we are not there. If our mapping moved meanwhile, direct paths are in doubt, and the call says so.
    pub(crate) fn greet(&mut self, context: &mut Context<'_>, relay: SocketAddr, is_moved: bool) {
        if self.info.plain_endpoint.is_some() {
            return;
        }
        if is_moved {
            self.on_relay(context, relay, true);
            // Another network, perhaps: how paths served says nothing.
            self.selector.forget_direct_evidence();
            self.apply_selection(context);
        }
        // A peer relay that comes and goes all the time must not make everybody search each time.
        let is_settled = context.is_peer_relay(relay) && self.is_direct();
        if is_settled || self.is_idle(context.now) {
            self.send_request(context, Route::Relay(relay));
            return;
        }
        self.call(context, relay);
        self.search(context.now);
    }

    /// Our own network changed: what was known may be wrong, what works must show it.
    pub(crate) fn on_own_change(&mut self, now: Timestamp) {
        self.upkeep.ask_now(now);
        self.search(now);
    }

    /// Something says that direct paths no longer work: traffic goes over the relay until one answers again, which takes
    /// a live path one round trip. Without a relay, doubt is no reason to give up what may work.
    pub(crate) fn doubt_direct(&mut self, context: &mut Context<'_>) {
        if self.is_direct() && self.info.plain_endpoint.is_none() && self.selector.has_relay() {
            self.selector.doubt_direct();
            self.apply_selection(context);
        }
    }

    /// A relay can be used from now on, or cannot.
    pub(crate) fn on_relay(&mut self, context: &mut Context<'_>, relay: SocketAddr, usable: bool) {
        if self.info.plain_endpoint.is_some() || context.is_run_by(relay, &self.info.public_key) {
            return;
        }
        let source = CandidateSource::Relay(relay);
        let candidate = Candidate { kind: CandidateKind::Relayed, address: relay, base: None, source };
        self.selector.add_candidate(candidate);
        let kind = if usable {
            ObservationKind::RelayRegistered { rtt_us: None }
        } else {
            ObservationKind::RelayLost
        };
        self.observe(context, relay, kind);
    }

    /// A relay is no longer ours to use.
    pub(crate) fn on_relay_gone(&mut self, context: &mut Context<'_>, relay: SocketAddr) {
        self.selector.remove_relay(relay);
        self.apply_selection(context);
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let ping = self.pings.values().map(|ping| ping.deadline).min();
        [self.schedule.next_at(), self.upkeep.next_at(), ping].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let settled = self.is_direct();
        let jitter = context.entropy.number();
        if let Some(due) = self.schedule.take_due(context.now, jitter, settled) {
            if due == Due::RoundStart && self.is_idle(context.now) && !self.is_called {
                self.schedule.stop();
            } else {
                self.probe_candidates(context, due);
            }
            if self.schedule.is_between_rounds() {
                self.punching.on_round_over(context.now);
            }
        }
        self.keep_up(context);
        let late: Vec<u64> =
            self.pings.iter().filter(|(_, ping)| ping.deadline <= context.now).map(|(key, _)| *key).collect();
        for transaction in late {
            if let Some(ping) = self.pings.remove(&transaction) {
                context.outputs.push_back(Output::Pinged { id: ping.id, answer: None });
            }
        }
    }

    /// A user's ping: one probe over the path in use.
    pub(crate) fn ping(&mut self, context: &mut Context<'_>, id: u64) {
        self.note_use(context.now);
        let sent = self.route().and_then(|route| self.send_request(context, route));
        match sent {
            Some(transaction) => {
                self.pings.insert(transaction, Ping { id, deadline: context.now + PING_TIMEOUT });
            }
            None => context.outputs.push_back(Output::Pinged { id, answer: None }),
        }
    }

    fn observe(&mut self, context: &mut Context<'_>, remote: SocketAddr, kind: ObservationKind) {
        self.selector.observe(Observation { remote, at: context.now, kind });
        self.apply_selection(context);
    }

    fn apply_selection(&mut self, context: &mut Context<'_>) {
        self.judged_at = context.now;
        let chosen = self.selector.choose(context.now).map(|chosen| (chosen.kind, chosen.address));
        let path = chosen.and_then(|(kind, address)| {
            if kind == CandidateKind::Relayed {
                let prefix = context.relay_prefix(address, &self.info.public_key)?;
                return Some(TunnelPath::Relay { server: address, prefix });
            }
            Some(TunnelPath::Direct { socket: self.socket_for(address), remote: address })
        });
        self.set_path(context, path);
    }

    fn set_path(&mut self, context: &mut Context<'_>, path: Option<TunnelPath>) {
        if self.path == path {
            return;
        }
        let before = std::mem::replace(&mut self.path, path);
        let sent = path.map(|path| context.as_sent(path));
        context.outputs.push_back(Output::SetPath { peer: self.info.public_key, path: sent });
        if before.map(ends) == path.map(ends) {
            return self.tell_tunnel_mtu(context);
        }
        let is_switch = before.is_some() && !self.is_idle(context.now);
        self.switches = self.switches.saturating_add(u32::from(is_switch));
        self.since = context.now;
        self.upkeep.restart(context.now, !self.is_idle(context.now));
        self.data.restart();
        if let Some(TunnelPath::Direct { socket, .. }) = path {
            self.punching.on_direct();
            context.notices.push(Notice::Opened(self.info.public_key, socket));
        }
        self.let_go_of_side_socket(context);
        let lost_direct = matches!(before, Some(TunnelPath::Direct { .. }))
            && !matches!(path, Some(TunnelPath::Direct { .. }))
            && !self.is_idle(context.now);
        if lost_direct || path.is_none() {
            self.search(context.now);
        }
        if lost_direct {
            context.notices.push(Notice::Lost);
        }
        let (kind, remote) = self.path_kind();
        *context.is_path_changed = true;
        let name = self.info.name.to_string();
        context.outputs.push_back(Output::PathChanged { name, kind, remote });
    }

    fn route(&self) -> Option<Route> {
        self.path.map(|path| match path {
            TunnelPath::Direct { socket, remote } => Route::Direct(socket, remote),
            TunnelPath::Relay { server, .. } => Route::Relay(server),
        })
    }

    fn path_kind(&self) -> (PathKind, Option<SocketAddr>) {
        match self.path {
            None => (PathKind::None, None),
            Some(TunnelPath::Direct { remote, .. }) => (PathKind::Direct, Some(remote)),
            Some(TunnelPath::Relay { server, .. }) if self.activity.is_resting => {
                (PathKind::Idle, Some(server))
            }
            Some(TunnelPath::Relay { server, .. }) => (PathKind::Relay, Some(server)),
        }
    }

    /// The socket that reaches `remote`.
    fn socket_for(&self, remote: SocketAddr) -> SocketId {
        self.side.filter(|(address, _)| *address == remote).map_or(SocketId::MAIN, |(_, socket)| socket)
    }

    /// The side socket that a path of this peer goes through.
    pub(crate) fn side_socket(&self) -> Option<SocketId> {
        self.side.map(|(_, socket)| socket)
    }
}

/// What makes two paths the same to a user: not the relay session's number.
fn ends(path: TunnelPath) -> (bool, SocketAddr) {
    match path {
        TunnelPath::Direct { remote, .. } => (true, remote),
        TunnelPath::Relay { server, .. } => (false, server),
    }
}
