//! What the dashboard shows: networks and nodes as the coordinator knows them now.

use endpoint_selection::Candidate;
use endpoint_selection::nat::NatProfile;
use ipnet::IpNet;
use protocol::api::{NodeName, PathKind, Zone};
use protocol::key::PublicKey;
use serde::Serialize;
use uuid::Uuid;

use super::network_map::{NetworkState, NodeState};
use super::reported::{Path, Reported};
use super::{Caller, Directory, addressing};

/// Everything that a person may see.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Overview {
    /// Who looks.
    pub person: String,
    /// When, Unix milliseconds by the coordinator's clock.
    pub now_ms: i64,
    /// The networks, by name.
    pub networks: Vec<NetworkOverview>,
}

/// A network.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NetworkOverview {
    /// Its id.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its ranges.
    #[cfg_attr(feature = "ts", ts(as = "Vec<String>"))]
    pub ranges: Vec<IpNet>,
    /// Its nodes, by name.
    pub nodes: Vec<NodeOverview>,
}

/// A node.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NodeOverview {
    /// Its id.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub id: Uuid,
    /// Its name.
    pub name: NodeName,
    /// Its DNS name.
    pub dns_name: String,
    /// Its public key.
    pub public_key: PublicKey,
    /// Its mesh addresses, with the prefix of the network.
    #[cfg_attr(feature = "ts", ts(as = "Vec<String>"))]
    pub addresses: Vec<IpNet>,
    /// Whether it holds a map stream open.
    pub online: bool,
    /// When it last reported, Unix milliseconds.
    pub reported_at_ms: Option<i64>,
    /// Its candidates.
    pub candidates: Vec<Candidate>,
    /// The NAT in front of it, where measured.
    pub nat: NatProfile,
    /// Version of its agent.
    pub agent_version: String,
    /// Set for a plain WireGuard peer without an agent.
    pub plain_endpoint: Option<std::net::SocketAddr>,
    /// The path in use to each peer, by the node's last report.
    pub paths: Vec<PathOverview>,
}

/// A path.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct PathOverview {
    /// The peer's name.
    pub peer: NodeName,
    /// What kind of path.
    pub kind: PathKind,
    /// Its remote address.
    pub remote: Option<std::net::SocketAddr>,
    /// Smoothed RTT in microseconds.
    pub rtt_us: Option<u32>,
}

impl Directory {
    /// The networks of the caller's organizations.
    pub(crate) fn overview(&self, caller: &Caller, now_ms: i64) -> Overview {
        let person = caller.person.name.clone();
        let visible =
            self.networks.values().filter(|network| caller.role_in(network.row.organization_id).is_some());
        let mut networks: Vec<_> = visible.map(network_overview).collect();
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        Overview { person, now_ms, networks }
    }
}

fn network_overview(network: &NetworkState) -> NetworkOverview {
    let mut nodes: Vec<_> = network.nodes.values().map(|node| node_overview(network, node)).collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    NetworkOverview {
        id: network.row.id,
        name: network.row.name.clone(),
        ranges: vec![IpNet::V4(network.row.ipv4), IpNet::V6(network.row.ipv6)],
        nodes,
    }
}

fn node_overview(network: &NetworkState, node: &NodeState) -> NodeOverview {
    let reported = node.reported.as_ref();
    let all = reported.map(Reported::paths).unwrap_or_default();
    let mut paths: Vec<_> = all.iter().filter_map(|path| path_overview(network, path)).collect();
    paths.sort_by(|a, b| a.peer.cmp(&b.peer));
    NodeOverview {
        id: node.row.id,
        name: node.row.name.clone(),
        dns_name: Zone::of_network(&network.row.name, network.row.id).name_of(&node.row.name),
        public_key: node.row.public_key,
        addresses: addressing::addresses(&network.row, node.row.host_index),
        online: node.is_online(),
        reported_at_ms: node.reported_at_ms(),
        candidates: reported.map(|reported| reported.candidates.clone()).unwrap_or_default(),
        nat: reported.map(|reported| reported.nat).unwrap_or_default(),
        agent_version: reported.map(|reported| reported.agent_version.clone()).unwrap_or_default(),
        plain_endpoint: node.row.plain_endpoint,
        paths,
    }
}

/// A path as people see it; `None` where the peer is gone.
pub(super) fn path_overview(network: &NetworkState, path: &Path) -> Option<PathOverview> {
    let peer = network.nodes.get(&path.peer)?;
    Some(PathOverview {
        peer: peer.row.name.clone(),
        kind: path.kind,
        remote: path.remote(),
        rtt_us: path.rtt_us(),
    })
}
