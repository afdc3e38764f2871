//! Two tunnels over loopback UDP: sessions, paths, relays, and what is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use protocol::relay::deliver_prefix;
use support::relay::Relay;
use support::tap::Tap;
use support::{Node, PATIENCE, direct, eventually, ipv4_packet, pair, peer_change};
use tunnel::TunnelBackend;

#[test]
fn packets_pass_both_ways_after_a_handshake() {
    let (mut a, mut b) = pair();
    a.send(&b, b"there");
    assert_eq!(b.receive(), b"there");
    b.send(&a, b"and back");
    assert_eq!(a.receive(), b"and back");
    let (stats, address) = (a.stats(&b.public()), b.address());
    assert!(stats.handshake_age.is_some() && stats.received_age.is_some(), "{stats:?}");
    assert!(stats.rx_bytes > 0 && stats.tx_bytes > 0, "{stats:?}");
    assert_eq!(stats.last_source, Some(address));
    assert_eq!(b.stats(&a.public()).last_source, Some(a.address()));
}

#[test]
fn packets_that_wait_for_the_handshake_all_arrive() {
    let (a, b) = pair();
    for number in 0..50_u8 {
        a.send(&b, &[number; 100]);
    }
    let mut got: Vec<u8> = (0..50).map(|_| b.receive()[0]).collect();
    // The core puts the packet that waited first behind the others where a retry meets the queue.
    got.sort_unstable();
    assert_eq!(got, (0..50).collect::<Vec<u8>>());
}

#[test]
fn packets_of_every_length_keep_their_bounds() {
    let (a, b) = pair();
    let relay = Relay::new([(a.public(), a.address()), (b.public(), b.address())]);
    b.paths.set_relays([relay.address()]);
    for path in [direct(b.address()), relay.path(0, &b.public())] {
        a.paths.set_path(&b.public(), Some(path)).unwrap();
        // Runs of equal length, then shorter, then longer ones: every way in which a batch for the kernel ends.
        let lengths = [600_usize, 600, 600, 88, 601, 1200, 1200, 600, 0, 1260, 600, 600, 588, 588];
        // In small rounds, so that no socket on the way overflows.
        for round in 0..30_u8 {
            for (number, length) in (0_u8..).zip(lengths) {
                a.send(&b, &vec![number ^ round; length]);
            }
            let mut got: Vec<Vec<u8>> = lengths.iter().map(|_| b.receive()).collect();
            let mut wanted: Vec<Vec<u8>> =
                (0_u8..).zip(lengths).map(|(number, length)| vec![number ^ round; length]).collect();
            got.sort();
            wanted.sort();
            assert_eq!(got, wanted);
        }
    }
}

#[test]
fn a_persistent_keepalive_makes_and_keeps_a_session_without_traffic() {
    let (mut a, mut b) = pair();
    let allowed_ips = vec![std::net::IpAddr::from(b.ip).into()];
    let config = engine::tunnel_config::PeerConfig {
        allowed_ips,
        persistent_keepalive_s: Some(1),
        inbound: protocol::access::TrafficFilter::open(),
    };
    a.tunnel.apply(&[engine::tunnel_config::Change::SetPeer(b.public(), config)]).unwrap();
    let peer = a.public();
    eventually("a session", || b.stats(&peer).handshake_age.is_some());
    let before = a.stats(&b.public()).tx_bytes;
    eventually("two keepalives follow", || a.stats(&b.public()).tx_bytes >= before + 2 * 32);
}

#[test]
fn padding_never_reaches_the_host() {
    let (a, b) = pair();
    for len in 0..40 {
        let payload = vec![0xa5; len];
        a.send(&b, &payload);
        assert_eq!(b.receive(), payload);
    }
}

#[test]
fn a_switch_of_path_during_traffic_loses_nothing() {
    let (a, b) = pair();
    let tap = Tap::between(a.address(), b.address());
    let relay = Relay::new([(a.public(), a.address()), (b.public(), b.address())]);
    a.paths.set_relays([relay.address()]);
    b.paths.set_relays([relay.address()]);
    for round in 0..60_u32 {
        match round % 3 {
            0 => a.set_direct(&b.public(), b.address()),
            1 => a.set_direct(&b.public(), tap.address()),
            _ => a.paths.set_path(&b.public(), Some(relay.path(0, &b.public()))).unwrap(),
        }
        for number in 0..20_u32 {
            a.send(&b, &(round * 20 + number).to_be_bytes());
        }
        let mut got: Vec<u32> =
            (0..20).map(|_| u32::from_be_bytes(b.receive().try_into().unwrap())).collect();
        got.sort_unstable();
        assert_eq!(got, (round * 20..(round + 1) * 20).collect::<Vec<u32>>());
    }
    assert!(relay.forwarded.load(Ordering::Relaxed) >= 20 * 20);
    assert!(tap.from(a.address()).len() >= 20 * 20);
    assert_eq!(a.paths.counts(), tunnel::Counts::default());
    assert_eq!(b.paths.counts(), tunnel::Counts::default());
}

#[test]
fn a_relay_carries_the_handshake_and_packets_both_ways() {
    let (mut a, b) = pair();
    let relay = Relay::new([(a.public(), a.address()), (b.public(), b.address())]);
    a.paths.set_relays([relay.address()]);
    b.paths.set_relays([relay.address()]);
    a.paths.set_path(&b.public(), Some(relay.path(0, &b.public()))).unwrap();
    b.paths.set_path(&a.public(), Some(relay.path(1, &a.public()))).unwrap();
    a.send(&b, b"through the relay");
    assert_eq!(b.receive(), b"through the relay");
    b.send(&a, b"and back");
    assert_eq!(a.receive(), b"and back");
    assert_eq!(a.stats(&b.public()).last_source, None, "a relay's address is no address of the peer");
}

#[test]
fn a_handshake_that_found_no_path_is_answered_as_soon_as_there_is_one() {
    let (a, b) = pair();
    let relay = Relay::new([(a.public(), a.address()), (b.public(), b.address())]);
    a.paths.set_relays([relay.address()]);
    b.paths.set_relays([relay.address()]);
    b.paths.set_path(&a.public(), None).unwrap();
    a.paths.set_path(&b.public(), Some(relay.path(0, &b.public()))).unwrap();
    let start = Instant::now();
    a.send(&b, b"first");
    let told = b.events.recv_timeout(PATIENCE).unwrap();
    assert_eq!(told.from, relay.address(), "the choice of paths hears where its peer is");
    assert!(told.datagram.starts_with(&deliver_prefix(&a.public())));
    eventually("the answer waits", || b.paths.counts().no_path > 0);
    b.paths.set_path(&a.public(), Some(relay.path(1, &a.public()))).unwrap();
    assert_eq!(b.receive(), b"first");
    assert!(start.elapsed().as_secs() < 4, "not by WireGuard's own retry after 5 s");
}

#[test]
fn a_deliver_frame_is_believed_only_from_a_relay() {
    let (a, b) = pair();
    let relay = Relay::new([(a.public(), a.address()), (b.public(), b.address())]);
    a.paths.set_path(&b.public(), Some(relay.path(0, &b.public()))).unwrap();
    a.send(&b, b"from a stranger");
    eventually("the frame is refused", || b.paths.counts().relay_not_believed > 0);
    assert!(b.is_silent());
}

#[test]
fn a_deliver_frame_that_names_another_peer_is_refused() {
    let (a, mut b) = pair();
    let c = Node::new(3);
    b.add_peer(&c);
    let tap = Tap::between(a.address(), b.address());
    a.set_direct(&b.public(), tap.address());
    a.send(&b, b"first");
    assert_eq!(b.receive(), b"first");
    b.paths.set_relays([tap.address()]);
    let before = b.paths.counts();
    for message in tap.from(a.address()) {
        tap.inject(&[&deliver_prefix(&c.public())[..], &message].concat(), b.address());
    }
    eventually("every message is refused", || {
        b.paths.counts().wrong_peer as usize == tap.from(a.address()).len()
    });
    assert_eq!(b.paths.counts().rejected, before.rejected);
    // A name that is no peer at all.
    tap.inject(&[&deliver_prefix(&Node::new(9).public())[..], &[4, 0, 0, 0], &[0; 60]].concat(), b.address());
    eventually("it is counted", || b.paths.counts().no_peer > before.no_peer);
}

#[test]
fn replayed_and_forged_messages_are_refused() {
    let (a, b) = pair();
    let tap = Tap::between(a.address(), b.address());
    a.set_direct(&b.public(), tap.address());
    a.send(&b, &[7; 64]);
    assert_eq!(b.receive(), [7; 64]);
    let recorded = tap.from(a.address());
    for message in &recorded {
        tap.inject(message, b.address());
        let mut forged = message.clone();
        *forged.last_mut().unwrap() ^= 1;
        tap.inject(&forged, b.address());
        forged.truncate(40);
        tap.inject(&forged, b.address());
    }
    eventually("all are refused", || {
        let counts = b.paths.counts();
        // The last byte of an initiation is MAC2, which only counts under load; such a forgery is a replay then.
        counts.rejected as usize == 3 * recorded.len()
    });
    assert!(b.is_silent());
    a.send(&b, b"still there");
    assert_eq!(b.receive(), b"still there");
}

#[test]
fn what_a_node_says_is_never_on_the_wire_in_clear() {
    let (a, b) = pair();
    let tap = Tap::between(a.address(), b.address());
    a.set_direct(&b.public(), tap.address());
    b.set_direct(&a.public(), tap.address());
    let marker = b"Thirty-two bytes of clear text!!";
    for _ in 0..20 {
        a.send(&b, marker);
        assert_eq!(b.receive(), marker);
        b.send(&a, marker);
        assert_eq!(a.receive(), marker);
    }
    let seen = [tap.from(a.address()), tap.from(b.address())].concat();
    assert!(seen.len() >= 40, "{}", seen.len());
    assert!(seen.iter().all(|datagram| !datagram.windows(8).any(|window| window == &marker[..8])));
}

#[test]
fn packets_wait_for_a_path_and_go_at_once_when_it_appears() {
    let (a, b) = pair();
    a.paths.set_path(&b.public(), None).unwrap();
    a.send(&b, b"early");
    eventually("the handshake is dropped for want of a path", || a.paths.counts().no_path > 0);
    let start = Instant::now();
    a.set_direct(&b.public(), b.address());
    assert_eq!(b.receive(), b"early");
    assert!(start.elapsed() < PATIENCE, "without waiting for WireGuard's own retry");
}

#[test]
fn a_peer_that_moved_is_heard_without_changing_its_path() {
    let (a, mut b) = pair();
    a.send(&b, b"from home");
    assert_eq!(b.receive(), b"from home");
    let tap = Tap::between(a.address(), b.address());
    a.set_direct(&b.public(), tap.address());
    a.send(&b, b"from elsewhere");
    assert_eq!(b.receive(), b"from elsewhere");
    assert_eq!(b.stats(&a.public()).last_source, Some(tap.address()));
    assert_eq!(b.paths.path(&a.public()), Some(direct(a.address())));
}

#[test]
fn a_peer_may_only_send_from_its_own_addresses() {
    let (a, mut b) = pair();
    b.add_peer(&Node::new(3));
    for forged in [3, 9] {
        let counted = b.paths.counts().source_not_allowed;
        let source = Ipv4Addr::new(10, 7, 0, forged);
        a.kernel.send(&ipv4_packet(source, b.ip, b"another peer's address, or nobody's")).unwrap();
        eventually("the packet is refused", || b.paths.counts().source_not_allowed == counted + 1);
    }
    a.kernel.send(&[0x99; 60]).unwrap();
    a.kernel.send(&ipv4_packet(a.ip, Ipv4Addr::new(10, 7, 0, 9), b"nobody's address")).unwrap();
    eventually("nobody has that address", || a.paths.counts().no_route == 2);
    assert!(b.is_silent());
}

#[test]
fn a_removed_peer_is_not_heard_any_more() {
    let (a, mut b) = pair();
    a.send(&b, b"one");
    assert_eq!(b.receive(), b"one");
    b.tunnel.apply(&[engine::tunnel_config::Change::RemovePeer(a.public())]).unwrap();
    a.send(&b, b"two");
    eventually("its message belongs to nobody", || b.paths.counts().no_peer > 0);
    assert!(b.is_silent());
}

#[test]
fn a_node_that_takes_a_new_key_is_reached_under_it() {
    let (mut a, mut b) = pair();
    a.send(&b, b"old key");
    assert_eq!(b.receive(), b"old key");
    let old = b.public();
    b.key = protocol::key::PrivateKey::from_random([77; 32]);
    b.up();
    assert!(b.stats(&a.public()).handshake_age.is_none(), "every session ended");
    a.tunnel
        .apply(&[engine::tunnel_config::Change::RemovePeer(old), peer_change(&b.public(), b.ip)])
        .unwrap();
    a.set_direct(&b.public(), b.address());
    a.send(&b, b"new key");
    assert_eq!(b.receive(), b"new key");
}

#[test]
fn a_packet_for_somebody_else_comes_in_only_where_it_is_passed_on() {
    let (mut a, mut b) = pair();
    let network: ipnet::IpNet = "192.168.5.0/24".parse().unwrap();
    let allowed_ips = vec![std::net::IpAddr::from(b.ip).into(), network];
    let config = engine::tunnel_config::PeerConfig { allowed_ips, ..Default::default() };
    a.tunnel.apply(&[engine::tunnel_config::Change::SetPeer(b.public(), config)]).unwrap();
    let behind = |payload: &[u8]| ipv4_packet(a.ip, Ipv4Addr::new(192, 168, 5, 9), payload);
    a.kernel.send(&behind(b"not yet")).unwrap();
    eventually("it is for nobody here", || b.paths.counts().destination_not_ours == 1);
    let routes = engine::tunnel_config::Change::SetRoutes { routes: Vec::new(), forwarded: vec![network] };
    b.tunnel.apply(&[routes]).unwrap();
    a.kernel.send(&behind(b"now")).unwrap();
    assert_eq!(b.receive(), b"now");
}
