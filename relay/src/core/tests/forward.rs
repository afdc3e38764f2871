//! Which packets go where.

use super::*;

/// Two nodes of one network, registered.
fn pair(world: &mut World) -> (Node, SessionId, Node, SessionId) {
    let (a, b) = (Node::new(1, NETWORK), Node::new(2, NETWORK));
    let (session_a, session_b) = (world.register(&a), world.register(&b));
    (a, session_a, b, session_b)
}

fn unreachable_reply(world: &mut World, from: SocketAddr, datagram: &[u8]) -> Option<PublicKey> {
    let reply = world.send(from, datagram)?;
    assert!(reply.len() <= datagram.len());
    match decode(&reply) {
        Ok(Frame::Unreachable { destination, .. }) => Some(destination),
        other => panic!("an unexpected answer: {other:?}"),
    }
}

#[test]
fn a_packet_arrives_whole_and_names_its_sender_in_both_directions() {
    let mut world = World::new();
    let (a, session_a, b, session_b) = pair(&mut world);
    for (from, session, to) in [(&a, session_a, &b), (&b, session_b, &a)] {
        for payload in [&b""[..], b"x", &[7; 1400], &[9; 65_000]] {
            let (address, datagram) =
                world.forward(from.from, &packet(session, to, payload)).expect("forwarded");
            assert_eq!(address, to.from);
            assert_eq!(decode(&datagram), Ok(Frame::Deliver { source: from.public_key(), payload }));
        }
    }
    let counters = world.core.counters();
    assert_eq!((counters.forwarded_packets, counters.forwarded_bytes), (8, 2 * (1 + 1400 + 65_000)));
}

#[test]
fn a_packet_follows_its_destination_to_a_new_address() {
    let mut world = World::new();
    let (a, session, b, _) = pair(&mut world);
    let moved = Node { from: address("[2001:db8::2]:9"), ..b.clone() };
    world.register(&moved);
    assert_eq!(world.forward(a.from, &packet(session, &b, b"x")).unwrap().0, moved.from);
}

#[test]
fn a_node_of_another_network_is_as_unreachable_as_one_that_does_not_exist() {
    let mut world = World::new();
    let (a, session, _, _) = pair(&mut world);
    let (stranger, nobody) = (Node::new(3, OTHER_NETWORK), Node::new(4, NETWORK));
    world.register(&stranger);
    for node in [&stranger, &nobody] {
        let reply = unreachable_reply(&mut world, a.from, &packet(session, node, b""));
        assert_eq!(reply, Some(node.public_key()));
    }
    assert_eq!(world.core.counters().forwarded_packets, 0);
}

#[test]
fn a_node_that_fell_silent_is_unreachable_until_it_is_heard_again() {
    let mut world = World::new();
    let (a, session_a, b, session_b) = pair(&mut world);
    world.pass(Duration::from_secs(46));
    let datagram = packet(session_a, &b, b"");
    assert_eq!(unreachable_reply(&mut world, a.from, &datagram), Some(b.public_key()));
    assert!(world.is_known(session_b, b.from));
    assert_eq!(world.forward(a.from, &datagram).unwrap().0, b.from);
}

#[test]
fn a_node_that_changed_its_network_is_gone_from_the_old_one() {
    let mut world = World::new();
    let (a, session, b, old_session) = pair(&mut world);
    let changed = Node { network: OTHER_NETWORK, ..b.clone() };
    assert_ne!(world.register(&changed), old_session);
    assert!(!world.is_known(old_session, b.from));
    let reply = unreachable_reply(&mut world, a.from, &packet(session, &b, b""));
    assert_eq!(reply, Some(b.public_key()));
}

#[test]
fn a_node_whose_session_ended_is_unreachable() {
    let mut world = World::new();
    let b = Node::new(2, NETWORK);
    world.register(&b);
    world.pass(Duration::from_secs(10));
    let a = Node::new(1, NETWORK);
    let session = world.register(&a);
    world.pass(Duration::from_secs(TOKEN_LIFETIME_S - 10));
    let reply = unreachable_reply(&mut world, a.from, &packet(session, &b, b""));
    assert_eq!(reply, Some(b.public_key()));
}

#[test]
fn a_sender_is_told_of_an_unreachable_node_at_a_limited_rate() {
    let mut world = World::new();
    let (a, session, _, _) = pair(&mut world);
    let datagram = packet(session, &Node::new(4, NETWORK), b"x");
    let told = (0..1000).filter(|_| world.send(a.from, &datagram).is_some()).count();
    assert_eq!(told as u64, UNREACHABLE.burst);
    assert_eq!(world.core.counters().dropped_unreachable_rate, 1000 - UNREACHABLE.burst);
    world.pass(Duration::from_secs(1));
    let told = (0..1000).filter(|_| world.send(a.from, &datagram).is_some()).count();
    assert_eq!(told as u64, UNREACHABLE.per_second);
}

#[test]
fn a_packet_with_a_foreign_session_is_not_forwarded() {
    let mut world = World::new();
    let (a, session_a, b, session_b) = pair(&mut world);
    for session in [session_b, SessionId([0; 8])] {
        let reply = world.send(a.from, &packet(session, &b, b"x")).unwrap();
        assert_eq!(decode(&reply), Ok(Frame::NoSession(session)));
    }
    assert!(world.forward(a.from, &packet(session_a, &b, b"x")).is_some());
}

#[test]
fn a_node_above_its_packet_rate_is_cut_and_its_peers_are_not() {
    let mut world = World::with(|config| config.node_packets = Rate { per_second: 10, burst: 5 });
    let (a, session_a, b, session_b) = pair(&mut world);
    let datagram = packet(session_a, &b, b"x");
    let passed = (0..100).filter(|_| world.forward(a.from, &datagram).is_some()).count();
    assert_eq!(passed, 5);
    assert_eq!(world.core.counters().dropped_node_rate, 95);
    assert!(world.forward(b.from, &packet(session_b, &a, b"x")).is_some());
    world.pass(Duration::from_millis(100));
    assert!(world.forward(a.from, &datagram).is_some());
}

#[test]
fn a_node_above_its_byte_rate_is_cut() {
    let mut world = World::with(|config| config.node_bytes = Rate { per_second: 1000, burst: 1000 });
    let (a, session, b, _) = pair(&mut world);
    let datagram = packet(session, &b, &[0; 450]);
    let passed = (0..100).filter(|_| world.forward(a.from, &datagram).is_some()).count();
    assert_eq!(passed, 2);
    assert_eq!(world.core.counters().dropped_node_rate, 98);
    world.pass(Duration::from_millis(500));
    assert!(world.forward(a.from, &datagram).is_some());
}

#[test]
fn a_packet_refused_for_its_size_costs_no_part_of_the_packet_rate() {
    let mut world = World::with(|config| {
        config.node_bytes = Rate { per_second: 1000, burst: 1000 };
        config.node_packets = Rate { per_second: 1, burst: 1 };
    });
    let (a, session, b, _) = pair(&mut world);
    assert_eq!(world.drop_reason(a.from, &packet(session, &b, &[0; 2000])), DropReason::NodeRate);
    assert!(world.forward(a.from, &packet(session, &b, b"x")).is_some());
}

#[test]
fn a_new_registration_does_not_refill_a_nodes_budget() {
    let mut world = World::with(|config| config.node_packets = Rate { per_second: 1, burst: 3 });
    let (a, session, b, _) = pair(&mut world);
    while world.forward(a.from, &packet(session, &b, b"x")).is_some() {}
    let moved = Node { from: address("198.51.100.7:9"), ..a };
    let session = world.register(&moved);
    assert_eq!(world.drop_reason(moved.from, &packet(session, &b, b"x")), DropReason::NodeRate);
}

#[test]
fn what_only_relays_say_is_never_answered() {
    let mut world = World::new();
    let (a, session, b, _) = pair(&mut world);
    let said = [
        encode_challenge([0; 16]),
        encode_refused([0; 8], RefusalReason::Full),
        encode_no_session(session),
        encode_unreachable(session, &b.public_key()),
        encode_keepalive_reply([0; 8]),
        encode_version_unsupported(),
        deliver_prefix(&b.public_key()).to_vec(),
        world.relay_key(&a).encode_registered(session, a.from, 1, [0; 8]),
    ];
    for datagram in said {
        assert_eq!(world.drop_reason(a.from, &datagram), DropReason::Unexpected, "{datagram:?}");
    }
}

#[test]
fn what_is_no_sound_relay_frame_is_dropped_and_counted() {
    let mut world = World::new();
    let (a, session, b, _) = pair(&mut world);
    for foreign in [&b""[..], b"W", b"GET / HTTP/1.1", &[0xff; 1500]] {
        assert_eq!(world.drop_reason(a.from, foreign), DropReason::Foreign);
    }
    let whole = packet(session, &b, b"");
    for len in 4..whole.len() {
        assert_eq!(world.drop_reason(a.from, &whole[..len]), DropReason::Malformed, "{len} bytes");
    }
    let counters = world.core.counters();
    assert_eq!((counters.dropped_foreign, counters.dropped_malformed), (4, whole.len() as u64 - 4));
}
