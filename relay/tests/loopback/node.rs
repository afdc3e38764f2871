//! A node with its own socket that speaks to a server under test, and the server itself.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::key::{PrivateKey, PublicKey};
use protocol::relay::{COOKIE_LEN, Frame, RefusalReason, RelayKey, SessionId, decode, send_prefix};
use protocol::relay_token::{RelayToken, TOKEN_LEN, TokenSigningKey};
use protocol::stun;
use relay::core::{RelayConfig, RelayCore};
use relay::server::{Config, UdpServer};
use tokio::net::UdpSocket;
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) const NETWORK: Uuid = Uuid::from_bytes([1; 16]);
pub(crate) const OTHER_NETWORK: Uuid = Uuid::from_bytes([2; 16]);

/// No answer takes this long on loopback unless it never comes.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn coordinator() -> TokenSigningKey {
    TokenSigningKey::from_random(&Zeroizing::new([5; 32]))
}

pub(crate) fn core() -> RelayCore {
    let key = PrivateKey::from_random([77; 32]);
    RelayCore::new(RelayConfig::new(key, vec![coordinator().verifying_key()]), [9; 32])
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A server with one port of loopback for both, and one for STUN alone.
pub(crate) fn server() -> (UdpServer, SocketAddr) {
    let relay = addr("127.0.0.1:0");
    let config =
        Config { stun: vec![relay, addr("127.0.0.2:0")], relay: Some(relay), mark: None, core: core() };
    let server = UdpServer::bind(config).unwrap();
    let relay_addr = server.relay_addr().unwrap();
    (server, relay_addr)
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A node that talks to the server at `server`.
pub(crate) struct Node {
    pub(crate) key: PrivateKey,
    network: Uuid,
    socket: UdpSocket,
    server: SocketAddr,
}

impl Node {
    pub(crate) async fn new(seed: u8, network: Uuid, server: SocketAddr) -> Self {
        let local = if server.is_ipv4() { addr("127.0.0.1:0") } else { addr("[::1]:0") };
        let socket = UdpSocket::bind(local).await.unwrap();
        Self { key: PrivateKey::from_random([seed; 32]), network, socket, server }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    pub(crate) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(crate) fn relay_key(&self) -> RelayKey {
        RelayKey::of_node(&self.key, &core().public_key()).unwrap()
    }

    /// A token that expires so many seconds from now.
    pub(crate) fn token(&self, lifetime_s: i64) -> [u8; TOKEN_LEN] {
        let expires_unix_s = unix_s().saturating_add_signed(lifetime_s);
        RelayToken { node: self.public_key(), network: self.network, expires_unix_s }.sign(&coordinator())
    }

    pub(crate) async fn say(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.server).await.unwrap();
    }

    /// The next datagram from the server.
    pub(crate) async fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let received = tokio::time::timeout(ANSWER_WITHIN, self.socket.recv_from(&mut buffer)).await;
        let (len, from) = received.expect("an answer").unwrap();
        assert_eq!(from, self.server);
        buffer.truncate(len);
        buffer
    }

    pub(crate) async fn ask(&self, datagram: &[u8]) -> Vec<u8> {
        self.say(datagram).await;
        self.hear().await
    }

    /// Asks for the own address. As loopback keeps order, an answer proves that nothing said before was answered.
    pub(crate) async fn reflexive(&self) -> SocketAddr {
        let answer = self.ask(&stun::encode_request([7; 12])).await;
        let (transaction, address) = stun::decode_response(&answer).expect("a STUN answer");
        assert_eq!(transaction, [7; 12]);
        address
    }

    pub(crate) async fn cookie(&self) -> [u8; COOKIE_LEN] {
        let request = self.relay_key().encode_register([0; 16], [4; 8], &self.token(600));
        challenge(&self.ask(&request).await)
    }

    pub(crate) async fn register(&self) -> SessionId {
        let request = self.relay_key().encode_register(self.cookie().await, [4; 8], &self.token(600));
        let answer = self.ask(&request).await;
        let Ok(Frame::Registered(registered)) = decode(&answer) else { panic!("not let in: {answer:?}") };
        assert!(self.relay_key().verify_registered(&registered));
        assert_eq!(registered.observed, self.local());
        assert!((590..=600).contains(&registered.lifetime_s), "{}", registered.lifetime_s);
        registered.session
    }

    pub(crate) async fn send_packet(&self, session: SessionId, to: &Node, payload: &[u8]) {
        self.say(&[&send_prefix(session, &to.public_key())[..], payload].concat()).await;
    }

    /// Who sent the next packet, and what it is.
    pub(crate) async fn packet(&self) -> (PublicKey, Vec<u8>) {
        let datagram = self.hear().await;
        match decode(&datagram) {
            Ok(Frame::Deliver { source, payload }) => (source, payload.to_vec()),
            other => panic!("no packet: {other:?}"),
        }
    }
}

pub(crate) fn challenge(answer: &[u8]) -> [u8; COOKIE_LEN] {
    match decode(answer) {
        Ok(Frame::Challenge(cookie)) => cookie,
        other => panic!("no challenge: {other:?}"),
    }
}

pub(crate) fn refusal(answer: &[u8]) -> RefusalReason {
    match decode(answer) {
        Ok(Frame::Refused { nonce: [4, ..], reason }) => reason,
        other => panic!("no refusal: {other:?}"),
    }
}
