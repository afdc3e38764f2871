//! One network as its nodes see it: the nodes, and the changes of them, so that a node that was away gets only what it missed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use endpoint_selection::Candidate;
use protocol::access::Access;
use protocol::api::{Peer, RelayInfo, Report, ReportRequest, Standing};
use protocol::key::PublicKey;
use protocol::relay_token::{SignedToken, TokenVerifyingKey};
use tokio::sync::watch;
use uuid::Uuid;

use super::StreamEnd;
use super::admission::{access_of, standing};
use super::change_budget::ChangeBudget;
use super::change_log::{ChangeLog, Changed, GroupNumber, Groups};
use super::peer_record::peer;
use super::peer_relays::relays_of;
use super::reported::{Looks, Reported};
use crate::store::{AccessRuleRow, NetworkRow, NodeRow};

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
    /// Who may send what to whom.
    pub(super) rules: Vec<AccessRuleRow>,
    /// The clock, as of the last [`NetworkState::advance`].
    pub(super) now_ms: i64,
    /// How long the network was watched, in milliseconds: a clock that jumps counts as no time.
    pub(super) lived_ms: i64,
    /// The node of each public key.
    keys: BTreeMap<PublicKey, Uuid>,
    /// What its peer relays verify tokens with.
    pub(super) verify_key: TokenVerifyingKey,
    /// The nodes that may be relays for the others.
    may_relay: BTreeSet<Uuid>,
    /// Nodes whose peers hear of their last changes when they may change again.
    held_back: BTreeSet<Uuid>,
    /// The peer relays that its maps name, by the node's id.
    pub(super) peer_relays: Vec<RelayInfo>,
    /// When the newest report came: time enough to tell who has been away for long.
    newest_report_ms: i64,
    pub(super) log: ChangeLog,
}

/// A node in memory: its row, and what changes by the minute.
pub(crate) struct NodeState {
    pub(super) row: NodeRow,
    /// Its last report.
    pub(super) reported: Option<Reported>,
    /// What people look at.
    pub(super) looks: Looks,
    /// Its token for the relays, and since when it has it, Unix milliseconds.
    pub(super) relay_token: Option<(i64, SignedToken)>,
    /// The one open map stream; its presence is what "online" means.
    stream: Option<OpenStream>,
    pub(super) peer: Arc<Peer>,
    pub(super) standing: Standing,
    /// The revision at which it came into the network: what it knew before was of another one.
    pub(super) since_revision: u64,
    /// Since when it has no stream, on the network's own clock ([`NetworkState::lived_ms`]).
    pub(super) offline_since_ms: i64,
    /// What it takes from its peers; absent for everything.
    pub(super) access: Option<Access>,
    /// The nodes with its tags.
    pub(super) group: GroupNumber,
    budget: ChangeBudget,
}

/// An open map stream.
struct OpenStream {
    number: u64,
    /// Wakes the stream that it belongs to and no other; so does that it is dropped. Holds what wakes the node's group.
    open: watch::Sender<watch::Receiver<u64>>,
}

/// How a report was taken.
pub(crate) struct Taken {
    /// Its candidates, where they are others than before.
    pub(crate) other_candidates: Option<Vec<Candidate>>,
    /// The paths that it did not name are not known.
    pub(crate) wants_all_paths: bool,
}

/// What wakes a stream.
pub(crate) struct StreamWakers {
    /// Changes with each revision that may matter to the node's group.
    pub(super) revisions: watch::Receiver<u64>,
    /// Changes when the node is in another group or is to be asked something, closes when the stream is no longer the node's open
    /// one.
    pub(super) open: watch::Receiver<watch::Receiver<u64>>,
}

impl NodeState {
    pub(super) const fn is_online(&self) -> bool {
        self.stream.is_some()
    }

    /// When it last reported, Unix milliseconds.
    pub(super) fn reported_at_ms(&self) -> Option<i64> {
        self.reported.as_ref().map(|reported| reported.at_ms)
    }

    pub(super) fn has_stream(&self, number: u64) -> bool {
        self.stream.as_ref().is_some_and(|stream| stream.number == number)
    }
}

impl NetworkState {
    pub(super) fn new(row: NetworkRow, counter: Arc<AtomicU64>, verify_key: TokenVerifyingKey) -> Self {
        Self {
            row,
            nodes: BTreeMap::new(),
            rules: Vec::new(),
            now_ms: 0,
            lived_ms: 0,
            keys: BTreeMap::new(),
            verify_key,
            may_relay: BTreeSet::new(),
            held_back: BTreeSet::new(),
            peer_relays: Vec::new(),
            newest_report_ms: 0,
            log: ChangeLog::new(counter),
        }
    }

    /// What the database says of the network.
    pub(crate) const fn row(&self) -> &NetworkRow {
        &self.row
    }

    /// Adds a node, or takes over its changed row.
    pub(super) fn put(&mut self, row: NodeRow) {
        let id = row.id;
        let node = match self.nodes.remove(&id) {
            Some(old) if old.row == row => {
                self.nodes.insert(id, old);
                return;
            }
            Some(old) => self.changed_node(old, row),
            None => self.new_node(row),
        };
        let public_key = node.row.public_key;
        self.keys.insert(public_key, id);
        if node.row.may_relay {
            self.may_relay.insert(id);
        } else {
            self.may_relay.remove(&id);
        }
        let viewers = self.log.viewers(node.group);
        self.nodes.insert(id, node);
        self.log.note(Changed::Node { id, public_key, is_regrouped: true }, viewers);
        self.refresh_peer_relays();
    }

    /// A node with another row than before.
    fn changed_node(&mut self, mut old: NodeState, row: NodeRow) -> NodeState {
        let id = row.id;
        let viewers = self.log.viewers(old.group);
        if old.row.public_key != row.public_key {
            self.keys.remove(&old.row.public_key);
            old.relay_token = None;
            let public_key = old.row.public_key;
            self.log.note(Changed::Node { id, public_key, is_regrouped: true }, viewers);
        }
        let before = ChangeLog::members(old.group);
        if old.row.tags != row.tags {
            let group = self.log.join(&row.tags, |tags| access_of(&self.row, &self.rules, tags));
            self.log.leave(std::mem::replace(&mut old.group, group));
            if let Some(stream) = &old.stream {
                stream.open.send_replace(self.log.subscribe(group));
            }
            // Who saw it and does not now is told too.
            let public_key = row.public_key;
            self.log.note(Changed::Node { id, public_key, is_regrouped: true }, viewers);
        }
        if old.row.tags != row.tags || old.standing != standing(&row, self.now_ms) {
            self.log.note(Changed::View { id }, before.and(ChangeLog::members(old.group)));
        }
        if (old.row.may_relay, &old.row.name, old.row.host_index, &old.row.approved_routes)
            != (row.may_relay, &row.name, row.host_index, &row.approved_routes)
        {
            self.log.note(Changed::Own { id }, ChangeLog::members(old.group));
        }
        NodeState {
            peer: Arc::new(peer(&self.row, &row, old.reported.as_ref(), old.is_online())),
            standing: standing(&row, self.now_ms),
            access: access_of(&self.row, &self.rules, &row.tags),
            row,
            ..old
        }
    }

    /// A node that nothing is known of but its row.
    fn new_node(&mut self, row: NodeRow) -> NodeState {
        let group = self.log.join(&row.tags, |tags| access_of(&self.row, &self.rules, tags));
        NodeState {
            group,
            budget: ChangeBudget::full(self.now_ms),
            reported: None,
            looks: Looks::default(),
            relay_token: None,
            stream: None,
            peer: Arc::new(peer(&self.row, &row, None, false)),
            standing: standing(&row, self.now_ms),
            since_revision: self.log.newest_of_all(),
            offline_since_ms: self.lived_ms,
            access: access_of(&self.row, &self.rules, &row.tags),
            row,
        }
    }

    /// Removes a node; its stream ends.
    pub(super) fn remove(&mut self, id: Uuid) -> Option<NodeState> {
        let removed = self.nodes.remove(&id)?;
        if self.keys.get(&removed.row.public_key) == Some(&id) {
            self.keys.remove(&removed.row.public_key);
        }
        let public_key = removed.row.public_key;
        self.log.note(Changed::Node { id, public_key, is_regrouped: true }, self.log.viewers(removed.group));
        self.log.leave(removed.group);
        self.may_relay.remove(&id);
        self.refresh_peer_relays();
        Some(removed)
    }

    /// Takes over a report; peers hear of it only where it changes what they see.
    pub(crate) fn put_report(
        &mut self,
        id: Uuid,
        mut report: Report,
        now_ms: i64,
    ) -> Result<Taken, StreamEnd> {
        let node = self.nodes.get_mut(&id).ok_or(StreamEnd::NodeDeleted)?;
        let is_other = node.peer.candidates != report.candidates;
        // Compared with what was last reported, and stored: what peers were told may be older.
        let stored = node.reported.as_ref().map(|before| before.candidates.as_slice()).unwrap_or_default();
        let other_candidates = (stored != report.candidates).then(|| report.candidates.clone());
        let is_as_before =
            !is_other && node.reported.as_ref().is_some_and(|before| before.says_the_same_to_peers(&report));
        node.looks.answer(&mut report.paths, now_ms);
        let reported = node.reported.get_or_insert_default();
        reported.take(report, now_ms, |key| self.keys.get(key).copied());
        let wants_all_paths = reported.wants_all_paths();
        self.newest_report_ms = self.newest_report_ms.max(now_ms);
        if !is_as_before {
            self.refresh_peer(id);
        }
        if !self.peer_relays.is_empty() {
            // Time passed, and this node may be where a relay says it is.
            self.refresh_peer_relays();
        }
        Ok(Taken { other_candidates, wants_all_paths })
    }

    /// Takes over candidates that were reported before the coordinator started.
    pub(super) fn put_old_candidates(&mut self, id: Uuid, candidates: Vec<Candidate>, reported_at_ms: i64) {
        if let Some(node) = self.nodes.get_mut(&id)
            && node.reported.is_none()
        {
            node.reported = Some(Reported::old(candidates, reported_at_ms));
            self.refresh_peer(id);
        }
    }

    /// Opens the node's stream; an older one ends.
    pub(crate) fn open_stream(&mut self, id: Uuid, number: u64) -> Result<StreamWakers, StreamEnd> {
        let node = self.nodes.get_mut(&id).ok_or(StreamEnd::NodeDeleted)?;
        let revisions = self.log.subscribe(node.group);
        let (sender, open) = watch::channel(revisions.clone());
        node.stream = Some(OpenStream { number, open: sender });
        self.refresh_peer(id);
        Ok(StreamWakers { revisions, open })
    }

    /// Asks a node for its evidence on a peer; `true` where that may come soon.
    pub(super) fn look_at(&mut self, id: Uuid, peer: PublicKey, now_ms: i64) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        let is_asked = node.looks.ask(peer, now_ms);
        if let Some(stream) = node.stream.as_ref().filter(|_| is_asked) {
            stream.open.send_modify(|_| ());
        }
        is_asked && node.is_online()
    }

    /// What the node is to be asked now.
    pub(crate) fn take_request(&mut self, id: Uuid) -> Option<ReportRequest> {
        let evidence_on = self.nodes.get_mut(&id)?.looks.take_questions();
        (!evidence_on.is_empty()).then_some(ReportRequest { evidence_on })
    }

    /// Closes the node's stream if it is still the one that counts.
    pub(crate) fn close_stream(&mut self, id: Uuid, stream: u64) {
        if let Some(node) = self.nodes.get_mut(&id)
            && node.has_stream(stream)
        {
            node.stream = None;
            node.offline_since_ms = self.lived_ms;
            self.refresh_peer(id);
        }
    }

    /// The newest revision of any network.
    pub(crate) fn newest_revision(&self) -> u64 {
        self.log.newest_of_all()
    }

    /// Brings a node's standing up to the clock.
    pub(super) fn refresh_standing(&mut self, id: Uuid) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let (fresh, public_key) = (standing(&node.row, self.now_ms), node.row.public_key);
        if std::mem::replace(&mut node.standing, fresh) != fresh {
            let (own, viewers) = (ChangeLog::members(node.group), self.log.viewers(node.group));
            self.log.note(Changed::View { id }, own);
            self.log.note(Changed::Node { id, public_key, is_regrouped: true }, viewers);
            self.refresh_peer_relays();
        }
    }

    /// Makes a change after which everybody may see others than before.
    pub(super) fn regroup(&mut self, change: impl FnOnce(&mut Self)) {
        change(self);
        for node in self.nodes.values_mut() {
            node.access = access_of(&self.row, &self.rules, &node.row.tags);
        }
        self.log.regroup(|tags| access_of(&self.row, &self.rules, tags));
        self.log.note(Changed::Views, Groups::ALL);
    }

    /// The peer relays that its maps name.
    pub(super) fn peer_relays(&self) -> &[RelayInfo] {
        &self.peer_relays
    }

    /// Wakes all streams.
    pub(super) fn wake(&mut self) {
        self.log.wake(Groups::ALL);
    }

    /// Tells what was held back, as far as that may be told now.
    pub(super) fn refresh_held_back(&mut self) {
        for id in std::mem::take(&mut self.held_back) {
            self.refresh_peer(id);
        }
    }

    /// Rebuilds what peers see of a node and notes a change if it differs; later, where the node changes too often.
    fn refresh_peer(&mut self, id: Uuid) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let fresh = peer(&self.row, &node.row, node.reported.as_ref(), node.stream.is_some());
        if *node.peer != fresh {
            if !node.budget.take(self.now_ms) {
                self.held_back.insert(id);
                return;
            }
            node.peer = Arc::new(fresh);
            let public_key = node.row.public_key;
            let viewers = self.log.viewers(node.group);
            self.log.note(Changed::Node { id, public_key, is_regrouped: false }, viewers);
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

    /// The relays or STUN servers are others than before.
    pub(super) fn note_servers(&mut self) {
        self.log.note(Changed::Servers, Groups::ALL);
    }
}
