//! The private key between its making and a finished enrollment: kept, so that a lost answer can be asked for again
//! with the same key, which gives the same node.

use protocol::key::PrivateKey;
use zeroize::Zeroizing;

use super::{StateError, StateFolder};
use crate::entropy;

const FILE: &str = "pending-private-key";

/// The key of an unfinished enrollment, or a new one, which is on disk on return.
///
/// # Errors
/// Where it can be neither read nor written.
pub(crate) fn pending_private_key(folder: &StateFolder) -> Result<PrivateKey, StateError> {
    if let Some(bytes) = folder.read(FILE, 1024)?.map(Zeroizing::new) {
        let key = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
        if let Some(key) = key {
            return Ok(key);
        }
        // Nobody enrolled with a damaged key, so a new one loses nothing.
        tracing::warn!(file = FILE, "the pending private key is damaged: making a new one");
    }
    let key = PrivateKey::from_random(*entropy::bytes());
    folder.write(FILE, key.to_base64().as_bytes())?;
    Ok(key)
}

impl StateFolder {
    /// Forgets the pending key: the enrollment is finished, or the coordinator refused it for good.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn forget_pending_private_key(&self) -> Result<(), StateError> {
        self.remove(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_the_same_until_it_is_forgotten() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        let first = pending_private_key(&folder).unwrap();
        assert_eq!(pending_private_key(&folder).unwrap(), first);
        folder.forget_pending_private_key().unwrap();
        assert_ne!(pending_private_key(&folder).unwrap(), first);
    }

    #[test]
    fn a_damaged_pending_key_is_replaced() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        folder.write(FILE, b"\xff\xfe").unwrap();
        let key = pending_private_key(&folder).unwrap();
        assert_eq!(pending_private_key(&folder).unwrap(), key);
    }
}
