//! Evidence as real networks give it, and what follows from it.

use super::*;
use crate::nat::{Allocation, Heard, IdleOutcome, PeerView};
use crate::time::Timestamp;

const LOCAL_PORT: u16 = 40_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

/// What servers saw of the main socket.
fn evidence(answers: &[(&str, &str)]) -> Evidence {
    let mut evidence = Evidence { local: vec!["192.168.1.5".parse().unwrap()], ..Evidence::default() };
    for (server, reflexive) in answers {
        add(&mut evidence, 0, LOCAL_PORT, server, reflexive);
    }
    evidence
}

fn add(evidence: &mut Evidence, socket: u16, local_port: u16, server: &str, reflexive: &str) {
    evidence.add_binding(Binding {
        socket: SocketId(socket),
        local_port,
        server: server.parse().unwrap(),
        reflexive: reflexive.parse().unwrap(),
        at: at(u64::from(socket)),
    });
}

fn profile(evidence: &Evidence) -> NatProfile {
    classify(evidence).unwrap()
}

const TWO_SERVERS_AGREE: [(&str, &str); 2] =
    [("198.51.100.1:3478", "203.0.113.9:5"), ("198.51.100.2:3478", "203.0.113.9:5")];

#[test]
fn nothing_seen_is_nothing_known() {
    assert_eq!(profile(&Evidence::default()), NatProfile::default());
}

#[test]
fn two_ports_of_one_server_cannot_prove_endpoint_independence() {
    let same = [("198.51.100.1:3478", "203.0.113.9:5"), ("198.51.100.1:3479", "203.0.113.9:5")];
    assert_eq!(profile(&evidence(&same)).mapping, None);
}

#[test]
fn the_mapping_follows_from_what_differs() {
    let first = ("198.51.100.1:3478", "203.0.113.9:5");
    let same_address = |seen| ("198.51.100.1:3479", seen);
    let other_address = |seen| ("198.51.100.2:3478", seen);
    let (same, differs) = ("203.0.113.9:5", "203.0.113.9:6");
    for (answers, expected) in [
        (vec![first, other_address(same)], Mapping::EndpointIndependent),
        (vec![first, other_address(differs)], Mapping::Dependent),
        (vec![first, same_address(same), other_address(differs)], Mapping::AddressDependent),
        (vec![first, same_address(differs)], Mapping::AddressAndPortDependent),
    ] {
        assert_eq!(profile(&evidence(&answers)).mapping, Some(expected), "{answers:?}");
    }
}

#[test]
fn seeing_our_own_address_means_no_nat_and_so_no_allocation_or_hairpin() {
    let mut public = Evidence { local: vec!["203.0.113.9".parse().unwrap()], ..Evidence::default() };
    add(&mut public, 0, LOCAL_PORT, "198.51.100.1:3478", "203.0.113.9:40000");
    public.hairpin = Some((false, at(1)));
    let profile = profile(&public);
    assert_eq!(profile.mapping, Some(Mapping::None));
    assert_eq!((profile.allocation, profile.hairpin), (None, None));
}

#[test]
fn a_server_inside_the_carrier_network_shows_a_layer_and_no_dependence() {
    let mut layered = evidence(&TWO_SERVERS_AGREE);
    add(&mut layered, 0, LOCAL_PORT, "100.64.0.2:3478", "100.64.7.7:40000");
    let profile = profile(&layered);
    assert_eq!(profile.mapping, Some(Mapping::EndpointIndependent));
    assert_eq!(profile.inner_address, Some("100.64.7.7".parse().unwrap()));
}

#[test]
fn a_router_whose_own_outside_address_is_not_global_stands_behind_another_nat() {
    let mut layered = evidence(&TWO_SERVERS_AGREE);
    layered.router_address = Some(("100.64.7.7".parse().unwrap(), at(1)));
    assert_eq!(profile(&layered).inner_address, Some("100.64.7.7".parse().unwrap()));
}

#[test]
fn several_sockets_show_how_ports_are_chosen() {
    let mut sequential = Evidence::default();
    for socket in 0..4 {
        for (index, server) in ["198.51.100.1:3478", "198.51.100.1:3479"].iter().enumerate() {
            let port = 7_000 + usize::from(socket) * 2 + index;
            add(&mut sequential, socket, LOCAL_PORT + socket, server, &format!("203.0.113.9:{port}"));
        }
    }
    let profile = profile(&sequential);
    assert_eq!(profile.mapping, Some(Mapping::AddressAndPortDependent));
    assert_eq!(profile.allocation, Some(Allocation::Sequential { step: 1 }));
}

#[test]
fn blocked_means_that_several_servers_are_silent_and_none_speaks() {
    let mut silent = Evidence::default();
    silent.add_unanswered("198.51.100.1:3478".parse().unwrap());
    silent.add_unanswered("198.51.100.1:3479".parse().unwrap());
    assert_eq!(profile(&silent).udp, None, "one machine may be down");
    silent.add_unanswered("198.51.100.2:3478".parse().unwrap());
    assert_eq!(profile(&silent).udp, Some(UdpReach::Blocked));
    add(&mut silent, 0, LOCAL_PORT, "198.51.100.2:3478", "203.0.113.9:5");
    assert_eq!(profile(&silent).udp, Some(UdpReach::Open));
}

#[test]
fn a_peer_that_sees_another_port_contradicts_the_servers() {
    let view = |observed: &str| PeerView {
        socket: SocketId::MAIN,
        remote: "192.0.2.1:9".parse().unwrap(),
        observed: observed.parse().unwrap(),
        at: at(1),
    };
    for (observed, contradicted) in [
        ("203.0.113.9:5", Some(false)),
        ("203.0.113.9:6", Some(true)),
        // From behind the same NAT.
        ("192.168.1.5:40000", None),
    ] {
        let mut evidence = evidence(&TWO_SERVERS_AGREE);
        evidence.add_peer_view(view(observed));
        let profile = profile(&evidence);
        assert_eq!(profile.is_contradicted, contradicted, "{observed}");
        assert_eq!(profile.is_address_known(), Some(contradicted != Some(true)));
    }
}

#[test]
fn what_comes_in_unasked_shows_how_lax_the_filter_is() {
    let heard = |known| Heard { from: "192.0.2.1:9".parse().unwrap(), is_address_known: known, at: at(1) };
    for (known, filtering) in [(true, Filtering::AddressDependent), (false, Filtering::EndpointIndependent)] {
        let mut evidence = Evidence::default();
        evidence.add_heard(heard(known));
        assert_eq!(profile(&evidence).filtering, Some(filtering));
    }
}

#[test]
fn a_packet_that_did_not_come_through_the_filter_says_nothing_of_it() {
    // A neighbour, another customer of the carrier, and one that the NAT turned round.
    for from in ["192.168.1.9:9", "100.64.0.9:9", "203.0.113.9:9"] {
        let mut evidence = evidence(&TWO_SERVERS_AGREE);
        assert_eq!(evidence.bindings[0].reflexive.ip(), "203.0.113.9".parse::<IpAddr>().unwrap());
        evidence.add_heard(Heard { from: from.parse().unwrap(), is_address_known: false, at: at(1) });
        assert_eq!(profile(&evidence).filtering, None, "{from}");
    }
}

#[test]
fn pauses_bound_the_lifetime_from_both_sides() {
    let mut evidence = evidence(&TWO_SERVERS_AGREE);
    for (idle_ms, held) in [(10_000, true), (25_000, false), (15_000, true), (30_000, true)] {
        evidence.add_idle(IdleOutcome { idle_ms, held, at: at(1) });
    }
    let expected = Lifetime { longer_than_ms: Some(15_000), shorter_than_ms: Some(25_000) };
    assert_eq!(profile(&evidence).lifetime, Some(expected));
}

#[test]
fn impossible_reflexive_addresses_are_ignored_and_endless_evidence_is_refused() {
    let lies = [("198.51.100.1:3478", "224.0.0.1:5"), ("198.51.100.2:3478", "127.0.0.1:5")];
    assert_eq!(profile(&evidence(&lies)).mapping, None);
    let endless = Evidence { local: vec!["192.0.2.1".parse().unwrap(); 513], ..Evidence::default() };
    let error = classify(&endless).unwrap_err();
    assert_eq!(error.to_string(), "local: 513 entries given, at most 512 allowed");
}
