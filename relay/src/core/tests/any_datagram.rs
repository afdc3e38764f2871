//! Properties that hold for whatever arrives.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::frame::{MAGIC, VERSION};

use super::*;

/// Where the attacker sits; no node is registered there.
fn attacker() -> SocketAddr {
    address("198.51.100.66:666")
}

/// A relay with two sessions, so that there is something to abuse.
fn inhabited() -> (World, SessionId, Node) {
    let mut world = World::new();
    let (a, b) = (Node::new(1, NETWORK), Node::new(2, NETWORK));
    let session = world.register(&a);
    world.register(&b);
    (world, session, b)
}

fn no_gain(world: &mut World, datagram: &[u8]) -> Result<(), TestCaseError> {
    let before = world.core.counters();
    let mut received = datagram.to_vec();
    match world.core.handle_datagram(world.now, world.unix_s, attacker(), &mut received) {
        Outcome::Reply(reply) => prop_assert!(reply.len() <= datagram.len(), "{datagram:?} → {reply:?}"),
        Outcome::Forward { to, .. } => prop_assert!(false, "forwarded to {to}: {datagram:?}"),
        Outcome::Drop(_) => prop_assert_eq!(datagram, &received[..]),
    }
    let after = world.core.counters();
    prop_assert_eq!((before.sessions, before.registered), (after.sessions, after.registered));
    Ok(())
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let version = prop_oneof![3 => Just(VERSION), 1 => any::<u8>()];
    let body = prop_oneof![vec(any::<u8>(), 0..64), vec(any::<u8>(), 160..163), vec(any::<u8>(), 0..1500)];
    (version, 0x0f_u8..0x21, body)
        .prop_map(|(version, kind, body)| [&[MAGIC, version, kind, 0][..], &body].concat())
}

proptest! {
    // Few worlds, because each costs two registrations; many datagrams in each.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn arbitrary_bytes_are_never_amplified_forwarded_or_let_in(datagrams in vec(vec(any::<u8>(), 0..400), 1..100)) {
        let (mut world, ..) = inhabited();
        for datagram in datagrams {
            no_gain(&mut world, &datagram)?;
        }
    }

    #[test]
    fn arbitrary_frames_are_never_amplified_forwarded_or_let_in(datagrams in vec(any_frame(), 1..100)) {
        let (mut world, ..) = inhabited();
        for datagram in datagrams {
            no_gain(&mut world, &datagram)?;
        }
    }

    #[test]
    fn a_stolen_session_id_gains_an_attacker_nothing(payloads in vec(vec(any::<u8>(), 0..1500), 1..20)) {
        let (mut world, session, b) = inhabited();
        for payload in payloads {
            no_gain(&mut world, &packet(session, &b, &payload))?;
        }
        no_gain(&mut world, &encode_keepalive(session, [8; 8]))?;
    }

    #[test]
    fn a_changed_registration_is_never_let_in(changes in vec((0_usize..165, 1_u8..), 1..20)) {
        let (mut world, ..) = inhabited();
        let node = Node { from: attacker(), ..Node::new(3, NETWORK) };
        let request = world.request(&node);
        for (position, flip) in changes {
            let mut changed = request.clone();
            changed[position] ^= flip;
            no_gain(&mut world, &changed)?;
        }
        world.registered(&node, &request);
    }

    #[test]
    fn a_member_is_never_answered_with_more_than_it_sent(
        frames in vec((0x10_u8..0x20, vec(any::<u8>(), 0..200)), 1..100),
    ) {
        let (mut world, session, _) = inhabited();
        let from = Node::new(1, NETWORK).from;
        for (kind, body) in frames {
            let datagram = [&[MAGIC, VERSION, kind, 0][..], &session.0, &body].concat();
            let reply = world.send(from, &datagram);
            prop_assert!(reply.is_none_or(|reply| reply.len() <= datagram.len()));
        }
    }
}
