//! What is expected of a candidate: each cause on both sides of its condition, and what is too little to say.

use super::*;
use crate::nat::{Allocation, Filtering};
use crate::traversal::examples::{
    behind, blocked, candidate, dependent, host, independent, public, reflexive, unknown,
};

const RANDOM: Option<Allocation> = Some(Allocation::Random);

/// What `own` expects of the peer's address over the internet.
fn of_outside(own: &Side, peer: &Side) -> Prospect {
    prospect_of(own, peer, peer.candidates.last().unwrap())
}

#[test]
fn two_known_addresses_open() {
    let nat = independent(None);
    assert_eq!(of_outside(&behind(nat, 1), &behind(nat, 2)), Prospect::Opens);
    assert_eq!(of_outside(&public(1), &behind(nat, 2)), Prospect::Opens);
    assert_eq!(of_outside(&behind(nat, 1), &public(2)), Prospect::Opens);
}

#[test]
fn a_changing_port_opens_for_the_peer_where_the_own_filter_lets_other_ports_in() {
    let peer = behind(dependent(RANDOM), 2);
    for lax in [Filtering::EndpointIndependent, Filtering::AddressDependent] {
        assert_eq!(of_outside(&behind(independent(Some(lax)), 1), &peer), Prospect::OpensForPeer, "{lax:?}");
    }
    for strict in [None, Some(Filtering::AddressAndPortDependent)] {
        assert_eq!(
            of_outside(&behind(independent(strict), 1), &peer),
            unlikely(Cause::PeerPortPerDestination),
            "{strict:?}"
        );
    }
}

#[test]
fn from_a_changing_port_only_a_lax_filter_is_passed() {
    let own = behind(dependent(RANDOM), 1);
    let lax = behind(independent(Some(Filtering::AddressDependent)), 2);
    assert_eq!(of_outside(&own, &lax), Prospect::Opens);
    assert_eq!(of_outside(&own, &behind(independent(None), 2)), unlikely(Cause::OwnPortPerDestination));
}

#[test]
fn two_changing_ports_do_not_meet_even_through_a_lax_filter() {
    let own = behind(
        crate::nat::NatProfile { filtering: Some(Filtering::EndpointIndependent), ..dependent(RANDOM) },
        1,
    );
    assert_eq!(of_outside(&own, &behind(dependent(RANDOM), 2)), unlikely(Cause::PeerPortPerDestination));
}

#[test]
fn a_nat_that_shows_stun_servers_another_port_is_named_as_such() {
    let lying = crate::nat::NatProfile { is_contradicted: Some(true), ..independent(None) };
    let own = behind(independent(None), 1);
    assert_eq!(of_outside(&own, &behind(lying, 2)), unlikely(Cause::PeerStunContradicted));
    let honest = crate::nat::NatProfile { is_contradicted: Some(false), ..lying };
    assert_eq!(of_outside(&own, &behind(honest, 2)), Prospect::Opens);
}

#[test]
fn what_was_not_measured_is_unknown_on_either_side() {
    let known = behind(independent(None), 1);
    assert_eq!(of_outside(&known, &behind(unknown(), 2)), Prospect::Unknown);
    assert_eq!(of_outside(&behind(unknown(), 2), &known), Prospect::Unknown);
}

#[test]
fn blocked_udp_is_told_by_whose_it_is_in_both_families() {
    let (open, shut) = (behind(independent(None), 1), behind(blocked(), 2));
    assert_eq!(of_outside(&shut, &open), unlikely(Cause::OwnUdpBlocked));
    assert_eq!(of_outside(&open, &shut), unlikely(Cause::PeerUdpBlocked));
    let with_ipv6 = |mut side: Side| {
        side.candidates.push(host("[2001:db8::1]:41641"));
        side
    };
    let (open, shut) = (with_ipv6(open), with_ipv6(shut));
    assert_eq!(of_outside(&shut, &open), unlikely(Cause::OwnUdpBlocked));
    assert_eq!(of_outside(&open, &shut), unlikely(Cause::PeerUdpBlocked));
}

#[test]
fn one_network_is_one_prefix_together_with_one_outside_address() {
    let nat = independent(None);
    let lan = host("192.168.1.30:41641");
    let peer =
        |last| Side { candidates: vec![lan.clone(), reflexive(&format!("203.0.113.{last}:50001"))], nat };
    assert_eq!(prospect_of(&behind(nat, 1), &peer(1), &lan), Prospect::Opens);
    assert_eq!(prospect_of(&behind(nat, 1), &peer(2), &lan), unlikely(Cause::OtherNetwork), "another house");
}

#[test]
fn another_network_behind_one_outside_address_may_be_routed() {
    let nat = independent(None);
    let lan = host("192.168.7.30:41641");
    let peer = Side { candidates: vec![lan.clone(), reflexive("203.0.113.1:50001")], nat };
    assert_eq!(prospect_of(&behind(nat, 1), &peer, &lan), Prospect::Unknown);
}

#[test]
fn without_an_outside_address_one_ipv4_prefix_says_nothing() {
    let side = |address| Side { candidates: vec![host(address)], nat: unknown() };
    let own = side("10.1.1.5:41641");
    for address in ["10.1.1.9:41641", "10.1.2.9:41641"] {
        assert_eq!(of_outside(&own, &side(address)), Prospect::Unknown, "{address}");
    }
}

#[test]
fn two_routers_behind_one_nat_are_two_networks_whatever_their_prefix() {
    let lan = host("192.168.1.30:41641");
    let side = |router: &str, lan| Side {
        candidates: vec![lan, reflexive("203.0.113.1:50001")],
        nat: crate::nat::NatProfile { inner_address: Some(router.parse().unwrap()), ..independent(None) },
    };
    let own = side("100.64.0.5", host("192.168.1.20:41641"));
    let peer = |router| side(router, lan.clone());
    assert_eq!(prospect_of(&own, &peer("100.64.0.9"), &lan), unlikely(Cause::OtherNetwork));
    assert_eq!(prospect_of(&own, &peer("100.64.0.5"), &lan), Prospect::Opens);
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_an_ipv4_address() {
    let nat = independent(None);
    let lan = host("[::ffff:192.168.1.30]:41641");
    let peer = Side { candidates: vec![lan.clone(), reflexive("203.0.113.2:50001")], nat };
    assert_eq!(prospect_of(&behind(nat, 1), &peer, &lan), unlikely(Cause::OtherNetwork));
}

#[test]
fn ipv6_opens_where_both_have_it_whatever_the_ipv4_nats_are_like() {
    let mut own = behind(dependent(RANDOM), 1);
    let mut peer = behind(dependent(RANDOM), 2);
    peer.candidates.push(host("[2001:db8:2::1]:41641"));
    assert_eq!(of_outside(&own, &peer), unlikely(Cause::NoSuchFamily));
    own.candidates.push(host("[2001:db8:1::1]:41641"));
    assert_eq!(of_outside(&own, &peer), Prospect::Opens);
}

#[test]
fn a_side_that_tells_no_address_is_not_said_to_lack_ipv6() {
    let peer = Side { candidates: vec![host("[2001:db8:2::1]:41641")], nat: independent(None) };
    let silent = Side { candidates: Vec::new(), nat: unknown() };
    assert_eq!(of_outside(&silent, &peer), Prospect::Opens);
}

#[test]
fn unique_local_ipv6_is_a_network_by_its_64_bits() {
    let own = Side { candidates: vec![host("[fd00:1:2:3::1]:41641")], nat: unknown() };
    for (address, prospect) in
        [("[fd00:1:2:3::9]:41641", Prospect::Opens), ("[fd00:1:2:4::9]:41641", Prospect::Unknown)]
    {
        let peer = Side { candidates: vec![host(address)], nat: unknown() };
        assert_eq!(of_outside(&own, &peer), prospect, "{address}");
    }
}

#[test]
fn a_carriers_inside_opens_only_behind_the_same_carrier() {
    let inner = |mut side: Side| {
        side.nat.inner_address = Some("100.64.0.9".parse().unwrap());
        side
    };
    let nat = independent(None);
    let mapped = candidate(CandidateKind::PortMapped, "100.64.0.9:41641");
    let peer = |last| {
        let mut peer = inner(behind(nat, last));
        peer.candidates.push(mapped.clone());
        peer
    };
    assert_eq!(prospect_of(&inner(behind(nat, 1)), &peer(1), &mapped), Prospect::Opens);
    assert_eq!(prospect_of(&inner(behind(nat, 1)), &peer(2), &mapped), unlikely(Cause::OtherCarrier));
    assert_eq!(
        prospect_of(&behind(nat, 1), &peer(1), &mapped),
        Prospect::Unknown,
        "how deep we are is not known"
    );
}

#[test]
fn a_host_with_a_carriers_address_is_inside_the_carrier() {
    let nat = independent(None);
    let side =
        |ip: &str| Side { candidates: vec![host(&format!("{ip}:41641")), reflexive("203.0.113.1:5")], nat };
    let (own, peer) = (side("100.64.0.5"), side("100.64.0.9"));
    assert_eq!(prospect_of(&own, &peer, &peer.candidates[0]), Prospect::Opens);
}

#[test]
fn a_private_address_that_is_not_the_peers_own_lies_between_two_nats() {
    let nat = independent(None);
    let between = candidate(CandidateKind::PortMapped, "192.168.1.2:41641");
    assert_eq!(prospect_of(&behind(nat, 1), &behind(nat, 2), &between), unlikely(Cause::OtherCarrier));
}

#[test]
fn the_shared_outside_address_opens_as_far_as_hairpinning_is_known() {
    let side = |hairpin| behind(crate::nat::NatProfile { hairpin, ..independent(None) }, 1);
    for (own, peer, prospect) in [
        (Some(true), Some(true), Prospect::Opens),
        (Some(true), None, Prospect::Opens),
        (None, None, Prospect::Unknown),
        (Some(false), Some(true), unlikely(Cause::NoHairpinning)),
        (None, Some(false), unlikely(Cause::NoHairpinning)),
    ] {
        assert_eq!(of_outside(&side(own), &side(peer)), prospect, "{own:?} {peer:?}");
    }
}

#[test]
fn hairpinning_does_not_matter_between_two_houses() {
    let nat = crate::nat::NatProfile { hairpin: Some(false), ..independent(None) };
    assert_eq!(of_outside(&behind(nat, 1), &behind(nat, 2)), Prospect::Opens);
}

#[test]
fn a_port_that_a_router_or_a_user_opened_takes_packets_from_any_port() {
    let own = behind(dependent(RANDOM), 1);
    let peer = behind(dependent(RANDOM), 2);
    for kind in [CandidateKind::PortMapped, CandidateKind::Static] {
        assert_eq!(prospect_of(&own, &peer, &candidate(kind, "203.0.113.2:41641")), Prospect::Opens);
    }
    let seen = candidate(CandidateKind::PeerReflexive, "203.0.113.2:50007");
    assert_eq!(prospect_of(&own, &peer, &seen), unlikely(Cause::PeerPortPerDestination));
}

#[test]
fn a_relay_is_always_worth_a_try() {
    let relay = candidate(CandidateKind::Relayed, "198.51.100.1:3478");
    assert_eq!(prospect_of(&behind(blocked(), 1), &behind(blocked(), 2), &relay), Prospect::Opens);
}
