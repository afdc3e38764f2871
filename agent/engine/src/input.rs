//! Everything that can come into the engine.

use std::net::{IpAddr, SocketAddr};

use endpoint_selection::{PortMappingProtocol, SocketId};
use ipnet::IpNet;
use protocol::api::{MapEvent, ReportResponse};
use protocol::key::PublicKey;
use uuid::Uuid;

/// One thing that happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// The coordinator (or the copy on disk) said what the network looks like.
    Map(MapEvent),
    /// The coordinator took a report and gave a relay token.
    ReportAccepted(ReportResponse),
    /// A report did not get through; the engine asks again later.
    ReportFailed,
    /// The coordinator asks for a report with evidence on these peers.
    ReportRequested(Vec<PublicKey>),
    /// A datagram on one of the node's UDP sockets that is not WireGuard.
    Datagram {
        /// The socket that it came to.
        socket: SocketId,
        /// Where it came from.
        from: SocketAddr,
        /// Its bytes.
        datagram: &'a [u8],
    },
    /// The answer to [`crate::Output::OpenSocket`].
    SocketOpened {
        /// The socket that was asked for.
        socket: SocketId,
        /// Its local port; `None`: the host gave none, and the socket is not open.
        port: Option<u16>,
    },
    /// The answer to [`crate::Output::OpenWebSocket`]: it is open.
    WebSocketOpened {
        /// The relay's own address.
        relay: SocketAddr,
        /// The loopback address that stands for it from now on.
        address: SocketAddr,
    },
    /// A WebSocket could not be opened, or ended by itself.
    WebSocketClosed {
        /// The relay's own address.
        relay: SocketAddr,
    },
    /// The addresses of the machine's interfaces, whole; without loopback and the tunnel's own interface.
    LocalAddresses(Vec<LocalAddress>),
    /// What the node's router says of the port that it was asked for, whole; `None`: it opened none, or none any more.
    PortMapping(Option<PortMapping>),
    /// The relay that this machine runs for its network, as [`crate::Output::SetOwnRelay`] asked; `None`: none serves.
    RelayServer(Option<RelayServer>),
    /// What this machine wants of the networks behind nodes, whole.
    Routes(RouteSettings),
    /// What the tunnel moved so far, per peer; several times a second.
    Traffic(Vec<PeerTraffic>),
    /// A user wants to know whether and how fast a peer answers.
    Ping {
        /// The peer.
        peer: PublicKey,
        /// Comes back in [`crate::Output::Pinged`].
        id: u64,
    },
    /// Something outside suggests that the network changed (a user asked, the machine woke up): learn everything anew.
    Rediscover,
}

/// What this machine wants of the networks behind nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSettings {
    /// The networks behind this node that it would route to.
    pub advertised: Vec<IpNet>,
    /// Whether it uses those behind other nodes.
    pub is_accepting: bool,
    /// Whether it can: without it offers none, so that peers take another router.
    pub can_forward: bool,
    /// The networks that it is directly attached to, which no other node's may take the place of.
    pub attached: Vec<IpNet>,
    /// The peer that its traffic to the internet goes through, by id; `None`: it goes as without a mesh.
    pub exit_node: Option<Uuid>,
    /// Where its coordinator answers, as far as it is known. A network that holds it is not reached through a tunnel that the
    /// coordinator's map makes.
    pub coordinator: Option<IpAddr>,
}

impl Default for RouteSettings {
    fn default() -> Self {
        Self {
            advertised: Vec::new(),
            is_accepting: true,
            can_forward: true,
            attached: Vec::new(),
            exit_node: None,
            coordinator: None,
        }
    }
}

/// An address of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalAddress {
    /// The interface that holds it.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
}

/// A relay on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayServer {
    /// Its public key.
    pub public_key: PublicKey,
    /// Its UDP port, on all addresses of the machine.
    pub port: u16,
    /// What the router says of that port.
    pub mapping: Option<PortMapping>,
    /// Where else strangers reach it, as the node's user knows.
    pub static_addresses: Vec<SocketAddr>,
}

/// A port that the node's router opened because it was asked to. What the router says of it is as good as the router: whether
/// the address leads here is for probes to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortMapping {
    /// The router's outside address, and the port there; anything at all.
    pub external: SocketAddr,
    /// The own address and port that it leads to.
    pub base: SocketAddr,
    /// How the router was asked.
    pub protocol: PortMappingProtocol,
}

/// Bytes that the tunnel moved for one peer since it came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerTraffic {
    /// The peer.
    pub peer: PublicKey,
    /// Bytes received from it, authenticated.
    pub rx_bytes: u64,
    /// Bytes sent to it.
    pub tx_bytes: u64,
}
