//! A node's map stream: what it has been sent, and what comes next.
//!
//! There is no queue per stream. A stream is asked when its connection can take more, and answers with one event that
//! holds everything since the last; a slow reader gets fewer, larger deltas and, after more than 1024 changes, a
//! snapshot. So a stalled connection costs a constant amount of memory.

use std::sync::Arc;

use protocol::api::{MapDelta, MapEvent, NetworkMap, RelayInfo, ReportRequest, Servers};
use protocol::map_signature::MapSignature;

use super::network_map::StreamWakers;
use super::{MapView, NodeIdentity, with_peer_relays};
use crate::Coordinator;

/// A stream; the node is online as long as it exists.
pub struct MapSubscription {
    coordinator: Arc<Coordinator>,
    identity: NodeIdentity,
    stream: u64,
    /// The revision of the node's map.
    sent: Option<u64>,
    /// The revision up to which nothing concerned the node since.
    looked: Option<u64>,
    wakers: StreamWakers,
}

/// What a stream has to say now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapPoll {
    /// Send this.
    Event(Box<MapEvent>),
    /// Ask the node this.
    Request(ReportRequest),
    /// Nothing; wait for [`MapSubscription::changed`].
    Idle,
    /// Send nothing more.
    Ended(StreamEnd),
}

/// Why a stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The node was deleted or left.
    NodeDeleted,
    /// The node opened another stream.
    Replaced,
    /// The coordinator stops.
    ShuttingDown,
}

impl std::fmt::Debug for MapSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapSubscription")
            .field("node", &self.identity.node)
            .field("sent", &self.sent)
            .finish_non_exhaustive()
    }
}

impl MapSubscription {
    pub(crate) const fn new(
        coordinator: Arc<Coordinator>,
        identity: NodeIdentity,
        stream: u64,
        sent: Option<u64>,
        wakers: StreamWakers,
    ) -> Self {
        Self { coordinator, identity, stream, sent, looked: sent, wakers }
    }

    /// What the node must hear now.
    pub fn poll_event(&mut self) -> MapPoll {
        self.wakers.revisions.mark_unchanged();
        let event = match self.coordinator.map_view(&self.identity, self.stream, self.looked) {
            MapView::Idle { revision } => {
                self.looked = Some(revision);
                return MapPoll::Idle;
            }
            MapView::Request(request) => return MapPoll::Request(request),
            MapView::Ended(why) => return MapPoll::Ended(why),
            MapView::Snapshot { revision, own, peers, peer_relays } => {
                let Servers { relays, stun_servers } = self.servers(&peer_relays);
                let peers = peers.iter().map(|peer| (**peer).clone()).collect();
                MapEvent::Snapshot(NetworkMap { revision, own: *own, peers, relays, stun_servers })
            }
            MapView::Delta { revision, own, upserts, removals, peer_relays } => MapEvent::Delta(MapDelta {
                from_revision: self.sent.unwrap_or(revision),
                revision,
                upserts: upserts.iter().map(|peer| (**peer).clone()).collect(),
                removals,
                servers: peer_relays.map(|peer_relays| self.servers(&peer_relays)),
                own,
            }),
        };
        self.sent = Some(event.revision());
        self.looked = self.sent;
        MapPoll::Event(Box::new(event))
    }

    /// The coordinator's signature under an event for this node.
    #[must_use]
    pub fn sign(&self, event: &MapEvent, data: &str) -> MapSignature {
        self.coordinator.map_key().sign(&event.place(self.identity.node), data)
    }

    fn servers(&self, peer_relays: &[RelayInfo]) -> Servers {
        with_peer_relays(&self.coordinator.servers(), peer_relays, &self.identity.public_key)
    }

    /// Waits until [`MapSubscription::poll_event`] may have something new.
    pub async fn changed(&mut self) {
        // An error means that the stream or its network is gone from memory; the next poll says so.
        tokio::select! {
            _ = self.wakers.revisions.changed() => {}
            // The node may be in another group now.
            _ = self.wakers.open.changed() => self.wakers.revisions = self.wakers.open.borrow().clone(),
        }
    }
}

impl Drop for MapSubscription {
    fn drop(&mut self) {
        self.coordinator.close_stream(&self.identity, self.stream);
    }
}
