//! The coordinator's signature under each event of a map stream: whom it is for, what it follows, and its exact bytes.
//!
//! ```text
//! signed: "warren map event v1" | node id 16 | 0 snapshot, 1 delta | revision it follows 8 | revision 8 | SHA-256 of the data 32
//! ```
//!
//! A node knows all of it before it reads the data: its id, the revision that it has, and the event's id.
//!
//! That a node is deleted is signed with the same key, for good: no id is given to a second node.
//!
//! ```text
//! signed: "warren node deleted v1" | node id 16
//! ```

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::key::InvalidKey;

/// What the signed bytes begin with. No relay token begins so, but the keys differ anyway.
const CONTEXT: &[u8] = b"warren map event v1";

/// What the signed bytes begin with where a node is no more. Neither context begins with the other.
const DELETION_CONTEXT: &[u8] = b"warren node deleted v1";

const SIGNED_LEN: usize = CONTEXT.len() + 16 + 1 + 8 + 8 + 32;

/// Where an event belongs: in the stream of which node, after which revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapPlace {
    /// The node whose map it is.
    pub node: Uuid,
    /// The revision that a delta applies to; absent for a snapshot, which follows nothing.
    pub follows: Option<u64>,
    /// The revision that the event leads to.
    pub revision: u64,
}

/// The Ed25519 key that a coordinator signs maps with; wiped when dropped.
#[derive(Clone)]
pub struct MapSigningKey(SigningKey);

/// The public half of a [`MapSigningKey`], which nodes remember; its text form is base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapVerifyingKey([u8; 32]);

/// A signature and the key that made it; its text form is both in base64 with a space between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapSignature {
    key: MapVerifyingKey,
    signature: Signature,
}

/// A text that is no signature of a map event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a signature: expected a key and 64 bytes in base64, with a space between them")]
pub struct InvalidSignature;

impl MapPlace {
    fn signed_part(&self, data: &str) -> [u8; SIGNED_LEN] {
        let mut bytes = [0; SIGNED_LEN];
        let digest = Sha256::digest(data);
        let parts: [&[u8]; 6] = [
            CONTEXT,
            self.node.as_bytes(),
            &[u8::from(self.follows.is_some())],
            &self.follows.unwrap_or_default().to_be_bytes(),
            &self.revision.to_be_bytes(),
            &digest,
        ];
        let mut rest = &mut bytes[..];
        for part in parts {
            let (own, after) = rest.split_at_mut(part.len());
            own.copy_from_slice(part);
            rest = after;
        }
        bytes
    }
}

impl MapSigningKey {
    /// The key that belongs to a coordinator's secret, from which nothing follows about the secret or other keys made of it.
    #[must_use]
    pub fn derive(secret: &Zeroizing<[u8; 32]>) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        let derived = Hkdf::<Sha256>::new(Some(b"warren v1"), secret.as_slice());
        #[expect(clippy::expect_used, reason = "fails only beyond 255 times the hash's 32 bytes")]
        derived.expand(b"warren map signing key", seed.as_mut_slice()).expect("32 bytes");
        Self(SigningKey::from_bytes(&seed))
    }

    /// The key that nodes verify with.
    #[must_use]
    pub fn verifying_key(&self) -> MapVerifyingKey {
        MapVerifyingKey(self.0.verifying_key().to_bytes())
    }

    /// Signs the `data` of an event.
    #[must_use]
    pub fn sign(&self, place: &MapPlace, data: &str) -> MapSignature {
        let signature = self.0.sign(&place.signed_part(data));
        MapSignature { key: self.verifying_key(), signature }
    }

    /// Signs that a node was deleted.
    #[must_use]
    pub fn sign_deletion(&self, node: Uuid) -> MapSignature {
        let signature = self.0.sign(&deletion(node));
        MapSignature { key: self.verifying_key(), signature }
    }
}

fn deletion(node: Uuid) -> Vec<u8> {
    [DELETION_CONTEXT, node.as_bytes()].concat()
}

impl MapSignature {
    /// The key that made it, if it is sound.
    #[must_use]
    pub const fn key(&self) -> MapVerifyingKey {
        self.key
    }

    /// Whether its key signed this data for this place.
    #[must_use]
    pub fn is_of(&self, place: &MapPlace, data: &str) -> bool {
        let key = VerifyingKey::from_bytes(&self.key.0);
        key.is_ok_and(|key| key.verify_strict(&place.signed_part(data), &self.signature).is_ok())
    }

    /// Whether its key signed that this node was deleted.
    #[must_use]
    pub fn is_deletion_of(&self, node: Uuid) -> bool {
        let key = VerifyingKey::from_bytes(&self.key.0);
        key.is_ok_and(|key| key.verify_strict(&deletion(node), &self.signature).is_ok())
    }
}

impl fmt::Debug for MapSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MapSigningKey(hidden)")
    }
}

impl fmt::Display for MapVerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl FromStr for MapVerifyingKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(InvalidKey)?;
        // Kept as bytes: the point is four times as large, and asked for once per event at most.
        VerifyingKey::from_bytes(&bytes).map(|_| Self(bytes)).map_err(|_| InvalidKey)
    }
}

impl Serialize for MapVerifyingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MapVerifyingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for MapSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, STANDARD.encode(self.signature.to_bytes()))
    }
}

impl Serialize for MapSignature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MapSignature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for MapSignature {
    type Err = InvalidSignature;

    fn from_str(text: &str) -> Result<Self, InvalidSignature> {
        let (key, signature) = text.split_once(' ').ok_or(InvalidSignature)?;
        let key = key.parse().map_err(|_| InvalidSignature)?;
        let bytes = STANDARD.decode(signature).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_slice(&bytes).map_err(|_| InvalidSignature)?;
        Ok(Self { key, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: MapPlace = MapPlace { node: Uuid::from_u128(7), follows: Some(5), revision: 9 };
    const DATA: &str = r#"{"from_revision":5,"revision":9}"#;

    fn key(byte: u8) -> MapSigningKey {
        MapSigningKey::derive(&Zeroizing::new([byte; 32]))
    }

    #[test]
    fn a_signature_survives_its_text_form() {
        let signature = key(1).sign(&PLACE, DATA);
        assert_eq!(signature.to_string().parse(), Ok(signature));
        assert!(signature.is_of(&PLACE, DATA) && signature.key() == key(1).verifying_key());
    }

    #[test]
    fn the_same_secret_gives_the_same_key_and_not_that_of_relay_tokens() {
        let secret = Zeroizing::new([1; 32]);
        let token_key = crate::relay_token::TokenSigningKey::from_random(&secret).verifying_key();
        assert_eq!(key(1).verifying_key(), MapSigningKey::derive(&secret).verifying_key());
        assert_ne!(key(1).verifying_key().to_string(), token_key.to_string());
    }

    #[test]
    fn each_byte_of_the_data_counts() {
        let signature = key(1).sign(&PLACE, DATA);
        for index in 0..DATA.len() {
            let mut changed = DATA.as_bytes().to_vec();
            changed[index] ^= 1;
            assert!(!signature.is_of(&PLACE, std::str::from_utf8(&changed).unwrap()), "byte {index}");
        }
        assert!(!signature.is_of(&PLACE, &DATA[1..]) && !signature.is_of(&PLACE, &format!("{DATA} ")));
    }

    #[test]
    fn each_character_of_the_signature_counts() {
        let text = key(1).sign(&PLACE, DATA).to_string();
        for index in 0..text.len() {
            for other in ["A", "b", "7", "=", " "] {
                let mut changed = text.clone();
                changed.replace_range(index..=index, other);
                let read = changed.parse::<MapSignature>();
                let is_ours =
                    |read: MapSignature| read.key() == key(1).verifying_key() && read.is_of(&PLACE, DATA);
                assert!(changed == text || !read.is_ok_and(is_ours), "character {index}");
            }
        }
    }

    #[test]
    fn another_node_another_order_and_another_kind_of_event_are_told_apart() {
        let signature = key(1).sign(&PLACE, DATA);
        let others = [
            MapPlace { node: Uuid::from_u128(8), ..PLACE },
            MapPlace { follows: Some(4), ..PLACE },
            MapPlace { follows: None, ..PLACE },
            MapPlace { revision: 10, ..PLACE },
        ];
        for other in others {
            assert!(!signature.is_of(&other, DATA), "{other:?}");
        }
        let first = MapPlace { follows: Some(0), ..PLACE };
        assert!(!key(1).sign(&first, DATA).is_of(&MapPlace { follows: None, ..PLACE }, DATA));
    }

    #[test]
    fn that_a_node_is_deleted_is_signed_for_it_alone_and_is_no_event() {
        let signature = key(1).sign_deletion(PLACE.node);
        assert!(signature.is_deletion_of(PLACE.node) && !signature.is_deletion_of(Uuid::from_u128(8)));
        assert!(!signature.is_of(&PLACE, DATA) && !key(1).sign(&PLACE, DATA).is_deletion_of(PLACE.node));
    }

    #[test]
    fn another_key_shows() {
        let signature = key(2).sign(&PLACE, DATA);
        assert!(signature.is_of(&PLACE, DATA) && signature.key() != key(1).verifying_key());
    }

    #[test]
    fn texts_that_are_no_signatures_are_refused() {
        let text = key(1).sign(&PLACE, DATA).to_string();
        for bad in ["", " ", &text[1..], &text[..text.len() - 4], &text.replace(' ', ""), "AAAA AAAA"] {
            assert_eq!(bad.parse::<MapSignature>(), Err(InvalidSignature), "{bad}");
        }
    }
}
