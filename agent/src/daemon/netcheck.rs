//! What the network around the node is like, put together from what the engine learnt and one HTTP request.

use std::net::IpAddr;
use std::time::Duration;

use endpoint_selection::nat::Mapping;
use engine::{LocalAddress, RelayTransport, Status, StunStatus};
use tunnel::Nat64Prefix;

use crate::control::answer::{
    HttpAnswer, Ipv6Answer, NetcheckAnswer, PathMtuAnswer, PortMappingAnswer, RelayAnswer, StunAnswer,
};
use crate::coordinator_client::{CallError, CoordinatorClient};
use crate::net;

use super::describe;

/// Measures the coordinator's answer time over an open connection; the first request only opens it.
pub(crate) async fn measure(client: &CoordinatorClient) -> Result<Duration, CallError> {
    client.rtt().await?;
    client.rtt().await
}

/// What the way to the first STUN server that answers carries; `None` where none does.
pub(crate) async fn path_mtu(stun: &[StunStatus], nat64: Option<Nat64Prefix>) -> Option<PathMtuAnswer> {
    let server = stun.iter().find(|stun| stun.reflexive.is_some())?.server;
    Some(PathMtuAnswer { server, bytes: net::path_mtu::measure(server, nat64).await })
}

/// The whole answer but for NAT64 and the path MTU.
pub(crate) fn answer(
    status: Status,
    addresses: &[LocalAddress],
    port_mapping: PortMappingAnswer,
    url: String,
    rtt: Result<Duration, CallError>,
) -> NetcheckAnswer {
    let stun: Vec<StunAnswer> = status.stun.into_iter().map(Into::into).collect();
    let relays: Vec<RelayAnswer> = status.relays.into_iter().map(Into::into).collect();
    let ipv6 = Ipv6Answer {
        address: addresses.iter().any(|local| is_global_ipv6(local.address)),
        reachable: stun.iter().any(|stun| stun.reflexive.is_some_and(|seen| seen.is_ipv6()))
            || relays.iter().any(|relay| {
                relay.registered && relay.address.is_ipv6() && relay.transport == RelayTransport::Udp
            }),
    };
    let coordinator = HttpAnswer {
        url,
        rtt_us: rtt.as_ref().ok().map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        error: rtt.err().map(|error| error.to_string()),
    };
    NetcheckAnswer {
        version: describe::version(),
        verdict: verdict(status.nat.mapping, &stun, &relays, &coordinator),
        nat: status.nat,
        candidates: status.candidates.into_iter().map(describe::own_candidate).collect(),
        port_mapping,
        stun,
        relays,
        path_mtu: None,
        ipv6,
        nat64: None,
        coordinator,
    }
}

fn is_global_ipv6(address: IpAddr) -> bool {
    match address {
        // 2000::/3 is all that is handed out as global unicast (RFC 4291 §2.4 and IANA's registry).
        IpAddr::V6(ip) => ip.segments()[0] & 0xe000 == 0x2000,
        IpAddr::V4(_) => false,
    }
}

fn verdict(
    mapping: Option<Mapping>,
    stun: &[StunAnswer],
    relays: &[RelayAnswer],
    coordinator: &HttpAnswer,
) -> String {
    let answered = stun.iter().any(|stun| stun.reflexive.is_some());
    let is_at = |transport| relays.iter().any(|relay| relay.registered && relay.transport == transport);
    let registered = is_at(RelayTransport::Udp);
    if !answered && !registered && is_at(RelayTransport::WebSocket) {
        return "limited: UDP is blocked, the relay over WebSocket works; allow outgoing UDP for direct paths"
            .to_owned();
    }
    let udp = match (answered, registered) {
        (false, false) if stun.is_empty() && relays.is_empty() => {
            return "unknown: there is no network map yet; is the coordinator reachable?".to_owned();
        }
        (false, false) => {
            return "blocked: no STUN server and no relay answers over UDP; allow outgoing UDP to them"
                .to_owned();
        }
        (_, true) => "",
        (true, false) if is_at(RelayTransport::WebSocket) => {
            "; no relay answers over UDP, one does over WebSocket"
        }
        (true, false) => "; no relay answers, so peers without a direct path are out of reach",
    };
    let nat = match mapping {
        Some(Mapping::None) => "good: no NAT, peers reach this node directly",
        Some(Mapping::EndpointIndependent) => {
            "good: the NAT keeps one outside port, direct paths work with most peers"
        }
        Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent | Mapping::Dependent) => {
            "limited: the NAT uses another outside port per destination, some peers will need a relay"
        }
        None => "usable: UDP works, the NAT's mapping was not measured",
    };
    let http = if coordinator.error.is_some() { "; the coordinator does not answer over HTTP" } else { "" };
    format!("{nat}{udp}{http}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stun(seen: Option<&str>) -> StunAnswer {
        StunAnswer {
            server: "192.0.2.1:3478".parse().unwrap(),
            reflexive: seen.map(|seen| seen.parse().unwrap()),
            rtt_us: None,
        }
    }

    fn relay(registered: bool) -> RelayAnswer {
        RelayAnswer {
            is_peer_relay: false,
            name: "main".into(),
            address: "192.0.2.1:3478".parse().unwrap(),
            transport: RelayTransport::Udp,
            registered,
            rtt_us: None,
        }
    }

    fn http(error: Option<&str>) -> HttpAnswer {
        HttpAnswer { url: String::new(), rtt_us: None, error: error.map(Into::into) }
    }

    #[test]
    fn the_verdict_begins_with_what_matters_most() {
        let seen = [stun(Some("203.0.113.1:5"))];
        let good = verdict(Some(Mapping::EndpointIndependent), &seen, &[relay(true)], &http(None));
        assert!(good.starts_with("good: the NAT keeps one outside port") && !good.contains(';'), "{good}");
        let limited = verdict(Some(Mapping::Dependent), &seen, &[relay(false)], &http(Some("x")));
        assert!(limited.starts_with("limited") && limited.contains("no relay") && limited.contains("HTTP"));
        assert!(verdict(None, &[stun(None)], &[relay(false)], &http(None)).starts_with("blocked"));
        assert!(verdict(None, &[], &[], &http(None)).starts_with("unknown"));
        let over = [RelayAnswer { transport: RelayTransport::WebSocket, ..relay(true) }];
        let blocked = verdict(None, &[stun(None)], &over, &http(None));
        assert!(blocked.contains("UDP is blocked, the relay over WebSocket works"), "{blocked}");
        let partly = verdict(Some(Mapping::None), &seen, &over, &http(None));
        assert!(partly.starts_with("good") && partly.contains("one does over WebSocket"), "{partly}");
    }

    #[test]
    fn only_handed_out_addresses_are_global_ipv6() {
        for (address, global) in
            [("2001:db8::1", true), ("fd00::1", false), ("fe80::1", false), ("1.2.3.4", false)]
        {
            assert_eq!(is_global_ipv6(address.parse().unwrap()), global, "{address}");
        }
    }
}
