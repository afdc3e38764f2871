//! The addresses of this machine that a peer might reach.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use endpoint_selection::LocalRules;
use engine::LocalAddress;
use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

/// The addresses of all interfaces that are up and that `rules` offer, ordered, each once; without loopback and the
/// tunnel's own interface `own`.
///
/// # Errors
/// Where the system does not say.
pub(crate) fn local_addresses(own: &str, rules: &LocalRules) -> io::Result<Vec<LocalAddress>> {
    let mut found = BTreeSet::new();
    for entry in getifaddrs()? {
        let up = entry.flags.contains(InterfaceFlags::IFF_UP)
            && !entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        if !up || entry.interface_name == own {
            continue;
        }
        let address = entry.address.as_ref().and_then(ip_address);
        if let Some(address) = address.filter(|address| rules.offers(&entry.interface_name, *address)) {
            found.insert(LocalAddress { interface: entry.interface_name, address });
        }
    }
    Ok(found.into_iter().collect())
}

/// The kernel's number of an interface; `None` where there is none of that name.
pub(crate) fn interface_index(name: &str) -> Option<u32> {
    nix::net::if_::if_nametoindex(name).ok()
}

/// The networks that this machine is directly attached to, by any interface but the tunnel's own; those of one address, loopback and
/// link-local ones left out.
///
/// # Errors
/// Where the system does not say.
pub(crate) fn attached_networks(own: &str) -> io::Result<Vec<IpNet>> {
    let mut found = BTreeSet::new();
    for entry in getifaddrs()? {
        let is_up = entry.flags.contains(InterfaceFlags::IFF_UP)
            && !entry.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        if !is_up || entry.interface_name == own {
            continue;
        }
        let address = entry.address.as_ref().and_then(ip_address);
        let mask = entry.netmask.as_ref().and_then(ip_address);
        let net = address.zip(mask).and_then(|(address, mask)| IpNet::with_netmask(address, mask).ok());
        let is_link_local = |net: &IpNet| matches!(net, IpNet::V6(net) if net.addr().is_unicast_link_local());
        found.extend(
            net.filter(|net| net.prefix_len() < net.max_prefix_len() && !is_link_local(net))
                .map(|net| net.trunc()),
        );
    }
    Ok(found.into_iter().collect())
}

fn ip_address(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

/// The local address that the kernel would send from to reach `remote`, past an exit node; no packet leaves. `None` without a route.
pub(crate) fn local_address_towards(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    tunnel::mark(std::os::fd::AsFd::as_fd(&socket));
    socket.connect(remote).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_address_towards_loopback_is_loopback() {
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        assert_eq!(local_address_towards(remote), Some(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn loopback_is_not_among_the_local_addresses() {
        let addresses = local_addresses("warren0", &LocalRules::default()).unwrap();
        assert!(addresses.iter().all(|local| !local.address.is_loopback()), "{addresses:?}");
    }
}
