//! What an address means: whether it may be a candidate at all, and in which realm it is unique.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// Why an address is never a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Unusable {
    /// Port 0.
    NoPort,
    /// 0.0.0.0/8, ::, loopback, multicast, broadcast, or reserved (RFC 1112 §4: 240.0.0.0/4).
    NotUnicast,
    /// IPv6 link-local or IPv4 169.254.0.0/16: means nothing without an interface.
    LinkLocal,
    /// Inside the mesh itself: a tunnel through the tunnel.
    InsideMesh,
}

/// Where an address is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Realm {
    /// In one site: RFC 1918 and unique local IPv6 (RFC 4193).
    Private,
    /// Behind one carrier's NAT: 100.64.0.0/10 (RFC 6598).
    Carrier,
    /// Everywhere.
    Global,
}

impl Realm {
    /// The realm of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) if v4.is_private() => Self::Private,
            IpAddr::V4(v4) if v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64 => Self::Carrier,
            IpAddr::V6(v6) if v6.is_unique_local() => Self::Private,
            IpAddr::V4(_) | IpAddr::V6(_) => Self::Global,
        }
    }
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
    let nobodys = matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240);
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || nobodys {
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

/// Whether `ip` lies in `network`/`length`; a length beyond the family's is taken for the whole address.
#[must_use]
pub fn prefix_contains(network: IpAddr, length: u8, ip: IpAddr) -> bool {
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
            ("240.0.0.1:1", Unusable::NotUnicast),
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

    #[test]
    fn carrier_addresses_are_neither_private_nor_global() {
        for (ip, realm) in [
            ("192.168.1.1", Realm::Private),
            ("172.31.0.1", Realm::Private),
            ("172.32.0.1", Realm::Global),
            ("100.63.255.255", Realm::Global),
            ("100.64.0.1", Realm::Carrier),
            ("100.127.255.255", Realm::Carrier),
            ("100.128.0.1", Realm::Global),
            ("fd12::1", Realm::Private),
            ("2001:db8::1", Realm::Global),
            ("::ffff:10.0.0.1", Realm::Private),
        ] {
            assert_eq!(Realm::of(ip.parse().unwrap()), realm, "{ip}");
        }
    }
}
