//! Candidates: addresses that may reach a node (RFC 8445 §5.1.1), where each was learnt, and which are never offered.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// How an address came to belong to a node (RFC 8445 §5.1.1.1 and §7.2.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// On an interface of the node itself.
    Host,
    /// Seen by a peer as the source of our probe.
    PeerReflexive,
    /// Seen by a STUN server or relay.
    ServerReflexive,
    /// Given by an administrator.
    Static,
    /// A relay that forwards to the node.
    Relayed,
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::PeerReflexive => "peer-reflexive",
            Self::ServerReflexive => "server-reflexive",
            Self::Static => "static",
            Self::Relayed => "relayed",
        })
    }
}

/// Who told the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateSource {
    /// An interface of the node, by name.
    Interface(String),
    /// A STUN server, by address.
    StunServer(SocketAddr),
    /// A relay, by address.
    Relay(SocketAddr),
    /// The peer itself: in a call, or as the source of an authenticated probe.
    Peer,
    /// An administrator.
    Administrator,
}

impl fmt::Display for CandidateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::StunServer(address) => write!(f, "STUN server {address}"),
            Self::Relay(address) => write!(f, "relay {address}"),
            Self::Peer => f.write_str("peer"),
            Self::Administrator => f.write_str("administrator"),
        }
    }
}

/// An address that may reach a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate {
    /// How it came to belong to the node.
    pub kind: CandidateKind,
    /// Where packets would be sent.
    pub address: SocketAddr,
    /// The node's own address that it is sent from (RFC 8445 "base"), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<SocketAddr>,
    /// Who told it.
    pub source: CandidateSource,
}

/// Why an address is never a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unusable {
    /// Port 0.
    NoPort,
    /// 0.0.0.0, ::, loopback, multicast or broadcast.
    NotUnicast,
    /// IPv6 link-local or IPv4 169.254.0.0/16: means nothing without an interface.
    LinkLocal,
    /// Inside the mesh itself: a tunnel through the tunnel.
    InsideMesh,
}

/// Checks that `address` may be a candidate; `mesh` holds the prefixes of the node's own meshes as (network, length).
///
/// # Errors
/// Why it may not.
pub fn check_address(address: SocketAddr, mesh: &[(IpAddr, u8)]) -> Result<(), Unusable> {
    if address.port() == 0 {
        return Err(Unusable::NoPort);
    }
    let ip = address.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || broadcast {
        return Err(Unusable::NotUnicast);
    }
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if link_local {
        return Err(Unusable::LinkLocal);
    }
    if mesh.iter().any(|(network, length)| prefix_contains(*network, *length, ip)) {
        return Err(Unusable::InsideMesh);
    }
    Ok(())
}

fn prefix_contains(network: IpAddr, length: u8, ip: IpAddr) -> bool {
    let (network, ip, bits) = match (network, ip) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            (u128::from(network.to_bits()), u128::from(ip.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => (network.to_bits(), ip.to_bits(), 128),
        _ => return false,
    };
    let host_bits = u32::from(bits - length.min(bits));
    network.checked_shr(host_bits) == ip.checked_shr(host_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mean_nothing_to_a_peer_are_unusable() {
        for (address, why) in [
            ("203.0.113.1:0", Unusable::NoPort),
            ("0.0.0.0:1", Unusable::NotUnicast),
            ("127.0.0.1:1", Unusable::NotUnicast),
            ("255.255.255.255:1", Unusable::NotUnicast),
            ("[ff02::1]:1", Unusable::NotUnicast),
            ("[::ffff:127.0.0.1]:1", Unusable::NotUnicast),
            ("169.254.1.1:1", Unusable::LinkLocal),
            ("[fe80::1]:1", Unusable::LinkLocal),
        ] {
            assert_eq!(check_address(address.parse().unwrap(), &[]), Err(why), "{address}");
        }
    }

    #[test]
    fn an_address_of_the_own_mesh_is_unusable_and_its_neighbour_is_not() {
        let mesh = [("100.92.0.0".parse().unwrap(), 16), ("fd00:1::".parse().unwrap(), 48)];
        let inside = ["100.92.255.1:5", "[fd00:1::9]:5"];
        let outside = ["100.93.0.1:5", "192.168.1.4:5", "[fd00:1:1::9]:5"];
        for address in inside {
            assert_eq!(
                check_address(address.parse().unwrap(), &mesh),
                Err(Unusable::InsideMesh),
                "{address}"
            );
        }
        for address in outside {
            assert_eq!(check_address(address.parse().unwrap(), &mesh), Ok(()), "{address}");
        }
    }
}
