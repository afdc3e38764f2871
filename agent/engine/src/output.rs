//! Everything that the engine can ask for.

use std::net::SocketAddr;

use endpoint_selection::SocketId;
use ipnet::IpNet;
use protocol::api::{PathKind, RelayPermission, Report};
use protocol::key::PublicKey;
use protocol::relay::SEND_PREFIX_LEN;

use crate::tunnel_config::TunnelConfig;

/// The most side sockets (sockets beside [`SocketId::MAIN`]) open at one time. With 256 mappings on a NAT that picks
/// ports at random, 1,159 probes from the other side meet one of them with 99 %: 1 - (1 - 256/64512)^1159. More would
/// crowd the tables of home routers and of carriers that grant a subscriber some 1,000 mappings.
pub const SIDE_SOCKETS_MAX: usize = 256;

/// One thing to do outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram.
    Transmit {
        /// The socket that it leaves from, which is open.
        socket: SocketId,
        /// Where to.
        to: SocketAddr,
        /// The bytes.
        datagram: Vec<u8>,
    },
    /// Send this datagram, and let nobody fragment it (DF): whether it arrives shows whether the path carries its length.
    TransmitWhole {
        /// The socket that it leaves from, which is open.
        socket: SocketId,
        /// Where to.
        to: SocketAddr,
        /// The bytes.
        datagram: Vec<u8>,
    },
    /// Open a side socket at a random port, for IPv4 only; [`crate::Input::SocketOpened`] answers. At most
    /// [`SIDE_SOCKETS_MAX`] are open at one time. An id is better used again late than soon: datagrams to the socket
    /// before may still be on their way in.
    OpenSocket(SocketId),
    /// Close a side socket. No path may use it, and what still comes to it is lost: a socket that carried a path stays
    /// open until the peer sends elsewhere.
    CloseSocket(SocketId),
    /// Pass on packets of peers to these networks behind this node, and their answers; to no other.
    SetForwarding(Vec<IpNet>),
    /// Send a peer's tunnel packets this way from now on; `None`: nowhere.
    SetPath {
        /// The peer.
        peer: PublicKey,
        /// The way.
        path: Option<TunnelPath>,
    },
    /// Packets of up to so many bytes reach a peer in one piece on the path that was set last. Each path begins with
    /// [`crate::TUNNEL_MTU_BASE`].
    SetTunnelMtu {
        /// The peer.
        peer: PublicKey,
        /// Bytes, at most [`crate::TUNNEL_MTU_MAX`].
        mtu: u16,
    },
    /// Tell at once, by [`crate::Input::Traffic`], when the tunnel sends the peer its next packet: nobody has talked with it of
    /// late.
    AwaitPacket {
        /// The peer.
        peer: PublicKey,
    },
    /// The peer began a new life and lost its WireGuard session: where the tunnel has one, begin another with a handshake now, and
    /// not only when WireGuard has missed answers for 15 s.
    RenewSession {
        /// The peer.
        peer: PublicKey,
    },
    /// Believe packets delivered from these addresses of relays, and no others.
    SetRelays(Vec<SocketAddr>),
    /// Be a relay for the network on these terms, or be none; [`crate::Input::RelayServer`] tells of it.
    SetOwnRelay(Option<RelayPermission>),
    /// UDP does not get through to this relay: open a WebSocket to it, and a UDP socket on loopback that stands for it.
    /// Its datagrams from and to the main socket are the connection's binary messages. Tried once;
    /// [`crate::Input::WebSocketOpened`] or [`crate::Input::WebSocketClosed`] answers.
    OpenWebSocket {
        /// The relay's address, which names it.
        relay: SocketAddr,
        /// Where: `http` or `https`, as the map has it.
        url: String,
    },
    /// Close the WebSocket to this relay, or stop trying to open it. Nothing answers.
    CloseWebSocket {
        /// The relay's address.
        relay: SocketAddr,
    },
    /// Make the tunnel like this.
    SetTunnel(TunnelConfig),
    /// Tell the coordinator.
    Report(Report),
    /// The map changed: keep a copy on disk.
    SaveMap,
    /// The change stream does not fit our map: ask for a whole one.
    RequestSnapshot,
    /// The answer to a ping.
    Pinged {
        /// The ping's id.
        id: u64,
        /// How it went; `None`: no answer in time.
        answer: Option<PingAnswer>,
    },
    /// The path to a peer changed; for logs.
    PathChanged {
        /// The peer's name.
        name: String,
        /// The kind of path now in use.
        kind: PathKind,
        /// Its remote address.
        remote: Option<SocketAddr>,
    },
}

/// How a peer's tunnel packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelPath {
    /// Straight to the peer.
    Direct {
        /// The socket that they leave from, which is open.
        socket: SocketId,
        /// The peer's endpoint.
        remote: SocketAddr,
    },
    /// Through a relay.
    Relay {
        /// The relay's address, or the loopback address that stands for it.
        server: SocketAddr,
        /// What to put in front of each packet ([`protocol::relay::send_prefix`]).
        prefix: [u8; SEND_PREFIX_LEN],
    },
}

/// A peer's answer to a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingAnswer {
    /// Round-trip time in microseconds.
    pub rtt_us: u32,
    /// The kind of path that it took.
    pub kind: PathKind,
}
