//! The short-lived token that the coordinator signs and a relay believes.
//!
//! ```text
//! version 1 | node public key 32 | network id 16 | expires, Unix seconds 8 | Ed25519 signature 64   (121 bytes)
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::key::{InvalidKey, KEY_LEN, PublicKey};

/// Bytes in a token.
pub const TOKEN_LEN: usize = SIGNED_LEN + 64;

const SIGNED_LEN: usize = 1 + KEY_LEN + 16 + 8;
const TOKEN_VERSION: u8 = 1;

/// What a token says: this node may use the relays of this network until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayToken {
    /// The node that may register.
    pub node: PublicKey,
    /// The network whose nodes it may send to.
    pub network: Uuid,
    /// Unix seconds (by the coordinator's clock) after which no relay accepts the token.
    pub expires_unix_s: u64,
}

/// A token that a relay must not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Malformed, or not signed by the expected coordinator.
    #[error("the relay token is not signed by this coordinator")]
    Invalid,
    /// Its time is over.
    #[error("the relay token has expired")]
    Expired,
}

impl RelayToken {
    /// The token's wire form, signed.
    #[must_use]
    pub fn sign(&self, key: &TokenSigningKey) -> [u8; TOKEN_LEN] {
        let mut token = [0; TOKEN_LEN];
        token[..SIGNED_LEN].copy_from_slice(&self.signed_part());
        let signature = key.0.sign(&token[..SIGNED_LEN]);
        token[SIGNED_LEN..].copy_from_slice(&signature.to_bytes());
        token
    }

    /// Checks signature and time, and reads the token.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] or [`TokenError::Expired`].
    pub fn verify(
        token: &[u8; TOKEN_LEN],
        key: &TokenVerifyingKey,
        now_unix_s: u64,
    ) -> Result<Self, TokenError> {
        let (signed, signature) = token.split_at(SIGNED_LEN);
        let signature = Signature::from_slice(signature).map_err(|_| TokenError::Invalid)?;
        key.0.verify_strict(signed, &signature).map_err(|_| TokenError::Invalid)?;
        let parsed = Self::parse(signed).ok_or(TokenError::Invalid)?;
        if parsed.expires_unix_s <= now_unix_s {
            return Err(TokenError::Expired);
        }
        Ok(parsed)
    }

    fn signed_part(&self) -> [u8; SIGNED_LEN] {
        let mut bytes = [0; SIGNED_LEN];
        bytes[0] = TOKEN_VERSION;
        bytes[1..33].copy_from_slice(self.node.as_bytes());
        bytes[33..49].copy_from_slice(self.network.as_bytes());
        bytes[49..].copy_from_slice(&self.expires_unix_s.to_be_bytes());
        bytes
    }

    fn parse(signed: &[u8]) -> Option<Self> {
        let (&[TOKEN_VERSION], rest) = signed.split_first_chunk()? else { return None };
        let (node, rest) = rest.split_first_chunk()?;
        let (network, expires) = rest.split_first_chunk()?;
        Some(Self {
            node: PublicKey::from_bytes(*node),
            network: Uuid::from_bytes(*network),
            expires_unix_s: u64::from_be_bytes(expires.try_into().ok()?),
        })
    }
}

/// The coordinator's Ed25519 key that signs tokens; wiped when dropped.
#[derive(Clone)]
pub struct TokenSigningKey(SigningKey);

impl TokenSigningKey {
    /// Makes a key of 32 random bytes.
    #[must_use]
    pub fn from_random(random: &Zeroizing<[u8; 32]>) -> Self {
        Self(SigningKey::from_bytes(random))
    }

    /// The key that relays verify with.
    #[must_use]
    pub fn verifying_key(&self) -> TokenVerifyingKey {
        TokenVerifyingKey(self.0.verifying_key())
    }
}

impl fmt::Debug for TokenSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSigningKey(hidden)")
    }
}

/// The public half of a [`TokenSigningKey`]; its text form is base64, as for WireGuard keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenVerifyingKey(VerifyingKey);

impl fmt::Display for TokenVerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

impl FromStr for TokenVerifyingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes: [u8; 32] =
            STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidKey)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| InvalidKey)
    }
}

impl Serialize for TokenVerifyingKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenVerifyingKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A signed token in the HTTP messages: base64, refused unless it has exactly [`TOKEN_LEN`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedToken(pub [u8; TOKEN_LEN]);

impl Serialize for SignedToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for SignedToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        let length = bytes.len();
        let token = bytes.try_into().map_err(|_| {
            serde::de::Error::custom(format!("a relay token has {TOKEN_LEN} bytes, not {length}"))
        })?;
        Ok(Self(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> (RelayToken, TokenSigningKey) {
        let token = RelayToken {
            node: PublicKey::from_bytes([3; 32]),
            network: Uuid::from_bytes([4; 16]),
            expires_unix_s: 1_000,
        };
        (token, TokenSigningKey::from_random(&Zeroizing::new([5; 32])))
    }

    #[test]
    fn a_signed_token_is_read_until_it_expires() {
        let (token, key) = token();
        let signed = token.sign(&key);
        assert_eq!(RelayToken::verify(&signed, &key.verifying_key(), 999), Ok(token));
        assert_eq!(RelayToken::verify(&signed, &key.verifying_key(), 1_000), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_with_any_byte_changed_is_invalid() {
        let (token, key) = token();
        let signed = token.sign(&key);
        for index in 0..TOKEN_LEN {
            let mut changed = signed;
            changed[index] ^= 1;
            assert_eq!(
                RelayToken::verify(&changed, &key.verifying_key(), 0),
                Err(TokenError::Invalid),
                "{index}"
            );
        }
    }

    #[test]
    fn a_token_of_another_coordinator_is_invalid() {
        let (token, key) = token();
        let other = TokenSigningKey::from_random(&Zeroizing::new([6; 32]));
        assert_eq!(
            RelayToken::verify(&token.sign(&other), &key.verifying_key(), 0),
            Err(TokenError::Invalid)
        );
    }
}
