//! Two nodes finding a path to each other: what must come out by RFC 4787's terms, and how long it took.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::behaviour::{Allocation, Behaviour, Claim, Filtering, Mapping, Udp};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::node::Node;
use crate::ping::first_reply;
use crate::status::Path;

/// How long anything may take before a scenario gives up; limits of figures are far below.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// How long a relayed path is watched, so that a late claim of a direct one is seen.
const WATCH: Duration = Duration::from_secs(2);

/// The path that two nodes must end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Direct, between addresses of the LAN they share.
    Lan,
    /// Direct.
    Direct,
    /// Through the relay; later perhaps directly, by what is tried beyond plain opening.
    RelayFirst,
    /// Through the relay for good.
    Relay,
}

impl Expected {
    /// Where a side's UDP gets no further than a relay, so does the pair: the other side's port is one of its own choice, and
    /// neither 53 nor 443. Where both have IPv6, which nobody translates, plain opening works whatever filters it. Else
    /// IPv4 decides, which a host without it reaches through NAT64.
    pub(crate) fn between(one: Claim, other: Claim) -> Self {
        let (Some(one_ipv4), Some(other_ipv4)) = (one.ipv4, other.ipv4) else { return Self::Relay };
        if one.udp != Udp::Anywhere || other.udp != Udp::Anywhere {
            Self::Relay
        } else if one.ipv6.is_some() && other.ipv6.is_some() {
            Self::Direct
        } else {
            Self::over_ipv4(one_ipv4, other_ipv4)
        }
    }

    /// Plain opening works unless the port of one side cannot be known to the other, and the other filters by port or
    /// has the same trouble (measured for every pair of classes in this lab's own kind of NATs). Where only one side has
    /// it, the port can be searched for, and where both count their ports up, each can predict the other's.
    fn over_ipv4(one: Behaviour, other: Behaviour) -> Self {
        let unknowable = |side: Behaviour| side.mapping >= Mapping::AddressDependent;
        let by_port = |side: Behaviour| side.filtering == Filtering::AddressAndPortDependent;
        let is_counted = |side: Behaviour| side.allocation == Allocation::Sequential;
        let closed = |side, far| unknowable(side) && (unknowable(far) || by_port(far));
        let hopeless = unknowable(one) && unknowable(other) && !(is_counted(one) && is_counted(other));
        match (closed(one, other) || closed(other, one), hopeless) {
            (false, _) => Self::Direct,
            (true, false) => Self::RelayFirst,
            (true, true) => Self::Relay,
        }
    }

    /// The kind that `warren status` must show.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Lan | Self::Direct => "direct",
            Self::RelayFirst | Self::Relay => "relay",
        }
    }

    /// What is wrong with a path, if anything.
    pub(crate) fn complaint(self, path: &Path) -> Option<String> {
        if path.kind != self.kind() && !(self == Self::RelayFirst && path.kind == "direct") {
            return Some(format!("the path is `{}`, not `{}`", path.kind, self.kind()));
        }
        let private = |endpoint: &Option<String>| {
            let address = endpoint.as_deref().and_then(|text| text.parse::<SocketAddr>().ok());
            matches!(address.map(|address| address.ip()), Some(IpAddr::V4(address)) if address.is_private())
        };
        match self {
            Self::Lan if !private(&path.remote) => {
                Some(format!("the path's remote endpoint {:?} is not on the LAN", path.remote))
            }
            Self::Lan | Self::Direct | Self::RelayFirst | Self::Relay => None,
        }
    }
}

/// How two nodes met.
#[derive(Debug)]
pub(crate) struct Opened {
    /// From `since` to the first answered ICMP echo.
    pub(crate) first_ping: Duration,
    /// From `since` until both ends show the expected path.
    pub(crate) settled: Duration,
}

/// Watches two running nodes until they ping and both show the expected path.
pub(crate) fn watch(
    one: &Node,
    other: &Node,
    since: Instant,
    expected: Expected,
) -> Result<Opened, LabError> {
    let far = other.mesh_address(false)?;
    let (first_ping, settled) = std::thread::scope(|scope| {
        let settled = scope.spawn(|| both_show(one, other, since, expected));
        let first_ping = first_reply(&one.namespace, far, since, PATIENCE);
        let panicked = |_| Err(LabError::Unmet("the watch over two paths panicked".to_owned()));
        (first_ping, settled.join().unwrap_or_else(panicked))
    });
    let opened = Opened { first_ping: first_ping?, settled: settled? };
    if expected == Expected::Relay {
        std::thread::sleep(WATCH);
    }
    for (node, peer) in [(one, other), (other, one)] {
        if let Some(complaint) = expected.complaint(&node.status()?.path_to(&peer.name)) {
            return Err(LabError::Unmet(format!("{} to {}: {complaint} any more", node.name, peer.name)));
        }
    }
    Ok(opened)
}

fn both_show(one: &Node, other: &Node, since: Instant, expected: Expected) -> Result<Duration, LabError> {
    let what = format!("{} and {} showing the expected path", one.name, other.name);
    let (at, _) = wait_for(&what, PATIENCE, || {
        for (node, peer) in [(one, other), (other, one)] {
            if let Some(complaint) = expected.complaint(&node.status()?.path_to(&peer.name)) {
                return Err(LabError::Unmet(format!("{} to {}: {complaint}", node.name, peer.name)));
            }
        }
        Ok(Some(since.elapsed()))
    })?;
    Ok(at)
}

/// Pings both ways, IPv4 and IPv6, each until the first reply.
pub(crate) fn ping_all_ways(one: &Node, other: &Node, limit: Duration) -> Result<(), LabError> {
    for ipv6 in [false, true] {
        for (from, to) in [(one, other), (other, one)] {
            first_reply(&from.namespace, to.mesh_address(ipv6)?, Instant::now(), limit)?;
        }
    }
    Ok(())
}

/// A duration as milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::Expected;
    use crate::recipe::recipe;
    use crate::status::Path;

    fn between(one: &str, other: &str) -> Expected {
        Expected::between(recipe(one).unwrap().claim, recipe(other).unwrap().claim)
    }

    #[test]
    fn ipv6_opens_where_ipv4_does_not_and_a_network_without_udp_never_does() {
        assert_eq!(between("ipv6-firewall", "ipv6-firewall"), Expected::Direct);
        assert_eq!(between("ipv6-firewall", "nat64"), Expected::Direct);
        assert_eq!(between("ipv6-firewall", "symmetric"), Expected::Relay);
        assert_eq!(between("nat64", "port-restricted"), Expected::Direct);
        assert_eq!(between("nat64", "symmetric"), Expected::RelayFirst);
        assert_eq!(between("address-dependent", "address-restricted"), Expected::Direct);
        assert_eq!(between("address-dependent", "address-dependent"), Expected::Relay);
        for limited in ["udp-blocked", "udp-53-443"] {
            assert_eq!(between(limited, "public"), Expected::Relay);
            assert_eq!(between("ipv6-firewall", limited), Expected::Relay);
        }
    }

    #[test]
    fn only_a_symmetric_side_against_port_filtering_or_another_one_needs_the_relay() {
        let names = ["public", "full-cone", "address-restricted", "port-restricted", "symmetric"];
        let pairs: Vec<_> = names
            .iter()
            .enumerate()
            .flat_map(|(index, one)| names[index..].iter().map(move |other| (*one, *other)))
            .filter(|(one, other)| between(one, other) != Expected::Direct)
            .collect();
        assert_eq!(pairs, [("port-restricted", "symmetric"), ("symmetric", "symmetric")]);
        assert_eq!(between("port-restricted", "symmetric"), Expected::RelayFirst);
        assert_eq!(between("symmetric", "firewall"), Expected::RelayFirst);
        assert_eq!(between("symmetric", "symmetric"), Expected::Relay);
        assert_eq!(between("symmetric-seq", "symmetric-seq"), Expected::RelayFirst);
        assert_eq!(between("symmetric-seq", "symmetric"), Expected::Relay);
    }

    #[test]
    fn a_lan_path_over_an_outside_address_is_complained_about() {
        let path = |remote: &str| Path {
            kind: "direct".to_owned(),
            remote: Some(remote.to_owned()),
            ..Path::default()
        };
        assert_eq!(Expected::Lan.complaint(&path("192.168.1.11:4000")), None);
        assert!(Expected::Lan.complaint(&path("203.0.113.10:4000")).unwrap().contains("not on the LAN"));
        assert!(Expected::Relay.complaint(&path("203.0.113.10:4000")).unwrap().contains("not `relay`"));
        assert_eq!(Expected::RelayFirst.complaint(&path("203.0.113.10:4000")), None);
        assert!(Expected::RelayFirst.complaint(&Path::default()).is_some());
    }
}
