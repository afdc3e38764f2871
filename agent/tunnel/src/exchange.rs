//! A running tunnel: joins the Noise cores of the peers, the interface, and the paths below.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use bytes::BytesMut;
use engine::tunnel_config::PeerConfig;
use protocol::key::{PrivateKey, PublicKey};

use crate::allowed_ips::AllowedIps;
use crate::backend::PeerStats;
use crate::batch::{ReadBatch, WriteBatch};
use crate::fitting::{Fitted, fit};
use crate::inner_packet::InnerPacket;
use crate::interface::Interface;
use crate::mss;
use crate::noise::{Admission, Identity, kind, limit_address, own_index};
use crate::outbound::Outbound;
use crate::path::Path;
use crate::path_layer::{PathState, Source};
use crate::peer::{Peer, PeerState, Peers};
use crate::too_big;

mod attachment;
mod delivery;

/// Answers to packets that are too long per batch read: a batch is mostly of one sender, who needs one.
const ANSWERS_MAX: usize = 16;

/// A running tunnel. Its transmit thread and the path layer's receive thread share it.
pub(crate) struct Exchange {
    pub(crate) paths: Arc<PathState>,
    pub(crate) interface: Arc<dyn Interface>,
    mtu: AtomicU16,
    gone: AtomicBool,
    ticks: AtomicU32,
    /// Something was sent or received since somebody asked.
    has_moved: AtomicBool,
    keyed: RwLock<Keyed>,
    inbound: Mutex<Inbound>,
}

/// What hangs on the node's private key.
struct Keyed {
    identity: Identity,
    peers: Peers,
    /// Where packets of peers may go: this node's own addresses, and networks behind it.
    destinations: AllowedIps<()>,
}

/// What the receive thread gathers over a batch.
struct Inbound {
    packets: WriteBatch,
    outbound: Outbound,
    messages: Vec<BytesMut>,
}

/// What the transmit thread gathers.
pub(crate) struct Outgoing {
    pub(crate) outbound: Outbound,
    messages: Vec<BytesMut>,
    answers: WriteBatch,
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        let answers = WriteBatch::of(ANSWERS_MAX, too_big::ANSWER_MAX);
        Self { outbound: Outbound::default(), messages: Vec::new(), answers }
    }
}

impl Exchange {
    pub(crate) fn new(
        paths: Arc<PathState>,
        interface: Arc<dyn Interface>,
        private_key: &PrivateKey,
        mtu: u16,
    ) -> Self {
        let keyed = Keyed {
            identity: Identity::new(private_key),
            peers: Peers::default(),
            destinations: AllowedIps::default(),
        };
        let inbound =
            Inbound { packets: WriteBatch::new(), outbound: Outbound::default(), messages: Vec::new() };
        Self {
            paths,
            interface,
            mtu: AtomicU16::new(mtu),
            gone: AtomicBool::new(false),
            ticks: AtomicU32::new(0),
            has_moved: AtomicBool::new(false),
            keyed: RwLock::new(keyed),
            inbound: Mutex::new(inbound),
        }
    }

    /// The interface's MTU in bytes.
    pub(crate) fn mtu(&self) -> u16 {
        self.mtu.load(Ordering::Relaxed)
    }

    pub(crate) fn set_mtu(&self, mtu: u16) {
        self.mtu.store(mtu, Ordering::Relaxed);
    }

    /// Takes another private key: every session ends.
    pub(crate) fn set_private_key(
        &self,
        private_key: &PrivateKey,
        configs: &BTreeMap<PublicKey, PeerConfig>,
    ) {
        let mut keyed = self.keyed_mut();
        let Keyed { identity, peers, .. } = &mut *keyed;
        *identity = Identity::new(private_key);
        peers.renew(identity, configs, |key| self.paths.slot(key));
    }

    pub(crate) fn set_peer(&self, key: &PublicKey, config: &PeerConfig) {
        let mut keyed = self.keyed_mut();
        let Keyed { identity, peers, .. } = &mut *keyed;
        peers.set(identity, key, config, || self.paths.slot(key));
    }

    pub(crate) fn remove_peer(&self, key: &PublicKey) {
        self.keyed_mut().peers.remove(key);
        self.paths.forget_idle_slots();
    }

    pub(crate) fn stats(&self) -> BTreeMap<PublicKey, PeerStats> {
        self.keyed().peers.stats()
    }

    /// Whether a message of WireGuard was sent or received since the last call.
    pub(crate) fn take_moved(&self) -> bool {
        self.has_moved.swap(false, Ordering::Relaxed)
    }

    fn note_moved(&self) {
        // Read first: a busy tunnel does not write all the time what other threads read.
        if !self.has_moved.load(Ordering::Relaxed) {
            self.has_moved.store(true, Ordering::Relaxed);
        }
    }

    /// Whether somebody removed the interface from outside.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// Seals what the interface had and puts it on its way; the caller flushes `outbound` before it waits. Senders of packets
    /// that are too long are answered through the interface.
    pub(crate) fn transmit(&self, batch: &ReadBatch, outgoing: &mut Outgoing) {
        let keyed = self.keyed();
        let Outgoing { outbound, messages, answers } = outgoing;
        // One lock for a run of packets to the same peer, which is what a batch mostly is.
        let mut current: Option<(&Arc<Peer>, MutexGuard<'_, PeerState>)> = None;
        let mut is_awaited = false;
        let now = Instant::now();
        for packet in batch.packets() {
            let peer = InnerPacket::parse(packet).and_then(|inner| keyed.peers.by_address(inner.destination));
            let Some(peer) = peer else {
                self.paths.counters.no_route.add(1);
                continue;
            };
            if !current.as_ref().is_some_and(|(locked, _)| Arc::ptr_eq(locked, peer)) {
                // The guard of the peer before is given back first: two threads that hold one and want the
                // other would wait for ever.
                drop(current.take());
                current = Some((peer, peer.lock()));
            }
            if let Some((_, state)) = &mut current {
                keyed.peers.note_used(peer, state);
                state.inbound.note_sent(packet, now);
                self.seal(state, packet, peer.slot.tunnel_mtu(), (messages, answers));
            }
            self.send_all(&keyed.peers, peer, messages, outbound);
            is_awaited |= peer.slot.take_awaited();
        }
        drop(current);
        if is_awaited {
            outbound.flush(&self.paths.counters);
            self.paths.tell_of_awaited_packet();
        }
        self.write(answers);
    }

    /// Seals a packet as it fits the peer's path, or answers its sender.
    fn seal(
        &self,
        state: &mut PeerState,
        packet: &[u8],
        tunnel_mtu: u16,
        (messages, answers): (&mut Vec<BytesMut>, &mut WriteBatch),
    ) {
        match fit(packet, tunnel_mtu) {
            Fitted::Packet(packet) => state.noise.seal(&packet, tunnel_mtu, messages),
            Fitted::Pieces(pieces) => {
                pieces.iter().for_each(|piece| state.noise.seal(piece, tunnel_mtu, messages));
            }
            Fitted::TooBig(limit) => {
                self.paths.counters.too_big.add(1);
                if !answers.is_full()
                    && state.may_tell_too_big(Instant::now())
                    && let Some(answer) = too_big::answer(packet, limit)
                {
                    answers.push(&answer);
                }
            }
        }
    }

    fn send_all(
        &self,
        peers: &Peers,
        peer: &Arc<Peer>,
        messages: &mut Vec<BytesMut>,
        outbound: &mut Outbound,
    ) {
        if !messages.is_empty() {
            self.note_moved();
        }
        for message in messages.drain(..) {
            if let Some(index) = own_index(&message) {
                peers.learn_index(index, peer);
            }
            outbound.push(&self.paths.counters, &peer.slot, &message);
        }
    }

    /// Finds the owner of a message and lets its Noise core open it. Returns whether it is authentic and its peer has
    /// no path.
    fn open(&self, keyed: &Keyed, inbound: &mut Inbound, source: Source, message: &[u8]) -> bool {
        let counters = &self.paths.counters;
        let Some((peer, message)) = self.owner_of(keyed, inbound, source, message) else { return false };
        let mut state = peer.lock();
        keyed.peers.note_used(&peer, &mut state);
        let tunnel_mtu = peer.slot.tunnel_mtu();
        let Ok(packet) = state.noise.open(message, tunnel_mtu, &mut inbound.messages) else {
            inbound.messages.clear();
            counters.rejected.add(1);
            return false;
        };
        let address = match source {
            Source::Direct { socket, remote } => {
                // The peer may send to a side socket before, or without, our own path leaving from it.
                let _ = self.paths.sockets.with(socket, |port| port.enlarge_buffers());
                Some(remote)
            }
            Source::Relayed { .. } => None,
        };
        let now = Instant::now();
        state.received(address, now);
        self.note_moved();
        let is_permitted = packet.as_ref().is_none_or(|packet| state.inbound.permits(packet, now));
        drop(state);
        self.answer(&keyed.peers, &peer, source, inbound);
        if !is_permitted {
            counters.not_permitted.add(1);
        } else if let Some(mut packet) = packet {
            // What the peer's end of a connection offers to take is what ours will send over our path.
            mss::clamp(&mut packet, tunnel_mtu);
            self.deliver(keyed, &peer, &packet, &mut inbound.packets);
        }
        peer.slot.get().is_none()
    }

    /// The peer that a message claims to be from, and the message as the Noise core wants it.
    fn owner_of(
        &self,
        keyed: &Keyed,
        inbound: &mut Inbound,
        source: Source,
        message: &[u8],
    ) -> Option<(Arc<Peer>, BytesMut)> {
        let counters = &self.paths.counters;
        let limit_source = match source {
            Source::Direct { remote, .. } => remote,
            Source::Relayed { sender, .. } => {
                if keyed.peers.by_key(&sender).is_none() {
                    counters.no_peer.add(1);
                    return None;
                }
                limit_address(&sender)
            }
        };
        let (owner, message) = match keyed.identity.admit(limit_source, BytesMut::from(message)) {
            Admission::Admitted(owner, message) => (owner, message),
            Admission::Limited(cookie) => {
                counters.handshakes_limited.add(1);
                self.send_cookie(keyed, inbound, source, &cookie);
                return None;
            }
            Admission::Refused => {
                counters.rejected.add(1);
                return None;
            }
        };
        let Some(peer) = keyed.peers.find(owner) else {
            counters.no_peer.add(1);
            return None;
        };
        if matches!(source, Source::Relayed { sender, .. } if sender != peer.key) {
            counters.wrong_peer.add(1);
            return None;
        }
        Some((peer, message))
    }

    /// Sends what opening a message brought forth. It goes by the peer's path; only where there is none yet, a
    /// handshake response goes back to where the (authentic) initiation came from.
    fn answer(&self, peers: &Peers, peer: &Arc<Peer>, source: Source, inbound: &mut Inbound) {
        if let Source::Direct { socket, remote } = source
            && peer.slot.get().is_none()
            && inbound.messages.first().is_some_and(|message| message.first() == Some(&kind::RESPONSE))
        {
            let response = inbound.messages.remove(0);
            if let Some(index) = own_index(&response) {
                peers.learn_index(index, peer);
            }
            if self.paths.send(socket, &response, remote).is_err() {
                self.paths.counters.send_failed.add(1);
            }
        }
        self.send_all(peers, peer, &mut inbound.messages, &mut inbound.outbound);
    }

    /// A cookie proves that its receiver gets what is sent to the source, so it can only go there.
    fn send_cookie(&self, keyed: &Keyed, inbound: &mut Inbound, source: Source, cookie: &[u8]) {
        match source {
            Source::Direct { socket, remote } => {
                if self.paths.send(socket, cookie, remote).is_err() {
                    self.paths.counters.send_failed.add(1);
                }
            }
            Source::Relayed { server, sender } => {
                let peer = keyed.peers.by_key(&sender);
                if let Some(peer) = peer.filter(|peer| {
                    matches!(peer.slot.get(), Some(Path::Relay { server: current, .. }) if current == server)
                }) {
                    inbound.outbound.push(&self.paths.counters, &peer.slot, cookie);
                }
            }
        }
    }

    fn write(&self, packets: &mut WriteBatch) {
        if packets.is_empty() {
            return;
        }
        if let Err(error) = self.interface.send(packets) {
            tracing::debug!(%error, "the interface refused packets");
            self.paths.counters.interface_failed.add(1);
            if self.interface.is_gone(&error) {
                self.set_gone();
            }
        }
        packets.used = 0;
    }

    fn keyed(&self) -> RwLockReadGuard<'_, Keyed> {
        self.keyed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn keyed_mut(&self) -> RwLockWriteGuard<'_, Keyed> {
        self.keyed.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
