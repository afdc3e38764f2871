//! Peer relays: nodes that an administrator lets be a relay for their network, named in the maps of that network alone.
//!
//! A peer relay is in the maps while its node may relay, is online, and reports where strangers reach it. All of that is memory:
//! the database knows only who may. A node hears that it may, and what it needs for it, as part of what the map says of itself.

use protocol::api::{OwnRelay, RelayInfo, Servers};
use protocol::key::{PrivateKey, PublicKey};

use super::network_map::NodeState;

/// Some private key: only to see whether a public one is of low order.
const ANY_KEY: [u8; 32] = [0x5a; 32];

/// Whether anybody can hold a secret behind the key.
pub(super) fn is_usable_key(key: &PublicKey) -> bool {
    PrivateKey::from_random(ANY_KEY).shared_secret(key).is_some()
}

impl NodeState {
    /// The relay that the node is now.
    fn relay(&self) -> Option<&OwnRelay> {
        let report = self.report.as_ref().filter(|_| self.row.may_relay && self.is_online())?;
        report.relay.as_ref()
    }

    /// The node's relay as maps name it, an entry for each address.
    pub(super) fn relay_infos(&self) -> Vec<RelayInfo> {
        let entries = self.relay().into_iter().flat_map(|relay| {
            relay.addresses.iter().map(|address| RelayInfo {
                name: self.row.name.to_string(),
                address: *address,
                public_key: relay.public_key,
                url: None,
                node: Some(self.row.public_key),
            })
        });
        entries.collect()
    }
}

/// The servers that every map names, then those peer relays of the viewer's network that are not the viewer's own. A relay's key
/// and address are its own: an entry with those of one before it is left out, so that no node can put itself in the place of
/// another relay.
pub(crate) fn with_peer_relays(every: &Servers, peer_relays: &[RelayInfo], viewer: &PublicKey) -> Servers {
    let mut all = every.clone();
    for relay in peer_relays.iter().filter(|relay| relay.node.as_ref() != Some(viewer)) {
        let is_taken = |other: &RelayInfo| {
            other.address == relay.address
                || (other.public_key == relay.public_key && other.node != relay.node)
        };
        if !all.relays.iter().any(is_taken) {
            all.relays.push(relay.clone());
        }
    }
    all
}
