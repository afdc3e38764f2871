//! Peer relays: nodes that an administrator lets be a relay for their network, named in the maps of that network alone.
//!
//! A peer relay is in the maps while its node may relay, is there, and reports where strangers reach it. All of that is memory:
//! the database knows only who may. A node hears that it may, and what it needs for it, as part of what the map says of itself.

use std::net::SocketAddr;

use protocol::api::{OwnRelay, RelayInfo, Servers};
use protocol::key::{PrivateKey, PublicKey};

use super::network_map::NodeState;

/// Some private key: only to see whether a public one is of low order.
const ANY_KEY: [u8; 32] = [0x5a; 32];

/// Whether anybody can hold a secret behind the key.
pub(super) fn is_usable_key(key: &PublicKey) -> bool {
    PrivateKey::from_random(ANY_KEY).shared_secret(key).is_some()
}

/// For how long after its last report a node that went offline is named: a stream that ends and begins anew, on either side, must
/// not make every pair of a network change its relay twice. Who is dead is left by the nodes themselves within two seconds.
const NAMED_MS: i64 = 150_000;

/// The relays of these nodes as maps name them. A relay's key and address are its own: of two nodes that say the same one, that one
/// keeps it which is `named` already, and a new one is not where another node is reached, which would be taken for it.
pub(super) fn relays_of<'a>(
    nodes: impl Iterator<Item = &'a NodeState> + Clone,
    may_relay: impl Iterator<Item = &'a NodeState>,
    named: &[RelayInfo],
    now_ms: i64,
) -> Vec<RelayInfo> {
    let offered: Vec<RelayInfo> = may_relay.flat_map(|node| node.relay_infos(now_ms)).collect();
    let (mut relays, fresh): (Vec<_>, Vec<_>) = offered.into_iter().partition(|relay| named.contains(relay));
    for relay in fresh {
        let is_taken = relays.iter().any(|other| is_conflict(other, &relay));
        let is_told_at = |node: &NodeState| node.is_told_at(relay.address);
        let is_of = |node: &NodeState| Some(node.row.public_key) == relay.node;
        if !is_taken && !nodes.clone().any(|node| is_told_at(node) && !is_of(node)) {
            relays.push(relay);
        }
    }
    relays
}

/// Whether a relay says the address of another one, or the key of another node's.
fn is_conflict(other: &RelayInfo, relay: &RelayInfo) -> bool {
    other.address == relay.address || (other.public_key == relay.public_key && other.node != relay.node)
}

impl NodeState {
    /// The relay that the node is at `now_ms`.
    fn relay(&self, now_ms: i64) -> Option<&OwnRelay> {
        let is_recent = self.reported_at_ms().is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < NAMED_MS);
        let is_there = self.is_online() || is_recent;
        let may_relay = self.row.may_relay && self.standing.is_admitted();
        let reported = self.reported.as_ref().filter(|_| may_relay && is_there)?;
        reported.relay.as_ref()
    }

    /// Whether peers are told that the node may be reached at this address.
    fn is_told_at(&self, address: SocketAddr) -> bool {
        let candidates = self.reported.as_ref().map(|reported| &reported.candidates[..]).unwrap_or_default();
        candidates.iter().any(|candidate| candidate.address == address)
    }

    /// The node's relay as maps name it, an entry for each address.
    fn relay_infos(&self, now_ms: i64) -> Vec<RelayInfo> {
        let entries = self.relay(now_ms).into_iter().flat_map(|relay| {
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

/// The servers that every map names, then those peer relays of the viewer's network that are not the viewer's own. One with the key
/// or address of the owner's relays is left out, so that no node can put itself in the place of one.
pub(crate) fn with_peer_relays(every: &Servers, peer_relays: &[RelayInfo], viewer: &PublicKey) -> Servers {
    let mut all = every.clone();
    for relay in peer_relays.iter().filter(|relay| relay.node.as_ref() != Some(viewer)) {
        if !all.relays.iter().any(|other| is_conflict(other, relay)) {
            all.relays.push(relay.clone());
        }
    }
    all
}
