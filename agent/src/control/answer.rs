//! What the daemon tells: the values behind `--json`. Their field names are a promise to scripts.

mod names;
mod routes;

use std::net::{IpAddr, SocketAddr};

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{CandidateKind, PortMappingProtocol};
use engine::{RelayStatus, RelayTransport, StunStatus};
use protocol::api::{PathKind, Standing};
use protocol::key::PublicKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::printable::printable;
use crate::state::StateFolder;

pub(crate) use names::NamesAnswer;
pub(crate) use routes::{ExitNodeAnswer, OwnRouteAnswer, RouteAnswer};

/// Whether and why the tunnel is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// The node works.
    Up,
    /// The user wants it down.
    Down,
    /// The coordinator deleted the node.
    Deleted,
    /// The tunnel cannot be made as wanted.
    Failing,
}

/// `warren status --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatusAnswer {
    /// The daemon's version.
    pub(crate) version: String,
    /// One sentence that a person wants first.
    pub(crate) verdict: String,
    /// Whether the tunnel is up.
    pub(crate) state: State,
    /// The node itself.
    #[serde(rename = "self")]
    pub(crate) own: OwnAnswer,
    /// How the node stands with its coordinator.
    pub(crate) coordinator: CoordinatorAnswer,
    /// The relays.
    pub(crate) relays: Vec<RelayAnswer>,
    /// The networks behind other nodes.
    #[serde(default)]
    pub(crate) routes: Vec<RouteAnswer>,
    /// The node that traffic to the internet goes through; `null` where it goes as without a mesh.
    #[serde(default)]
    pub(crate) exit_node: Option<ExitNodeAnswer>,
    /// The names of the nodes that may be chosen for that.
    #[serde(default)]
    pub(crate) exit_nodes: Vec<String>,
    /// The peers, ordered by name.
    pub(crate) peers: Vec<PeerAnswer>,
    /// Packets dropped so far, by reason; reasons that never occurred are left out.
    pub(crate) dropped: std::collections::BTreeMap<String, u64>,
}

/// The node itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OwnAnswer {
    /// Its name.
    pub(crate) name: String,
    /// Its id.
    pub(crate) id: Uuid,
    /// The network's name.
    pub(crate) network: String,
    /// Whether it is part of its network; `null` until a network map says so.
    #[serde(default)]
    pub(crate) standing: Option<Standing>,
    /// Its mesh addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Its WireGuard public key.
    pub(crate) public_key: PublicKey,
    /// The tunnel's interface.
    pub(crate) interface: String,
    /// The UDP port; `None` while the tunnel is down.
    pub(crate) udp_port: Option<u16>,
    /// The NAT in front of it.
    pub(crate) nat: NatProfile,
    /// The port that its router was asked to open.
    pub(crate) port_mapping: PortMappingAnswer,
    /// The relay that it runs for its network; `null` where no administrator allows it.
    #[serde(default)]
    pub(crate) relay: Option<OwnRelayAnswer>,
    /// The networks behind it that it offers to route to.
    #[serde(default)]
    pub(crate) routes: Vec<OwnRouteAnswer>,
    /// Its place in the DNS; `null` where the coordinator gives no names.
    #[serde(default)]
    pub(crate) names: Option<NamesAnswer>,
    /// Addresses that may reach it.
    pub(crate) candidates: Vec<OwnCandidate>,
}

/// The relay that this node may run for its network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnRelayAnswer {
    /// Its UDP port; `null` where it does not serve.
    pub(crate) port: Option<u16>,
    /// Where strangers reach it, as the coordinator is told; none: no other node is told of it.
    pub(crate) addresses: Vec<SocketAddr>,
    /// How many nodes are there now; none after a minute says that they do not reach it.
    pub(crate) sessions: u64,
    /// Why there are no addresses.
    pub(crate) why: Option<String>,
}

/// An address that may reach this node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OwnCandidate {
    /// How it belongs to the node.
    pub(crate) kind: CandidateKind,
    /// The address.
    pub(crate) address: SocketAddr,
    /// The own address that it is sent from.
    pub(crate) base: Option<SocketAddr>,
    /// Who told it.
    pub(crate) source: String,
}

/// The port that this node's router was asked to open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortMappingAnswer {
    /// The router's outside address and the port that it opened; `null` where it opened none.
    pub(crate) external: Option<SocketAddr>,
    /// How it was asked.
    pub(crate) protocol: Option<PortMappingProtocol>,
    /// The router, where there is one to ask.
    pub(crate) router: Option<IpAddr>,
    /// Seconds until it closes the port, unless asked again.
    pub(crate) expires_s: Option<u64>,
    /// Whether peers are told the address; one that is not this router's on the internet they are not.
    pub(crate) offered: bool,
    /// Why there is none, or why peers are not told; `null` also while the first answer is awaited.
    pub(crate) why: Option<String>,
}

/// How the node stands with its coordinator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CoordinatorAnswer {
    /// Where it is.
    pub(crate) url: String,
    /// Whether the map stream is open.
    pub(crate) connected: bool,
    /// The map's revision.
    pub(crate) revision: Option<u64>,
    /// Why its map is refused, the stream is not open, or a report did not get through.
    pub(crate) error: Option<String>,
}

/// A relay, as this node sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RelayAnswer {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) address: SocketAddr,
    /// Whether a node of the network runs it.
    #[serde(default)]
    pub(crate) is_peer_relay: bool,
    /// How it is reached: `udp`, or `web-socket` where UDP does not get through.
    #[serde(default)]
    pub(crate) transport: RelayTransport,
    /// Whether it holds a session of ours.
    pub(crate) registered: bool,
    /// Round-trip time in microseconds.
    pub(crate) rtt_us: Option<u32>,
}

impl From<RelayStatus> for RelayAnswer {
    fn from(relay: RelayStatus) -> Self {
        let RelayStatus { name, address, node, transport, registered, rtt_us } = relay;
        let is_peer_relay = node.is_some();
        Self { name: printable(&name), address, is_peer_relay, transport, registered, rtt_us }
    }
}

/// A peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerAnswer {
    /// Its name.
    pub(crate) name: String,
    /// Its DNS name; `null` where the coordinator gives none.
    #[serde(default)]
    pub(crate) dns_name: Option<String>,
    /// Its id.
    pub(crate) id: Uuid,
    /// Its mesh addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Its WireGuard public key.
    pub(crate) public_key: PublicKey,
    /// Whether the coordinator sees it.
    pub(crate) online: bool,
    /// The path in use.
    pub(crate) path: PathAnswer,
    /// How often the path changed.
    pub(crate) switches: u32,
    /// Bytes received from it.
    pub(crate) rx_bytes: u64,
    /// Bytes sent to it.
    pub(crate) tx_bytes: u64,
    /// Age of the WireGuard session in milliseconds; `None` where there is none.
    pub(crate) latest_handshake_ms: Option<u64>,
}

/// The path in use to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PathAnswer {
    /// What kind.
    pub(crate) kind: PathKind,
    /// The address that packets leave from.
    pub(crate) local: Option<SocketAddr>,
    /// Where they go; the relay's address for a relayed path.
    pub(crate) remote: Option<SocketAddr>,
    /// How the remote address was learnt.
    pub(crate) candidate_kind: Option<CandidateKind>,
    /// The relay's name, for a relayed path.
    pub(crate) relay: Option<String>,
    /// How the relay is reached, for a relayed path.
    #[serde(default)]
    pub(crate) relay_transport: Option<RelayTransport>,
    /// Smoothed RTT in microseconds.
    pub(crate) rtt_us: Option<u32>,
    /// The longest tunnel packet that the path carries in one piece, in bytes: 1280 until more, or less, was measured.
    #[serde(default)]
    pub(crate) tunnel_mtu: Option<u16>,
    /// How long this path is in use, in milliseconds.
    pub(crate) since_ms: u64,
}

/// `warren why PEER --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WhyAnswer {
    /// The daemon's version.
    pub(crate) version: String,
    /// The peer's name.
    pub(crate) peer: String,
    /// The story in one or two sentences; `null` for a plain WireGuard peer.
    pub(crate) explanation: Option<String>,
    /// What would make it better.
    pub(crate) advice: Vec<String>,
    /// The chance that the search for a direct path succeeds, in parts per million; `null` where too little is known.
    pub(crate) chance_ppm: Option<u32>,
    /// The path in use.
    pub(crate) path: PathAnswer,
    /// The address of the candidate in use.
    pub(crate) chosen: Option<SocketAddr>,
    /// The peer's candidates, the chosen one first.
    pub(crate) candidates: Vec<CandidateAnswer>,
    /// This node's candidates, which the peer tries.
    pub(crate) own_candidates: Vec<OwnCandidate>,
}

/// One candidate of a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CandidateAnswer {
    /// How it belongs to the peer.
    pub(crate) kind: CandidateKind,
    /// The address.
    pub(crate) address: SocketAddr,
    /// Who told it.
    pub(crate) source: String,
    /// `untried`, `probing`, `answered` or `silent`.
    pub(crate) status: String,
    /// Smoothed RTT in microseconds, where it answers.
    pub(crate) rtt_us: Option<u32>,
    /// Why it is used or not, as a sentence.
    pub(crate) reason: String,
    /// The same for programs.
    pub(crate) reason_code: String,
    /// Whether a probe has left for it.
    pub(crate) tried: bool,
}

/// One round trip; what `warren ping` asks for again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PingReply {
    /// The peer's name.
    pub(crate) peer: String,
    /// Round-trip time in microseconds; `None`: no answer in time.
    pub(crate) rtt_us: Option<u32>,
    /// The kind of path that the answer came over.
    pub(crate) path_kind: Option<PathKind>,
}

/// `warren netcheck --json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NetcheckAnswer {
    /// The daemon's version.
    pub(crate) version: String,
    /// One sentence that a person wants first.
    pub(crate) verdict: String,
    /// What the NAT does.
    pub(crate) nat: NatProfile,
    /// Addresses that may reach this node.
    pub(crate) candidates: Vec<OwnCandidate>,
    /// The port that the router was asked to open.
    pub(crate) port_mapping: PortMappingAnswer,
    /// The STUN servers and what they saw.
    pub(crate) stun: Vec<StunAnswer>,
    /// The relays.
    pub(crate) relays: Vec<RelayAnswer>,
    /// What the way to a server carries.
    pub(crate) path_mtu: Option<PathMtuAnswer>,
    /// Whether the node has a global IPv6 address, and whether anyone saw it from outside.
    pub(crate) ipv6: Ipv6Answer,
    /// The prefix of the NAT64 by which a node without IPv4 reaches it, such as `64:ff9b::/96`.
    pub(crate) nat64: Option<String>,
    /// The coordinator over HTTP.
    pub(crate) coordinator: HttpAnswer,
}

/// A STUN server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StunAnswer {
    /// Its address.
    pub(crate) server: SocketAddr,
    /// What it saw; `None`: no answer to the last question.
    pub(crate) reflexive: Option<SocketAddr>,
    /// Smoothed RTT in microseconds, where known.
    #[serde(default)]
    pub(crate) rtt_us: Option<u32>,
}

impl From<StunStatus> for StunAnswer {
    fn from(stun: StunStatus) -> Self {
        let StunStatus { server, reflexive, rtt_us } = stun;
        Self { server, reflexive, rtt_us }
    }
}

/// How long packets may be on the way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PathMtuAnswer {
    /// The STUN server that they were sent to.
    pub(crate) server: SocketAddr,
    /// The longest one of 1500 bytes or less that it answered; `None`: not even one of 1280, though it answers short ones. Only
    /// the way there is measured, the answers are short.
    pub(crate) bytes: Option<u16>,
}

/// What is known about IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ipv6Answer {
    /// An interface holds a global address.
    pub(crate) address: bool,
    /// A STUN server or relay answered over IPv6.
    pub(crate) reachable: bool,
}

/// The coordinator over HTTP.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HttpAnswer {
    /// Where it is.
    pub(crate) url: String,
    /// How long an answer takes, in microseconds.
    pub(crate) rtt_us: Option<u64>,
    /// Why there is none.
    pub(crate) error: Option<String>,
}

/// What `up`, `down`, `leave` and a finished `join` get.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DoneAnswer {
    /// The daemon's version.
    pub(crate) version: String,
    /// What happened, as a sentence.
    pub(crate) verdict: String,
    /// The daemon's state folder.
    pub(crate) state_dir: String,
}

impl DoneAnswer {
    /// The answer of this program, which worked on this folder.
    pub(crate) fn new(verdict: impl Into<String>, state: &StateFolder) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            verdict: verdict.into(),
            state_dir: state.path().display().to_string(),
        }
    }
}
