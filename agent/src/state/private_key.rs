//! Private keys beside the node's own: that of an unfinished enrollment, kept so that a lost answer can be asked for again with
//! the same key, which gives the same node; and that of the relay which the node may run.

use protocol::key::PrivateKey;
use zeroize::Zeroizing;

use super::{StateError, StateFolder};
use crate::entropy;

const FILE: &str = "pending-private-key";
const RELAY_FILE: &str = "relay-private-key";

/// The key of an unfinished enrollment, or a new one, which is on disk on return.
///
/// # Errors
/// Where it can be neither read nor written.
pub(crate) fn pending_private_key(folder: &StateFolder) -> Result<PrivateKey, StateError> {
    // Nobody enrolled with a damaged key, so a new one loses nothing.
    kept_or_new(folder, FILE)
}

/// The key of the node's relay: other nodes know the relay by it, so it stays. It is on disk on return.
///
/// # Errors
/// Where it can be neither read nor written.
pub(crate) fn relay_private_key(folder: &StateFolder) -> Result<PrivateKey, StateError> {
    // The next report tells of a new one, so that a damaged one costs its users a new registration.
    kept_or_new(folder, RELAY_FILE)
}

fn kept_or_new(folder: &StateFolder, file: &str) -> Result<PrivateKey, StateError> {
    if let Some(bytes) = folder.read(file, 1024)?.map(Zeroizing::new) {
        let key = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
        if let Some(key) = key {
            return Ok(key);
        }
        tracing::warn!(file, "the private key is damaged: making a new one");
    }
    let key = PrivateKey::from_random(*entropy::bytes());
    folder.write(file, key.to_base64().as_bytes())?;
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

    /// Forgets the relay's key: the machine is that node no longer.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn forget_relay_private_key(&self) -> Result<(), StateError> {
        self.remove(RELAY_FILE)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
    fn the_relays_key_is_made_once_and_readable_by_nobody_else() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        let first = relay_private_key(&folder).unwrap();
        assert_eq!(relay_private_key(&folder).unwrap(), first);
        assert_ne!(pending_private_key(&folder).unwrap(), first);
        let mode = std::fs::metadata(folder.file(RELAY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        folder.forget_relay_private_key().unwrap();
        assert_ne!(relay_private_key(&folder).unwrap(), first);
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
