//! The sessions of a relay: at most one for each node.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::key::PublicKey;
use protocol::relay::SessionId;
use uuid::Uuid;

use crate::limit::Bucket;

/// A node that said nothing for so long is not there: four of its keepalives (10 s) are missing.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// A node that a relay let in.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) node: PublicKey,
    pub(super) network: Uuid,
    pub(super) address: SocketAddr,
    pub(super) ends: Timestamp,
    heard_at: Timestamp,
    pub(super) packets: Bucket,
    pub(super) bytes: Bucket,
    pub(super) unreachable: Bucket,
}

/// What the coordinator vouched for, and where the node was seen.
#[derive(Clone, Copy)]
pub(super) struct Admission {
    pub(super) node: PublicKey,
    pub(super) network: Uuid,
    pub(super) address: SocketAddr,
    pub(super) ends: Timestamp,
}

/// How a registration changed the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The node had this session already; at most its end moved.
    Repeated,
    /// A new session.
    Made,
}

/// Finds sessions by id and by node in constant time. The hash maps are never iterated, so nothing that is seen
/// from outside depends on their order.
pub(super) struct SessionTable {
    by_node: HashMap<PublicKey, Session>,
    node_of: HashMap<SessionId, PublicKey>,
    ends: BTreeSet<(Timestamp, PublicKey)>,
    max: usize,
}

impl SessionTable {
    pub(super) fn new(max: usize) -> Self {
        Self { by_node: HashMap::new(), node_of: HashMap::new(), ends: BTreeSet::new(), max }
    }

    pub(super) fn len(&self) -> usize {
        self.by_node.len()
    }

    pub(super) fn has_id(&self, id: SessionId) -> bool {
        self.node_of.contains_key(&id)
    }

    /// The session `id`, if it lives at `from`; its node was heard at `now`.
    pub(super) fn at_address(
        &mut self,
        id: SessionId,
        from: SocketAddr,
        now: Timestamp,
    ) -> Option<&mut Session> {
        let node = self.node_of.get(&id)?;
        let session = self.by_node.get_mut(node).filter(|session| session.address == from)?;
        session.heard_at = now;
        Some(session)
    }

    /// The session of `node`, if it is of `network` and its node was heard of lately.
    pub(super) fn in_network(&self, node: &PublicKey, network: Uuid, now: Timestamp) -> Option<&Session> {
        let session = self.by_node.get(node).filter(|session| session.network == network)?;
        (now.since(session.heard_at) <= SILENCE_MAX).then_some(session)
    }

    /// Lets a node in under `id`, or under the id that it has if only its answer was lost: a repeated or replayed
    /// request then takes nothing from the node. `None` where the table is full and the node is new to it.
    pub(super) fn admit(
        &mut self,
        id: SessionId,
        admission: Admission,
        now: Timestamp,
    ) -> Option<(&Session, Change)> {
        let Admission { node, network, address, ends } = admission;
        if !self.by_node.contains_key(&node) && self.by_node.len() >= self.max {
            return None;
        }
        let new = Session {
            id,
            node,
            network,
            address,
            ends,
            heard_at: now,
            packets: Bucket::default(),
            bytes: Bucket::default(),
            unreachable: Bucket::default(),
        };
        let old = self.by_node.remove(&node);
        let (session, change) = match old {
            Some(old) if old.address == address && old.network == network => {
                self.forget(&old);
                (Session { ends: old.ends.max(ends), heard_at: now, ..old }, Change::Repeated)
            }
            // The budgets stay, so that registering again and again is no way around the rate limit.
            Some(old) => {
                self.forget(&old);
                let Session { packets, bytes, unreachable, .. } = old;
                (Session { packets, bytes, unreachable, ..new }, Change::Made)
            }
            None => (new, Change::Made),
        };
        self.node_of.insert(session.id, node);
        self.ends.insert((session.ends, node));
        Some((self.by_node.entry(node).or_insert(session), change))
    }

    /// Removes the sessions that end at or before `now`; says how many. Costs nothing while none does.
    pub(super) fn sweep(&mut self, now: Timestamp) -> u64 {
        let mut swept = 0;
        while let Some(&(ends, node)) = self.ends.first()
            && ends <= now
        {
            self.ends.pop_first();
            if let Some(session) = self.by_node.remove(&node) {
                self.node_of.remove(&session.id);
                swept += 1;
            }
        }
        swept
    }

    fn forget(&mut self, session: &Session) {
        self.node_of.remove(&session.id);
        self.ends.remove(&(session.ends, session.node));
    }
}
