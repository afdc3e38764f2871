//! By which way a peer is reached: one slot per peer, replaced in one store.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use endpoint_selection::SocketId;
use engine::TUNNEL_MTU_BASE;
use protocol::relay::SEND_PREFIX_LEN;

use crate::socket::UdpPort;

/// The way that packets for a peer take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// Straight to an address of the peer.
    Direct {
        /// The socket that packets leave from.
        socket: SocketId,
        /// Where the peer receives.
        remote: SocketAddr,
    },
    /// Through a relay that both nodes are registered at.
    Relay {
        /// Where the relay receives.
        server: SocketAddr,
        /// What goes in front of each packet: [`protocol::relay::send_prefix`].
        prefix: [u8; SEND_PREFIX_LEN],
    },
}

impl Path {
    /// Where datagrams go on this path.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        match self {
            Self::Direct { remote, .. } => *remote,
            Self::Relay { server, .. } => *server,
        }
    }

    /// The socket that datagrams leave from on this path; relays know the node by its main one.
    pub(crate) const fn socket(&self) -> SocketId {
        match self {
            Self::Direct { socket, .. } => *socket,
            Self::Relay { .. } => SocketId::MAIN,
        }
    }

    pub(crate) fn prefix(&self) -> &[u8] {
        match self {
            Self::Direct { .. } => &[],
            Self::Relay { prefix, .. } => prefix,
        }
    }

    pub(crate) fn canonical(self) -> Self {
        match self {
            Self::Direct { socket, remote } => Self::Direct { socket, remote: canonical(remote) },
            Self::Relay { server, prefix } => Self::Relay { server: canonical(server), prefix },
        }
    }
}

/// A path with the port that carries it, which stays open as long as anyone holds this.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    pub(crate) path: Path,
    pub(crate) port: Arc<UdpPort>,
}

impl PartialEq for Carried {
    fn eq(&self, other: &Self) -> bool {
        // The id of a closed socket may name another one by now.
        self.path == other.path && Arc::ptr_eq(&self.port, &other.port)
    }
}

/// `address` with an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) turned into the IPv4 address that it means.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(ip) => {
            ip.to_ipv4_mapped().map_or(address, |ip| SocketAddr::new(ip.into(), address.port()))
        }
        IpAddr::V4(_) => address,
    }
}

/// How long a handshake message that found no path is worth sending: WireGuard begins another handshake after 5 s
/// (whitepaper §6.1), which makes the answer to the one before useless.
const HELD_MAX: Duration = Duration::from_secs(5);

/// A peer's current path. It lives as long as someone cares for the peer, whether the tunnel is up or not.
#[derive(Debug)]
pub(crate) struct PathSlot {
    path: RwLock<Option<Carried>>,
    /// The longest packet that the path carries in one piece, bytes.
    tunnel_mtu: AtomicU16,
    /// The kernel refused to cut a batch into segments on this path (no checksum offload, or a segment longer
    /// than the path MTU): plain sends from then on, until the path changes.
    segmentation_refused: AtomicBool,
    /// The last handshake message that found no path. A peer often hears of us, and answers, a moment before its
    /// own search has found a way; without this, both would wait for WireGuard's retry.
    held: Mutex<Option<(Instant, Vec<u8>)>>,
    /// Somebody wants to know of the next packet from the interface for the peer.
    is_awaited: AtomicBool,
}

impl Default for PathSlot {
    fn default() -> Self {
        Self {
            path: RwLock::default(),
            tunnel_mtu: AtomicU16::new(TUNNEL_MTU_BASE),
            segmentation_refused: AtomicBool::default(),
            held: Mutex::default(),
            is_awaited: AtomicBool::default(),
        }
    }
}

impl PathSlot {
    pub(crate) fn get(&self) -> Option<Path> {
        self.read().as_ref().map(|carried| carried.path)
    }

    pub(crate) fn carried(&self) -> Option<Carried> {
        self.read().clone()
    }

    /// Whether this is the path still.
    pub(crate) fn is(&self, carried: &Carried) -> bool {
        self.read().as_ref() == Some(carried)
    }

    /// Stores `path`; tells whether it differs from the one before.
    pub(crate) fn set(&self, path: Option<Carried>) -> bool {
        let mut current = self.path.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != path;
        if changed {
            *current = path;
            self.tunnel_mtu.store(TUNNEL_MTU_BASE, Ordering::Relaxed);
            self.segmentation_refused.store(false, Ordering::Relaxed);
        }
        changed
    }

    /// The longest packet that the path carries in one piece, bytes.
    pub(crate) fn tunnel_mtu(&self) -> u16 {
        self.tunnel_mtu.load(Ordering::Relaxed)
    }

    /// Another length passes now; batches of such segments may pass again, too.
    pub(crate) fn set_tunnel_mtu(&self, mtu: u16) {
        self.tunnel_mtu.store(mtu, Ordering::Relaxed);
        self.segmentation_refused.store(false, Ordering::Relaxed);
    }

    /// Keeps a handshake message until there is a path.
    pub(crate) fn hold(&self, message: &[u8]) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), message.to_vec()));
    }

    /// The handshake message that waits for a path, if it is not too old.
    pub(crate) fn take_held(&self) -> Option<Vec<u8>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        held.filter(|(at, _)| at.elapsed() < HELD_MAX).map(|(_, message)| message)
    }

    /// The next packet from the interface is to be told of.
    pub(crate) fn await_packet(&self) {
        self.is_awaited.store(true, Ordering::Relaxed);
    }

    /// Whether the packet that came is to be told of: the first one since that was asked for.
    pub(crate) fn take_awaited(&self) -> bool {
        // Read first: no packet of a busy peer writes to what other threads read.
        self.is_awaited.load(Ordering::Relaxed) && self.is_awaited.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn may_segment(&self) -> bool {
        !self.segmentation_refused.load(Ordering::Relaxed)
    }

    pub(crate) fn refuse_segmentation(&self) {
        self.segmentation_refused.store(true, Ordering::Relaxed);
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Carried>> {
        self.path.read().unwrap_or_else(PoisonError::into_inner)
    }
}
