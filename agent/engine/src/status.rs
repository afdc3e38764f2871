//! What the engine knows, as values for the command line.

use std::net::SocketAddr;

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
