//! Nodes whose frames come over a connection, among others that speak UDP.

use protocol::frame::{MAGIC, VERSION};
use protocol::key::PublicKey;
use protocol::relay::{Frame, Kind, SessionId, decode, encode_keepalive, send_prefix};
use relay::server::Connection;

use crate::node::{NETWORK, Node, challenge, server};

/// Registers `node` over a connection.
async fn register(node: &Node, connection: &Connection) -> SessionId {
    let (key, token) = (node.relay_key(), node.token(600));
    assert!(!connection.receive(&mut key.encode_register([0; 16], [4; 8], &token)));
    let cookie = challenge(&connection.next().await.unwrap());
    assert!(connection.receive(&mut key.encode_register(cookie, [4; 8], &token)));
    let answer = connection.next().await.unwrap();
    let Ok(Frame::Registered(registered)) = decode(&answer) else { panic!("not let in: {answer:?}") };
    assert!(key.verify_registered(&registered));
    registered.session
}

async fn packet(connection: &Connection) -> (PublicKey, Vec<u8>) {
    let frame = connection.next().await.unwrap();
    match decode(&frame) {
        Ok(Frame::Deliver { source, payload }) => (source, payload.to_vec()),
        other => panic!("no packet: {other:?}"),
    }
}

fn send(session: SessionId, to: &Node, payload: &[u8]) -> Vec<u8> {
    [&send_prefix(session, &to.public_key())[..], payload].concat()
}

#[tokio::test]
async fn nodes_over_connections_and_over_udp_reach_each_other() {
    let (server, relay) = server();
    let connections = server.connections().unwrap();
    let open = || connections.open("192.0.2.7".parse().unwrap()).unwrap();
    let (one, two) = (open(), open());
    let (a, b, c) = (
        Node::new(1, NETWORK, relay).await,
        Node::new(2, NETWORK, relay).await,
        Node::new(3, NETWORK, relay).await,
    );
    let (session_a, session_b, session_c) =
        (register(&a, &one).await, register(&b, &two).await, c.register().await);
    assert!(one.receive(&mut send(session_a, &c, &[1; 1400])));
    assert_eq!(c.packet().await, (a.public_key(), vec![1; 1400]));
    c.send_packet(session_c, &a, &[2; 1400]).await;
    assert_eq!(packet(&one).await, (c.public_key(), vec![2; 1400]));
    assert!(two.receive(&mut send(session_b, &a, &[3; 10])));
    assert_eq!(packet(&one).await, (b.public_key(), vec![3; 10]));
    server.stop().await;
    assert!(one.next().await.is_none(), "a server that stops ends its connections");
}

#[tokio::test]
async fn a_session_belongs_to_its_connection_and_ends_its_usefulness_with_it() {
    let (server, relay) = server();
    let connections = server.connections().unwrap();
    let client = "192.0.2.7".parse().unwrap();
    let (one, stranger) = (connections.open(client).unwrap(), connections.open(client).unwrap());
    let (a, c) = (Node::new(1, NETWORK, relay).await, Node::new(3, NETWORK, relay).await);
    let (session_a, session_c) = (register(&a, &one).await, c.register().await);
    assert!(one.receive(&mut encode_keepalive(session_a, [7; 8])));
    assert!(!stranger.receive(&mut encode_keepalive(session_a, [7; 8])), "another connection's session");
    assert!(matches!(decode(&stranger.next().await.unwrap()), Ok(Frame::NoSession(_))));
    drop(one);
    c.send_packet(session_c, &a, b"too late").await;
    // The first answer may leave before the rest of its batch, the second one after it.
    c.reflexive().await;
    c.reflexive().await;
    assert_eq!(server.counters().io.queue_full, 1);
    server.stop().await;
}

#[tokio::test]
async fn garbage_over_a_connection_gets_no_answer_and_proves_nothing() {
    let (server, _) = server();
    let connection = server.connections().unwrap().open("2001:db8::1".parse().unwrap()).unwrap();
    for garbage in
        [&b""[..], b"GET / HTTP/1.1\r\n", &[0xff; 60_000], &[MAGIC, VERSION, Kind::Send as u8, 0, 1]]
    {
        assert!(!connection.receive(&mut garbage.to_vec()));
    }
    let counters = server.counters().relay;
    assert_eq!((counters.dropped_foreign, counters.dropped_malformed), (3, 1));
    server.stop().await;
    assert!(connection.next().await.is_none(), "nothing was answered");
}
