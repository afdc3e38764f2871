//! One network as its nodes see it: the nodes, a revision that grows with each change, and the last changes, so that
//! a node that was away gets only what it missed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use endpoint_selection::Candidate;
use protocol::api::{NodeName, OwnNode, Peer, RelayInfo, RelayPermission, Report};
use protocol::key::PublicKey;
use protocol::relay_token::TokenVerifyingKey;
use tokio::sync::watch;
use uuid::Uuid;

use super::peer_relays::relays_of;
use super::{StreamEnd, addressing};
use crate::store::{NetworkRow, NodeRow};

/// Changes that are remembered. A node that missed more gets the whole map.
const CHANGES_MAX: usize = 1024;

/// Who a token belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The node.
    pub node: Uuid,
    /// Its network.
    pub network: Uuid,
    /// Its public key.
    pub public_key: PublicKey,
}

/// A network in memory.
pub(crate) struct NetworkState {
    pub(super) row: NetworkRow,
    pub(super) nodes: BTreeMap<Uuid, NodeState>,
    /// The node of each public key.
    keys: BTreeMap<PublicKey, Uuid>,
    /// What its peer relays verify tokens with.
    verify_key: TokenVerifyingKey,
    /// The nodes that may be relays for the others.
    may_relay: BTreeSet<Uuid>,
    /// The peer relays that its maps name, by the node's id.
    peer_relays: Vec<RelayInfo>,
    /// When the newest report came: time enough to tell who has been away for long.
    newest_report_ms: i64,
    revision: u64,
    /// The oldest revision from which the remembered changes lead to the newest.
    oldest: u64,
    changes: VecDeque<Change>,
    /// Wakes the streams.
    revisions: watch::Sender<u64>,
}

/// A node in memory: its row, and what changes by the minute.
pub(crate) struct NodeState {
    pub(super) row: NodeRow,
    pub(super) report: Option<Report>,
    pub(super) reported_at_ms: Option<i64>,
    /// The one open map stream; its presence is what "online" means.
    stream: Option<OpenStream>,
    peer: Arc<Peer>,
}

/// An open map stream.
struct OpenStream {
    number: u64,
    /// Dropped with it, which wakes the stream that it belongs to and no other.
    _open: watch::Sender<()>,
}

/// What changed at a revision.
struct Change {
    revision: u64,
    what: Changed,
}

enum Changed {
    /// A node changed, came or went.
    Node { id: Uuid, public_key: PublicKey },
    /// What a node is told of itself changed.
    Own { id: Uuid },
    /// The relays or STUN servers.
    Servers,
}

/// What wakes a stream.
pub(crate) struct StreamWakers {
    /// Changes with each revision of the network.
    pub(super) revisions: watch::Receiver<u64>,
    /// Closes when the stream is no longer the node's open one.
    pub(super) open: watch::Receiver<()>,
}

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
    /// Nothing new.
    Idle,
    /// The stream is over.
    Ended(StreamEnd),
}

impl NodeState {
    pub(super) const fn is_online(&self) -> bool {
        self.stream.is_some()
    }

    fn has_stream(&self, number: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.number == number)
    }
}

impl NetworkState {
    pub(super) fn new(row: NetworkRow, boot_count: u32, verify_key: TokenVerifyingKey) -> Self {
        let revision = u64::from(boot_count) << 32;
        Self {
            row,
            nodes: BTreeMap::new(),
            keys: BTreeMap::new(),
            verify_key,
            may_relay: BTreeSet::new(),
            peer_relays: Vec::new(),
            newest_report_ms: 0,
            revision,
            oldest: revision,
            changes: VecDeque::new(),
            revisions: watch::Sender::new(revision),
        }
    }

    /// What the database says of the network.
    pub(crate) const fn row(&self) -> &NetworkRow {
        &self.row
    }

    /// Adds a node, or takes over its changed row.
    pub(super) fn put(&mut self, row: NodeRow) {
        let id = row.id;
        let (report, reported_at_ms, stream) = match self.nodes.remove(&id) {
            Some(old) if old.row == row => {
                self.nodes.insert(id, old);
                return;
            }
            Some(old) => {
                if old.row.public_key != row.public_key {
                    self.keys.remove(&old.row.public_key);
                    self.note_node(id, old.row.public_key);
                }
                if old.row.may_relay != row.may_relay {
                    self.note(Changed::Own { id });
                }
                (old.report, old.reported_at_ms, old.stream)
            }
            None => (None, None, None),
        };
        let peer = Arc::new(peer(&self.row, &row, report.as_ref(), stream.is_some()));
        let public_key = row.public_key;
        self.keys.insert(public_key, id);
        if row.may_relay {
            self.may_relay.insert(id);
        } else {
            self.may_relay.remove(&id);
        }
        self.nodes.insert(id, NodeState { row, report, reported_at_ms, stream, peer });
        self.note_node(id, public_key);
        self.refresh_peer_relays();
    }

    /// Removes a node; its stream ends.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<NodeState> {
        let removed = self.nodes.remove(&id)?;
        if self.keys.get(&removed.row.public_key) == Some(&id) {
            self.keys.remove(&removed.row.public_key);
        }
        self.note_node(id, removed.row.public_key);
        self.may_relay.remove(&id);
        self.refresh_peer_relays();
        Some(removed)
    }

    /// Takes over a report; peers hear of it only where it changes what they see. `true` where its candidates are
    /// others than before.
    pub(crate) fn put_report(
        &mut self,
        id: Uuid,
        mut report: Report,
        now_ms: i64,
    ) -> Result<bool, StreamEnd> {
        report.paths.retain(|path| self.keys.contains_key(&path.peer));
        let node = self.nodes.get_mut(&id).ok_or(StreamEnd::NodeDeleted)?;
        let changed = node.peer.candidates != report.candidates;
        node.report = Some(report);
        node.reported_at_ms = Some(now_ms);
        self.newest_report_ms = self.newest_report_ms.max(now_ms);
        self.refresh_peer(id);
        if !self.peer_relays.is_empty() {
            // Time passed, and this node may be where a relay says it is.
            self.refresh_peer_relays();
        }
        Ok(changed)
    }

    /// Takes over candidates that were reported before the coordinator started.
    pub(super) fn put_old_candidates(&mut self, id: Uuid, candidates: Vec<Candidate>, reported_at_ms: i64) {
        if let Some(node) = self.nodes.get_mut(&id)
            && node.report.is_none()
        {
            node.report = Some(Report { candidates, ..Report::default() });
            node.reported_at_ms = Some(reported_at_ms);
            self.refresh_peer(id);
        }
    }

    /// Opens the node's stream; an older one ends.
    pub(crate) fn open_stream(&mut self, id: Uuid, number: u64) -> Result<StreamWakers, StreamEnd> {
        let node = self.nodes.get_mut(&id).ok_or(StreamEnd::NodeDeleted)?;
        let (sender, open) = watch::channel(());
        node.stream = Some(OpenStream { number, _open: sender });
        self.refresh_peer(id);
        Ok(StreamWakers { revisions: self.revisions.subscribe(), open })
    }

    /// Closes the node's stream if it is still the one that counts.
    pub(crate) fn close_stream(&mut self, id: Uuid, stream: u64) {
        if let Some(node) = self.nodes.get_mut(&id)
            && node.has_stream(stream)
        {
            node.stream = None;
            self.refresh_peer(id);
        }
    }

    /// What the node sees beyond revision `sent`; `None` is "nothing yet".
    pub(crate) fn view(&self, viewer: Uuid, stream: u64, sent: Option<u64>) -> MapView {
        let Some(own) = self.nodes.get(&viewer) else { return MapView::Ended(StreamEnd::NodeDeleted) };
        if !own.has_stream(stream) {
            return MapView::Ended(StreamEnd::Replaced);
        }
        match sent {
            Some(sent) if (self.oldest..=self.revision).contains(&sent) => self.delta(viewer, sent),
            _ => self.snapshot(own),
        }
    }

    /// The name of the node with this public key.
    pub(super) fn name_of(&self, key: &PublicKey) -> Option<&NodeName> {
        self.keys.get(key).and_then(|id| self.nodes.get(id)).map(|node| &node.row.name)
    }

    /// The peer relays that its maps name.
    pub(super) fn peer_relays(&self) -> &[RelayInfo] {
        &self.peer_relays
    }

    /// Wakes all streams.
    pub(super) fn wake(&self) {
        self.revisions.send_replace(self.revision);
    }

    fn snapshot(&self, own: &NodeState) -> MapView {
        let others = self.nodes.values().filter(|node| node.row.id != own.row.id);
        let mut peers: Vec<_> = others.map(|node| Arc::clone(&node.peer)).collect();
        peers.sort_by_key(|peer| peer.public_key);
        let peer_relays = self.peer_relays.clone();
        MapView::Snapshot { revision: self.revision, own: Box::new(self.own(own)), peers, peer_relays }
    }

    /// What a node is told of itself.
    fn own(&self, node: &NodeState) -> OwnNode {
        let permission = RelayPermission { network: self.row.id, verify_keys: vec![self.verify_key] };
        OwnNode {
            id: node.row.id,
            name: node.row.name.clone(),
            network: self.row.name.clone(),
            addresses: addressing::addresses(&self.row, node.row.host_index),
            relay: node.row.may_relay.then_some(permission),
        }
    }

    fn delta(&self, viewer: Uuid, sent: u64) -> MapView {
        let first_new = self.changes.partition_point(|change| change.revision <= sent);
        let (mut upserts, mut removals) = (BTreeMap::new(), BTreeSet::new());
        let (mut is_own, mut is_servers) = (false, false);
        for change in self.changes.range(first_new..) {
            let (id, public_key) = match change.what {
                Changed::Node { id, .. } if id == viewer => continue,
                Changed::Node { id, public_key } => (id, public_key),
                Changed::Own { id } => {
                    is_own |= id == viewer;
                    continue;
                }
                Changed::Servers => {
                    is_servers = true;
                    continue;
                }
            };
            let now = self.nodes.get(&id).map(|node| &node.peer);
            if let Some(peer) = now {
                upserts.insert(peer.id, Arc::clone(peer));
            }
            if now.is_none_or(|peer| peer.public_key != public_key) {
                removals.insert(public_key);
            }
        }
        if upserts.is_empty() && removals.is_empty() && !is_servers && !is_own {
            return MapView::Idle;
        }
        let own = self.nodes.get(&viewer).filter(|_| is_own).map(|own| Box::new(self.own(own)));
        let peer_relays = is_servers.then(|| self.peer_relays.clone());
        let upserts = upserts.into_values().collect();
        let removals = removals.into_iter().collect();
        MapView::Delta { revision: self.revision, own, upserts, removals, peer_relays }
    }

    /// Rebuilds what peers see of a node and notes a change if it differs.
    fn refresh_peer(&mut self, id: Uuid) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let fresh = peer(&self.row, &node.row, node.report.as_ref(), node.stream.is_some());
        if *node.peer != fresh {
            node.peer = Arc::new(fresh);
            let public_key = node.row.public_key;
            self.note_node(id, public_key);
        }
        if self.may_relay.contains(&id) {
            self.refresh_peer_relays();
        }
    }

    /// Names the peer relays that there are now, where they are others than before.
    fn refresh_peer_relays(&mut self) {
        let may_relay = self.may_relay.iter().filter_map(|id| self.nodes.get(id));
        let fresh = relays_of(self.nodes.values(), may_relay, &self.peer_relays, self.newest_report_ms);
        if self.peer_relays != fresh {
            self.peer_relays = fresh;
            self.note_servers();
        }
    }

    fn note_node(&mut self, id: Uuid, public_key: PublicKey) {
        self.note(Changed::Node { id, public_key });
    }

    /// The relays or STUN servers are others than before.
    pub(super) fn note_servers(&mut self) {
        self.note(Changed::Servers);
    }

    fn note(&mut self, what: Changed) {
        self.revision += 1;
        if self.changes.len() == CHANGES_MAX
            && let Some(forgotten) = self.changes.pop_front()
        {
            self.oldest = forgotten.revision;
        }
        self.changes.push_back(Change { revision: self.revision, what });
        self.wake();
    }
}

/// What other nodes see of a node.
fn peer(network: &NetworkRow, node: &NodeRow, report: Option<&Report>, online: bool) -> Peer {
    Peer {
        id: node.id,
        name: node.name.clone(),
        public_key: node.public_key,
        allowed_ips: addressing::host_prefixes(network, node.host_index),
        online,
        candidates: report.map(|report| report.candidates.clone()).unwrap_or_default(),
        nat: report.map(|report| report.nat).unwrap_or_default(),
        plain_endpoint: node.plain_endpoint,
    }
}
