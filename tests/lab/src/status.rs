//! The parts of `warren status --json` that the lab judges.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::Value;

/// The whole answer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    /// The node itself.
    #[serde(rename = "self")]
    pub(crate) own: Own,
    /// How it stands with the coordinator.
    pub(crate) coordinator: Connection,
    /// The relays.
    #[serde(default)]
    pub(crate) relays: Vec<Relay>,
    /// The networks behind other nodes.
    #[serde(default)]
    pub(crate) routes: Vec<Route>,
    /// The names of the nodes that may be its exit node.
    #[serde(default)]
    pub(crate) exit_nodes: Vec<String>,
    /// Whether and why the tunnel is up.
    #[serde(default)]
    pub(crate) state: String,
    /// Everybody it may talk to.
    #[serde(default)]
    pub(crate) peers: Vec<Peer>,
}

/// The node itself.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Own {
    pub(crate) addresses: Vec<String>,
    pub(crate) public_key: String,
    /// What it knows of its NAT: words of RFC 4787, or null.
    #[serde(default)]
    pub(crate) nat: BTreeMap<String, Value>,
    /// The port that its router was asked to open.
    #[serde(default)]
    pub(crate) port_mapping: PortMapping,
    /// The relay that it runs for its network.
    #[serde(default)]
    pub(crate) relay: Option<OwnRelay>,
    /// Its place in the DNS.
    #[serde(default)]
    pub(crate) names: Option<Names>,
    /// Addresses that peers are told.
    #[serde(default)]
    pub(crate) candidates: Vec<Candidate>,
}

/// Who answers for DNS names on the node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Names {
    /// The addresses whose port 53 answers.
    pub(crate) resolvers: Vec<String>,
    /// Why one does not.
    pub(crate) why: Option<String>,
}

/// The relay that a node runs for its network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct OwnRelay {
    pub(crate) addresses: Vec<String>,
    /// How many nodes are there.
    pub(crate) sessions: u64,
}

/// The port that the node's router was asked to open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct PortMapping {
    pub(crate) external: Option<String>,
    /// `pcp`, `nat-pmp` or `upnp-igd`.
    pub(crate) protocol: Option<String>,
    pub(crate) expires_s: Option<u64>,
    /// Whether peers are told.
    pub(crate) offered: bool,
    /// Why there is none, or peers are not told.
    pub(crate) why: Option<String>,
}

/// An address that peers are told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) kind: String,
    pub(crate) address: String,
}

/// How the node stands with the coordinator.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Connection {
    pub(crate) connected: bool,
}

/// One relay.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Relay {
    pub(crate) registered: bool,
    /// How it is reached: `udp` or `web-socket`.
    #[serde(default)]
    pub(crate) transport: String,
}

/// A network behind other nodes.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Route {
    pub(crate) prefix: String,
    /// The name of the peer that its traffic goes to.
    pub(crate) through: Option<String>,
    /// Why it is not used.
    pub(crate) why: Option<String>,
}

/// One peer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) path: Path,
    /// How often the path changed while it was used.
    #[serde(default)]
    pub(crate) switches: u32,
}

/// The path in use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Path {
    /// `direct`, `relay` or `none`.
    pub(crate) kind: String,
    pub(crate) local: Option<String>,
    pub(crate) remote: Option<String>,
    pub(crate) rtt_us: Option<u64>,
    /// The relay's name.
    pub(crate) relay: Option<String>,
    /// How the relay is reached: `udp` or `web-socket`.
    pub(crate) relay_transport: Option<String>,
    /// The longest tunnel packet that it carries in one piece.
    pub(crate) tunnel_mtu: Option<u16>,
    /// How long it has been in use.
    pub(crate) since_ms: Option<u64>,
}

impl Status {
    /// The mesh address of the wanted family.
    pub(crate) fn mesh_address(&self, ipv6: bool) -> Option<IpAddr> {
        let bare = |text: &String| text.split('/').next().and_then(|text| text.parse::<IpAddr>().ok());
        self.own.addresses.iter().filter_map(bare).find(|address| address.is_ipv6() == ipv6)
    }

    /// How often the path to a peer changed while it was used.
    pub(crate) fn switches_to(&self, peer: &str) -> u32 {
        self.peers.iter().find(|one| one.name == peer).map_or(0, |peer| peer.switches)
    }

    /// The path to a peer; one of kind `none` if it is not known yet.
    pub(crate) fn path_to(&self, peer: &str) -> Path {
        let found = self.peers.iter().find(|one| one.name == peer).map(|one| one.path.clone());
        found.unwrap_or_else(|| Path { kind: "none".to_owned(), ..Path::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn a_status_as_the_contract_has_it_is_read() {
        let text = r#"{"version":"0.1.0","verdict":"ok","self":{"name":"a","id":"1","addresses":["100.100.0.1/32","fd00::1"],
            "public_key":"K"},"coordinator":{"url":"http://x","connected":true,"revision":4},"peers":[{"name":"b","id":"2",
            "addresses":[],"online":true,"path":{"kind":"direct","local":"192.168.1.10:4000","remote":"192.168.1.11:4000",
            "candidate_kind":"host","relay":null,"rtt_us":210,"since_ms":5},"switches":1}]}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(status.mesh_address(false), Some([100, 100, 0, 1].into()));
        assert_eq!(status.mesh_address(true), Some("fd00::1".parse().unwrap()));
        assert_eq!(status.path_to("b").rtt_us, Some(210));
        assert_eq!(status.path_to("c").kind, "none");
        assert_eq!((status.switches_to("b"), status.switches_to("c")), (1, 0));
    }
}
