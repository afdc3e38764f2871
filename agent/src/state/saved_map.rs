//! The last network map, for a start without the coordinator. It was verified when it came; a code under a key of this node's
//! shows that nobody has changed it since.
//!
//! ```text
//! 44 characters of base64, a line feed, the map as JSON
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use protocol::api::{MAP_EVENT_BYTES_MAX, NetworkMap};
use protocol::key::PrivateKey;
use sha2::{Digest, Sha256};

use super::{Identity, StateError, StateFolder};

const NETWORK_MAP: &str = "network-map.json";

impl StateFolder {
    /// The last map of this node; `None` where there is none, or somebody else wrote it: it is a copy, and the coordinator has
    /// the original. A node that knows no key of its coordinator yet takes one without a code, as older agents wrote it.
    pub(crate) fn network_map(&self, identity: &Identity) -> Option<NetworkMap> {
        let bytes = match self.read(NETWORK_MAP, MAP_EVENT_BYTES_MAX) {
            Ok(bytes) => bytes?,
            Err(error) => {
                tracing::warn!(%error, "starting without the saved network map");
                return None;
            }
        };
        let json = match bytes.first() {
            Some(b'{') if identity.map_key.is_none() => &bytes,
            _ => verified(&bytes, &identity.private_key)?,
        };
        match serde_json::from_slice::<NetworkMap>(json) {
            Ok(map) if map.own.id == identity.node_id => Some(map),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "the saved network map is damaged: starting without it");
                None
            }
        }
    }

    /// Saves the map.
    ///
    /// # Errors
    /// Where the system refuses; the one before is still there then.
    pub(crate) fn set_network_map(&self, map: &NetworkMap, key: &PrivateKey) -> Result<(), StateError> {
        let json = serde_json::to_vec(map).map_err(|error| self.damaged(NETWORK_MAP, error.to_string()))?;
        self.write(NETWORK_MAP, &[code(&json, key).as_bytes(), b"\n", &json].concat())
    }

    /// Removes the saved map.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn forget_map(&self) -> Result<(), StateError> {
        self.remove(NETWORK_MAP)
    }
}

fn verified<'a>(bytes: &'a [u8], key: &PrivateKey) -> Option<&'a [u8]> {
    let split = bytes.iter().position(|byte| *byte == b'\n');
    let parts = split.and_then(|at| Some((bytes.get(..at)?, bytes.get(at + 1..)?)));
    let json = parts.filter(|(told, json)| *told == code(json, key).as_bytes()).map(|(_, json)| json);
    if json.is_none() {
        tracing::warn!("the saved network map is not as this node wrote it: starting without it");
    }
    json
}

/// The code of a map: a pseudorandom function of it under the node's private key.
fn code(json: &[u8], key: &PrivateKey) -> String {
    let mut code = [0; 32];
    let (label, digest) = (b"warren saved map", Sha256::digest(json));
    #[expect(clippy::expect_used, reason = "fails only beyond 255 times the hash's 32 bytes")]
    Hkdf::<Sha256>::new(Some(b"warren v1"), key.as_bytes())
        .expand_multi_info(&[label, &digest], &mut code)
        .expect("32 bytes");
    STANDARD.encode(code)
}

#[cfg(test)]
mod tests {
    use protocol::api::{OwnNode, Standing};
    use protocol::map_signature::MapSigningKey;
    use uuid::Uuid;
    use zeroize::Zeroizing;

    use super::super::{Enrolled, Token};
    use super::*;

    fn identity(id: u128, has_key: bool) -> Identity {
        let key = MapSigningKey::derive(&Zeroizing::new([1; 32])).verifying_key();
        let enrolled = Enrolled {
            node_id: Uuid::from_u128(id),
            name: "a".parse().unwrap(),
            network: "n".into(),
            addresses: Vec::new(),
            map_key: has_key.then_some(key),
        };
        let token = Token::from_bytes(b"token").unwrap();
        Identity::new("https://c.example".parse().unwrap(), enrolled, token, PrivateKey::from_random([7; 32]))
    }

    fn map(id: u128) -> NetworkMap {
        let own = OwnNode {
            id: Uuid::from_u128(id),
            name: "a".parse().unwrap(),
            network: "n".into(),
            zone: None,
            addresses: Vec::new(),
            relay: None,
            standing: Standing::Admitted,
            access: None,
            routes: Vec::new(),
        };
        NetworkMap { revision: 3, own, peers: Vec::new(), relays: Vec::new(), stun_servers: Vec::new() }
    }

    #[test]
    fn only_this_nodes_own_map_is_used() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        folder.set_network_map(&map(1), &identity(1, true).private_key).unwrap();
        assert_eq!(folder.network_map(&identity(1, true)), Some(map(1)));
        assert_eq!(folder.network_map(&identity(2, true)), None);
        folder.set_network_map(&map(1), &PrivateKey::from_random([8; 32])).unwrap();
        assert_eq!(folder.network_map(&identity(1, true)), None);
    }

    #[test]
    fn a_saved_map_with_any_byte_changed_is_not_used() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        folder.set_network_map(&map(1), &identity(1, true).private_key).unwrap();
        let sound = folder.read(NETWORK_MAP, 10_000).unwrap().unwrap();
        for index in 0..sound.len() {
            let mut changed = sound.clone();
            changed[index] ^= 1;
            std::fs::write(folder.file(NETWORK_MAP), &changed).unwrap();
            assert_eq!(folder.network_map(&identity(1, true)), None, "byte {index}");
            std::fs::write(folder.file(NETWORK_MAP), &sound[..index]).unwrap();
            assert_eq!(folder.network_map(&identity(1, true)), None, "cut at {index}");
        }
    }

    #[test]
    fn what_an_older_agent_saved_is_used_until_the_coordinators_key_is_known() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        folder.write(NETWORK_MAP, &serde_json::to_vec(&map(1)).unwrap()).unwrap();
        assert_eq!(folder.network_map(&identity(1, false)), Some(map(1)));
        assert_eq!(folder.network_map(&identity(1, true)), None);
    }
}
