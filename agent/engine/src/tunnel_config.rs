//! The wanted tunnel as one value, and the edits that lead from the tunnel that is to the one that is wanted.

use std::collections::BTreeMap;

use ipnet::IpNet;
use protocol::access::TrafficFilter;
use protocol::key::{PrivateKey, PublicKey};

/// Everything a tunnel backend needs to know, whole: what is not in it must not be in the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelConfig {
    /// The node's WireGuard private key.
    pub private_key: PrivateKey,
    /// The node's mesh addresses, each with the prefix of its network (`100.92.0.7/16`), which makes the
    /// kernel route the whole network to the interface.
    pub addresses: Vec<IpNet>,
    /// Largest packet that the interface takes, in bytes.
    pub mtu: u16,
    /// The networks behind peers that the machine reaches through the tunnel.
    pub routes: Vec<IpNet>,
    /// The networks behind this node that packets of peers may go to, besides its own addresses.
    pub forwarded: Vec<IpNet>,
    /// The peers, by public key.
    pub peers: BTreeMap<PublicKey, PeerConfig>,
}

/// One peer of a tunnel. Where its packets go is not here: that is the path layer's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerConfig {
    /// Prefixes that are routed to and accepted from the peer (WireGuard's cryptokey routing).
    pub allowed_ips: Vec<IpNet>,
    /// WireGuard's persistent keepalive in seconds; `None` where the path layer's own upkeep does the work.
    pub persistent_keepalive_s: Option<u16>,
    /// What is taken from the peer, besides answers.
    pub inbound: TrafficFilter,
}

/// One edit of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Create the interface, or replace what identifies it: private key, addresses and MTU. Peers stay.
    SetInterface {
        /// The node's WireGuard private key.
        private_key: PrivateKey,
        /// Mesh addresses with the prefix of their network.
        addresses: Vec<IpNet>,
        /// Largest packet in bytes.
        mtu: u16,
    },
    /// Add a peer, or replace its allowed IPs; a known peer keeps its session.
    SetPeer(PublicKey, PeerConfig),
    /// Replace what the machine reaches through the tunnel, and what peers reach through this node.
    SetRoutes {
        /// The networks behind peers.
        routes: Vec<IpNet>,
        /// The networks behind this node.
        forwarded: Vec<IpNet>,
    },
    /// Remove a peer and its session.
    RemovePeer(PublicKey),
    /// Remove the interface and everything in it.
    RemoveInterface,
}

/// The edits that turn `current` into `wanted`; `None` means that there is no tunnel. Removals come first, so
/// that an address which moved from one peer to another never belongs to both.
#[must_use]
pub fn diff(current: Option<&TunnelConfig>, wanted: Option<&TunnelConfig>) -> Vec<Change> {
    let Some(wanted) = wanted else {
        return if current.is_some() { vec![Change::RemoveInterface] } else { Vec::new() };
    };
    let no_peers = BTreeMap::new();
    let current_peers = current.map_or(&no_peers, |config| &config.peers);
    let mut changes: Vec<Change> = current_peers
        .keys()
        .filter(|key| !wanted.peers.contains_key(key))
        .map(|key| Change::RemovePeer(*key))
        .collect();
    let same_interface = current.is_some_and(|config| {
        config.private_key == wanted.private_key
            && config.addresses == wanted.addresses
            && config.mtu == wanted.mtu
    });
    if !same_interface {
        changes.push(Change::SetInterface {
            private_key: wanted.private_key.clone(),
            addresses: wanted.addresses.clone(),
            mtu: wanted.mtu,
        });
    }
    let empty = Vec::new();
    let (routes, forwarded) = current.map_or((&empty, &empty), |config| (&config.routes, &config.forwarded));
    let is_other = (routes, forwarded) != (&wanted.routes, &wanted.forwarded);
    changes.extend(
        wanted
            .peers
            .iter()
            .filter(|(key, peer)| current_peers.get(key) != Some(peer))
            .map(|(key, peer)| Change::SetPeer(*key, peer.clone())),
    );
    if is_other {
        changes
            .push(Change::SetRoutes { routes: wanted.routes.clone(), forwarded: wanted.forwarded.clone() });
    }
    changes
}

/// What `current` becomes when `changes` are applied in order: the model that every backend must match.
#[must_use]
pub fn apply(current: Option<TunnelConfig>, changes: &[Change]) -> Option<TunnelConfig> {
    let mut config = current;
    for change in changes {
        match change {
            Change::SetInterface { private_key, addresses, mtu } => {
                let (routes, forwarded, peers) =
                    config.take().map(|old| (old.routes, old.forwarded, old.peers)).unwrap_or_default();
                let (private_key, addresses) = (private_key.clone(), addresses.clone());
                config = Some(TunnelConfig { private_key, addresses, mtu: *mtu, routes, forwarded, peers });
            }
            Change::SetPeer(key, peer) => {
                if let Some(config) = &mut config {
                    config.peers.insert(*key, peer.clone());
                }
            }
            Change::SetRoutes { routes, forwarded } => {
                if let Some(config) = &mut config {
                    (config.routes, config.forwarded) = (routes.clone(), forwarded.clone());
                }
            }
            Change::RemovePeer(key) => {
                if let Some(config) = &mut config {
                    config.peers.remove(key);
                }
            }
            Change::RemoveInterface => config = None,
        }
    }
    config
}

#[cfg(test)]
mod tests;
