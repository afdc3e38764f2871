//! What the kernel holds for side sockets: little until they carry a tunnel.

use std::net::SocketAddr;

use engine::tunnel_config::{Change, PeerConfig};
use ipnet::IpNet;
use protocol::key::{PrivateKey, PublicKey};
use socket2::SockRef;

use super::*;
use crate::backend::TunnelBackend;
use crate::batch::{ReadBatch, WriteBatch};
use crate::embedded::Embedded;
use crate::interface::{Interface, OpenInterface};
use crate::path::Path;
use crate::path_layer::PathLayer;

const SIDE: SocketId = SocketId(1);

/// The kernel's buffers of a socket, receiving and sending.
fn buffer_lens(paths: &PathLayer, id: SocketId) -> [usize; 2] {
    let lens = |port: &Arc<UdpPort>| {
        let fd = port.v4();
        let socket = SockRef::from(&fd);
        [socket.recv_buffer_size().unwrap(), socket.send_buffer_size().unwrap()]
    };
    paths.state().sockets.with(id, lens).unwrap()
}

/// An interface that has nothing to say and wants to hear nothing.
struct Mute(PipeReader, #[expect(dead_code, reason = "keeps the pipe open")] io::PipeWriter);

struct OpenMute;

impl OpenInterface for OpenMute {
    fn open(&self, _: &[IpNet], _: u16) -> Result<Arc<dyn Interface>, TunnelError> {
        let (reader, writer) = io::pipe()?;
        Ok(Arc::new(Mute(reader, writer)))
    }
}

impl Interface for Mute {
    fn receive(&self, _: &mut ReadBatch) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&self, _: &mut WriteBatch) -> io::Result<()> {
        Ok(())
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn set_routes(&self, _routes: &[IpNet]) -> Result<(), TunnelError> {
        Ok(())
    }

    fn configure(&self, _: &[IpNet], _: u16) -> Result<(), TunnelError> {
        Ok(())
    }
}

fn tunnel(paths: &PathLayer, own: &PrivateKey, peer: PublicKey) -> Embedded {
    let mut tunnel = Embedded::new(paths, OpenMute);
    let interface = Change::SetInterface { private_key: own.clone(), addresses: Vec::new(), mtu: 1280 };
    let config = PeerConfig {
        allowed_ips: Vec::new(),
        persistent_keepalive_s: Some(1),
        inbound: protocol::access::TrafficFilter::open(),
    };
    tunnel.apply(&[interface, Change::SetPeer(peer, config)]).unwrap();
    tunnel
}

fn keys() -> [PrivateKey; 2] {
    [1, 2].map(|number| PrivateKey::from_random([number; 32]))
}

/// 256 side sockets together may fill what one main socket may, and one that carries a tunnel has what it needs.
#[test]
fn a_side_socket_has_small_buffers_until_a_path_leaves_from_it() {
    let paths = PathLayer::bind(0, |_| true).unwrap();
    paths.open_socket(SIDE).unwrap();
    // The kernel doubles what it is asked for.
    let small = buffer_lens(&paths, SIDE);
    assert!(small.into_iter().all(|len| len <= 2 * (7 << 20) / SIDE_SOCKETS_MAX), "{small:?}");
    let remote = SocketAddr::from(([127, 0, 0, 1], 9));
    let [peer, _] = keys();
    paths.set_path(&peer.public_key(), Some(Path::Direct { socket: SIDE, remote })).unwrap();
    assert_eq!(buffer_lens(&paths, SIDE), buffer_lens(&paths, SocketId::MAIN));
}

/// The peer may be the first to use a side socket, or the only one.
#[test]
fn a_side_socket_has_large_buffers_once_a_peer_sends_to_it() {
    let [a, b] = [(); 2].map(|()| PathLayer::bind(0, |_| true).unwrap());
    let [key_a, key_b] = keys();
    let side = a.open_socket(SIDE).unwrap();
    let remote = SocketAddr::from(([127, 0, 0, 1], side));
    b.set_path(&key_a.public_key(), Some(Path::Direct { socket: SocketId::MAIN, remote })).unwrap();
    let _tunnels = [tunnel(&a, &key_a, key_b.public_key()), tunnel(&b, &key_b, key_a.public_key())];
    let start = std::time::Instant::now();
    while buffer_lens(&a, SIDE) != buffer_lens(&a, SocketId::MAIN) {
        assert!(start.elapsed() < Duration::from_secs(4), "the handshake arrives");
        std::thread::sleep(Duration::from_millis(5));
    }
}
