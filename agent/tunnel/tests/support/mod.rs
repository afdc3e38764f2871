//! Nodes with real tunnels over loopback UDP, whose interface is a socket that the test holds the other end of.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]
#![allow(clippy::allow_attributes, reason = "expect would fail in the binaries that use everything")]

pub mod hosts;
pub mod namespaces;
pub mod relay;
pub mod tap;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use endpoint_selection::SocketId;
use engine::tunnel_config::{Change, PeerConfig};
use ipnet::IpNet;
use nix::sys::socket::{MsgFlags, recv};
use protocol::key::{PrivateKey, PublicKey};
use tunnel::{
    Embedded, Interface, OpenInterface, Path, PathLayer, PeerStats, ReadBatch, Received, TunnelBackend,
    TunnelError, WriteBatch,
};

/// Longer than anything on loopback takes, shorter than WireGuard's retry (5 s), so that a retry never hides a loss.
pub const PATIENCE: Duration = Duration::from_secs(4);

pub const MTU: u16 = 1280;

/// Makes interfaces; the kernel's side of each goes to the test.
pub struct SocketInterfaces(pub mpsc::Sender<UnixDatagram>);

struct SocketInterface(UnixDatagram);

impl OpenInterface for SocketInterfaces {
    fn open(&self, _addresses: &[IpNet], _mtu: u16) -> Result<Arc<dyn Interface>, TunnelError> {
        let (ours, kernel) = UnixDatagram::pair()?;
        kernel.set_read_timeout(Some(PATIENCE))?;
        ours.set_write_timeout(Some(PATIENCE))?;
        // A test that looks at no packets has dropped the receiver.
        drop(self.0.send(kernel));
        Ok(Arc::new(SocketInterface(ours)))
    }
}

impl Interface for SocketInterface {
    fn receive(&self, batch: &mut ReadBatch) -> io::Result<()> {
        batch.read_one(|buffer| Ok(recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?))
    }

    fn send(&self, batch: &mut WriteBatch) -> io::Result<()> {
        batch.packets().try_for_each(|packet| self.0.send(packet).map(drop))
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn set_routes(&self, _routes: &[IpNet]) -> Result<(), TunnelError> {
        Ok(())
    }

    fn configure(&self, _addresses: &[IpNet], _mtu: u16) -> Result<(), TunnelError> {
        Ok(())
    }
}

pub struct Node {
    pub key: PrivateKey,
    pub ip: Ipv4Addr,
    pub paths: PathLayer,
    pub tunnel: Embedded,
    pub events: mpsc::Receiver<Received>,
    interfaces: mpsc::Receiver<UnixDatagram>,
    pub kernel: UnixDatagram,
}

impl Node {
    /// A node with its tunnel up; `number` is the last byte of its mesh address and makes its key.
    pub fn new(number: u8) -> Self {
        let (accept, events) = mpsc::sync_channel(64);
        let paths = PathLayer::bind(0, move |received| accept.try_send(received).is_ok()).unwrap();
        let (give, interfaces) = mpsc::channel();
        let mut tunnel = Embedded::new(&paths, SocketInterfaces(give));
        let key = PrivateKey::from_random([number; 32]);
        let ip = Ipv4Addr::new(10, 7, 0, number);
        tunnel.apply(&[interface_change(&key, ip)]).unwrap();
        let kernel = interfaces.try_recv().expect("the tunnel opened its interface");
        Self { key, ip, paths, tunnel, events, interfaces, kernel }
    }

    pub fn public(&self) -> PublicKey {
        self.key.public_key()
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.paths.local_port()).into()
    }

    pub fn up(&mut self) {
        self.tunnel.apply(&[interface_change(&self.key, self.ip)]).unwrap();
        if let Ok(kernel) = self.interfaces.try_recv() {
            self.kernel = kernel;
        }
    }

    pub fn add_peer(&mut self, peer: &Self) {
        self.tunnel.apply(&[peer_change(&peer.public(), peer.ip)]).unwrap();
    }

    pub fn set_direct(&self, peer: &PublicKey, remote: SocketAddr) {
        self.paths.set_path(peer, Some(direct(remote))).unwrap();
    }

    /// The host's kernel routes a packet into the tunnel.
    pub fn send(&self, to: &Self, payload: &[u8]) {
        self.kernel.send(&ipv4_packet(self.ip, to.ip, payload)).unwrap();
    }

    /// The payload of the next packet that the tunnel hands to the host's kernel.
    pub fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 65_536];
        let len = self.kernel.recv(&mut buffer).expect("a packet comes through the tunnel");
        buffer[20..len].to_vec()
    }

    /// Whether nothing comes for a moment.
    pub fn is_silent(&self) -> bool {
        self.kernel.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let result = self.kernel.recv(&mut [0; 65_536]);
        self.kernel.set_read_timeout(Some(PATIENCE)).unwrap();
        result.is_err()
    }

    pub fn stats(&mut self, peer: &PublicKey) -> PeerStats {
        self.tunnel.observe().peers[peer]
    }
}

/// The direct path from the main socket.
pub const fn direct(remote: SocketAddr) -> Path {
    Path::Direct { socket: SocketId::MAIN, remote }
}

/// Two nodes that know each other and have a direct path.
pub fn pair() -> (Node, Node) {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    a.add_peer(&b);
    b.add_peer(&a);
    a.set_direct(&b.public(), b.address());
    b.set_direct(&a.public(), a.address());
    (a, b)
}

pub fn interface_change(key: &PrivateKey, ip: Ipv4Addr) -> Change {
    let addresses = vec![IpNet::new(IpAddr::V4(ip), 16).unwrap()];
    Change::SetInterface { private_key: key.clone(), addresses, mtu: MTU }
}

pub fn peer_change(key: &PublicKey, ip: Ipv4Addr) -> Change {
    let allowed_ips = vec![IpNet::from(IpAddr::V4(ip))];
    Change::SetPeer(
        *key,
        PeerConfig {
            allowed_ips,
            persistent_keepalive_s: None,
            inbound: protocol::access::TrafficFilter::open(),
        },
    )
}

pub fn ipv4_packet(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 20];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&u16::try_from(20 + payload.len()).unwrap().to_be_bytes());
    packet[8] = 64;
    packet[9] = 253;
    packet[12..16].copy_from_slice(&source.octets());
    packet[16..20].copy_from_slice(&destination.octets());
    packet.extend_from_slice(payload);
    packet
}

/// Looks at `condition` until it holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
