//! Which names there are, and in whose zone.

use protocol::api::{NetworkMap, OwnNode, Peer, Standing};
use protocol::key::PrivateKey;
use uuid::Uuid;

use super::*;

/// A map of the node `own` at 100.92.0.7 and fd00:1::7, with peers of these names and prefixes.
pub(in crate::names) fn map(peers: &[(&str, &[&str])]) -> NetworkMap {
    let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let own = OwnNode {
        id: Uuid::nil(),
        name: "own".parse().unwrap(),
        network: "office".into(),
        zone: Some("office.warren.internal".parse().unwrap()),
        addresses: nets(&["100.92.0.7/16", "fd00:1::7/48"]),
        relay: None,
        standing: Standing::default(),
        access: None,
        routes: Vec::new(),
    };
    let peer = |(index, (name, prefixes)): (usize, &(&str, &[&str]))| Peer {
        id: Uuid::from_u128(index as u128 + 1),
        name: name.parse().unwrap(),
        public_key: PrivateKey::from_random([index as u8 + 1; 32]).public_key(),
        allowed_ips: nets(prefixes),
        online: true,
        candidates: Vec::new(),
        nat: Default::default(),
        plain_endpoint: None,
        tags: Vec::new(),
        routes: Vec::new(),
    };
    let peers = peers.iter().enumerate().map(peer).collect();
    NetworkMap { revision: 1, own, peers, relays: Vec::new(), stun_servers: Vec::new() }
}

/// A network with one peer, `nas`.
pub(in crate::names) fn office() -> Records {
    Records::of(&map(&[("nas", &["100.92.0.9/32", "fd00:1::9/128"])])).unwrap()
}

fn find<'a>(records: &'a Records, name: &str) -> Option<Found<'a>> {
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    records.find(&labels).map(|(found, zone)| {
        assert!(zone <= labels.len(), "{name}: the zone is no part of it");
        found
    })
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_coordinator_that_names_no_zone_has_no_names() {
    let mut map = map(&[]);
    map.own.zone = None;
    assert_eq!(Records::of(&map), None);
}

#[test]
fn own_name_and_those_of_peers_are_found_and_no_others() {
    let records = office();
    assert_eq!(
        find(&records, "nas.office.warren.internal"),
        Some(Found::Node(&ips(&["100.92.0.9", "fd00:1::9"])))
    );
    assert_eq!(
        find(&records, "own.office.warren.internal"),
        Some(Found::Node(&ips(&["100.92.0.7", "fd00:1::7"])))
    );
    assert_eq!(find(&records, "office.warren.internal"), Some(Found::Empty));
    for missing in ["printer", "www.nas", "_sip", "\u{e4}"] {
        assert_eq!(
            find(&records, &format!("{missing}.office.warren.internal")),
            Some(Found::Missing),
            "{missing}"
        );
    }
    for foreign in ["example.org", "warren.internal", "nas.lab.warren.internal", "internal", "office"] {
        assert_eq!(find(&records, foreign), None, "{foreign}");
    }
}

#[test]
fn no_peer_takes_the_name_or_an_address_of_another_or_one_outside_the_mesh() {
    let records = Records::of(&map(&[
        ("own", &["100.92.0.66/32"]),
        ("thief", &["100.92.0.7/32", "8.8.8.8/32", "192.168.5.0/24", "100.92.0.10/32"]),
    ]))
    .unwrap();
    assert_eq!(
        find(&records, "own.office.warren.internal"),
        Some(Found::Node(&ips(&["100.92.0.7", "fd00:1::7"])))
    );
    assert_eq!(
        find(&records, "thief.office.warren.internal"),
        Some(Found::Node(&ips(&["100.92.0.7", "100.92.0.10"])))
    );
    assert_eq!(find(&records, "7.0.92.100.in-addr.arpa"), Some(Found::Address(&"own".parse().unwrap())));
    assert_eq!(find(&records, "8.8.8.8.in-addr.arpa"), None);
}

#[test]
fn addresses_of_the_mesh_have_names_and_others_are_not_ours() {
    let records = office();
    let nas = "nas".parse().unwrap();
    assert_eq!(find(&records, "9.0.92.100.in-addr.arpa"), Some(Found::Address(&nas)));
    assert_eq!(find(&records, &reverse_name(&"fd00:1::9/128".parse().unwrap())), Some(Found::Address(&nas)));
    for (name, found) in [
        ("92.100.in-addr.arpa", Found::Empty),
        ("0.92.100.in-addr.arpa", Found::Empty),
        ("3.92.100.in-addr.arpa", Found::Missing),
        ("10.0.92.100.in-addr.arpa", Found::Missing),
        ("009.0.92.100.in-addr.arpa", Found::Missing),
        ("1.9.0.92.100.in-addr.arpa", Found::Missing),
    ] {
        assert_eq!(find(&records, name), Some(found), "{name}");
    }
    for foreign in ["100.in-addr.arpa", "in-addr.arpa", "ip6.arpa", "d.f.ip6.arpa", "9.0.93.100.in-addr.arpa"]
    {
        assert_eq!(find(&records, foreign), None, "{foreign}");
    }
}

#[test]
fn a_range_that_is_no_whole_label_answers_only_for_what_is_in_it() {
    let mut map = map(&[("nas", &["10.1.2.9/32"])]);
    map.own.addresses = vec!["10.1.2.10/29".parse().unwrap()];
    let records = Records::of(&map).unwrap();
    assert_eq!(find(&records, "9.2.1.10.in-addr.arpa"), Some(Found::Address(&"nas".parse().unwrap())));
    assert_eq!(find(&records, "12.2.1.10.in-addr.arpa"), Some(Found::Missing));
    assert_eq!(find(&records, "16.2.1.10.in-addr.arpa"), None);
    assert_eq!(find(&records, "2.1.10.in-addr.arpa"), None);
    assert_eq!(records.domains().len(), 1 + 8);
}

#[test]
fn the_domains_are_the_zone_and_those_of_its_addresses_where_they_are_few() {
    let zones = ["office.warren.internal", "92.100.in-addr.arpa", "0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa"];
    assert_eq!(office().domains(), zones);
    let mut map = map(&[]);
    map.own.addresses = vec!["10.0.0.7/9".parse().unwrap()];
    assert_eq!(Records::of(&map).unwrap().domains(), ["office.warren.internal"]);
}
