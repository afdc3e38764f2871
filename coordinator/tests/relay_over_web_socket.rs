//! The relay over WebSocket, by real connections to a real HTTP server.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web;
use coordinator::http::{Site, bind};
use fixture::Fixture;
use futures_util::{SinkExt, StreamExt};
use protocol::key::PrivateKey;
use protocol::relay::{Frame, RelayKey, SessionId, decode, send_prefix};
use protocol::relay_token::{RelayToken, TokenSigningKey};
use relay::core::{RelayConfig, RelayCore};
use relay::server::{CONNECTIONS_MAX, Config, UdpServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;
use zeroize::Zeroizing;

mod fixture;

/// A coordinator with a relay.
struct Scene {
    udp: UdpServer,
    http: SocketAddr,
    handle: ServerHandle,
    _fixture: Fixture,
}

fn relay_key() -> PrivateKey {
    PrivateKey::from_random([77; 32])
}

fn signing_key() -> TokenSigningKey {
    TokenSigningKey::from_random(&Zeroizing::new([5; 32]))
}

/// Must run within the runtime of the test.
fn scene() -> Scene {
    let core = RelayCore::new(RelayConfig::new(relay_key(), vec![signing_key().verifying_key()]), [9; 32]);
    let relay = Some("127.0.0.1:0".parse().unwrap());
    let udp = UdpServer::bind(Config { stun: Vec::new(), relay, mark: None, core }).unwrap();
    let fixture = Fixture::new(1);
    let site = Site::new(fixture.coordinator.clone(), None).with_relay(udp.connections());
    let (server, addresses) = bind(web::Data::new(site), "127.0.0.1:0".parse().unwrap()).unwrap();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    Scene { udp, http: addresses[0], handle, _fixture: fixture }
}

type Connected = WebSocketStream<TcpStream>;

impl Scene {
    async fn connect(&self) -> Connected {
        let stream = TcpStream::connect(self.http).await.unwrap();
        client_async(format!("ws://{}/api/v1/relay", self.http), stream).await.unwrap().0
    }

    /// Asks for the page with these lines in the head; gives the answer's head.
    async fn ask(&self, lines: &str) -> String {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let head = format!("GET /api/v1/relay HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(soon(stream.read_u8()).await.unwrap());
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A bound for a hanging test, never a wait.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

async fn frame(connected: &mut Connected) -> Vec<u8> {
    let message = soon(connected.next()).await.unwrap().unwrap();
    let Message::Binary(frame) = message else { panic!("no frame: {message:?}") };
    frame.into()
}

fn register(node: u8, cookie: [u8; 16]) -> Vec<u8> {
    let key = PrivateKey::from_random([node; 32]);
    let token = RelayToken { node: key.public_key(), network: Uuid::nil(), expires_unix_s: u64::MAX / 2 };
    let relay = RelayKey::of_node(&key, &relay_key().public_key()).unwrap();
    relay.encode_register(cookie, [4; 8], &token.sign(&signing_key()))
}

fn session_of(answer: &[u8]) -> SessionId {
    match decode(answer) {
        Ok(Frame::Registered(registered)) => registered.session,
        other => panic!("not let in: {other:?}"),
    }
}

fn cookie_of(answer: &[u8]) -> [u8; 16] {
    match decode(answer) {
        Ok(Frame::Challenge(cookie)) => cookie,
        other => panic!("no challenge: {other:?}"),
    }
}

/// Registers the node made of this byte.
async fn admit(connected: &mut Connected, node: u8) -> SessionId {
    connected.send(Message::binary(register(node, [0; 16]))).await.unwrap();
    let cookie = cookie_of(&frame(connected).await);
    connected.send(Message::binary(register(node, cookie))).await.unwrap();
    session_of(&frame(connected).await)
}

/// A UDP node that is registered.
async fn udp_node(scene: &Scene, node: u8) -> (UdpSocket, SessionId) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(scene.udp.relay_addr().unwrap()).await.unwrap();
    socket.send(&register(node, [0; 16])).await.unwrap();
    let mut buffer = [0; 2048];
    let len = soon(socket.recv(&mut buffer)).await.unwrap();
    socket.send(&register(node, cookie_of(&buffer[..len]))).await.unwrap();
    let len = soon(socket.recv(&mut buffer)).await.unwrap();
    (socket, session_of(&buffer[..len]))
}

fn to(session: SessionId, node: u8, payload: &[u8]) -> Vec<u8> {
    let key = PrivateKey::from_random([node; 32]).public_key();
    [&send_prefix(session, &key)[..], payload].concat()
}

#[actix_web::test]
async fn a_node_over_web_socket_and_one_over_udp_reach_each_other() {
    let scene = scene();
    let mut one = scene.connect().await;
    let session = admit(&mut one, 1).await;
    let (other, other_session) = udp_node(&scene, 2).await;
    one.send(Message::binary(to(session, 2, &[7; 1400]))).await.unwrap();
    let mut buffer = [0; 2048];
    let len = soon(other.recv(&mut buffer)).await.unwrap();
    assert!(matches!(decode(&buffer[..len]), Ok(Frame::Deliver { payload, .. }) if payload == [7; 1400]));
    other.send(&to(other_session, 1, &[8; 1400])).await.unwrap();
    let answer = frame(&mut one).await;
    assert!(matches!(decode(&answer), Ok(Frame::Deliver { payload, .. }) if payload == [8; 1400]));
    drop(scene.handle.stop(false));
}

#[actix_web::test]
async fn text_and_oversized_messages_end_their_connection_with_a_code() {
    let scene = scene();
    for (message, code) in [
        (Message::text("hello"), CloseCode::Unsupported),
        (Message::binary(vec![0; 66_000]), CloseCode::Size),
    ] {
        let mut connected = scene.connect().await;
        connected.send(message).await.unwrap();
        let end = soon(connected.next()).await.unwrap();
        let Ok(Message::Close(Some(reason))) = end else { panic!("{end:?}") };
        assert_eq!(reason.code, code);
    }
    drop(scene.handle.stop(false));
}

#[actix_web::test]
async fn no_page_of_a_browser_and_no_plain_request_becomes_a_connection() {
    let scene = scene();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n";
    for (lines, status) in [
        ("", "400"),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n", "400"),
        (&format!("{upgrade}Origin: https://elsewhere.example\r\n"), "403"),
        (upgrade, "101"),
    ] {
        let answer = scene.ask(lines).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{lines}: {answer}");
    }
    drop(scene.handle.stop(false));
}

#[actix_web::test]
async fn a_flood_of_connections_is_refused_beyond_the_bound_and_forgotten_with_its_end() {
    let scene = scene();
    let connections = scene.udp.connections().unwrap();
    let client = "127.0.0.1".parse().unwrap();
    let all: Vec<_> = std::iter::from_fn(|| connections.open(client)).collect();
    assert_eq!(all.len(), CONNECTIONS_MAX);
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n";
    let answer = scene.ask(upgrade).await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.to_lowercase().contains("retry-after"), "{answer}");
    drop(all);
    assert!(scene.ask(upgrade).await.starts_with("HTTP/1.1 101"));
    drop(scene.handle.stop(false));
}

#[actix_web::test]
async fn a_reader_that_does_not_read_loses_frames_and_delays_nobody() {
    let scene = scene();
    let mut lazy = scene.connect().await;
    admit(&mut lazy, 1).await;
    let (sender, session) = udp_node(&scene, 2).await;
    let (third, _) = udp_node(&scene, 3).await;
    // 64 MB in frames of 32 kB, far beyond what kernel and queue hold, as fast as the sender's own budget at the relay lets.
    let mut lost = 0;
    for _ in 0..2_000 {
        sender.send(&to(session, 1, &vec![0; 32_000])).await.unwrap();
        lost = scene.udp.counters().io.queue_full;
        if lost > 10 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(lost > 10, "only {lost} lost");
    sender.send(&to(session, 3, b"prompt")).await.unwrap();
    let mut buffer = [0; 2048];
    let len = soon(third.recv(&mut buffer)).await.unwrap();
    assert!(matches!(decode(&buffer[..len]), Ok(Frame::Deliver { payload: b"prompt", .. })));
    drop(scene.handle.stop(false));
}
