//! What nodes and strangers get from a relay.

use protocol::frame::{MAGIC, VERSION};
use protocol::key::PrivateKey;
use protocol::relay::{Frame, Kind, RefusalReason, RelayKey, decode, encode_keepalive};

use crate::node::{NETWORK, Node, OTHER_NETWORK, challenge, core, refusal, server};

#[tokio::test]
async fn two_registered_nodes_exchange_packets_in_order_and_both_ways() {
    let (server, relay) = server();
    let (a, b) = (Node::new(1, NETWORK, relay).await, Node::new(2, NETWORK, relay).await);
    let (session_a, session_b) = (a.register().await, b.register().await);
    for number in 0..100_u8 {
        a.send_packet(session_a, &b, &[number; 100]).await;
    }
    for number in 0..100_u8 {
        assert_eq!(b.packet().await, (a.public_key(), vec![number; 100]));
    }
    b.send_packet(session_b, &a, &[9; 1400]).await;
    assert_eq!(a.packet().await, (b.public_key(), vec![9; 1400]));
    let counters = server.counters();
    assert_eq!((counters.relay.forwarded_packets, counters.relay.forwarded_bytes), (101, 11_400));
    assert_eq!((counters.relay.sessions, counters.io.send_errors), (2, 0));
    server.stop().await;
}

#[tokio::test]
async fn stun_is_answered_on_the_relays_port_and_between_its_frames() {
    let (server, relay) = server();
    let node = Node::new(1, NETWORK, relay).await;
    assert_eq!(node.reflexive().await, node.local());
    let session = node.register().await;
    assert_eq!(node.reflexive().await, node.local());
    let answer = node.ask(&encode_keepalive(session, [3; 8])).await;
    assert_eq!(decode(&answer), Ok(Frame::KeepaliveReply { echo: [3; 8] }));
    assert_eq!(server.counters().stun.answered, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_socket_that_is_no_relays_answers_stun_alone() {
    let (server, relay) = server();
    let stun_only = server.local_addrs().iter().copied().find(|address| *address != relay).unwrap();
    let node = Node::new(1, NETWORK, stun_only).await;
    node.say(&node.relay_key().encode_register([0; 16], [4; 8], &node.token(600))).await;
    assert_eq!(node.reflexive().await, node.local());
    assert_eq!((server.counters().io.dropped_foreign, server.counters().relay.challenged), (1, 0));
    server.stop().await;
}

#[tokio::test]
async fn garbage_is_dropped_and_counted() {
    let (server, relay) = server();
    let stranger = Node::new(1, NETWORK, relay).await;
    for garbage in [&b""[..], b"GET / HTTP/1.1\r\n", &[0xff; 1500], &[MAGIC, VERSION, Kind::Send as u8, 0, 1]]
    {
        stranger.say(garbage).await;
    }
    stranger.reflexive().await;
    let counters = server.counters();
    assert_eq!((counters.relay.dropped_foreign, counters.relay.dropped_malformed), (3, 1));
    assert_eq!(counters.io.received, 5);
    server.stop().await;
}

#[tokio::test]
async fn a_registration_in_another_version_is_told_ours() {
    let (server, relay) = server();
    let node = Node::new(1, NETWORK, relay).await;
    let answer = node.ask(&[MAGIC, VERSION + 1, Kind::Register as u8, 0, 1, 2, 3]).await;
    assert_eq!(decode(&answer), Ok(Frame::VersionUnsupported));
    server.stop().await;
}

#[tokio::test]
async fn a_node_of_another_network_is_unreachable() {
    let (server, relay) = server();
    let (a, stranger) = (Node::new(1, NETWORK, relay).await, Node::new(2, OTHER_NETWORK, relay).await);
    let session = a.register().await;
    stranger.register().await;
    a.send_packet(session, &stranger, b"hello").await;
    assert!(matches!(
        decode(&a.hear().await),
        Ok(Frame::Unreachable { destination, .. }) if destination == stranger.public_key()
    ));
    stranger.reflexive().await;
    assert_eq!(server.counters().relay.forwarded_packets, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_stolen_token_without_the_private_key_is_refused() {
    let (server, relay) = server();
    let (victim, thief) = (Node::new(1, NETWORK, relay).await, Node::new(2, NETWORK, relay).await);
    for key in [&thief.key, &PrivateKey::from_random([99; 32])] {
        let forged = RelayKey::of_node(key, &core().public_key()).unwrap();
        let request = forged.encode_register(thief.cookie().await, [4; 8], &victim.token(600));
        assert_eq!(refusal(&thief.ask(&request).await), RefusalReason::ProofInvalid);
    }
    assert_eq!(server.counters().relay.sessions, 0);
    server.stop().await;
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let (server, relay) = server();
    let node = Node::new(1, NETWORK, relay).await;
    let request = node.relay_key().encode_register(node.cookie().await, [4; 8], &node.token(-1));
    assert_eq!(refusal(&node.ask(&request).await), RefusalReason::TokenExpired);
    server.stop().await;
}

#[tokio::test]
async fn a_captured_registration_replayed_from_another_address_gets_only_a_challenge() {
    let (server, relay) = server();
    let (node, thief) = (Node::new(1, NETWORK, relay).await, Node::new(2, NETWORK, relay).await);
    let request = node.relay_key().encode_register(node.cookie().await, [4; 8], &node.token(600));
    let answer = node.ask(&request).await;
    let Ok(Frame::Registered(registered)) = decode(&answer) else { panic!("not let in: {answer:?}") };
    challenge(&thief.ask(&request).await);
    let answer = thief.ask(&encode_keepalive(registered.session, [3; 8])).await;
    assert_eq!(decode(&answer), Ok(Frame::NoSession(registered.session)));
    let answer = node.ask(&encode_keepalive(registered.session, [3; 8])).await;
    assert_eq!(decode(&answer), Ok(Frame::KeepaliveReply { echo: [3; 8] }));
    server.stop().await;
}

#[tokio::test]
async fn a_node_that_is_gone_does_not_stop_the_relay() {
    let (server, relay) = server();
    let a = Node::new(1, NETWORK, relay).await;
    let session = a.register().await;
    let gone = Node::new(2, NETWORK, relay).await;
    gone.register().await;
    let (gone_key, number) = (gone.public_key(), 20);
    drop(gone);
    let prefix = protocol::relay::send_prefix(session, &gone_key);
    for _ in 0..number {
        a.say(&prefix).await;
        a.reflexive().await;
    }
    assert_eq!(server.counters().relay.forwarded_packets, number);
    server.stop().await;
}
