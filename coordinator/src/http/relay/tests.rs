//! When a relay connection ends by itself, in simulated time.

use std::pin::Pin;

use actix_web::FromRequest;
use actix_web::dev::Payload as Body;
use actix_web::error::PayloadError;
use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::stream::{StreamExt, once, pending};
use protocol::key::PrivateKey;
use protocol::relay::{Frame, RelayKey, decode};
use protocol::relay_token::{RelayToken, TokenSigningKey};
use relay::core::{RelayConfig, RelayCore};
use relay::server::{Config, UdpServer};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;

fn signing_key() -> TokenSigningKey {
    TokenSigningKey::from_random(&Zeroizing::new([5; 32]))
}

fn server() -> UdpServer {
    let key = PrivateKey::from_random([7; 32]);
    let core = RelayCore::new(RelayConfig::new(key, vec![signing_key().verifying_key()]), [9; 32]);
    UdpServer::bind(Config {
        stun: Vec::new(),
        relay: Some("127.0.0.1:0".parse().unwrap()),
        mark: None,
        core,
    })
    .unwrap()
}

fn connection(server: &UdpServer) -> Connection {
    server.connections().unwrap().open("192.0.2.1".parse().unwrap()).unwrap()
}

/// The ends of a WebSocket whose client sends `bytes` after a while and then nothing, ever, and keeps the connection open.
async fn halves(after: Duration, bytes: Vec<u8>) -> (HttpResponse, Session, MessageStream) {
    let request = TestRequest::default()
        .insert_header(("upgrade", "websocket"))
        .insert_header(("connection", "upgrade"))
        .insert_header(("sec-websocket-version", "13"))
        .insert_header(("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw=="))
        .to_http_request();
    let sent = once(async move {
        tokio::time::sleep(after).await;
        Ok(Bytes::from(bytes))
    });
    let payload: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(sent.chain(pending()));
    let body = Payload::from_request(&request, &mut Body::Stream { payload }).await.unwrap();
    let body = head_check::checked(&request, body).await.unwrap();
    actix_ws::handle(&request, body).unwrap()
}

/// How a connection whose client sends `bytes` after a while ends, and how long that takes.
async fn end(connection: &Connection, after: Duration, bytes: &[u8]) -> (CloseReason, Duration) {
    // The response holds the other end of what is sent; nobody reads it, as with a client that does not.
    let (_response, session, messages) = halves(after, bytes.to_vec()).await;
    tokio::time::pause();
    let start = Instant::now();
    let reason = serve(connection, session, messages.max_frame_size(FRAME_BYTES_MAX)).await;
    (reason, start.elapsed())
}

/// A message as a client sends it, masked with zeros.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[first, 0xfe, len[0], len[1], 0, 0, 0, 0][..], payload].concat()
}

/// A registration that the relay takes where the cookie is right.
fn registration(cookie: [u8; 16]) -> Vec<u8> {
    let node = PrivateKey::from_random([1; 32]);
    let key = RelayKey::of_node(&node, &PrivateKey::from_random([7; 32]).public_key()).unwrap();
    let (node, network) = (node.public_key(), Uuid::nil());
    let token = RelayToken { node, network, expires_unix_s: u64::MAX / 2 }.sign(&signing_key());
    key.encode_register(cookie, [4; 8], &token)
}

#[actix_web::test]
async fn a_client_that_never_registers_loses_its_connection() {
    let server = server();
    let (reason, after) = end(&connection(&server), Duration::ZERO, &masked(0x82, b"no frame")).await;
    assert_eq!((reason.code, after.as_secs()), (CloseCode::Policy, SESSIONLESS_MAX.as_secs()));
}

#[actix_web::test]
async fn an_open_connection_whose_node_asks_for_its_session_no_more_is_dropped() {
    let server = server();
    let connection = connection(&server);
    connection.receive(&mut registration([0; 16]));
    let challenge = connection.next().await.unwrap();
    let Ok(Frame::Challenge(cookie)) = decode(&challenge) else { panic!("{challenge:?}") };
    let late = Duration::from_secs(20);
    let (reason, after) = end(&connection, late, &masked(0x82, &registration(cookie))).await;
    assert_eq!((reason.code, after.as_secs()), (CloseCode::Policy, (late + SESSIONLESS_MAX).as_secs()));
}

#[actix_web::test]
async fn what_no_node_sends_ends_the_connection_at_once() {
    let server = server();
    // Text, a message in two parts, a length of 70,000, an unmasked message, and a goodbye.
    for (bytes, code) in [
        (masked(0x81, b"hi"), CloseCode::Unsupported),
        (masked(0x02, b"part"), CloseCode::Unsupported),
        (b"\x82\xff\0\0\0\0\0\x01\x11\x70\0\0\0\0x".to_vec(), CloseCode::Size),
        (b"\x82\x01x".to_vec(), CloseCode::Protocol),
        (b"\x88\x80\0\0\0\0".to_vec(), CloseCode::Normal),
    ] {
        let (reason, after) = end(&connection(&server), Duration::ZERO, &bytes).await;
        assert_eq!(reason.code, code, "{bytes:?}: {:?}", reason.description);
        assert!(after < Duration::from_secs(1), "{after:?}");
        tokio::time::resume();
    }
}

#[actix_web::test]
async fn a_client_that_asks_and_never_reads_the_answers_still_ends_in_time() {
    let server = server();
    // More pings than there is room for answers.
    let pings = b"\x89\x80\0\0\0\0".repeat(64);
    let (reason, after) = end(&connection(&server), Duration::ZERO, &pings).await;
    assert_eq!((reason.code, after.as_secs()), (CloseCode::Policy, SESSIONLESS_MAX.as_secs()));
}
