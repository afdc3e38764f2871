//! The edits lead where they should, and no further.

use proptest::prelude::*;

use super::*;

fn config() -> impl Strategy<Value = TunnelConfig> {
    let peer = (proptest::collection::vec(0_u8..8, 0..3), proptest::option::of(Just(25)));
    let nets = || proptest::collection::btree_set(0_u8..4, 0..3);
    let peers = proptest::collection::btree_map(0_u8..6, peer, 0..5);
    let to_nets = |numbers: std::collections::BTreeSet<u8>| {
        numbers.iter().map(|number| format!("10.{number}.0.0/16").parse().unwrap()).collect()
    };
    (1_u8..3, 0_u8..3, peers, nets(), nets()).prop_map(move |(key, address, peers, routes, forwarded)| {
        TunnelConfig {
            routes: to_nets(routes),
            forwarded: to_nets(forwarded),
            private_key: PrivateKey::from_random([key; 32]),
            addresses: vec![format!("100.92.0.{address}/16").parse().unwrap()],
            mtu: 1280,
            peers: peers
                .into_iter()
                .map(|(key, (ips, persistent_keepalive_s))| {
                    let allowed_ips =
                        ips.iter().map(|ip| format!("10.0.0.{ip}/32").parse().unwrap()).collect();
                    (
                        PublicKey::from_bytes([key; 32]),
                        PeerConfig {
                            allowed_ips,
                            persistent_keepalive_s,
                            inbound: protocol::access::TrafficFilter::open(),
                        },
                    )
                })
                .collect(),
        }
    })
}

#[test]
fn a_changed_peer_is_one_change_and_the_interface_is_left_alone() {
    let key = PublicKey::from_bytes([1; 32]);
    let current = TunnelConfig {
        private_key: PrivateKey::from_random([1; 32]),
        addresses: Vec::new(),
        mtu: 1280,
        routes: Vec::new(),
        forwarded: Vec::new(),
        peers: BTreeMap::from([(key, PeerConfig::default())]),
    };
    let mut wanted = current.clone();
    let peer = PeerConfig {
        allowed_ips: vec!["10.0.0.1/32".parse().unwrap()],
        persistent_keepalive_s: None,
        inbound: protocol::access::TrafficFilter::open(),
    };
    wanted.peers.insert(key, peer.clone());
    assert_eq!(diff(Some(&current), Some(&wanted)), vec![Change::SetPeer(key, peer)]);
}

proptest! {
    #[test]
    fn applying_the_difference_leaves_no_difference(
        current in proptest::option::of(config()), wanted in proptest::option::of(config()),
    ) {
        let changes = diff(current.as_ref(), wanted.as_ref());
        let result = apply(current, &changes);
        prop_assert_eq!(&result, &wanted);
        prop_assert!(diff(result.as_ref(), wanted.as_ref()).is_empty());
    }
}
