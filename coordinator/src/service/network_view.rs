//! What one node sees of its network: whom its standing and the access rules let it see, whole or since a revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::api::{OwnNode, Peer, RelayInfo, RelayPermission, ReportRequest, Zone};
use protocol::key::PublicKey;
use uuid::Uuid;

use super::change_log::Changed;
use super::network_map::{NetworkState, NodeState};
use super::{StreamEnd, addressing};

/// What a stream sends next. Peers are shared, so that copying them happens outside the lock.
pub(crate) enum MapView {
    /// Everything.
    Snapshot { revision: u64, own: Box<OwnNode>, peers: Vec<Arc<Peer>>, peer_relays: Vec<RelayInfo> },
    /// What changed; `peer_relays` is there where any relays or STUN servers did.
    Delta {
        revision: u64,
        own: Option<Box<OwnNode>>,
        upserts: Vec<Arc<Peer>>,
        removals: Vec<PublicKey>,
        peer_relays: Option<Vec<RelayInfo>>,
    },
    /// No change, but a question to the node.
    Request(ReportRequest),
    /// Nothing new, up to this revision.
    Idle { revision: u64 },
    /// The stream is over.
    Ended(StreamEnd),
}

impl NetworkState {
    /// What the node sees beyond revision `known`; `None` is "nothing yet".
    pub(crate) fn view(&self, viewer: Uuid, stream: u64, known: Option<u64>) -> MapView {
        let Some(own) = self.nodes.get(&viewer) else { return MapView::Ended(StreamEnd::NodeDeleted) };
        if !own.has_stream(stream) {
            return MapView::Ended(StreamEnd::Replaced);
        }
        let known = known.filter(|known| *known >= own.since_revision);
        match known.and_then(|known| self.log.since(own.group, known)) {
            Some(changes) => self.delta(own, changes),
            None => self.snapshot(own),
        }
    }

    fn snapshot(&self, own: &NodeState) -> MapView {
        let others = self.nodes.values().filter(|node| node.row.id != own.row.id && sees(own, node));
        let mut peers: Vec<_> = others.map(|node| Arc::clone(&node.peer)).collect();
        peers.sort_by_key(|peer| peer.public_key);
        let peer_relays = self.peer_relays_for(own);
        MapView::Snapshot { revision: self.log.revision(), own: Box::new(self.own(own)), peers, peer_relays }
    }

    /// The peer relays, for those who are part of the network.
    fn peer_relays_for(&self, viewer: &NodeState) -> Vec<RelayInfo> {
        if viewer.standing.is_admitted() { self.peer_relays.clone() } else { Vec::new() }
    }

    /// What a node is told of itself.
    fn own(&self, node: &NodeState) -> OwnNode {
        let permission = RelayPermission { network: self.row.id, verify_keys: vec![self.verify_key] };
        OwnNode {
            id: node.row.id,
            name: node.row.name.clone(),
            network: self.row.name.clone(),
            zone: Some(Zone::of_network(&self.row.name, self.row.id)),
            addresses: addressing::addresses(&self.row, node.row.host_index),
            relay: (node.row.may_relay && node.standing.is_admitted()).then_some(permission),
            standing: node.standing,
            access: node.access.clone(),
            routes: node.row.approved_routes.clone(),
        }
    }

    fn delta<'a>(&self, viewer: &NodeState, changes: impl Iterator<Item = &'a Changed>) -> MapView {
        let revision = self.log.revision();
        let (mut upserts, mut removals) = (BTreeMap::new(), BTreeSet::new());
        let (mut is_own, mut is_servers) = (false, false);
        for change in changes {
            match *change {
                Changed::Node { id, .. } if id == viewer.row.id => {}
                Changed::Node { id, public_key, is_regrouped } => {
                    let now = self.nodes.get(&id);
                    let seen = now.filter(|node| sees(viewer, node)).map(|node| &node.peer);
                    if let Some(peer) = seen {
                        upserts.insert(peer.id, Arc::clone(peer));
                    }
                    // A node that was never seen changes its candidates: that is nobody's business here.
                    if (now.is_none() || is_regrouped)
                        && seen.is_none_or(|peer| peer.public_key != public_key)
                    {
                        removals.insert(public_key);
                    }
                }
                Changed::Own { id } => is_own |= id == viewer.row.id,
                Changed::View { id } if id != viewer.row.id => {}
                Changed::View { .. } | Changed::Views => return self.snapshot(viewer),
                Changed::Servers => is_servers = true,
            }
        }
        if upserts.is_empty() && removals.is_empty() && !is_servers && !is_own {
            return MapView::Idle { revision };
        }
        let own = is_own.then(|| Box::new(self.own(viewer)));
        let peer_relays = is_servers.then(|| self.peer_relays_for(viewer));
        let upserts = upserts.into_values().collect();
        let removals = removals.into_iter().collect();
        MapView::Delta { revision, own, upserts, removals, peer_relays }
    }
}

/// Whether a node may see another one: both are admitted, and at least one may send the other something.
fn sees(own: &NodeState, other: &NodeState) -> bool {
    let takes = |to: &NodeState, from: &NodeState| {
        to.access.as_ref().is_none_or(|access| !access.is_closed_for(&from.row.tags))
    };
    own.standing.is_admitted() && other.standing.is_admitted() && (takes(own, other) || takes(other, own))
}
