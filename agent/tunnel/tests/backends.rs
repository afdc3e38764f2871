//! Every backend does what the engine's model of a tunnel says, and survives everything changing at once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use engine::tunnel_config::{self, Change, PeerConfig, TunnelConfig, diff};
use proptest::prelude::*;
use protocol::key::PrivateKey;
use support::{SocketInterfaces, direct, interface_change, pair, peer_change};
use tunnel::{Embedded, Memory, PathLayer, TunInterface, TunnelBackend, TunnelError};

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        3 => (1_u8..4, 1280_u16..1500, prop::collection::vec(0_u8..4, 0..3)).prop_map(|(key, mtu, ips)| {
            let private_key = PrivateKey::from_random([key; 32]);
            let addresses = ips.iter().map(|ip| format!("10.7.{ip}.1/24").parse().unwrap()).collect();
            Change::SetInterface { private_key, addresses, mtu }
        }),
        4 => (10_u8..14, prop::collection::vec(0_u8..4, 0..3), prop::option::of(0_u16..30)).prop_map(
            |(key, ips, persistent_keepalive_s)| {
                let allowed_ips = ips.iter().map(|ip| format!("10.7.0.{ip}/32").parse().unwrap()).collect();
                let key = PrivateKey::from_random([key; 32]).public_key();
                Change::SetPeer(key, PeerConfig { allowed_ips, persistent_keepalive_s, inbound: protocol::access::TrafficFilter::open() })
            }
        ),
        2 => (10_u8..14).prop_map(|key| Change::RemovePeer(PrivateKey::from_random([key; 32]).public_key())),
        1 => Just(Change::RemoveInterface),
    ];
    prop::collection::vec(change, 0..12)
}

/// The conformance test of a backend.
fn conforms(backend: &mut dyn TunnelBackend, batches: &[Vec<Change>]) -> Result<(), TestCaseError> {
    let mut model: Option<TunnelConfig> = None;
    for batch in batches {
        backend.apply(batch).map_err(|error| TestCaseError::fail(error.to_string()))?;
        model = tunnel_config::apply(model, batch);
        let seen = backend.observe();
        prop_assert_eq!(&seen.config, &model);
        let peers: Vec<_> = model.iter().flat_map(|config| config.peers.keys()).collect();
        prop_assert_eq!(seen.peers.keys().collect::<Vec<_>>(), peers);
        prop_assert!(diff(seen.config.as_ref(), model.as_ref()).is_empty());
    }
    backend.apply(&[Change::RemoveInterface]).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(backend.observe().config, None);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_backend_matches_the_model(batches in prop::collection::vec(changes(), 1..5)) {
        conforms(&mut Memory::default(), &batches)?;
        let paths = PathLayer::bind(0, |_| true).unwrap();
        let (give, _interfaces) = mpsc::channel();
        conforms(&mut Embedded::new(&paths, SocketInterfaces(give)), &batches)?;
    }
}

#[test]
fn an_mtu_too_small_is_refused_by_every_backend_and_changes_nothing() {
    let paths = PathLayer::bind(0, |_| true).unwrap();
    let (give, _interfaces) = mpsc::channel();
    let backends: [Box<dyn TunnelBackend>; 2] =
        [Box::new(Memory::default()), Box::new(Embedded::new(&paths, SocketInterfaces(give)))];
    for mut backend in backends {
        let private_key = PrivateKey::from_random([1; 32]);
        let addresses = vec!["10.0.0.1/8".parse().unwrap()];
        let refused =
            backend.apply(&[Change::SetInterface { private_key, addresses, mtu: 575 }]).unwrap_err();
        assert!(matches!(refused, TunnelError::MtuInvalid { mtu: 575, min: 576 }), "{refused}");
        assert_eq!(backend.observe().config, None);
    }
}

#[test]
fn names_that_the_kernel_would_not_take_are_refused() {
    for name in ["", ".", "..", "-x", "mesh%d", "a/b", "sixteen-letters-", "mesh 0", "mesh\0", "müll"] {
        let refused = TunInterface::new(name).unwrap_err();
        assert!(matches!(refused, TunnelError::NameInvalid { .. }), "{name}: {refused}");
    }
    for name in ["mesh0", "w", "fifteen-letters", "a.b_c-d"] {
        assert!(TunInterface::new(name).is_ok(), "{name}");
    }
}

#[test]
fn traffic_goes_on_while_paths_peers_and_observers_change() {
    let (mut a, mut b) = pair();
    let third = PrivateKey::from_random([33; 32]).public_key();
    let stop = AtomicBool::new(false);
    let stop = &stop;
    std::thread::scope(|scope| {
        let (paths, target, home) = (&a.paths, b.public(), b.address());
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                paths.set_path(&target, Some(direct(home))).unwrap();
                paths.set_path(&third, Some(direct(home))).unwrap();
                paths.set_path(&third, None).unwrap();
                paths.set_relays([home]);
                let _ = paths.counts();
            }
        });
        let (to, from, kernel) = (b.ip, a.ip, &a.kernel);
        let sink = &b.kernel;
        let traffic = scope.spawn(move || {
            for number in 0..500_u32 {
                kernel.send(&support::ipv4_packet(from, to, &number.to_be_bytes())).unwrap();
                let mut buffer = [0; 2000];
                let len = sink.recv(&mut buffer).expect("no packet is lost");
                assert_eq!(buffer[20..len], number.to_be_bytes());
            }
        });
        while !traffic.is_finished() {
            a.tunnel.apply(&[peer_change(&third, Ipv4Addr::new(10, 7, 0, 33))]).unwrap();
            b.tunnel.apply(&[interface_change(&b.key, b.ip), Change::RemovePeer(third)]).unwrap();
            a.tunnel.observe();
            a.tunnel.apply(&[Change::RemovePeer(third)]).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        traffic.join().unwrap();
    });
}
