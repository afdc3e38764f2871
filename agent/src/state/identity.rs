//! Who this node is: everything that an enrollment gave, in one file.

use std::fmt;

use ipnet::IpNet;
use protocol::api::NodeName;
use protocol::key::PrivateKey;
use protocol::map_signature::MapVerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{StateError, StateFolder};
use crate::coordinator_client::CoordinatorUrl;

const FILE: &str = "identity.json";

/// A sound identity has about 600 bytes.
const BYTES_MAX: usize = 64 * 1024;

/// The layout of the file; a change of meaning gets the next number.
const VERSION: u32 = 1;

/// The node token, which authenticates every request to the coordinator. Hidden in debug output, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// A token as it came out of the seal; `None` where it could not stand in an HTTP header.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let printable = bytes.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(bytes).ok()?;
        (printable && (1..=1024).contains(&text.len())).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The token itself: for the `Authorization` header and nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// What makes this machine a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    version: u32,
    /// Where the coordinator is.
    pub(crate) coordinator: CoordinatorUrl,
    /// The node's id.
    pub(crate) node_id: Uuid,
    /// The node's name.
    pub(crate) name: NodeName,
    /// The network's name.
    pub(crate) network: String,
    /// The mesh addresses, each with the prefix of the network.
    pub(crate) addresses: Vec<IpNet>,
    /// The node token.
    #[serde(serialize_with = "write_token", deserialize_with = "read_token")]
    pub(crate) token: Token,
    /// The WireGuard private key.
    #[serde(serialize_with = "write_key", deserialize_with = "read_key")]
    pub(crate) private_key: PrivateKey,
    /// The key that the coordinator's maps are verified with; absent until one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) map_key: Option<MapVerifyingKey>,
}

/// What the coordinator gave, without the secrets.
pub(crate) struct Enrolled {
    /// The node's id.
    pub(crate) node_id: Uuid,
    /// The node's name.
    pub(crate) name: NodeName,
    /// The network's name.
    pub(crate) network: String,
    /// The mesh addresses.
    pub(crate) addresses: Vec<IpNet>,
    /// The key that its maps are verified with.
    pub(crate) map_key: Option<MapVerifyingKey>,
}

impl Identity {
    /// The identity of a fresh enrollment.
    pub(crate) fn new(
        coordinator: CoordinatorUrl,
        enrolled: Enrolled,
        token: Token,
        private_key: PrivateKey,
    ) -> Self {
        let Enrolled { node_id, name, network, addresses, map_key } = enrolled;
        Self { version: VERSION, coordinator, node_id, name, network, addresses, token, private_key, map_key }
    }

    /// Reads it; `None` where the machine is not enrolled.
    ///
    /// # Errors
    /// Where the file cannot be read or is damaged.
    pub(crate) fn load(folder: &StateFolder) -> Result<Option<Self>, StateError> {
        let Some(bytes) = folder.read(FILE, BYTES_MAX)?.map(Zeroizing::new) else { return Ok(None) };
        // The place of the error only: the parser's message may repeat what it read, and that may be a secret.
        let damaged = |error: serde_json::Error| {
            folder.damaged(FILE, format!("no sound JSON at line {}, column {}", error.line(), error.column()))
        };
        let identity: Self = serde_json::from_slice(&bytes).map_err(damaged)?;
        if identity.version != VERSION {
            let why = format!("its version is {}, this agent reads {VERSION}", identity.version);
            return Err(folder.damaged(FILE, why));
        }
        Ok(Some(identity))
    }

    /// Writes it in one step.
    ///
    /// # Errors
    /// Where the system refuses; nothing has changed then.
    pub(crate) fn save(&self, folder: &StateFolder) -> Result<(), StateError> {
        let json =
            serde_json::to_vec_pretty(self).map_err(|error| folder.damaged(FILE, error.to_string()))?;
        folder.write(FILE, &Zeroizing::new(json))
    }

    /// Makes the machine forget who it was, with everything that was learnt as that node.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn forget(folder: &StateFolder) -> Result<(), StateError> {
        folder.forget_map()?;
        folder.forget_choices()?;
        folder.set_down(false)?;
        folder.forget_pending_private_key()?;
        folder.forget_relay_private_key()?;
        folder.remove(FILE)
    }
}

fn write_token<S: Serializer>(token: &Token, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.reveal())
}

fn read_token<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Token, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    Token::from_bytes(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("no token"))
}

fn write_key<S: Serializer>(key: &PrivateKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&key.to_base64())
}

fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PrivateKey, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use protocol::map_signature::MapSigningKey;

    use super::*;

    fn identity() -> Identity {
        let enrolled = Enrolled {
            node_id: Uuid::from_u128(7),
            name: "a".parse().unwrap(),
            network: "default".into(),
            addresses: vec!["100.92.0.1/16".parse().unwrap()],
            map_key: Some(MapSigningKey::derive(&Zeroizing::new([1; 32])).verifying_key()),
        };
        let token = Token::from_bytes(b"canary-token").unwrap();
        Identity::new("https://c.example".parse().unwrap(), enrolled, token, PrivateKey::from_random([7; 32]))
    }

    #[test]
    fn an_identity_survives_the_disk_and_is_gone_after_leaving() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        assert_eq!(Identity::load(&folder).unwrap(), None);
        identity().save(&folder).unwrap();
        assert_eq!(Identity::load(&folder).unwrap(), Some(identity()));
        Identity::forget(&folder).unwrap();
        assert_eq!(Identity::load(&folder).unwrap(), None);
    }

    #[test]
    fn an_identity_of_an_agent_that_knew_no_map_key_is_read() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        let mut json = serde_json::to_value(identity()).unwrap();
        json.as_object_mut().unwrap().remove("map_key").unwrap();
        folder.write(FILE, json.to_string().as_bytes()).unwrap();
        assert_eq!(Identity::load(&folder).unwrap(), Some(Identity { map_key: None, ..identity() }));
    }

    #[test]
    fn every_cut_of_the_file_is_called_damaged_without_repeating_a_secret() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        let json = serde_json::to_vec(&identity()).unwrap();
        for end in 0..json.len() {
            folder.write(FILE, &json[..end]).unwrap();
            let error = Identity::load(&folder).unwrap_err().to_string();
            assert!(error.contains("is damaged") && !error.contains("canary"), "{error}");
        }
        let wrong = String::from_utf8(json).unwrap().replace("\"version\":1", "\"version\":\"canary\"");
        folder.write(FILE, wrong.as_bytes()).unwrap();
        let error = Identity::load(&folder).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }

    #[test]
    fn debug_output_shows_neither_token_nor_key() {
        let shown = format!("{:?}", identity());
        let key = identity().private_key.to_base64();
        assert!(!shown.contains("canary") && !shown.contains(key.as_str()), "{shown}");
    }

    #[test]
    fn a_token_that_could_split_a_header_is_no_token() {
        for bad in [&b""[..], b"a b", b"a\r\nX: y", "ä".as_bytes(), &[b'a'; 1025]] {
            assert_eq!(Token::from_bytes(bad), None);
        }
    }
}
