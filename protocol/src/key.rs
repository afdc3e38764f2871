//! WireGuard keys: X25519 public and private keys in the base64 text form that `wg` uses.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes in an X25519 key (RFC 7748 §5).
pub const KEY_LEN: usize = 32;

/// A text that is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a WireGuard key: expected 44 base64 characters that hold 32 bytes")]
pub struct InvalidKey;

/// A node's WireGuard public key. It names the node towards relays and peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "ts", ts(type = "string"))]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    /// Wraps raw key bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// The raw key bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The first eight base64 characters: enough to recognise a key in a log line, never to look one up.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.short())
    }
}

impl FromStr for PublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Ok(Self(*decode(text)?))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A node's WireGuard private key: created on the node, never sent anywhere, wiped when dropped.
#[derive(Clone)]
pub struct PrivateKey {
    secret: Zeroizing<[u8; KEY_LEN]>,
    /// Kept, because it is asked for often and costs a curve operation.
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key of 32 random bytes given by the caller (clamped as RFC 7748 §5 asks).
    #[must_use]
    pub fn from_random(mut random: [u8; KEY_LEN]) -> Self {
        random[0] &= 248;
        random[31] &= 127;
        random[31] |= 64;
        let secret = Zeroizing::new(random);
        let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*secret));
        Self { secret, public: PublicKey(public.to_bytes()) }
    }

    /// The raw key bytes, for a tunnel backend.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.secret
    }

    /// The public key that belongs to this private key.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// The text form for a state file. Whoever calls it must keep the file readable by its owner only.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.secret.as_slice()))
    }

    /// The X25519 shared secret with `peer`; `None` where the peer's key is of low order and the result
    /// would be known to everyone (RFC 7748 §6.1).
    #[must_use]
    pub fn shared_secret(&self, peer: &PublicKey) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        let secret = x25519_dalek::StaticSecret::from(*self.secret);
        let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(*peer.as_bytes()));
        shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.secret.ct_eq(other.secret.as_slice()).into()
    }
}

impl Eq for PrivateKey {}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(hidden)")
    }
}

impl FromStr for PrivateKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        Ok(Self::from_random(*decode(text)?))
    }
}

fn decode(text: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, InvalidKey> {
    let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
    let written = STANDARD.decode_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| InvalidKey)?;
    (written == KEY_LEN).then_some(bytes).ok_or(InvalidKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_form() {
        let private = PrivateKey::from_random([7; 32]);
        let public = private.public_key();
        assert_eq!(public.to_string().parse::<PublicKey>(), Ok(public));
        assert_eq!(private.to_base64().parse::<PrivateKey>(), Ok(private));
    }

    #[test]
    fn a_text_of_the_wrong_length_is_refused() {
        for text in ["", "abc", "AAAA", &"A".repeat(45), &"A".repeat(4000)] {
            assert_eq!(text.parse::<PublicKey>(), Err(InvalidKey), "{text}");
        }
    }

    #[test]
    fn a_key_of_low_order_yields_no_shared_secret() {
        let private = PrivateKey::from_random([7; 32]);
        assert!(private.shared_secret(&PublicKey::from_bytes([0; 32])).is_none());
    }

    #[test]
    fn debug_output_never_shows_a_private_key() {
        let private = PrivateKey::from_random([9; 32]);
        assert_eq!(format!("{private:?}"), "PrivateKey(hidden)");
    }
}
