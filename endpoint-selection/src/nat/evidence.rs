//! What was seen of the NAT, each thing with its time; bounded.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::socket::SocketId;
use crate::time::Timestamp;

/// The most entries of each list: 17 sockets times 8 servers are 136, and peers add some.
const ENTRIES_MAX: usize = 512;

/// One answer of a STUN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Binding {
    /// The socket that asked.
    pub socket: SocketId,
    /// Its local port.
    pub local_port: u16,
    /// The server.
    pub server: SocketAddr,
    /// What the server saw.
    pub reflexive: SocketAddr,
    /// When the request that made the mapping was sent. Requests of one time go out in order of server address, so time and
    /// server give the order in which mappings were made; later answers with the same outcome do not move it.
    pub at: Timestamp,
}

/// What a peer saw as the source of a probe of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PeerView {
    /// The socket that sent it.
    pub socket: SocketId,
    /// Where it was sent.
    pub remote: SocketAddr,
    /// What the peer saw.
    pub observed: SocketAddr,
    /// When.
    pub at: Timestamp,
}

/// An authenticated datagram that came straight from a peer's address that we had not sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Heard {
    /// Where it came from.
    pub from: SocketAddr,
    /// Whether we had sent to another port of that address.
    pub is_address_known: bool,
    /// When.
    pub at: Timestamp,
}

/// What became of a mapping over a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct IdleOutcome {
    /// Milliseconds without a packet from inside.
    pub idle_ms: u32,
    /// Whether the mapping was the same after it.
    pub held: bool,
    /// When it was seen.
    pub at: Timestamp,
}

/// Everything seen of the NAT so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// The machine's own addresses.
    pub local: Vec<IpAddr>,
    /// Answers of STUN servers.
    pub bindings: Vec<Binding>,
    /// Servers that left a whole transaction unanswered and have not answered since.
    pub unanswered: Vec<SocketAddr>,
    /// What peers saw.
    pub peer_views: Vec<PeerView>,
    /// What came in from where nothing was sent to.
    pub heard: Vec<Heard>,
    /// The outcome of the hairpin test (RFC 5780 §4.5), where it was made, and when.
    pub hairpin: Option<(bool, Timestamp)>,
    /// What became of mappings over pauses.
    pub idle: Vec<IdleOutcome>,
    /// The outside address that the router itself tells (PCP, NAT-PMP, UPnP-IGD), where it does, and when.
    pub router_address: Option<(IpAddr, Timestamp)>,
}

/// Evidence that is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceError {
    field: &'static str,
    count: usize,
}

impl std::fmt::Display for EvidenceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} entries given, at most {ENTRIES_MAX} allowed", self.field, self.count)
    }
}

impl std::error::Error for EvidenceError {}

impl Evidence {
    /// Checks the bounds that JSON cannot express.
    ///
    /// # Errors
    /// Names the list that is too long.
    pub fn validate(&self) -> Result<(), EvidenceError> {
        let counts = [
            ("local", self.local.len()),
            ("bindings", self.bindings.len()),
            ("unanswered", self.unanswered.len()),
            ("peer_views", self.peer_views.len()),
            ("heard", self.heard.len()),
            ("idle", self.idle.len()),
        ];
        match counts.into_iter().find(|(_, count)| *count > ENTRIES_MAX) {
            Some((field, count)) => Err(EvidenceError { field, count }),
            None => Ok(()),
        }
    }

    /// Takes in a server's answer to a socket; one that says what is known already changes nothing.
    pub fn add_binding(&mut self, binding: Binding) {
        self.unanswered.retain(|server| *server != binding.server);
        let same = |known: &Binding| known.socket == binding.socket && known.server == binding.server;
        if self.bindings.iter().any(|known| same(known) && known.reflexive == binding.reflexive) {
            return;
        }
        self.bindings.retain(|known| !same(known));
        push_bounded(&mut self.bindings, binding);
    }

    /// A server left a whole transaction of the main socket unanswered: what it said before no longer counts.
    pub fn add_unanswered(&mut self, server: SocketAddr) {
        self.bindings.retain(|known| known.server != server);
        if !self.unanswered.contains(&server) {
            push_bounded(&mut self.unanswered, server);
        }
    }

    /// Takes in what a peer saw; the newest view per socket and remote address counts.
    pub fn add_peer_view(&mut self, view: PeerView) {
        self.peer_views.retain(|known| known.socket != view.socket || known.remote != view.remote);
        push_bounded(&mut self.peer_views, view);
    }

    /// Takes in something that came unasked.
    pub fn add_heard(&mut self, heard: Heard) {
        self.heard.retain(|known| known.from != heard.from);
        push_bounded(&mut self.heard, heard);
    }

    /// Takes in what became of a mapping over a pause.
    pub fn add_idle(&mut self, outcome: IdleOutcome) {
        self.idle.retain(|known| known.held != outcome.held || known.idle_ms != outcome.idle_ms);
        push_bounded(&mut self.idle, outcome);
    }

    /// Forgets what servers said that are asked no longer.
    pub fn keep_servers(&mut self, servers: &BTreeSet<SocketAddr>) {
        self.bindings.retain(|binding| servers.contains(&binding.server));
        self.unanswered.retain(|server| servers.contains(server));
    }

    /// The machine's addresses changed: what peers saw and what came in spoke of the old way out. What servers said stays
    /// until they have been asked again.
    pub fn set_local(&mut self, local: Vec<IpAddr>) {
        *self = Self {
            local,
            bindings: std::mem::take(&mut self.bindings),
            unanswered: std::mem::take(&mut self.unanswered),
            ..Self::default()
        };
    }

    /// The network changed: nothing that was seen through the old one counts, but the machine's addresses do.
    pub fn forget(&mut self) {
        *self = Self { local: std::mem::take(&mut self.local), ..Self::default() };
    }

    /// Forgets what closed sockets saw.
    pub fn forget_side_sockets(&mut self) {
        self.bindings.retain(|binding| binding.socket == SocketId::MAIN);
    }
}

/// The oldest entry makes room.
fn push_bounded<T>(list: &mut Vec<T>, entry: T) {
    if list.len() >= ENTRIES_MAX {
        list.remove(0);
    }
    list.push(entry);
}
