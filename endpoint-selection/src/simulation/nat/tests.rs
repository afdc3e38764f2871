//! What the simulated NATs do, rule by rule of RFC 4787.

use std::num::{NonZeroI16, NonZeroU16};
use std::time::Duration;

use super::*;
use Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

const INSIDE: &str = "192.168.1.2:5000";
const REMOTE: &str = "198.51.100.1:1";
const T0: Timestamp = Timestamp::from_micros(0);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

/// A NAT with what drives it: tests give text and seconds.
struct Rig(Nat, Rng);

impl Rig {
    fn new(behaviour: NatBehaviour) -> Self {
        Self(Nat::new(behaviour, at("203.0.113.1:0").ip()), Rng::new(1))
    }

    fn out(&mut self, seconds: u64, from: &str, to: &str) -> Option<SocketAddr> {
        self.0.outbound(after(seconds), at(from), at(to), &mut self.1)
    }

    fn is_let_in(&mut self, seconds: u64, from: &str, to: SocketAddr) -> bool {
        self.0.inbound(after(seconds), at(from), to) == Some(at(INSIDE))
    }

    fn hairpin(&mut self, from: &str, to: SocketAddr) -> Option<(SocketAddr, SocketAddr)> {
        self.0.hairpin(T0, at(from), to, &mut self.1)
    }

    /// The ports that the first `n` mappings of one inside endpoint get.
    fn ports(&mut self, n: u16) -> Vec<u16> {
        let to = |port| SocketAddr::new(at(REMOTE).ip(), port);
        (1..=n)
            .filter_map(|port| self.0.outbound(T0, at(INSIDE), to(port), &mut self.1))
            .map(port_of)
            .collect()
    }
}

fn port_of(address: SocketAddr) -> u16 {
    address.port()
}

fn allocating(allocation: PortAllocation) -> Rig {
    let symmetric = NatBehaviour::new(AddressAndPortDependent, AddressAndPortDependent);
    Rig::new(NatBehaviour { allocation, ..symmetric })
}

/// RFC 4787 §4.1: the outside of packets to one endpoint, to another port of it, and to another address.
#[test]
fn a_mapping_changes_with_exactly_what_it_depends_on() {
    for (mapping, same_for_port, same_for_address) in [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ] {
        let mut nat = Rig::new(NatBehaviour::new(mapping, EndpointIndependent));
        let [first, again, other_port, other_address] =
            [REMOTE, REMOTE, "198.51.100.1:2", "198.51.100.2:1"].map(|to| nat.out(0, INSIDE, to).unwrap());
        assert_eq!(first, again);
        assert_eq!((first == other_port, first == other_address), (same_for_port, same_for_address));
    }
}

/// RFC 4787 §5: who may answer after one packet to 198.51.100.1:1.
#[test]
fn a_filter_lets_in_exactly_those_it_depends_on() {
    for (filtering, other_port, other_address) in [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ] {
        let mut nat = Rig::new(NatBehaviour::new(EndpointIndependent, filtering));
        let outside = nat.out(0, INSIDE, REMOTE).unwrap();
        assert!(nat.is_let_in(0, REMOTE, outside));
        assert_eq!(nat.is_let_in(0, "198.51.100.1:2", outside), other_port);
        assert_eq!(nat.is_let_in(0, "198.51.100.2:1", outside), other_address);
    }
}

#[test]
fn nothing_gets_in_at_a_port_that_no_mapping_holds() {
    let mut nat = Rig::new(NatBehaviour::new(EndpointIndependent, EndpointIndependent));
    nat.out(0, INSIDE, REMOTE).unwrap();
    assert!(!nat.is_let_in(0, REMOTE, at("203.0.113.1:5001")));
}

/// RFC 4787 §4.3, REQ-5 and REQ-6.
#[test]
fn a_mapping_is_forgotten_after_its_timeout_unless_the_inside_speaks() {
    let mut nat = Rig::new(NatBehaviour::new(EndpointIndependent, EndpointIndependent));
    let outside = nat.out(0, INSIDE, REMOTE).unwrap();
    assert!(nat.is_let_in(119, REMOTE, outside));
    assert!(!nat.is_let_in(121, REMOTE, outside), "a packet from outside refreshes nothing");
    nat.out(122, INSIDE, REMOTE).unwrap();
    assert!(nat.is_let_in(240, REMOTE, outside));
}

#[test]
fn packets_from_outside_keep_a_mapping_only_where_inbound_refresh_is_on() {
    let behaviour = NatBehaviour::new(EndpointIndependent, AddressAndPortDependent);
    for inbound_refresh in [true, false] {
        let mut nat = Rig::new(NatBehaviour { inbound_refresh, ..behaviour });
        let outside = nat.out(0, INSIDE, REMOTE).unwrap();
        assert!(nat.is_let_in(100, REMOTE, outside));
        assert_eq!(nat.is_let_in(200, REMOTE, outside), inbound_refresh);
    }
}

#[test]
fn a_permission_ends_before_its_mapping_where_its_timeout_is_shorter() {
    let behaviour = NatBehaviour::new(EndpointIndependent, AddressDependent);
    let mut nat = Rig::new(NatBehaviour { filter_timeout_ms: 10_000, ..behaviour });
    let outside = nat.out(0, INSIDE, REMOTE).unwrap();
    assert!(nat.is_let_in(10, REMOTE, outside));
    assert!(!nat.is_let_in(11, REMOTE, outside));
    assert_eq!(nat.out(12, INSIDE, REMOTE), Some(outside), "the mapping is still the same");
}

#[test]
fn a_permission_does_not_outlive_its_mapping() {
    let behaviour = NatBehaviour::new(EndpointIndependent, AddressDependent);
    let mut nat = Rig::new(NatBehaviour { filter_timeout_ms: 900_000, ..behaviour });
    nat.out(0, INSIDE, REMOTE).unwrap();
    let outside = nat.out(200, INSIDE, "198.51.100.2:1").unwrap();
    assert!(nat.is_let_in(200, "198.51.100.2:1", outside));
    assert!(!nat.is_let_in(200, REMOTE, outside), "it was the first mapping's");
}

#[test]
fn two_hosts_with_one_port_get_two_outside_ports() {
    let mut nat = Rig::new(NatBehaviour::new(EndpointIndependent, EndpointIndependent));
    let first = nat.out(0, INSIDE, REMOTE).unwrap();
    let second = nat.out(0, "192.168.1.3:5000", REMOTE).unwrap();
    assert_eq!(first.port(), 5000);
    assert_ne!(first, second);
}

#[test]
fn sequential_ports_move_by_their_step_and_start_again_at_the_other_end() {
    for (step, expected) in [
        (1, [1024, 1025, 1026, 1027]),
        (-2, [65_535, 65_533, 65_531, 65_529]),
        (30_000, [1024, 31_024, 61_024, 26_512]),
        (-30_000, [65_535, 35_535, 5_535, 40_047]),
    ] {
        let step = NonZeroI16::new(step).unwrap();
        assert_eq!(allocating(PortAllocation::Sequential { step }).ports(4), expected);
    }
}

#[test]
fn foreign_flows_move_the_counter_on() {
    let mut nat = allocating(PortAllocation::NEXT);
    let first = nat.out(0, INSIDE, REMOTE).unwrap();
    assert_eq!(nat.0.foreign_flows(T0, 20, &mut nat.1), 20);
    let second = nat.out(0, INSIDE, "198.51.100.2:1").unwrap();
    assert_eq!(second.port(), first.port() + 21);
}

#[test]
fn random_ports_are_drawn_from_all_but_the_well_known_ones() {
    let mut ports = allocating(PortAllocation::Random).ports(20_000);
    ports.sort_unstable();
    assert!(ports.first().is_some_and(|port| (1_024..1_100).contains(port)));
    assert!(ports.last().is_some_and(|port| *port > 65_450));
    ports.dedup();
    assert_eq!(ports.len(), 20_000, "a port was given twice");
    let low_half = ports.iter().filter(|port| **port < 33_280).count();
    assert!((9_700..10_300).contains(&low_half), "{low_half}");
}

#[test]
fn each_host_draws_from_a_block_of_its_own_until_that_is_used_up() {
    let size = NonZeroU16::new(512).unwrap();
    let mut nat = allocating(PortAllocation::PortBlock { size });
    let mut ports = nat.ports(600);
    assert_eq!(ports.len(), 512, "no more than the block holds");
    assert_ne!(ports[..8], [1024, 1025, 1026, 1027, 1028, 1029, 1030, 1031], "drawn, not counted");
    ports.sort_unstable();
    assert_eq!(ports, (1024..1536).collect::<Vec<u16>>());
    let neighbour = nat.out(0, "192.168.1.3:5000", REMOTE).unwrap();
    assert!((1536..2048).contains(&neighbour.port()), "{neighbour}");
}

#[test]
fn a_block_that_its_host_no_longer_uses_is_given_to_others() {
    let size = NonZeroU16::new(32_256).unwrap();
    let mut nat = allocating(PortAllocation::PortBlock { size });
    assert!(nat.out(0, "192.168.1.2:1", REMOTE).is_some());
    assert!(nat.out(100, "192.168.1.3:1", REMOTE).is_some());
    assert_eq!(nat.out(101, "192.168.1.4:1", REMOTE), None, "there are two blocks");
    assert!(nat.out(121, "192.168.1.4:1", REMOTE).is_some());
}

#[test]
fn a_full_table_refuses_new_mappings_and_keeps_the_old() {
    let symmetric = NatBehaviour::new(AddressAndPortDependent, AddressAndPortDependent);
    let mut nat = Rig::new(NatBehaviour { mappings_max: Some(3), ..symmetric });
    let first = nat.out(0, INSIDE, REMOTE).unwrap();
    assert_eq!(nat.0.foreign_flows(after(60), 20, &mut nat.1), 2);
    assert_eq!(nat.out(60, INSIDE, "198.51.100.2:1"), None);
    assert_eq!(nat.out(60, INSIDE, REMOTE), Some(first));
    assert!(nat.is_let_in(60, REMOTE, first));
    assert_eq!(nat.0.mappings(), 3);
    assert!(nat.out(181, INSIDE, "198.51.100.2:1").is_some(), "there is room again");
}

#[test]
fn all_ports_can_be_taken_and_not_one_more() {
    for allocation in [PortAllocation::Random, PortAllocation::NEXT, PortAllocation::Preserving] {
        let mut nat = allocating(allocation);
        assert_eq!(nat.0.foreign_flows(T0, 70_000, &mut nat.1), 64_512);
        assert_eq!(nat.out(1, INSIDE, REMOTE), None);
        assert!(nat.out(121, INSIDE, REMOTE).is_some());
    }
}

#[test]
fn nothing_gets_in_at_the_port_of_a_foreign_flow() {
    let mut nat = Rig::new(NatBehaviour {
        hairpinning: Hairpinning::Open,
        ..NatBehaviour::new(EndpointIndependent, EndpointIndependent)
    });
    nat.0.foreign_flows(T0, 64_512, &mut nat.1);
    for port in 1_024..=u16::MAX {
        let outside = SocketAddr::new(nat.0.external(), port);
        assert_eq!(nat.0.inbound(T0, at(REMOTE), outside), None);
        assert_eq!(nat.hairpin(INSIDE, outside), None);
    }
}

/// RFC 4787 §6 with REQ-9a: the receiver sees the outside address.
#[test]
fn a_hairpinned_packet_comes_from_the_senders_outside_address() {
    for hairpinning in [Hairpinning::None, Hairpinning::Filtered, Hairpinning::Open] {
        let behaviour = NatBehaviour::new(EndpointIndependent, AddressAndPortDependent);
        let mut nat = Rig::new(NatBehaviour { hairpinning, ..behaviour });
        let neighbour = "192.168.1.3:6000";
        let outsides = [INSIDE, neighbour].map(|inside| nat.out(0, inside, REMOTE).unwrap());
        let before = nat.hairpin(neighbour, outsides[0]);
        assert_eq!(before, (hairpinning == Hairpinning::Open).then_some((outsides[1], at(INSIDE))));
        let answer = nat.hairpin(INSIDE, outsides[1]);
        assert_eq!(answer, (hairpinning != Hairpinning::None).then_some((outsides[0], at(neighbour))));
        let through = nat.hairpin(neighbour, outsides[0]);
        assert_eq!(through, (hairpinning != Hairpinning::None).then_some((outsides[1], at(INSIDE))));
    }
}

#[test]
fn a_firewall_keeps_addresses_and_lets_in_only_answers() {
    let mut firewall = Rig::new(NatBehaviour::firewall());
    let inside = "203.0.113.9:5000";
    let is_let_in =
        |firewall: &mut Rig, from| firewall.0.inbound(T0, at(from), at(inside)) == Some(at(inside));
    assert!(!is_let_in(&mut firewall, REMOTE));
    assert_eq!(firewall.out(0, inside, REMOTE), Some(at(inside)));
    assert!(is_let_in(&mut firewall, REMOTE));
    assert!(!is_let_in(&mut firewall, "198.51.100.1:2"));
    assert_eq!(firewall.hairpin(inside, at(inside)), None);
}

#[test]
fn a_firewall_whose_table_is_full_drops_what_needs_a_new_entry() {
    let mut firewall = Rig::new(NatBehaviour { mappings_max: Some(5), ..NatBehaviour::firewall() });
    assert!(firewall.out(0, "203.0.113.9:1", REMOTE).is_some());
    assert_eq!(firewall.0.foreign_flows(T0, 20, &mut firewall.1), 4);
    assert!(firewall.out(0, "203.0.113.9:1", "198.51.100.2:1").is_some());
    assert_eq!(firewall.out(0, "203.0.113.9:2", REMOTE), None);
}

#[test]
fn a_reboot_empties_the_tables_and_changes_the_address() {
    let mut nat = Rig::new(NatBehaviour::new(EndpointIndependent, EndpointIndependent));
    let before = nat.out(0, INSIDE, REMOTE).unwrap();
    nat.0.reboot(at("203.0.113.2:0").ip());
    assert!(!nat.is_let_in(0, REMOTE, before));
    assert_eq!(nat.out(0, INSIDE, REMOTE), Some(at("203.0.113.2:5000")));
}

#[test]
fn a_flush_empties_the_tables_and_the_counter_goes_on() {
    let mut nat = allocating(PortAllocation::NEXT);
    let before = nat.out(0, INSIDE, REMOTE).unwrap();
    nat.0.flush();
    assert!(!nat.is_let_in(0, REMOTE, before));
    assert_eq!(nat.out(0, INSIDE, REMOTE).map(port_of), Some(before.port() + 1));
    assert_eq!(nat.0.mappings(), 1);
}

#[test]
fn another_behaviour_starts_with_empty_tables_at_the_same_address() {
    let mut nat = Rig::new(NatBehaviour::new(EndpointIndependent, EndpointIndependent));
    let before = nat.out(0, INSIDE, REMOTE).unwrap();
    nat.0.set_behaviour(NatBehaviour::new(AddressAndPortDependent, AddressDependent).with_timeout_ms(5_000));
    assert!(!nat.is_let_in(0, REMOTE, before));
    let [first, second] = [REMOTE, "198.51.100.1:2"].map(|to| nat.out(0, INSIDE, to).unwrap());
    assert_eq!(first.ip(), before.ip());
    assert_ne!(first, second);
    assert!(nat.is_let_in(5, REMOTE, first));
    assert!(!nat.is_let_in(6, REMOTE, first));
}

#[test]
fn a_port_that_is_asked_for_is_open_to_all_and_used_for_all_until_the_tables_are_emptied() {
    let mut nat = allocating(PortAllocation::Random);
    let outside = nat.0.open_port(at(INSIDE), &mut nat.1).unwrap();
    assert_eq!(nat.0.open_port(at(INSIDE), &mut nat.1), Some(outside), "asked for again");
    assert!(nat.is_let_in(500, "198.51.100.9:9", outside));
    assert_eq!([REMOTE, "198.51.100.2:1"].map(|to| nat.out(500, INSIDE, to)), [Some(outside); 2]);
    assert_ne!(nat.out(500, "192.168.1.3:5000", REMOTE), Some(outside));
    nat.0.flush();
    assert!(!nat.is_let_in(500, "198.51.100.9:9", outside));
    let mut firewall = Rig::new(NatBehaviour::firewall());
    assert_eq!(firewall.0.open_port(at(INSIDE), &mut firewall.1), None);
}

#[test]
fn servers_that_are_exempt_see_one_mapping_and_peers_another_each() {
    let mut nat = Rig::new(NatBehaviour::new(AddressAndPortDependent, AddressAndPortDependent));
    nat.0.exempt(at("198.51.100.1:3478"));
    nat.0.exempt(at("198.51.100.2:3478"));
    let [first, second, peer, other] =
        ["198.51.100.1:3478", "198.51.100.2:3478", REMOTE, "198.51.100.2:1"].map(|to| nat.out(0, INSIDE, to));
    assert_eq!(first, second);
    assert!(peer != first && other != first && peer != other);
    nat.0.reboot(at("203.0.113.2:0").ip());
    let [first, second] = ["198.51.100.1:3478", "198.51.100.2:3478"].map(|to| nat.out(0, INSIDE, to));
    assert_eq!(first, second, "a reboot does not change what it is");
}

#[test]
fn a_behaviour_survives_its_json_form() {
    let size = NonZeroU16::new(64).unwrap();
    let behaviour = NatBehaviour {
        allocation: PortAllocation::PortBlock { size },
        mappings_max: Some(1_000),
        ..NatBehaviour::new(AddressAndPortDependent, AddressDependent)
    };
    let text = serde_json::to_string(&behaviour).unwrap();
    assert!(text.contains(r#""mapping":"address-and-port-dependent""#), "{text}");
    assert!(text.contains(r#""allocation":{"port-block":{"size":64}}"#), "{text}");
    assert_eq!(serde_json::from_str::<NatBehaviour>(&text).unwrap(), behaviour);
}

#[test]
fn a_behaviour_that_makes_no_sense_is_refused_with_the_reason() {
    let text = serde_json::to_string(&NatBehaviour::firewall()).unwrap();
    for (right, wrong, reason) in [
        (r#""random""#, r#"{"port-block":{"size":0}}"#, "nonzero"),
        (r#""random""#, r#"{"sequential":{"step":0}}"#, "nonzero"),
        (r#""random""#, r#"{"sequential":{"step":40000}}"#, "40000"),
        (r#""filtering":"#, r#""filter":"#, "unknown field `filter`"),
        ("120000", "-1", "-1"),
    ] {
        assert!(text.contains(right), "{text}");
        let error =
            serde_json::from_str::<NatBehaviour>(&text.replace(right, wrong)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn a_firewall_remembers_no_more_endpoints_than_a_nat_has_ports() {
    let mut firewall = Rig::new(NatBehaviour::firewall());
    assert_eq!(firewall.0.foreign_flows(T0, 70_000, &mut firewall.1), 64_512);
    assert_eq!(firewall.out(0, INSIDE, REMOTE), None);
}
