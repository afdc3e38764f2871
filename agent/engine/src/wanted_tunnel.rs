//! From the network map to the wanted tunnel, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use protocol::api::NetworkMap;
use protocol::key::PrivateKey;

use crate::routing::Routing;
use crate::tunnel_config::{PeerConfig, TunnelConfig};

/// The tunnel MTU of a path of which nothing is known, in bytes: the least that IPv6 allows (RFC 8200 §5). With WireGuard (32
/// bytes), a relay frame (44) and UDP over IPv6 (48) it makes 1404, which fits every usual underlay.
pub const TUNNEL_MTU_BASE: u16 = 1_280;

/// The interface's MTU, which no path's can exceed, in bytes: what fits an Ethernet link of 1500 over UDP and IPv6 (48) with
/// WireGuard (32).
pub const TUNNEL_MTU_MAX: u16 = 1_420;

/// The tunnel that `map` asks for. A prefix that two peers claim goes to the first by public key, so that one bad row
/// can never redirect another peer's traffic twice.
pub(crate) fn tunnel_config(map: &NetworkMap, private_key: &PrivateKey, routing: &Routing) -> TunnelConfig {
    let own = private_key.public_key();
    let mut taken: BTreeSet<IpNet> = map.own.addresses.iter().map(|net| host_prefix(net.addr())).collect();
    let mut peers = BTreeMap::new();
    for peer in map.peers.iter().filter(|peer| peer.public_key != own) {
        let allowed_ips: Vec<IpNet> =
            peer.allowed_ips.iter().map(IpNet::trunc).filter(|prefix| taken.insert(*prefix)).collect();
        let allowed_ips = allowed_ips.into_iter().chain(routing.through(&peer.public_key)).collect();
        // A plain WireGuard peer has no probes that keep a NAT's mapping open; WireGuard's own usual 25 s does.
        let persistent_keepalive_s = peer.plain_endpoint.map(|_| 25);
        let access = map.own.access.as_ref();
        let inbound = access.map(|access| access.filter_for(&peer.tags)).unwrap_or_default();
        peers.insert(peer.public_key, PeerConfig { allowed_ips, persistent_keepalive_s, inbound });
    }
    TunnelConfig {
        private_key: private_key.clone(),
        addresses: map.own.addresses.clone(),
        mtu: TUNNEL_MTU_MAX,
        routes: routing.prefixes(),
        forwarded: routing.forwarded(map),
        peers,
    }
}

/// The prefixes of the mesh itself, from which no candidate may come.
pub(crate) fn mesh_prefixes(map: &NetworkMap) -> Vec<(IpAddr, u8)> {
    map.own.addresses.iter().map(|net| (net.network(), net.prefix_len())).collect()
}

fn host_prefix(address: IpAddr) -> IpNet {
    IpNet::from(address)
}
