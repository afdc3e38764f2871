//! A short secret sealed to a node's public key, so that only the holder of the private key reads it.
//!
//! The coordinator seals the node token of an enrollment this way: a stolen answer is of no use, and a node that
//! enrolled somebody else's public key gets nothing. Layout: ephemeral public key 32 | XChaCha20-Poly1305 ciphertext;
//! the key is derived from both public keys, used once, so the nonce is zero.

use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::derive::SharedSecret;
use crate::key::{KEY_LEN, PrivateKey, PublicKey};

const LABEL: &str = "warren sealed token";

/// Seals `secret` to `recipient` with a fresh `ephemeral` key (32 random bytes, never used twice). `None` where the
/// recipient's key is of low order.
#[must_use]
pub fn seal(secret: &[u8], recipient: &PublicKey, ephemeral: [u8; KEY_LEN]) -> Option<Vec<u8>> {
    let ephemeral = PrivateKey::from_random(ephemeral);
    let sender = ephemeral.public_key();
    let key = SharedSecret::new(&ephemeral, recipient)?.key(LABEL, &sender, recipient);
    let cipher = XChaCha20Poly1305::new_from_slice(key.as_slice()).ok()?;
    let sealed = cipher.encrypt(&XNonce::default(), secret).ok()?;
    Some([&sender.as_bytes()[..], &sealed].concat())
}

/// Opens what [`seal`] made. `None` where it is not for this key, or was changed.
#[must_use]
pub fn open(sealed: &[u8], recipient: &PrivateKey) -> Option<Zeroizing<Vec<u8>>> {
    let (sender, ciphertext) = sealed.split_first_chunk()?;
    let sender = PublicKey::from_bytes(*sender);
    let key = SharedSecret::new(recipient, &sender)?.key(LABEL, &sender, &recipient.public_key());
    let cipher = XChaCha20Poly1305::new_from_slice(key.as_slice()).ok()?;
    cipher.decrypt(&XNonce::default(), ciphertext).ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_recipient_opens_a_sealed_secret() {
        let recipient = PrivateKey::from_random([1; 32]);
        let sealed = seal(b"token", &recipient.public_key(), [2; 32]).unwrap();
        assert_eq!(open(&sealed, &recipient).as_deref().map(Vec::as_slice), Some(&b"token"[..]));
        assert!(open(&sealed, &PrivateKey::from_random([3; 32])).is_none());
    }

    #[test]
    fn a_changed_or_truncated_secret_is_not_opened() {
        let recipient = PrivateKey::from_random([1; 32]);
        let sealed = seal(b"token", &recipient.public_key(), [2; 32]).unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            // The top bit of a u-coordinate is ignored (RFC 7748 §5), but it is part of the derived key.
            assert!(open(&changed, &recipient).is_none(), "byte {index}");
            assert!(open(&sealed[..index], &recipient).is_none(), "length {index}");
        }
    }
}
