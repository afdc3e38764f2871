//! The addresses of this machine that a peer might reach.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use engine::LocalAddress;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

/// The addresses of all interfaces that are up, ordered, each once; without loopback, the tunnel's own interface
/// `own`, container bridges and other overlays.
///
/// # Errors
/// Where the system does not say.
pub(crate) fn local_addresses(own: &str) -> io::Result<Vec<LocalAddress>> {
    let mut found = BTreeSet::new();
    for entry in getifaddrs()? {
        let up = entry.flags.contains(InterfaceFlags::IFF_UP)
            && !entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        if !up || entry.interface_name == own || is_virtual(&entry.interface_name) {
            continue;
        }
        if let Some(address) = entry.address.as_ref().and_then(ip_address) {
            found.insert(LocalAddress { interface: entry.interface_name, address });
        }
    }
    Ok(found.into_iter().collect())
}

fn ip_address(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

/// Names of interfaces whose addresses no peer can reach directly: container and virtual-machine networks, and
/// overlays, through which a tunnel would run inside another one. A bridge with a name of its own (`br0`, `br-lan`)
/// may well be a machine's only way out, so it counts.
fn is_virtual(name: &str) -> bool {
    const PREFIXES: [&str; 14] = [
        "docker",
        "veth",
        "cni",
        "virbr",
        "podman",
        "cali",
        "flannel",
        "lxcbr",
        "lxdbr",
        "vnet",
        "wg",
        "tailscale",
        "zt",
        "warren",
    ];
    let docker_network = name
        .strip_prefix("br-")
        .is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    docker_network || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The local address that the kernel would send from to reach `remote`; no packet leaves. `None` without a route.
pub(crate) fn local_address_towards(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_bridges_and_overlays_do_not_count_and_real_bridges_do() {
        for name in [
            "docker0",
            "veth12ab",
            "br-0123456789ab",
            "cni0",
            "virbr0",
            "wg0",
            "tailscale0",
            "ztabc",
            "warren1",
        ] {
            assert!(is_virtual(name), "{name}");
        }
        for name in
            ["eth0", "enp3s0", "wlan0", "br0", "br-lan", "br-0123456789az", "ppp0", "wlp2s0", "bond0", "wrn0"]
        {
            assert!(!is_virtual(name), "{name}");
        }
    }

    #[test]
    fn the_source_address_towards_loopback_is_loopback() {
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        assert_eq!(local_address_towards(remote), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn loopback_is_not_among_the_local_addresses() {
        let addresses = local_addresses("warren0").unwrap();
        assert!(addresses.iter().all(|local| !local.address.is_loopback()), "{addresses:?}");
    }
}
