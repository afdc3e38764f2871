//! Keys derived from an X25519 shared secret, one label per purpose, so that no two uses ever share a key.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key::{PrivateKey, PublicKey};

/// What two keys have in common, ready to make keys of: the costly part of making one, done once.
pub(crate) struct SharedSecret(Hkdf<Sha256>);

impl SharedSecret {
    /// The shared secret of `own` and `other`; `None` where the other key is of low order.
    pub(crate) fn new(own: &PrivateKey, other: &PublicKey) -> Option<Self> {
        let shared = own.shared_secret(other)?;
        Some(Self(Hkdf::new(Some(b"warren v1"), shared.as_slice())))
    }

    /// A key (HKDF-SHA-256, RFC 5869) under `label` and the two public keys in the given order; the order makes a key of
    /// one direction.
    pub(crate) fn key(&self, label: &str, from: &PublicKey, to: &PublicKey) -> Zeroizing<[u8; 32]> {
        let mut info = Vec::with_capacity(label.len() + 64);
        info.extend_from_slice(label.as_bytes());
        info.extend_from_slice(from.as_bytes());
        info.extend_from_slice(to.as_bytes());
        let mut key = Zeroizing::new([0_u8; 32]);
        #[expect(clippy::expect_used, reason = "fails only beyond 255 times the hash's 32 bytes")]
        self.0.expand(&info, key.as_mut_slice()).expect("32 bytes");
        key
    }
}
