//! Whatever arrives at the port, the tunnel neither panics nor stops.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::cell::RefCell;
use std::net::UdpSocket;

use engine::tunnel_config::Change;
use proptest::prelude::*;
use protocol::frame::{MAGIC, VERSION};
use protocol::relay::{Frame, SessionId, decode, deliver_prefix, send_prefix};
use protocol::stun::encode_request;
use support::tap::Tap;
use support::{Node, PATIENCE, direct, eventually, pair};
use tunnel::{Path, TunnelBackend};

/// Two nodes with a session, and the messages that made it.
struct Scene {
    a: Node,
    b: Node,
    socket: UdpSocket,
    recorded: Vec<Vec<u8>>,
}

fn scene() -> Scene {
    let (a, b) = pair();
    let tap = Tap::between(a.address(), b.address());
    a.set_direct(&b.public(), tap.address());
    for _ in 0..3 {
        a.send(&b, &[1; 200]);
        b.receive();
    }
    a.set_direct(&b.public(), b.address());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    b.paths.set_relays([socket.local_addr().unwrap()]);
    let recorded = tap.from(a.address());
    Scene { a, b, socket, recorded }
}

/// Beginnings that lead deep into the receive path.
fn beginning(choice: usize, sender: &protocol::key::PublicKey) -> Vec<u8> {
    match choice % 7 {
        0 => Vec::new(),
        kind @ 1..=4 => vec![u8::try_from(kind).unwrap(), 0, 0, 0],
        5 => vec![MAGIC, VERSION],
        _ => [&deliver_prefix(sender)[..], &[4, 0, 0, 0]].concat(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(
        garbage in prop::collection::vec((0_usize..7, prop::collection::vec(any::<u8>(), 0..300)), 1..20),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        thread_local!(static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) });
        SCENE.with_borrow_mut(|slot| {
            let scene = slot.get_or_insert_with(scene);
            for (choice, bytes) in &garbage {
                let datagram = [beginning(*choice, &scene.a.public()), bytes.clone()].concat();
                scene.socket.send_to(&datagram, scene.b.address()).unwrap();
            }
            for (which, at, value) in &mutations {
                let mut datagram = which.get(&scene.recorded).clone();
                let at = at.index(datagram.len());
                datagram[at] = *value;
                scene.socket.send_to(&datagram, scene.b.address()).unwrap();
                datagram.truncate(at);
                scene.socket.send_to(&datagram, scene.b.address()).unwrap();
            }
            // The receive thread is alive, and so is the session.
            while scene.b.events.try_recv().is_ok() {}
            scene.socket.send_to(&encode_request([7; 12]), scene.b.address()).unwrap();
            prop_assert!(std::iter::from_fn(|| scene.b.events.recv_timeout(PATIENCE).ok())
                .any(|received| received.datagram == encode_request([7; 12])));
            scene.a.send(&scene.b, b"alive");
            prop_assert_eq!(scene.b.receive(), b"alive");
            Ok(())
        })?;
    }
}

#[test]
fn the_limit_on_handshakes_begins_anew_each_second_on_a_node_without_peers() {
    let Scene { a, mut b, socket, recorded } = scene();
    let initiation = recorded.iter().find(|message| message[0] == 1).unwrap();
    b.tunnel.apply(&[Change::RemovePeer(a.public())]).unwrap();
    for _ in 0..1000 {
        socket.send_to(initiation, b.address()).unwrap();
    }
    eventually("most are limited", || b.paths.counts().handshakes_limited >= 100);
    let admitted = b.paths.counts().no_peer;
    eventually("new ones are looked at again", || {
        socket.send_to(initiation, b.address()).unwrap();
        b.paths.counts().no_peer > admitted + 1
    });
}

#[test]
fn a_flood_through_a_relay_is_answered_through_the_relay_only() {
    let Scene { a, b, socket, recorded } = scene();
    let initiation = recorded.iter().find(|message| message[0] == 1).unwrap();
    let frame = [&deliver_prefix(&a.public())[..], initiation].concat();
    let server = socket.local_addr().unwrap();
    let prefix = send_prefix(SessionId([5; 8]), &a.public());
    b.paths.set_path(&a.public(), Some(Path::Relay { server, prefix })).unwrap();
    for _ in 0..1000 {
        socket.send_to(&frame, b.address()).unwrap();
    }
    eventually("most are limited", || b.paths.counts().handshakes_limited >= 100);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; 300];
    let (len, _) = socket.recv_from(&mut buffer).unwrap();
    let Ok(Frame::Send { destination, payload, .. }) = decode(&buffer[..len]) else { panic!("a Send frame") };
    assert_eq!(
        (destination, payload[0], payload.len()),
        (a.public(), 3, 64),
        "the cookie goes to the sender"
    );
    // The limit is the sender's, not the relay's: another node behind the same relay is not held up.
    let c = Node::new(3);
    let mut b = b;
    b.add_peer(&c);
    c.paths.set_relays([server]);
    let mut c = c;
    c.add_peer(&b);
    c.paths.set_path(&b.public(), Some(direct(server))).unwrap();
    c.send(&b, b"hello");
    let initiation = loop {
        let (len, from) = socket.recv_from(&mut buffer).unwrap();
        if from == c.address() {
            break buffer[..len].to_vec();
        }
    };
    for _ in 0..200 {
        socket.send_to(&frame, b.address()).unwrap();
    }
    socket.send_to(&[&deliver_prefix(&c.public())[..], &initiation].concat(), b.address()).unwrap();
    eventually("the other node's handshake is taken", || b.stats(&c.public()).received_age.is_some());
}

#[test]
fn a_flood_of_handshakes_is_answered_with_cookies_and_then_ends() {
    let Scene { a, b, socket, recorded } = scene();
    let initiation = recorded.iter().find(|message| message[0] == 1).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    // MAC1 is right, so only the limit per source stands between these and the expensive part.
    for _ in 0..1000 {
        socket.send_to(initiation, b.address()).unwrap();
    }
    eventually("most are limited", || b.paths.counts().handshakes_limited >= 100);
    let mut buffer = [0; 200];
    let (len, _) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!((buffer[0], len), (3, 64), "a cookie reply, shorter than what it answers");
    a.send(&b, b"undisturbed");
    assert_eq!(b.receive(), b"undisturbed");
    // The next second begins with a clean slate.
    let limited = b.paths.counts().handshakes_limited;
    let rejected = b.paths.counts().rejected;
    eventually("the limit is lifted", || {
        socket.send_to(initiation, b.address()).unwrap();
        b.paths.counts().rejected > rejected + 1
    });
    assert!(b.paths.counts().handshakes_limited >= limited);
}
