//! What the engine knows, as values for the command line.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use endpoint_selection::explain::Explanation;
use endpoint_selection::nat::NatProfile;
use endpoint_selection::{Candidate, CandidateKind, Timestamp, Verdict};
use ipnet::IpNet;
use protocol::api::{NodeName, PathKind};
use protocol::key::PublicKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The engine's state at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// This node as the network map describes it; `None` before the first map.
    pub own: Option<protocol::api::OwnNode>,
    /// The map's revision.
    pub revision: Option<u64>,
    /// Addresses that may reach this node.
    pub candidates: Vec<Candidate>,
    /// What was learnt about the NAT in front of it.
    pub nat: NatProfile,
    /// The relays.
    pub relays: Vec<RelayStatus>,
    /// The relay that this node runs for its network, where strangers reach it.
    pub own_relay: Option<protocol::api::OwnRelay>,
    /// The STUN servers and what they said.
    pub stun: Vec<StunStatus>,
    /// The networks behind other nodes, by prefix.
    pub routes: Vec<RouteStatus>,
    /// The peers that offer to be this machine's exit node, and may.
    pub exit_nodes: Vec<PublicKey>,
    /// The networks behind this node that it offers.
    pub advertised: Vec<IpNet>,
    /// The peers, ordered by name.
    pub peers: Vec<PeerStatus>,
}

/// One relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    /// The node that runs it, for a peer relay.
    pub node: Option<PublicKey>,
    /// How it is reached.
    pub transport: RelayTransport,
    /// Whether it holds a session of ours.
    pub registered: bool,
    /// Round-trip time to it in microseconds.
    pub rtt_us: Option<u32>,
}

/// How frames travel to a relay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayTransport {
    /// As UDP datagrams.
    #[default]
    Udp,
    /// As messages of a WebSocket, because UDP does not get through.
    WebSocket,
}

/// One STUN server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StunStatus {
    /// Its address.
    pub server: SocketAddr,
    /// What it saw us as; `None`: no answer to the last question.
    pub reflexive: Option<SocketAddr>,
    /// Smoothed RTT in microseconds, where known.
    pub rtt_us: Option<u32>,
}

/// A network behind other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteStatus {
    /// The network.
    pub prefix: IpNet,
    /// The peer that its traffic goes to.
    pub through: Option<PublicKey>,
    /// The peers that have it, with their priorities.
    pub routers: Vec<(PublicKey, u16)>,
    /// Why it is not used; `None` where it is.
    pub skipped: Option<RouteSkipped>,
}

/// Why a network behind other nodes is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteSkipped {
    /// The user wants none.
    NotAccepted,
    /// This node offers to route there itself.
    Own,
    /// This machine is there itself.
    Attached {
        /// The network of an interface.
        network: IpNet,
    },
    /// The tunnel itself would go through the tunnel.
    Carrier {
        /// A relay, STUN server or plain WireGuard peer.
        address: IpAddr,
    },
    /// No network that a node may route to.
    Unusable,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: NodeName,
    /// Its public key.
    pub public_key: PublicKey,
    /// Prefixes routed to it; its own mesh addresses first.
    pub allowed_ips: Vec<IpNet>,
    /// Whether the coordinator sees it.
    pub online: bool,
    /// The path in use.
    pub path: PathState,
    /// How often the path changed.
    pub switches: u32,
    /// Every candidate with its verdict.
    pub verdicts: Vec<Verdict>,
    /// The whole story from this side; `None` for a plain WireGuard peer.
    pub explanation: Option<Explanation>,
}

/// The path in use to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathState {
    /// What kind.
    pub kind: PathKind,
    /// Its remote address; the relay's for a relayed path.
    pub remote: Option<SocketAddr>,
    /// How the address was learnt.
    pub candidate_kind: Option<CandidateKind>,
    /// Smoothed RTT to the peer in microseconds.
    pub rtt_us: Option<u32>,
    /// The longest tunnel packet that the path carries in one piece, in bytes, as far as that is known; `None` without a path.
    pub tunnel_mtu: Option<u16>,
    /// Since when this path is in use.
    pub since: Timestamp,
}

impl fmt::Display for RouteSkipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAccepted => {
                f.write_str("this node accepts no routes (`warren set --accept-routes true`)")
            }
            Self::Own => f.write_str("this node offers to route to it itself"),
            Self::Attached { network } => write!(f, "this machine is attached to {network} itself"),
            Self::Carrier { address } => write!(f, "{address} in it carries the tunnel itself"),
            Self::Unusable => f.write_str("no node may route to it"),
        }
    }
}
