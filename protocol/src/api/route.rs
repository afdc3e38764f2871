//! Networks behind nodes: what a node may offer to route, and what an administrator let it.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// The most routes of one node, besides default routes.
pub const ROUTES_MAX: usize = 32;

/// The priority of a route of which nobody says another.
pub const ROUTE_PRIORITY_DEFAULT: u16 = 100;

/// A network that is reached through a node, as an administrator approved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// The network.
    pub prefix: IpNet,
    /// Which node is preferred where several have the network: the lowest.
    pub priority: u16,
}

/// Why a network cannot be routed to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoute {
    /// An address and not a network.
    #[error("{0} has bits behind its length; the network is {net}", net = .0.trunc())]
    HostBits(IpNet),
    /// It covers addresses that mean something else on every machine.
    #[error("{prefix} overlaps {special}, which is on no network behind a node")]
    Special {
        /// The network.
        prefix: IpNet,
        /// What it overlaps.
        special: IpNet,
    },
    /// It covers addresses of the mesh.
    #[error("{prefix} overlaps {mesh}, the network's own range")]
    Mesh {
        /// The network.
        prefix: IpNet,
        /// The range.
        mesh: IpNet,
    },
}

/// "This" network, loopback, link-local, multicast and reserved addresses (RFC 6890).
const SPECIAL_V4: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// The same of IPv6: unspecified and loopback, IPv4 in IPv6, link-local, multicast.
const SPECIAL_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::UNSPECIFIED, 127),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// What an exit node does not carry of IPv4: addresses that mean something else in each place. "This" network, private and shared
/// ones, loopback, link-local, protocol assignments, benchmarking, multicast and reserved (RFC 6890), and the one at which Azure's
/// machines find their own host. They are reached as without an exit node. Wider than [`SPECIAL_V4`]: a private network may well be
/// behind a node.
const LOCAL_RANGES_V4: [(Ipv4Addr, u8); 11] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// The same of IPv6: unique local, link-local and multicast addresses.
const LOCAL_RANGES_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// The ranges that an exit node does not carry, of one family.
pub fn local_ranges(is_ipv6: bool) -> impl Iterator<Item = IpNet> {
    let v4 = LOCAL_RANGES_V4.into_iter().filter(move |_| !is_ipv6);
    let v6 = LOCAL_RANGES_V6.into_iter().filter(move |_| is_ipv6);
    let v4 = v4.filter_map(|(address, len)| Ipv4Net::new(address, len).ok()).map(IpNet::V4);
    v4.chain(v6.filter_map(|(address, len)| Ipv6Net::new(address, len).ok()).map(IpNet::V6))
}

/// Global unicast addresses of IPv6, as IANA gives them out (RFC 4291 §2.4): all that is sent to an exit node. What lies outside,
/// such as the well-known prefix of a NAT64 (RFC 6052), leads elsewhere in each network.
pub const GLOBAL_UNICAST_V6: IpNet =
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3));

/// The default routes, of IPv4 and IPv6.
pub const DEFAULT_ROUTES: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

/// Whether this is a default route: what an exit node offers, and an administrator approves, of one family.
#[must_use]
pub fn is_default(prefix: &IpNet) -> bool {
    prefix.prefix_len() == 0
}

/// Whether these are more routes than a node may have.
#[must_use]
pub fn are_too_many<'a>(prefixes: impl Iterator<Item = &'a IpNet>) -> bool {
    let (defaults, networks): (Vec<&IpNet>, Vec<&IpNet>) =
        prefixes.partition(|prefix: &&IpNet| is_default(prefix));
    networks.len() > ROUTES_MAX || defaults.len() > DEFAULT_ROUTES.len()
}

/// Whether two networks have an address in common.
#[must_use]
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// Checks that a network may be routed to a node of a mesh with these ranges.
///
/// # Errors
/// Why not.
pub fn check_route(prefix: &IpNet, mesh: &[IpNet]) -> Result<(), InvalidRoute> {
    let prefix = *prefix;
    if prefix.trunc() != prefix {
        return Err(InvalidRoute::HostBits(prefix));
    }
    // An exit node's: it stands for the internet, and never for the addresses that the checks below are about.
    if is_default(&prefix) {
        return Ok(());
    }
    let v4 = SPECIAL_V4.iter().filter_map(|(address, len)| Ipv4Net::new(*address, *len).ok());
    let v6 = SPECIAL_V6.iter().filter_map(|(address, len)| Ipv6Net::new(*address, *len).ok());
    let mut special = v4.map(IpNet::V4).chain(v6.map(IpNet::V6));
    if let Some(special) = special.find(|special| overlap(special, &prefix)) {
        return Err(InvalidRoute::Special { prefix, special });
    }
    match mesh.iter().find(|mesh| overlap(mesh, &prefix)) {
        Some(mesh) => Err(InvalidRoute::Mesh { prefix, mesh: mesh.trunc() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(prefix: &str) -> Option<String> {
        let mesh = ["100.92.0.7/16".parse().unwrap(), "fd00:1::7/48".parse().unwrap()];
        check_route(&prefix.parse().unwrap(), &mesh).err().map(|error| error.to_string())
    }

    #[test]
    fn networks_behind_a_node_are_taken() {
        for prefix in [
            "192.168.5.0/24",
            "10.0.0.0/8",
            "203.0.113.7/32",
            "fd12::/64",
            "2001:db8::/32",
            "0.0.0.0/0",
            "::/0",
        ] {
            assert_eq!(refusal(prefix), None, "{prefix}");
        }
    }

    #[test]
    fn each_refusal_says_what_is_wrong() {
        for (prefix, why) in [
            ("192.168.5.1/24", "192.168.5.1/24 has bits behind its length; the network is 192.168.5.0/24"),
            ("0.0.0.0/1", "overlaps 0.0.0.0/8"),
            ("127.0.0.0/8", "overlaps 127.0.0.0/8"),
            ("169.254.7.0/24", "overlaps 169.254.0.0/16"),
            ("224.0.0.0/24", "overlaps 224.0.0.0/3"),
            ("255.255.255.255/32", "overlaps 224.0.0.0/3"),
            ("::1/128", "overlaps ::/127"),
            ("::ffff:10.0.0.0/104", "overlaps ::ffff:0.0.0.0/96"),
            ("fe80::/64", "overlaps fe80::/10"),
            ("ff02::/16", "overlaps ff00::/8"),
            ("100.92.5.0/24", "overlaps 100.92.0.0/16, the network's own range"),
            ("100.0.0.0/8", "overlaps 100.92.0.0/16"),
            ("fd00:1::/64", "overlaps fd00:1::/48"),
        ] {
            let told = refusal(prefix).unwrap_or_default();
            assert!(told.contains(why), "{prefix}: {told}");
        }
    }
}
