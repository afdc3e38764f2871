//! A machine with an enrollment key becomes a node. Everything is decided inside one write transaction, so two
//! machines with one single-use key cannot both win.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::{EnrollRequest, EnrollResponse, NodeName};
use protocol::map_signature::MapVerifyingKey;
use protocol::sealed;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{EnrollError, NodeToken, addressing};
use crate::Entropy;
use crate::store::{
    Admission, EnrollmentKeyRow, NetworkRow, NodeRow, SecretHash, Store, StoreError, WriteTx,
};

/// The highest number that is appended to a name that is taken.
const NAME_SUFFIX_MAX: u32 = 10_000;

/// Enrolls; what is returned is durable.
///
/// Same public key again: the same node again with a fresh token, if the enrollment key is the one it came with (an
/// answer that was lost) or one with a use left (the machine enrolls anew).
pub(crate) fn enroll(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    request: &EnrollRequest,
    map_key: MapVerifyingKey,
) -> Result<EnrollResponse, EnrollError> {
    let token = NodeToken::from_random(entropy.secret());
    let seal = |text: &str| {
        let sealed = sealed::seal(text.as_bytes(), &request.public_key, *entropy.secret());
        sealed.map(|sealed| STANDARD.encode(sealed)).ok_or(EnrollError::UnusablePublicKey)
    };
    let sealed_token = seal(&token.to_text())?;
    let credentials = Zeroizing::new(format!("{} {map_key}", *token.to_text()));
    let sealed_credentials = Some(seal(&credentials)?);
    let attempt = Attempt {
        key: SecretHash::of(request.enrollment_key.as_bytes()),
        node_id: entropy.id(now_ms),
        token: token.hash(),
        now_ms,
        name: request.name.clone(),
        public_key: request.public_key,
    };
    let (node, network) = store.write(move |tx| attempt.decide(tx))?;
    Ok(EnrollResponse {
        node_id: node.id,
        addresses: addressing::addresses(&network, node.host_index),
        name: node.name,
        network: network.name,
        sealed_token,
        sealed_credentials,
    })
}

/// What the transaction decides on.
struct Attempt {
    key: SecretHash,
    node_id: Uuid,
    token: SecretHash,
    now_ms: i64,
    name: NodeName,
    public_key: protocol::key::PublicKey,
}

impl Attempt {
    fn decide(self, tx: &WriteTx<'_>) -> Result<(NodeRow, NetworkRow), EnrollError> {
        let key = tx.reading().enrollment_key(self.key)?.ok_or(EnrollError::KeyUnknown)?;
        if key.revoked_at_ms.is_some() {
            return Err(EnrollError::KeyRevoked);
        }
        if key.public_key.is_some_and(|only| only != self.public_key) {
            return Err(EnrollError::KeyOfAnother);
        }
        let network = tx.reading().network(key.network_id)?.ok_or(EnrollError::KeyUnknown)?;
        let node = match tx.reading().node_by_public_key(&self.public_key)? {
            Some(node) => self.enroll_again(tx, &key, node)?,
            None => self.enroll_first(tx, &key, &network)?,
        };
        Ok((node, network))
    }

    fn enroll_again(
        &self,
        tx: &WriteTx<'_>,
        key: &EnrollmentKeyRow,
        node: NodeRow,
    ) -> Result<NodeRow, EnrollError> {
        if node.network_id != key.network_id || node.plain_endpoint.is_some() {
            // The key is checked first, so that a used one does not tell which public keys exist.
            self.check_usable(key)?;
            return Err(EnrollError::PublicKeyTaken);
        }
        if node.enrollment_key_id != Some(key.id) {
            self.consume(tx, key)?;
        }
        tx.set_pending_token(node.id, self.token, key.id)?;
        Ok(node)
    }

    fn enroll_first(
        &self,
        tx: &WriteTx<'_>,
        key: &EnrollmentKeyRow,
        network: &NetworkRow,
    ) -> Result<NodeRow, EnrollError> {
        self.consume(tx, key)?;
        let node = NodeRow {
            id: self.node_id,
            network_id: network.id,
            name: free_name(tx, network.id, &self.name)?.ok_or(EnrollError::NameExhausted)?,
            public_key: self.public_key,
            host_index: free_host_index(tx, network)?.ok_or(EnrollError::NetworkFull)?,
            enrollment_key_id: Some(key.id),
            token_hash: Some(self.token),
            pending_token_hash: None,
            plain_endpoint: None,
            may_relay: false,
            tags: key.tags.clone(),
            is_waiting: network.admission == Admission::Manual,
            is_disabled: false,
            is_ephemeral: key.is_ephemeral,
            expires_at_ms: None,
            approved_routes: Vec::new(),
            deleted_at_ms: None,
        };
        tx.insert_node(&node, self.now_ms)?;
        Ok(node)
    }

    fn check_usable(&self, key: &EnrollmentKeyRow) -> Result<(), EnrollError> {
        if key.single_use && key.use_count > 0 {
            Err(EnrollError::KeyUsed)
        } else if key.expires_at_ms <= self.now_ms {
            Err(EnrollError::KeyExpired)
        } else {
            Ok(())
        }
    }

    fn consume(&self, tx: &WriteTx<'_>, key: &EnrollmentKeyRow) -> Result<(), EnrollError> {
        self.check_usable(key)?;
        if tx.use_enrollment_key(key.id, self.now_ms)? { Ok(()) } else { Err(EnrollError::KeyUsed) }
    }
}

/// The wanted name, or with -2, -3 … behind it; `None` where even the last of these is taken.
pub(super) fn free_name(
    tx: &WriteTx<'_>,
    network: Uuid,
    wanted: &NodeName,
) -> Result<Option<NodeName>, StoreError> {
    if !tx.reading().node_name_taken(network, wanted)? {
        return Ok(Some(wanted.clone()));
    }
    for number in 2..=NAME_SUFFIX_MAX {
        let suffix = format!("-{number}");
        let stem: String = wanted.as_str().chars().take(63 - suffix.len()).collect();
        let Ok(name) = format!("{}{suffix}", stem.trim_end_matches('-')).parse() else { continue };
        if !tx.reading().node_name_taken(network, &name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The place for the next node of the network.
pub(super) fn free_host_index(tx: &WriteTx<'_>, network: &NetworkRow) -> Result<Option<u32>, StoreError> {
    let highest = tx.reading().host_index_max(network.id)?;
    addressing::next_host_index(network.ipv4, highest, || tx.reading().host_indexes(network.id))
}
