//! What the simulated NATs do, rule by rule of RFC 4787.

use super::*;

const INSIDE: &str = "192.168.1.2:5000";
const T0: Timestamp = Timestamp::from_micros(0);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn nat(mapping: Dependence, filtering: Dependence) -> Nat {
    Nat::new(NatBehaviour::new(mapping, filtering), at("203.0.113.1:0").ip())
}

/// RFC 4787 §4.1: the outside of packets to one endpoint, to another port of it, and to another address.
#[test]
fn a_mapping_changes_with_exactly_what_it_depends_on() {
    use Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    for (mapping, same_for_port, same_for_address) in [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ] {
        let (mut nat, mut rng) = (nat(mapping, EndpointIndependent), Rng::new(1));
        let first = nat.outbound(T0, at(INSIDE), at("198.51.100.1:1"), &mut rng);
        let again = nat.outbound(T0, at(INSIDE), at("198.51.100.1:1"), &mut rng);
        let other_port = nat.outbound(T0, at(INSIDE), at("198.51.100.1:2"), &mut rng);
        let other_address = nat.outbound(T0, at(INSIDE), at("198.51.100.2:1"), &mut rng);
        assert_eq!(first, again);
        assert_eq!((first == other_port, first == other_address), (same_for_port, same_for_address));
    }
}

/// RFC 4787 §5: who may answer after one packet to 198.51.100.1:1.
#[test]
fn a_filter_lets_in_exactly_those_it_depends_on() {
    use Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    for (filtering, other_port, other_address) in [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ] {
        let (mut nat, mut rng) = (nat(EndpointIndependent, filtering), Rng::new(1));
        let outside = nat.outbound(T0, at(INSIDE), at("198.51.100.1:1"), &mut rng);
        let is_let_in = |from| nat.inbound(T0, at(from), outside) == Some(at(INSIDE));
        assert!(is_let_in("198.51.100.1:1"));
        assert_eq!(is_let_in("198.51.100.1:2"), other_port);
        assert_eq!(is_let_in("198.51.100.2:1"), other_address);
    }
}

#[test]
fn a_mapping_is_forgotten_after_its_timeout_unless_the_inside_speaks() {
    let independent = Dependence::EndpointIndependent;
    let (mut nat, mut rng) = (nat(independent, independent), Rng::new(1));
    let (remote, seconds) = (at("198.51.100.1:1"), |s| T0 + Duration::from_secs(s));
    let outside = nat.outbound(T0, at(INSIDE), remote, &mut rng);
    assert!(nat.inbound(seconds(119), remote, outside).is_some());
    assert_eq!(nat.inbound(seconds(121), remote, outside), None, "a packet from outside refreshes nothing");
    nat.outbound(seconds(122), at(INSIDE), remote, &mut rng);
    assert!(nat.inbound(seconds(240), remote, outside).is_some());
}

#[test]
fn two_hosts_with_one_port_get_two_outside_ports() {
    let independent = Dependence::EndpointIndependent;
    let (mut nat, mut rng) = (nat(independent, independent), Rng::new(1));
    let first = nat.outbound(T0, at(INSIDE), at("198.51.100.1:1"), &mut rng);
    let second = nat.outbound(T0, at("192.168.1.3:5000"), at("198.51.100.1:1"), &mut rng);
    assert_eq!(first.port(), 5000);
    assert_ne!(first, second);
}

#[test]
fn a_firewall_keeps_addresses_and_lets_in_only_answers() {
    let mut firewall = Nat::new(NatBehaviour::firewall(), at("203.0.113.1:0").ip());
    let (inside, remote) = (at("203.0.113.9:5000"), at("198.51.100.1:1"));
    assert_eq!(firewall.inbound(T0, remote, inside), None);
    assert_eq!(firewall.outbound(T0, inside, remote, &mut Rng::new(1)), inside);
    assert_eq!(firewall.inbound(T0, remote, inside), Some(inside));
    assert_eq!(firewall.inbound(T0, at("198.51.100.1:2"), inside), None);
}
