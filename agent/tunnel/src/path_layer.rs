//! The node's UDP sockets, shared by STUN, probes, WireGuard and relay frames, and the path of every peer.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, PipeWriter};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;

use endpoint_selection::SocketId;
use protocol::key::PublicKey;

use crate::counters::{Counters, Counts};
use crate::error::TunnelError;
use crate::nat64::Nat64Prefix;
use crate::path::{Carried, Path, PathSlot, canonical};
use crate::receive;
use crate::socket::UdpPort;
use crate::sockets::Sockets;

/// A STUN, probe or relay datagram that arrived. A relay frame carries a WireGuard message only where its sender is a
/// peer without a path: the tunnel took the message and could not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The socket that it came to.
    pub socket: SocketId,
    /// Who sent it; IPv4 addresses are never IPv4-mapped.
    pub from: SocketAddr,
    /// The local address that it was sent to, where the kernel says so.
    pub to_local: Option<IpAddr>,
    /// The whole datagram, relay header included.
    pub datagram: Vec<u8>,
}

/// Where a WireGuard message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Straight from this address, to this socket of ours.
    Direct { socket: SocketId, remote: SocketAddr },
    /// From this node, through the relay at this address.
    Relayed { server: SocketAddr, sender: PublicKey },
}

/// A tunnel above the path layer. All but the last two are called on the receive thread.
pub(crate) trait Attachment: Send + Sync {
    /// Takes one WireGuard message. Returns whether it is authentic and its peer has no path: then whoever chooses
    /// the paths should hear of it.
    fn receive(&self, source: Source, message: &[u8]) -> bool;
    /// The batch is over: hand on what was gathered.
    fn flush(&self);
    /// Moves the timers on; says whether any runs.
    fn tick(&self) -> bool;
    /// A peer's path changed to another one.
    fn path_appeared(&self, peer: &PublicKey);
    /// A peer lost its session.
    fn renew_session(&self, peer: &PublicKey);
}

/// What the path layer's owner, its receive thread and the tunnel's threads share.
pub(crate) struct PathState {
    pub(crate) sockets: Sockets,
    pub(crate) counters: Counters,
    slots: Mutex<HashMap<PublicKey, Arc<PathSlot>>>,
    relays: RwLock<BTreeSet<SocketAddr>>,
    attachment: RwLock<Option<Arc<dyn Attachment>>>,
    awaited_packet_came: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl PathState {
    /// The slot of `peer`, made where there is none.
    pub(crate) fn slot(&self, peer: &PublicKey) -> Arc<PathSlot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(*peer).or_default())
    }

    /// A packet came that [`PathLayer::await_packet`] asked for.
    pub(crate) fn tell_of_awaited_packet(&self) {
        if let Some(tell) = self.awaited_packet_came.get() {
            tell();
        }
    }

    /// Sends one datagram without waiting. `to` is canonical.
    pub(crate) fn send(&self, socket: SocketId, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.sockets
            .with(socket, |port| port.send(datagram, to))
            .map_err(|error| io::Error::new(io::ErrorKind::NotConnected, error))?
    }

    /// Sends one datagram that nobody may fragment. `to` is canonical.
    fn send_whole(&self, socket: SocketId, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.sockets
            .with(socket, |port| port.send_whole(datagram, to))
            .map_err(|error| io::Error::new(io::ErrorKind::NotConnected, error))?
    }

    /// Stores a peer's path; tells whether it differs from the one before.
    fn set_path(&self, peer: &PublicKey, path: Option<Path>) -> Result<bool, TunnelError> {
        let slot = self.slot(peer);
        let Some(path) = path else { return Ok(slot.set(None)) };
        self.sockets.with(path.socket(), |port| {
            port.enlarge_buffers();
            slot.set(Some(Carried { path, port: Arc::clone(port) }))
        })
    }

    /// Whether a path leaves from `socket`.
    fn is_used(&self, socket: SocketId) -> bool {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.values().any(|slot| slot.get().is_some_and(|path| path.socket() == socket))
    }

    /// Forgets slots that hold no path and that no tunnel uses.
    pub(crate) fn forget_idle_slots(&self) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.get().is_some());
    }

    pub(crate) fn is_relay(&self, address: SocketAddr) -> bool {
        self.relays.read().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }

    /// Puts a tunnel above the sockets, or takes it away; on return no thread is inside the one before.
    pub(crate) fn attach(&self, attachment: Option<Arc<dyn Attachment>>) {
        let previous = {
            let mut current = self.attachment.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, attachment)
        };
        // Dropped outside the lock: a tunnel's end closes files.
        drop(previous);
    }

    /// Runs `work` with the tunnel, which cannot be taken away meanwhile.
    pub(crate) fn with_attachment<T>(&self, work: impl FnOnce(Option<&dyn Attachment>) -> T) -> T {
        work(self.attachment.read().unwrap_or_else(PoisonError::into_inner).as_deref())
    }
}

/// The node's UDP sockets and the paths to its peers. They stay open while tunnels come and go; dropping it ends its
/// thread and closes them once no tunnel uses them.
pub struct PathLayer {
    state: Arc<PathState>,
    port_was_taken: bool,
    // Closing the pipe wakes the receive thread and ends it.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl PathLayer {
    /// Opens the main socket at `port` (0: a random one) for IPv4 and, where the host has it, IPv6. Where a wanted port is
    /// not to be had, a random one is taken and [`Self::port_was_taken`] says so.
    ///
    /// `accept` gets every STUN, probe and relay datagram on the receive thread, so it must be quick: the tunnel waits
    /// for it. It returns whether it took the datagram; what it does not take is counted as overflow.
    ///
    /// # Errors
    /// Where the host gives no UDP port or no thread.
    pub fn bind(
        port: u16,
        accept: impl FnMut(Received) -> bool + Send + 'static,
    ) -> Result<Self, TunnelError> {
        let (udp, port_was_taken) = match UdpPort::bind(port) {
            Ok(udp) => (udp, false),
            Err(error)
                if port != 0
                    && matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) =>
            {
                (UdpPort::bind(0)?, true)
            }
            Err(error) => return Err(error.into()),
        };
        let (stopped, stop) = io::pipe()?;
        let state = Arc::new(PathState {
            sockets: Sockets::new(udp, stopped)?,
            counters: Counters::default(),
            slots: Mutex::default(),
            relays: RwLock::default(),
            attachment: RwLock::default(),
            awaited_packet_came: OnceLock::new(),
        });
        let thread_state = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("tunnel-receive".to_owned())
            .spawn(move || receive::run(&thread_state, accept))
            .map_err(|source| TunnelError::Thread { name: "tunnel-receive", source })?;
        Ok(Self { state, port_was_taken, stop: Some(stop), thread: Some(thread) })
    }

    /// The main socket's port number, the same for IPv4 and IPv6.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.state.sockets.main().port()
    }

    /// Whether the wanted port was not to be had, so that the port is a random one.
    #[must_use]
    pub const fn port_was_taken(&self) -> bool {
        self.port_was_taken
    }

    /// Opens a side socket at a random port, which is returned. It is for IPv4 only, because the NATs that make more
    /// sockets than one useful are IPv4's, and has small kernel buffers until it carries tunnel packets. Datagrams to it
    /// are taken from now on. At most [`SIDE_SOCKETS_MAX`] are open at one time.
    ///
    /// An id is better used again late than soon: what came to the closed socket may still wait where `accept` put it.
    ///
    /// [`SIDE_SOCKETS_MAX`]: engine::SIDE_SOCKETS_MAX
    ///
    /// # Errors
    /// Where a socket of this id is open, as many are as may be, or the host gives no more ports or files.
    pub fn open_socket(&self, socket: SocketId) -> Result<u16, TunnelError> {
        self.state.sockets.open(socket)
    }

    /// Closes a side socket. Packets that took a path through it before still leave. What comes to it from now on is
    /// lost, so a socket that carried a path stays open until the peer sends elsewhere.
    ///
    /// # Errors
    /// Where no such side socket is open, or a path uses it; nothing changes then.
    pub fn close_socket(&self, socket: SocketId) -> Result<(), TunnelError> {
        self.state.sockets.close(socket, || self.state.is_used(socket))
    }

    /// Sends a STUN, probe or relay datagram. Never waits. IPv4-mapped addresses mean IPv4.
    ///
    /// # Errors
    /// What the kernel says; [`io::ErrorKind::WouldBlock`] where its buffer is full,
    /// [`io::ErrorKind::NotConnected`] where the socket is not open.
    pub fn send_to(&self, socket: SocketId, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.state.send(socket, datagram, canonical(to))
    }

    /// The same for a datagram that nobody may fragment (DF): not this host, and no router on the way.
    ///
    /// # Errors
    /// As [`Self::send_to`], and where the datagram is longer than the first link takes.
    pub fn send_whole(&self, socket: SocketId, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.state.send_whole(socket, datagram, canonical(to))
    }

    /// Says how long packets to `peer` may be to pass its present path in one piece, in bytes; each path begins with
    /// [`engine::TUNNEL_MTU_BASE`]. TCP connections agree on segments that fit, senders of longer packets are told by ICMP, and
    /// what may be fragmented is, above the tunnel. IPv6 packets of up to 1280 bytes pass in any case.
    pub fn set_tunnel_mtu(&self, peer: &PublicKey, mtu: u16) {
        self.state.slot(peer).set_tunnel_mtu(mtu);
    }

    /// Begins a handshake with a peer that has lost the session which the tunnel still has; at most two a second.
    pub fn renew_session(&self, peer: &PublicKey) {
        self.state.with_attachment(|tunnel| {
            if let Some(tunnel) = tunnel {
                tunnel.renew_session(peer);
            }
        });
    }

    /// Has [`Self::on_awaited_packet`]'s function called when the interface has the next packet for `peer`, once.
    pub fn await_packet(&self, peer: &PublicKey) {
        self.state.slot(peer).await_packet();
    }

    /// Sets what is called when a packet came that [`Self::await_packet`] asked for, after it went on its way. It runs on the
    /// transmit thread, so it must be quick. Only the first function counts.
    pub fn on_awaited_packet(&self, tell: impl Fn() + Send + Sync + 'static) {
        let _ = self.state.awaited_packet_came.set(Box::new(tell));
    }

    /// Makes `path` the way to `peer` in one store: packets sealed before take the old path, packets after the new
    /// one, and none is lost by the change. With `None` packets for the peer are dropped and counted; only the last
    /// handshake message is kept for the next path. Where packets wait for a session, a new path starts the handshake
    /// at once.
    ///
    /// # Errors
    /// Where the path's socket is not open; the path before stays then.
    pub fn set_path(&self, peer: &PublicKey, path: Option<Path>) -> Result<(), TunnelError> {
        let changed = self.state.set_path(peer, path.map(Path::canonical))?;
        if path.is_none() {
            self.state.forget_idle_slots();
        } else if changed {
            self.state.with_attachment(|tunnel| {
                if let Some(tunnel) = tunnel {
                    tunnel.path_appeared(peer);
                }
            });
        }
        Ok(())
    }

    /// The current path to `peer`.
    #[must_use]
    pub fn path(&self, peer: &PublicKey) -> Option<Path> {
        let slots = self.state.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(peer).and_then(|slot| slot.get())
    }

    /// Sets the prefix of the NAT64 by which IPv4 is reached, for a host that has only IPv6: the main socket sends there
    /// what is for IPv4 addresses, and what comes from there is from them. Side sockets have IPv4 only and reach nobody.
    pub fn set_nat64(&self, prefix: Option<Nat64Prefix>) {
        self.state.sockets.main().nat64().set(prefix);
    }

    /// Sets the relays whose Deliver frames are believed, whole: who is not in `relays` is no relay any more.
    pub fn set_relays(&self, relays: impl IntoIterator<Item = SocketAddr>) {
        let relays = relays.into_iter().map(canonical).collect();
        *self.state.relays.write().unwrap_or_else(PoisonError::into_inner) = relays;
    }

    /// What was dropped or refused so far, per reason.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.counters.snapshot()
    }

    pub(crate) fn state(&self) -> &Arc<PathState> {
        &self.state
    }
}

impl Drop for PathLayer {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            // `accept` may hold the last owner of the path layer; a thread cannot wait for itself.
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the tunnel's receive thread panicked");
        }
    }
}
