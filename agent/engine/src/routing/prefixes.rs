//! Networks taken apart.

use std::net::Ipv6Addr;

use ipnet::{IpNet, Ipv6Net};
use protocol::api::{DEFAULT_ROUTES, GLOBAL_UNICAST_V6, is_default, local_ranges};

/// IPv4 in IPv6 (6to4, RFC 3056): private addresses may be inside.
const SIX_TO_FOUR: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16));

/// What a router with this route carries: the network, or for a default route the internet, and so neither addresses that mean
/// something else in each place nor these `others`, such as those of the mesh. An exit node is no way into the network that it
/// stands in: that takes a route of its own.
pub(super) fn carried(prefix: IpNet, others: &[IpNet]) -> Vec<IpNet> {
    if !is_default(&prefix) {
        return vec![prefix];
    }
    let whole = if prefix.addr().is_ipv6() { GLOBAL_UNICAST_V6 } else { DEFAULT_ROUTES[0] };
    let others = others.iter().map(IpNet::trunc).chain([SIX_TO_FOUR]);
    without(whole, &local_ranges(prefix.addr().is_ipv6()).chain(others).collect::<Vec<_>>())
}

/// What is left of a network without others: each narrower one halves it once per bit, to 128 pieces at most.
pub(super) fn without(network: IpNet, others: &[IpNet]) -> Vec<IpNet> {
    let mut left = vec![network];
    for other in others.iter().filter(|other| network.contains(*other) && **other != network) {
        let mut pieces = Vec::new();
        for piece in left {
            let mut rest = Some(piece).filter(|piece| piece.contains(other));
            if rest.is_none() && !other.contains(&piece) {
                pieces.push(piece);
            }
            while let Some(whole) = rest.filter(|whole| whole != other) {
                let halves = whole.subnets(whole.prefix_len() + 1).into_iter().flatten();
                let (inside, outside): (Vec<_>, Vec<_>) = halves.partition(|half| half.contains(other));
                pieces.extend(outside);
                rest = inside.first().copied();
            }
        }
        left = pieces;
    }
    left
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn carries(prefix: &str, address: &str) -> bool {
        let mesh = ["100.92.0.7/16", "fd00:1::7/48", "25.1.0.9/16"].map(net);
        let address: IpAddr = address.parse().unwrap();
        carried(net(prefix), &mesh).iter().any(|net| net.contains(&address))
    }

    #[test]
    fn an_exit_node_carries_the_internet() {
        for address in
            ["1.1.1.1", "11.0.0.0", "100.63.255.255", "172.32.0.1", "192.167.0.1", "223.255.255.255"]
        {
            assert!(carries("0.0.0.0/0", address), "{address}");
        }
        assert!(carries("::/0", "2001:db8::1") && carries("::/0", "3fff::1"));
    }

    #[test]
    fn an_exit_node_carries_nothing_that_means_something_else_in_each_place() {
        for address in [
            "0.0.0.1",
            "10.1.1.1",
            "100.64.0.1",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.0.1",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "25.1.3.4",
        ] {
            assert!(!carries("0.0.0.0/0", address), "{address}");
        }
        for address in
            ["::1", "64:ff9b::101:101", "2002:a00:1::", "fd00:1::9", "fe80::1", "ff02::1", "::ffff:1.1.1.1"]
        {
            assert!(!carries("::/0", address), "{address}");
        }
    }

    #[test]
    fn a_network_behind_a_router_is_carried_as_it_is() {
        assert_eq!(carried(net("10.0.0.0/8"), &[]), [net("10.0.0.0/8")]);
    }

    #[test]
    fn a_network_without_a_narrower_one_is_the_rest_of_it_and_nothing_else() {
        let texts = |nets: Vec<IpNet>| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(without(net("10.0.0.0/8"), &[])), ["10.0.0.0/8"]);
        assert_eq!(
            texts(without(net("10.0.0.0/8"), &[net("192.168.0.0/24"), net("10.0.0.0/8")])),
            ["10.0.0.0/8"]
        );
        assert_eq!(
            texts(without(net("10.0.0.0/8"), &[net("10.64.0.0/10"), net("10.64.7.0/24")])),
            ["10.128.0.0/9", "10.0.0.0/10"]
        );
        let attached = [net("10.1.2.0/24"), net("10.9.0.0/16"), net("10.9.8.0/24")];
        let left = without(net("10.0.0.0/8"), &attached);
        let covers =
            |text: &str| left.iter().filter(|piece| piece.contains(&text.parse::<IpAddr>().unwrap())).count();
        for (address, expected) in [
            ("10.1.2.3", 0),
            ("10.1.3.3", 1),
            ("10.0.0.0", 1),
            ("10.9.8.7", 0),
            ("10.9.255.255", 0),
            ("10.10.0.0", 1),
        ] {
            assert_eq!(covers(address), expected, "{address}");
        }
    }
}
