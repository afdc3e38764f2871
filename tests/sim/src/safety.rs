//! What must hold at every step, judged by what really happened in the world and never by what an engine believes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::traversal::Budget;
use endpoint_selection::{SocketId, Timestamp};
use engine::TunnelPath;
use protocol::frame::{DatagramClass, classify};
use protocol::key::PublicKey;
use protocol::probe::tag_of;
use protocol::relay::{Frame, SessionId, decode, send_prefix};

/// A direct path may be set to an address that the peer spoke from, and was reached at, this recently. A path in
/// use is asked every five seconds and believed for three unanswered questions of at most a second; twice that.
const SILENCE_MAX: Duration = Duration::from_secs(16);

/// The most things an engine may ask for at one event, per peer and beyond that: a round start probes every
/// candidate, and a map change also touches relays, STUN servers and tunnel.
const OUTPUTS_PER_PEER_MAX: usize = 24;
const OUTPUTS_BESIDE_MAX: usize = 24;

/// The most probes from one node to another at one address within [`RATE_WINDOW`], answers included. A round has nine, and
/// the peer asks as often. Where bursts of loss make relay sessions come and go, each change starts a round anew, at most
/// four in a second: the schedule alone allows 160. Of 100,000 worlds the worst shows 124; about a fifth of these are the
/// questions and padded requests that each path begins with.
const PROBES_MAX: usize = 160;
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// The most probes of a node within a second at ports where no mapping of the peer is known to be: an attempt's rate.
const GUESSES_MAX: usize = Budget::DEFAULT.probes_per_s as usize;
const GUESS_WINDOW: Duration = Duration::from_secs(1);

/// A node's socket.
pub(crate) type Socket = (usize, SocketId);

/// The ground truth that paths are judged by.
#[derive(Default)]
pub(crate) struct Safety {
    /// Every address of the world that leads, or ever led, to a node; with that node.
    addresses: BTreeSet<(usize, SocketAddr)>,
    infrastructure: BTreeSet<SocketAddr>,
    /// By receiver's socket and sender: from where the receiver last heard the sender, and when, by the receiver's clock.
    heard: BTreeMap<(Socket, usize), Contacts>,
    /// By sender's socket and receiver: where the sender last reached the receiver, and when, by the sender's clock.
    reached: BTreeMap<(Socket, usize), Contacts>,
    sessions: BTreeMap<(usize, SocketAddr), SessionId>,
    tags: BTreeMap<[u8; 8], (usize, usize)>,
    /// By sender's socket, receiver and address: when probes left.
    probes: BTreeMap<(Socket, usize, SocketAddr), Recent>,
    /// By sender: when probes left for an address that was no node's.
    guesses: BTreeMap<usize, Recent>,
    probes_sent: BTreeMap<(usize, usize), u64>,
    /// The highest figures seen, for people who tune the bounds.
    pub(crate) peaks: Peaks,
}

/// The highest figures of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Outputs of one event.
    pub outputs: usize,
    /// Probes from one socket to one address of another node within ten seconds.
    pub probes: usize,
    /// Probes of one node at guessed ports within a second.
    pub guesses: usize,
}

/// When something happened of late.
#[derive(Debug, Default)]
struct Recent(VecDeque<Timestamp>);

impl Recent {
    /// Notes one more. Returns how many there were within this time.
    fn note(&mut self, now: Timestamp, within: Duration) -> usize {
        self.0.push_back(now);
        while self.0.front().is_some_and(|at| now.since(*at) >= within) {
            self.0.pop_front();
        }
        self.0.len()
    }
}

/// When something last was at which address. Few at a time: what is too old to count is dropped.
#[derive(Debug, Default)]
struct Contacts(Vec<(SocketAddr, Timestamp)>);

impl Contacts {
    fn note(&mut self, now: Timestamp, address: SocketAddr) {
        if let Some((_, at)) = self.0.iter_mut().find(|(known, _)| *known == address) {
            *at = now;
            return;
        }
        self.0.retain(|(_, at)| now.since(*at) <= SILENCE_MAX);
        self.0.push((address, now));
    }

    fn at(&self, address: SocketAddr) -> Option<Timestamp> {
        self.0.iter().find(|(known, _)| *known == address).map(|(_, at)| *at)
    }
}

impl Safety {
    pub(crate) fn add_address(&mut self, node: usize, address: SocketAddr) {
        self.addresses.insert((node, address));
    }

    pub(crate) fn add_infrastructure(&mut self, address: SocketAddr) {
        self.infrastructure.insert(address);
    }

    pub(crate) fn add_tag(&mut self, tag: [u8; 8], from: usize, to: usize) {
        self.tags.insert(tag, (from, to));
    }

    /// How many probes one node sent to another so far, over whatever path.
    pub(crate) fn probes_sent(&self, from: usize, to: usize) -> u64 {
        self.probes_sent.get(&(from, to)).copied().unwrap_or_default()
    }

    /// A datagram that the sender sent to this address reached the receiver, which sees it come from that one. The
    /// clocks are those of the two.
    pub(crate) fn on_delivered(
        &mut self,
        (sender_clock, receiver_clock): (Timestamp, Timestamp),
        (sender, sent_to): (Socket, SocketAddr),
        (receiver, seen): (Socket, SocketAddr),
    ) {
        self.heard.entry((receiver, sender.0)).or_default().note(receiver_clock, seen);
        self.reached.entry((sender, receiver.0)).or_default().note(sender_clock, sent_to);
    }

    /// A relay's datagram reached a node: it may say that the node is registered.
    pub(crate) fn on_relay_datagram(&mut self, node: usize, relay: SocketAddr, datagram: &[u8]) {
        if let Ok(Frame::Registered(registered)) = decode(datagram) {
            self.sessions.insert((node, relay), registered.session);
        }
    }

    /// Sockets were closed: what went through them says nothing of the next ones with their ids.
    pub(crate) fn forget_sockets(&mut self, is_closed: impl Fn(Socket) -> bool) {
        self.heard.retain(|(own, ..), _| !is_closed(*own));
        self.reached.retain(|(own, ..), _| !is_closed(*own));
    }

    pub(crate) fn forget_sessions(&mut self, node: usize) {
        self.sessions.retain(|(of, _), _| *of != node);
    }

    /// Judges a path that `node`'s engine set for `peer`, at `now` by the node's clock: one that stood still in a sleep
    /// shows old evidence as fresh, and nothing tells the engine better.
    pub(crate) fn judge_path(
        &self,
        now: Timestamp,
        node: usize,
        peer: (usize, &PublicKey),
        path: &TunnelPath,
    ) -> Result<(), String> {
        let (index, key) = peer;
        match path {
            TunnelPath::Direct { socket, remote } => {
                let recent = |at: Option<Timestamp>| at.is_some_and(|at| now.since(at) <= SILENCE_MAX);
                let at = |contacts: &BTreeMap<(Socket, usize), Contacts>| {
                    contacts.get(&((node, *socket), index)).and_then(|contacts| contacts.at(*remote))
                };
                let (heard, reached) = (at(&self.heard), at(&self.reached));
                if recent(heard) && recent(reached) {
                    return Ok(());
                }
                Err(format!(
                    "node {node} set the direct path to node {index} from {socket} to {remote}, which it last heard there at \
                     {heard:?} and reached at {reached:?}"
                ))
            }
            TunnelPath::Relay { server, prefix } => {
                let session = self.sessions.get(&(node, *server));
                match session {
                    Some(session) if send_prefix(*session, key) == *prefix => Ok(()),
                    _ => Err(format!(
                        "node {node} set the path to node {index} over {server}, but holds {session:?} there"
                    )),
                }
            }
        }
    }

    /// Judges a datagram that a node's engine sends.
    pub(crate) fn judge_datagram(
        &mut self,
        now: Timestamp,
        (node, socket): Socket,
        to: SocketAddr,
        datagram: &[u8],
    ) -> Result<(), String> {
        let class = classify(datagram);
        let is_relay = self.infrastructure.contains(&to);
        let probe = match (class, decode(datagram)) {
            (DatagramClass::Probe, _) => Some(datagram),
            (DatagramClass::Relay, Ok(Frame::Send { payload, .. })) => Some(payload),
            _ => None,
        };
        let pair = probe.and_then(tag_of).and_then(|tag| self.tags.get(&tag)).copied();
        let is_allowed = match (class, pair) {
            (DatagramClass::Probe, Some((from, peer))) => from == node && self.is_at_peer(peer, to),
            // A node also asks itself at its outside address, to see whether its NAT hairpins (RFC 5780 §4.5).
            (DatagramClass::Stun, _) => is_relay || self.addresses.contains(&(node, to)),
            (DatagramClass::Relay, _) => is_relay,
            _ => false,
        };
        if !is_allowed {
            return Err(format!("node {node} sent {class:?} of pair {pair:?} to {to}"));
        }
        let Some((from, peer)) = pair else { return Ok(()) };
        *self.probes_sent.entry((from, peer)).or_default() += 1;
        self.judge_rates(now, ((from, socket), peer, to), is_relay)
    }

    /// Whether an address leads to the peer, or is a port of one that does.
    fn is_at_peer(&self, peer: usize, to: SocketAddr) -> bool {
        let port = |port| (peer, SocketAddr::new(to.ip(), port));
        self.addresses.range(port(0)..=port(u16::MAX)).next().is_some()
    }

    fn judge_rates(
        &mut self,
        now: Timestamp,
        way: (Socket, usize, SocketAddr),
        is_relay: bool,
    ) -> Result<(), String> {
        let ((node, _), peer, to) = way;
        let probes = self.probes.entry(way).or_default().note(now, RATE_WINDOW);
        self.peaks.probes = self.peaks.probes.max(probes);
        if probes > PROBES_MAX {
            return Err(format!("{probes} probes of pair {:?} to {to} within {RATE_WINDOW:?}", (node, peer)));
        }
        if !is_relay && !self.addresses.contains(&(peer, to)) {
            let guesses = self.guesses.entry(node).or_default().note(now, GUESS_WINDOW);
            self.peaks.guesses = self.peaks.guesses.max(guesses);
            if guesses > GUESSES_MAX {
                return Err(format!("node {node} guessed {guesses} ports within {GUESS_WINDOW:?}"));
            }
        }
        Ok(())
    }

    /// Judges how much one event made an engine with `peers` peers ask for.
    pub(crate) fn judge_outputs(&mut self, node: usize, peers: usize, outputs: usize) -> Result<(), String> {
        self.peaks.outputs = self.peaks.outputs.max(outputs);
        if outputs > OUTPUTS_BESIDE_MAX + peers * OUTPUTS_PER_PEER_MAX {
            return Err(format!("node {node} asked for {outputs} things at one event with {peers} peers"));
        }
        Ok(())
    }
}
