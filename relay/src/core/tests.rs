//! What a relay decides, in simulated time: nodes, coordinators and thieves that the rules are tried on.

use std::time::Duration;

use protocol::key::PrivateKey;
use protocol::relay::{COOKIE_LEN, Registered, encode_keepalive, send_prefix};
use protocol::relay_token::{TOKEN_LEN, TokenSigningKey};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;

mod any_datagram;
mod forward;
mod register;

const NOW_UNIX_S: u64 = 1_800_000_000;
const TOKEN_LIFETIME_S: u64 = 3_600;
const NETWORK: Uuid = Uuid::from_bytes([1; 16]);
const OTHER_NETWORK: Uuid = Uuid::from_bytes([2; 16]);

fn coordinator() -> TokenSigningKey {
    TokenSigningKey::from_random(&Zeroizing::new([5; 32]))
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A node as a relay meets it: keys, a network, an address.
#[derive(Clone)]
struct Node {
    key: PrivateKey,
    network: Uuid,
    from: SocketAddr,
}

impl Node {
    fn new(seed: u8, network: Uuid) -> Self {
        let from = SocketAddr::from(([203, 0, 113, seed], 41_641));
        Self { key: PrivateKey::from_random([seed; 32]), network, from }
    }

    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn token_until(&self, expires_unix_s: u64) -> [u8; TOKEN_LEN] {
        RelayToken { node: self.public_key(), network: self.network, expires_unix_s }.sign(&coordinator())
    }
}

/// A relay and the time that passes for it.
struct World {
    core: RelayCore,
    now: Timestamp,
    unix_s: u64,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut RelayConfig)) -> Self {
        let key = PrivateKey::from_random([77; 32]);
        let mut config = RelayConfig::new(key, vec![coordinator().verifying_key()]);
        change(&mut config);
        let now = Timestamp::from_micros(500_000_000);
        Self { core: RelayCore::new(config, [9; 32]), now, unix_s: NOW_UNIX_S }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.unix_s += time.as_secs();
    }

    /// The reply, if there is one.
    fn send(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        match self.core.handle_datagram(self.now, self.unix_s, from, &mut datagram.to_vec()) {
            Outcome::Reply(reply) => Some(reply),
            Outcome::Forward { .. } | Outcome::Drop(_) => None,
        }
    }

    fn drop_reason(&mut self, from: SocketAddr, datagram: &[u8]) -> DropReason {
        match self.core.handle_datagram(self.now, self.unix_s, from, &mut datagram.to_vec()) {
            Outcome::Drop(reason) => reason,
            other @ (Outcome::Reply(_) | Outcome::Forward { .. }) => panic!("not dropped: {other:?}"),
        }
    }

    /// Where a packet went, and what arrives there.
    fn forward(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<(SocketAddr, Vec<u8>)> {
        match self.core.handle_datagram(self.now, self.unix_s, from, &mut datagram.to_vec()) {
            Outcome::Forward { to, datagram } => Some((to, datagram.to_vec())),
            Outcome::Reply(_) | Outcome::Drop(_) => None,
        }
    }

    fn relay_key(&self, node: &Node) -> RelayKey {
        RelayKey::of_node(&node.key, &self.core.public_key()).unwrap()
    }

    fn cookie(&mut self, node: &Node) -> [u8; COOKIE_LEN] {
        let request = self.relay_key(node).encode_register([0; 16], [1; 8], &[0; TOKEN_LEN]);
        let reply = self.send(node.from, &request).unwrap();
        let Ok(Frame::Challenge(cookie)) = decode(&reply) else { panic!("no challenge: {reply:?}") };
        cookie
    }

    /// A request with a valid cookie and a fresh token.
    fn request(&mut self, node: &Node) -> Vec<u8> {
        let token = node.token_until(self.unix_s + TOKEN_LIFETIME_S);
        let cookie = self.cookie(node);
        self.relay_key(node).encode_register(cookie, [4; 8], &token)
    }

    fn registered(&mut self, node: &Node, request: &[u8]) -> Registered {
        let reply = self.send(node.from, request).expect("an answer");
        let Ok(Frame::Registered(registered)) = decode(&reply) else { panic!("not let in: {reply:?}") };
        assert!(self.relay_key(node).verify_registered(&registered));
        registered
    }

    fn register(&mut self, node: &Node) -> SessionId {
        let request = self.request(node);
        self.registered(node, &request).session
    }

    fn refusal(&mut self, from: SocketAddr, request: &[u8]) -> RefusalReason {
        let reply = self.send(from, request).expect("an answer");
        let Ok(Frame::Refused { nonce: [4, ..], reason }) = decode(&reply) else {
            panic!("not refused: {reply:?}")
        };
        reason
    }

    fn is_known(&mut self, session: SessionId, from: SocketAddr) -> bool {
        let reply = self.send(from, &encode_keepalive(session, [8; 8])).expect("an answer");
        let frame = decode(&reply).unwrap();
        let is_known = frame == Frame::KeepaliveReply { echo: [8; 8] };
        assert!(is_known || frame == Frame::NoSession(session), "an unexpected answer: {frame:?}");
        is_known
    }
}

fn packet(session: SessionId, destination: &Node, payload: &[u8]) -> Vec<u8> {
    [&send_prefix(session, &destination.public_key())[..], payload].concat()
}
