//! Keys derived from an X25519 shared secret, one label per purpose, so that no two uses ever share a key.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key::{PrivateKey, PublicKey};

/// The shared secret of `own` and `other`, expanded (HKDF-SHA-256, RFC 5869) under `label` and the two public keys
/// in the given order; the order makes a key of one direction. `None` where the other key is of low order.
pub(crate) fn directional_key(
    own: &PrivateKey,
    other: &PublicKey,
    label: &str,
    from: &PublicKey,
    to: &PublicKey,
) -> Option<Zeroizing<[u8; 32]>> {
    let shared = own.shared_secret(other)?;
    let mut info = Vec::with_capacity(label.len() + 64);
    info.extend_from_slice(label.as_bytes());
    info.extend_from_slice(from.as_bytes());
    info.extend_from_slice(to.as_bytes());
    let mut key = Zeroizing::new([0_u8; 32]);
    Hkdf::<Sha256>::new(Some(b"warren v1"), shared.as_slice()).expand(&info, key.as_mut_slice()).ok()?;
    Some(key)
}
