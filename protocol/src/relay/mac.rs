//! The key that a node and a relay share, and the MACs that it makes.

use std::net::SocketAddr;

use hkdf::hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{COOKIE_LEN, Kind, Register, Registered, SessionId, encode_address};
use crate::derive::SharedSecret;
use crate::frame::header;
use crate::key::{PrivateKey, PublicKey};
use crate::relay_token::TOKEN_LEN;

/// Bytes in a MAC: HMAC-SHA-256 cut to 128 bits.
pub const MAC_LEN: usize = 16;

const LABEL: &str = "warren relay registration";

/// The secret that one node and one relay share: derived from their X25519 keys, the same on both sides.
pub struct RelayKey(Zeroizing<[u8; 32]>);

impl RelayKey {
    /// The node's side. `None` where the relay's key is of low order.
    #[must_use]
    pub fn of_node(node: &PrivateKey, relay: &PublicKey) -> Option<Self> {
        Some(Self(SharedSecret::new(node, relay)?.key(LABEL, &node.public_key(), relay)))
    }

    /// The relay's side. `None` where the node's key is of low order.
    #[must_use]
    pub fn of_relay(relay: &PrivateKey, node: &PublicKey) -> Option<Self> {
        Some(Self(SharedSecret::new(relay, node)?.key(LABEL, node, &relay.public_key())))
    }

    /// A registration request.
    #[must_use]
    pub fn encode_register(
        &self,
        cookie: [u8; COOKIE_LEN],
        nonce: [u8; 8],
        token: &[u8; TOKEN_LEN],
    ) -> Vec<u8> {
        let mut frame = [&header(Kind::Register as u8)[..], &cookie, &nonce, token].concat();
        let mac = self.mac(&frame);
        frame.extend_from_slice(&mac);
        frame
    }

    /// Whether the sender of `register` holds the private key of this key's node.
    #[must_use]
    pub fn verify_register(&self, register: &Register<'_>) -> bool {
        self.verify(register.covered, &register.mac)
    }

    /// The answer that lets a node in.
    #[must_use]
    pub fn encode_registered(
        &self,
        session: SessionId,
        observed: SocketAddr,
        lifetime_s: u32,
        nonce: [u8; 8],
    ) -> Vec<u8> {
        let mut frame = registered_covered(session, observed, lifetime_s, nonce);
        let mac = self.mac(&frame);
        frame.extend_from_slice(&mac);
        frame
    }

    /// Whether `registered` comes from the relay of this key.
    #[must_use]
    pub fn verify_registered(&self, registered: &Registered) -> bool {
        let Registered { session, observed, lifetime_s, nonce, mac } = *registered;
        self.verify(&registered_covered(session, observed, lifetime_s, nonce), &mac)
    }

    fn keyed(&self, covered: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_slice()).expect("any length");
        mac.update(covered);
        mac
    }

    fn mac(&self, covered: &[u8]) -> [u8; MAC_LEN] {
        let full = self.keyed(covered).finalize().into_bytes();
        let mut cut = [0; MAC_LEN];
        cut.copy_from_slice(&full[..MAC_LEN]);
        cut
    }

    fn verify(&self, covered: &[u8], mac: &[u8; MAC_LEN]) -> bool {
        self.keyed(covered).verify_truncated_left(mac).is_ok()
    }
}

fn registered_covered(session: SessionId, observed: SocketAddr, lifetime_s: u32, nonce: [u8; 8]) -> Vec<u8> {
    [
        &header(Kind::Registered as u8)[..],
        &session.0,
        &encode_address(observed),
        &lifetime_s.to_be_bytes(),
        &nonce,
    ]
    .concat()
}
