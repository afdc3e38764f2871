//! How values read for people.

use std::fmt::Display;

use endpoint_selection::PortMappingProtocol;
use endpoint_selection::nat::{Allocation, Filtering, Lifetime, Mapping, NatProfile, UdpReach};
use engine::RelayTransport;
use ipnet::IpNet;
use protocol::api::{PathKind, is_default};

use crate::control::answer::{
    ExitNodeAnswer, NamesAnswer, OwnRelayAnswer, OwnRouteAnswer, PathAnswer, PortMappingAnswer, RelayAnswer,
    RouteAnswer,
};

/// How long an idle mapping lives; `None` where nothing is known.
fn lifetime(lifetime: Lifetime) -> Option<String> {
    let seconds = |ms: u32| ms / 1_000;
    match (lifetime.longer_than_ms, lifetime.shorter_than_ms) {
        (Some(longer), Some(shorter)) => {
            Some(format!("idle mappings live {} to {} s", seconds(longer), seconds(shorter)))
        }
        (Some(longer), None) => Some(format!("idle mappings live over {} s", seconds(longer))),
        (None, Some(shorter)) => Some(format!("idle mappings live under {} s", seconds(shorter))),
        (None, None) => None,
    }
}

/// A round-trip time; a dash where none was measured.
pub(super) fn rtt(rtt_us: Option<impl Into<u64>>) -> String {
    let Some(rtt_us) = rtt_us.map(Into::into) else { return "-".to_owned() };
    let (whole, rest) = (rtt_us / 1000, rtt_us % 1000);
    if whole < 10 { format!("{whole}.{:02} ms", rest / 10) } else { format!("{whole}.{} ms", rest / 100) }
}

/// A count of bytes in binary units.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = u128::from(count) * 10;
    let mut unit = "B";
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    if unit == "B" { format!("{count} B") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

/// An age, in its largest unit.
pub(super) fn age(age_ms: u64) -> String {
    let seconds = age_ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The port that the router opened, or why there is none.
pub(super) fn port_mapping(answer: &PortMappingAnswer) -> String {
    let why = answer.why.as_deref();
    let (Some(external), Some(protocol)) = (answer.external, answer.protocol) else {
        return format!("none: {}", why.unwrap_or("the router was not asked yet"));
    };
    let protocol = match protocol {
        PortMappingProtocol::Pcp => "PCP",
        PortMappingProtocol::NatPmp => "NAT-PMP",
        PortMappingProtocol::UpnpIgd => "UPnP-IGD",
    };
    let left = answer.expires_s.map(|left| format!(", for {}", age(left * 1000))).unwrap_or_default();
    let doubt = why.map(|why| format!("; {why}")).unwrap_or_default();
    format!("{external} by {protocol}{left}{doubt}")
}

/// A path, with what matters of it.
pub(super) fn path(path: &PathAnswer) -> String {
    let remote = path.remote.map(|remote| remote.to_string()).unwrap_or_default();
    match path.kind {
        PathKind::Direct => format!("direct {remote}"),
        PathKind::Relay => {
            let over = transport(path.relay_transport.unwrap_or_default());
            format!("relay {}{over}", path.relay.as_deref().unwrap_or(&remote))
        }
        PathKind::Idle => "idle".to_owned(),
        PathKind::None => "none".to_owned(),
    }
}

/// What a relay is.
pub(super) const fn relay(relay: &RelayAnswer) -> &'static str {
    if relay.is_peer_relay { "peer relay" } else { "relay" }
}

/// The relay that this node may run for its network.
pub(super) fn own_relay(relay: &OwnRelayAnswer) -> String {
    match (&relay.why, relay.port) {
        (Some(why), _) => format!("not offered: {why}"),
        (None, None) => "starts".to_owned(),
        (None, Some(_)) => {
            let nodes =
                if relay.sessions == 1 { "1 node".to_owned() } else { format!("{} nodes", relay.sessions) };
            format!("for this network at {}, {nodes} there", list(&relay.addresses))
        }
    }
}

/// The node's place in the DNS, and how its names and those of the peers are found.
pub(super) fn names(names: &NamesAnswer) -> String {
    let NamesAnswer { name, zone, resolvers, is_system, why } = names;
    match (why, resolvers.first()) {
        (Some(why), None) => format!("{name}, not answered here: {why}"),
        (Some(why), Some(resolver)) => format!("{name}, resolver at {resolver}; {why}"),
        (None, None) => format!("{name}, not answered yet"),
        (None, Some(_)) if *is_system => format!("{name}; systemd-resolved finds names in {zone}"),
        (None, Some(resolver)) => {
            format!(
                "{name}; have your system ask the resolver at {resolver} for {zone}, or `dig @{} -p {} {name}`",
                resolver.ip(),
                resolver.port()
            )
        }
    }
}

/// The node that traffic to the internet goes through.
pub(super) fn exit_node(exit_node: &ExitNodeAnswer) -> String {
    let ExitNodeAnswer { name, routes, blocked, leaking, .. } = exit_node;
    let has = |is_ipv6: bool| routes.iter().any(|route| route.addr().is_ipv6() == is_ipv6);
    let name = name.as_deref().unwrap_or("unknown");
    let state = match (blocked, has(false), has(true)) {
        (Some(why), _, _) => why.clone(),
        (None, true, true) => format!("{name}, for IPv4 and IPv6"),
        (None, true, false) => format!("{name}, for IPv4; IPv6 does not leave"),
        (None, false, _) => format!("{name}, for IPv6; IPv4 does not leave"),
    };
    leaking.as_ref().map_or_else(|| state.clone(), |why| format!("{state}; {why}"))
}

const fn family(prefix: &IpNet) -> &'static str {
    match prefix {
        IpNet::V4(_) => "IPv4",
        IpNet::V6(_) => "IPv6",
    }
}

/// A network behind this node.
pub(super) fn own_route(route: &OwnRouteAnswer, node: &str) -> String {
    let prefix = route.prefix;
    let is_exit = is_default(&prefix);
    let what = if is_exit { format!("the internet, {}", family(&prefix)) } else { prefix.to_string() };
    match (&route.why, route.approved) {
        (None, false) if is_exit => {
            format!("{what}, waits for an administrator (`admin node set {node} --approve-exit-node`)")
        }
        (Some(why), _) => format!("{what}, not routed: {why}"),
        (None, true) => format!("{what}, approved"),
        (None, false) => {
            format!("{prefix}, waits for an administrator (`admin node set {node} --approve-route {prefix}`)")
        }
    }
}

/// A network behind other nodes.
pub(super) fn route(route: &RouteAnswer) -> String {
    let prefix = route.prefix;
    match (&route.why, &route.through) {
        (Some(why), _) => format!("{prefix}, not used: {why}"),
        (None, None) => format!("{prefix}, no router is reachable"),
        (None, Some(through)) => {
            match route.routers.iter().filter(|name| *name != through).collect::<Vec<_>>() {
                others if others.is_empty() => format!("{prefix} through {through}"),
                others => format!("{prefix} through {through}, else {}", list(&others)),
            }
        }
    }
}

/// How a relay is reached, where that is worth a word.
pub(super) const fn transport(transport: RelayTransport) -> &'static str {
    match transport {
        RelayTransport::Udp => "",
        RelayTransport::WebSocket => " over WebSocket",
    }
}

/// The kind of a path alone.
pub(super) const fn path_kind(kind: PathKind) -> &'static str {
    match kind {
        PathKind::Direct => "direct",
        PathKind::Relay => "relay",
        PathKind::Idle => "idle",
        PathKind::None => "none",
    }
}

/// A NAT's mapping behaviour.
const fn mapping(mapping: Option<Mapping>) -> &'static str {
    match mapping {
        None => "not measured",
        Some(Mapping::None) => "no NAT",
        Some(Mapping::EndpointIndependent) => "endpoint-independent mapping",
        Some(Mapping::AddressDependent) => "address-dependent mapping",
        Some(Mapping::AddressAndPortDependent) => "address-and-port-dependent mapping",
        Some(Mapping::Dependent) => "mapping depends on the destination",
    }
}

/// What is known about a NAT, the mapping first.
pub(super) fn nat(nat: &NatProfile) -> String {
    let mut facts = vec![mapping(nat.mapping).to_owned()];
    facts.extend(nat.allocation.map(|allocation| match allocation {
        Allocation::Preserving => "ports kept".to_owned(),
        Allocation::Sequential { step } => format!("ports in steps of {step}"),
        Allocation::PortBlock { first, last } => format!("ports {first} to {last}"),
        Allocation::Random => "random ports".to_owned(),
    }));
    facts.extend(nat.filtering.map(|filtering| {
        match filtering {
            Filtering::EndpointIndependent => "endpoint-independent filtering",
            Filtering::AddressDependent => "address-dependent filtering",
            Filtering::AddressAndPortDependent => "address-and-port-dependent filtering",
        }
        .to_owned()
    }));
    facts.extend(nat.lifetime.and_then(lifetime));
    facts.extend(nat.hairpin.map(|works| if works { "hairpins" } else { "does not hairpin" }.to_owned()));
    facts.extend(nat.inner_address.map(|inner| format!("a second NAT further out, {inner} between them")));
    if nat.udp == Some(UdpReach::Blocked) {
        facts.push("UDP blocked".to_owned());
    }
    if nat.is_contradicted == Some(true) {
        facts.push("peers see other ports than STUN servers".to_owned());
    }
    facts.join(", ")
}

/// Values with commas between them; a dash where there are none.
pub(super) fn list<T: Display>(values: &[T]) -> String {
    if values.is_empty() {
        return "-".to_owned();
    }
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relayed_path_says_so_where_the_relay_is_reached_over_web_socket() {
        let relayed = |transport| PathAnswer {
            kind: PathKind::Relay,
            local: None,
            remote: None,
            candidate_kind: None,
            relay: Some("main".into()),
            relay_transport: transport,
            rtt_us: None,
            tunnel_mtu: None,
            since_ms: 0,
        };
        assert_eq!(path(&relayed(Some(RelayTransport::WebSocket))), "relay main over WebSocket");
        assert_eq!(path(&relayed(Some(RelayTransport::Udp))), "relay main");
        assert_eq!(path(&relayed(None)), "relay main", "a daemon that is older than this command");
    }

    #[test]
    fn a_route_names_the_router_in_use_and_those_that_could_take_over() {
        let of = |through: Option<&str>, why: Option<&str>| {
            route(&RouteAnswer {
                prefix: "192.168.5.0/24".parse().unwrap(),
                through: through.map(Into::into),
                routers: vec!["a".into(), "b".into()],
                why: why.map(Into::into),
            })
        };
        assert_eq!(of(Some("b"), None), "192.168.5.0/24 through b, else a");
        assert_eq!(of(None, Some("no")), "192.168.5.0/24, not used: no");
    }

    #[test]
    fn an_exit_node_is_told_with_what_goes_through_it_and_what_does_not() {
        let of = |routes: &[&str], blocked: Option<&str>, leaking: Option<&str>| {
            exit_node(&ExitNodeAnswer {
                name: Some("vps".into()),
                routes: routes.iter().map(|text| text.parse().unwrap()).collect(),
                blocked: blocked.map(Into::into),
                leaking: leaking.map(Into::into),
                past_it: Vec::new(),
            })
        };
        assert_eq!(of(&["0.0.0.0/0", "::/0"], None, None), "vps, for IPv4 and IPv6");
        assert_eq!(of(&["0.0.0.0/0"], None, None), "vps, for IPv4; IPv6 does not leave");
        assert_eq!(of(&[], Some("vps is not reached"), Some("no nft")), "vps is not reached; no nft");
    }

    #[test]
    fn who_wants_to_be_an_exit_node_reads_what_that_waits_for() {
        let of = |approved, why: Option<&str>| {
            let prefix = "0.0.0.0/0".parse().unwrap();
            own_route(&OwnRouteAnswer { prefix, approved, why: why.map(Into::into) }, "vps")
        };
        assert_eq!(of(true, None), "the internet, IPv4, approved");
        assert!(of(false, None).contains("admin node set vps --approve-exit-node"));
        assert_eq!(of(true, Some("no nft")), "the internet, IPv4, not routed: no nft");
    }

    #[test]
    fn names_say_who_finds_them_or_how_to_ask() {
        let of = |resolvers: &[&str], is_system, why: Option<&str>| {
            names(&NamesAnswer {
                name: "nas.office.warren.internal".into(),
                zone: "office.warren.internal".into(),
                resolvers: resolvers.iter().map(|text| text.parse().unwrap()).collect(),
                is_system,
                why: why.map(Into::into),
            })
        };
        assert!(
            of(&["100.92.0.7:15353"], true, None)
                .ends_with("systemd-resolved finds names in office.warren.internal")
        );
        assert!(
            of(&["100.92.0.7:15353"], false, None)
                .contains("ask the resolver at 100.92.0.7:15353 for office.warren.internal")
        );
        assert!(of(&[], false, Some("port 53 is taken")).ends_with("not answered here: port 53 is taken"));
    }

    #[test]
    fn numbers_read_well() {
        let rtts = [(0_u32, "0.00 ms"), (1_234, "1.23 ms"), (12_345, "12.3 ms"), (1_234_567, "1234.5 ms")];
        for (value, text) in rtts {
            assert_eq!(rtt(Some(value)), text);
        }
        assert_eq!(rtt(None::<u32>), "-");
        for (count, text) in [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB")] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(bytes(u64::MAX), "16383.9 PiB");
        for (value, text) in [(999, "0 s"), (61_000, "1 min"), (7_200_000, "2 h"), (172_800_000, "2 d")] {
            assert_eq!(age(value), text);
        }
    }
}
