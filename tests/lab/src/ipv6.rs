//! IPv6 in the lab's internet: addresses, routes, and NAT64 with the names that DNS64 would give.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The next hop on every link, whoever is there.
const GATEWAY: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// A router's end of its uplink.
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// Where NAT64 puts IPv4 addresses, of length 96: not the well-known prefix, so that the agent has to find it out
/// (RFC 7050), and because `tayga` refuses that one together with addresses for documentation.
const NAT64_PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 0);
/// The addresses of `ipv4only.arpa` (RFC 7050 section 8.1).
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];
/// The translator's own IPv4 network, one and the same in every router: it is translated again on the way out.
const TRANSLATOR_POOL: &str = "192.168.255.0/24";

/// A global address: network 0 is the internet itself, every other one a site's LAN.
pub(crate) fn address(network: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 1, u16::from(network), 0, 0, 0, u16::from(host))
}

/// Where a host behind NAT64 reaches an IPv4 address (RFC 6052 section 2.2).
pub(crate) fn behind_nat64(ip: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(NAT64_PREFIX.to_bits() | u128::from(ip.to_bits()))
}

/// The prefix of NAT64, as `warren netcheck` must name it.
pub(crate) fn nat64_prefix() -> String {
    format!("{NAT64_PREFIX}/96")
}

/// Gives a host its address and its way out.
pub(crate) fn host_lines(interface: &str, address: Ipv6Addr, bits: u8) -> [String; 2] {
    [
        format!("addr add {address}/{bits} dev {interface} nodad"),
        format!("route replace default via {GATEWAY} dev {interface}"),
    ]
}

/// Makes a router's interface the next hop of its hosts.
pub(crate) fn gateway_line(interface: &str) -> String {
    format!("addr add {GATEWAY}/64 dev {interface} nodad")
}

/// A site's router: the way out, and the way in to its LAN.
pub(crate) fn router_lines(network: u8) -> [String; 4] {
    [
        format!("addr add {ROUTER}/64 dev wan nodad"),
        format!("route replace default via {GATEWAY} dev wan"),
        gateway_line("lan"),
        format!("route replace {}/64 dev lan", address(network, 0)),
    ]
}

/// The core's way to a site's LAN.
pub(crate) fn core_lines(network: u8, at_core: &str) -> [String; 2] {
    let network = address(network, 0);
    [gateway_line(at_core), format!("route add {network}/64 via {ROUTER} dev {at_core}")]
}

/// The device of a router that translates between IPv6 and IPv4.
pub(crate) fn translator_lines() -> [String; 4] {
    [
        "tuntap add dev nat64 mode tun".to_owned(),
        "link set nat64 up".to_owned(),
        format!("route add {TRANSLATOR_POOL} dev nat64"),
        format!("route add {NAT64_PREFIX}/96 dev nat64"),
    ]
}

/// The configuration of `tayga`, which keeps what it gave out in `folder`.
pub(crate) fn translator_config(folder: &str) -> String {
    format!(
        "tun-device nat64\nipv4-addr 192.168.255.1\nprefix {NAT64_PREFIX}/96\ndynamic-pool {TRANSLATOR_POOL}\n\
         data-dir {folder}\n"
    )
}

/// The names of a host behind NAT64, as DNS64 (RFC 6147) would have them.
pub(crate) fn names() -> String {
    let names = WELL_KNOWN.map(|ip| format!("{} ipv4only.arpa\n", behind_nat64(ip)));
    format!("127.0.0.1 localhost\n::1 localhost\n{}", names.concat())
}

#[cfg(test)]
mod tests {
    use super::{behind_nat64, names};

    #[test]
    fn an_ipv4_address_is_the_end_of_the_one_behind_nat64() {
        assert_eq!(behind_nat64([192, 0, 2, 33].into()).to_string(), "2001:db8:64::c000:221");
        assert!(names().contains("2001:db8:64::c000:aa ipv4only.arpa"));
    }
}
