//! Which router is in front of this machine over IPv4, and which of our addresses it sees.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use engine::LocalAddress;

use crate::net;

/// The kernel's IPv4 routes, of the main table.
const ROUTES: &str = "/proc/net/route";

/// Flags of a route that is up and leads over a gateway (`RTF_UP`, `RTF_GATEWAY` of route(7)).
const UP_OVER_GATEWAY: u32 = 0x3;

/// A router, and the own address that it is asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The default gateway.
    pub(crate) router: Ipv4Addr,
    /// The machine's address towards it.
    pub(crate) local: Ipv4Addr,
}

impl Place {
    /// Where the machine is now: the router that its packets to the internet pass, unless that lies beyond an interface whose
    /// addresses are not among `offered`. A second router would be no use: answers to what comes in there leave by the first.
    ///
    /// # Errors
    /// Why there is none, as a sentence's end.
    pub(super) fn find(offered: &[LocalAddress]) -> Result<Self, &'static str> {
        let routes = std::fs::read_to_string(ROUTES).unwrap_or_default();
        let router = default_gateway(&routes).ok_or("there is no IPv4 router")?;
        let local = net::local_address_towards(SocketAddr::from((router, 9)));
        match local.filter(|local| offered.iter().any(|own| own.address == *local)) {
            Some(IpAddr::V4(local)) => Ok(Self { router, local }),
            Some(IpAddr::V6(_)) | None => {
                Err("the router is not on an interface whose addresses are offered")
            }
        }
    }
}

/// The gateway of the default route with the smallest metric.
fn default_gateway(routes: &str) -> Option<Ipv4Addr> {
    routes
        .lines()
        .skip(1)
        .filter_map(default_route)
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, gateway)| gateway)
}

/// Metric and gateway of a line, where it is a default route. Columns: interface, destination, gateway, flags, two counters,
/// metric, mask; addresses are hexadecimal numbers in the machine's byte order.
fn default_route(line: &str) -> Option<(u32, Ipv4Addr)> {
    let mut columns = line.split_whitespace();
    let mut next = || columns.next();
    let (_interface, destination, gateway, flags) = (next()?, next()?, next()?, next()?);
    let (_references, _uses, metric, mask) = (next()?, next()?, next()?, next()?);
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let is_default = hex(destination)? == 0 && hex(mask)? == 0;
    let is_usable = hex(flags)? & UP_OVER_GATEWAY == UP_OVER_GATEWAY;
    let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
    (is_default && is_usable && !gateway.is_unspecified()).then_some((metric.parse().ok()?, gateway))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn line(destination: &str, gateway: [u8; 4], flags: u32, metric: u32, mask: &str) -> String {
        let gateway = u32::from_ne_bytes(gateway);
        format!("eth0\t{destination}\t{gateway:08X}\t{flags:04X}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
    }

    #[test]
    fn the_default_route_with_the_smallest_metric_is_taken() {
        let wifi = line("00000000", [192, 168, 7, 1], 3, 600, "00000000");
        let cable = line("00000000", [10, 0, 0, 1], 3, 100, "00000000");
        let gateway = default_gateway(&format!("{HEAD}{wifi}{cable}"));
        assert_eq!(gateway, Some(Ipv4Addr::new(10, 0, 0, 1)));
    }

    #[test]
    fn routes_to_a_network_without_a_gateway_or_down_are_passed_over() {
        let network = line("0000000A", [10, 0, 0, 1], 3, 0, "000000FF");
        let half = line("00000000", [10, 0, 0, 1], 3, 0, "00000080");
        let device = line("00000000", [0, 0, 0, 0], 1, 0, "00000000");
        let down = line("00000000", [10, 0, 0, 1], 2, 0, "00000000");
        assert_eq!(default_gateway(&format!("{HEAD}{network}{half}{device}{down}")), None);
        assert_eq!(default_gateway(""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "([0-9A-Fa-fx\\t \\n-]|\\PC){0,300}") {
            let _ = default_gateway(&text);
        }
    }
}
