//! The services over one open database: what HTTP handlers and simulations call. Blocking, never asynchronous.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use protocol::api::{EnrollRequest, EnrollResponse, Report, ReportResponse, Servers};
use protocol::key::PrivateKey;
use protocol::map_signature::MapSigningKey;
use protocol::relay_token::{TokenSigningKey, TokenVerifyingKey};
use uuid::Uuid;

use crate::Entropy;
use crate::service::device_authorization::DeviceAuthorizations;
use crate::service::identities::GroupMappings;
use crate::service::{
    self, AuthError, Caller, Counts, Directory, EnrollError, MapSubscription, MapView, NodeIdentity,
    NodeToken, Overview, PairReport, PairUnknown, REPORT_INTERVAL_S, ReportRefused, StreamEnd,
};
use crate::store::{CandidatesRow, Seen, Store, StoreError};

mod administration;
mod device_authorization;
mod servers;
mod synchronization;

/// Rows of deleted nodes stay for 90 days: a laptop that comes back from a long rest is told that it was deleted.
const DELETED_NODES_KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// The audit log goes back 400 days: a year, and time to look at it.
const AUDIT_LOG_KEPT_MS: i64 = 400 * 24 * 60 * 60 * 1000;

/// The coordinator.
pub struct Coordinator {
    store: Store,
    entropy: Entropy,
    /// The servers inside, without those that the database knows.
    own: Servers,
    signing_key: TokenSigningKey,
    map_key: MapSigningKey,
    directory: Mutex<Directory>,
    /// Up to where the directory has seen the database.
    seen: Mutex<Seen>,
    /// Set when a change could not be read back; the next [`Coordinator::sync`] reads everything.
    stale: AtomicBool,
    /// Candidates that the disk did not take, the newest of each node; the next [`Coordinator::sync`] stores them.
    unsaved: Arc<Mutex<BTreeMap<Uuid, CandidatesRow>>>,
    /// Machines that wait to be let in.
    devices: Mutex<DeviceAuthorizations>,
    /// From which groups roles follow, where there is a provider.
    groups: OnceLock<Arc<GroupMappings>>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Coordinator {
    /// Starts on a database: counts the start and reads all nodes. `announce` is told the relay's private key and
    /// the key that relays verify tokens with, and says which servers the maps name.
    ///
    /// # Errors
    /// Where the database does not answer, or what `announce` returns.
    pub fn open<E: From<StoreError>>(
        store: Store,
        entropy: Entropy,
        now_ms: i64,
        announce: impl FnOnce(&PrivateKey, TokenVerifyingKey) -> Result<Servers, E>,
    ) -> Result<Arc<Self>, E> {
        let (relay, signing) = (entropy.secret(), entropy.secret());
        let row = store.write(move |tx| {
            tx.purge_deleted_nodes(now_ms - DELETED_NODES_KEPT_MS)?;
            tx.purge_audit_log(now_ms - AUDIT_LOG_KEPT_MS)?;
            tx.count_boot(&relay, &signing)
        })?;
        let relay_key = PrivateKey::from_random(*row.relay_private_key);
        let signing_key = TokenSigningKey::from_random(&row.token_signing_key);
        let coordinator = Self {
            own: announce(&relay_key, signing_key.verifying_key())?,
            directory: Mutex::new(Directory::new(row.boot_count, signing_key.verifying_key())),
            signing_key,
            seen: Mutex::default(),
            map_key: MapSigningKey::derive(&row.token_signing_key),
            stale: AtomicBool::new(true),
            unsaved: Arc::default(),
            devices: Mutex::default(),
            groups: OnceLock::new(),
            store,
            entropy,
        };
        coordinator.directory().advance(now_ms);
        coordinator.sync()?;
        let candidates = coordinator.store.read(|tx| tx.candidates())?;
        coordinator.directory().put_old_candidates(candidates);
        Ok(Arc::new(coordinator))
    }

    /// The database.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The source of random bytes.
    #[must_use]
    pub const fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    /// The servers that every map names.
    #[must_use]
    pub fn servers(&self) -> Arc<Servers> {
        Arc::clone(self.directory().servers())
    }

    /// What time does: takes over what other processes wrote, lets nodes expire, deletes ephemeral nodes that are gone. `serve`
    /// calls it every second.
    ///
    /// # Errors
    /// Where the database does not answer; everything known stays.
    pub fn tick(&self, now_ms: i64) -> Result<(), StoreError> {
        // First: who has expired goes also where the database does not answer.
        let gone = {
            let mut directory = self.directory();
            directory.advance(now_ms);
            directory.ephemeral_gone()
        };
        self.sync()?;
        for node in gone {
            tracing::info!(%node, "an ephemeral node is gone: deleting it");
            if let Err(error) = self.delete_node(now_ms, node) {
                tracing::error!(%node, %error, "it is not deleted; trying again");
            }
        }
        Ok(())
    }

    /// `POST /enroll`: what is returned is durable, and the node is in its peers' maps.
    ///
    /// # Errors
    /// Why the machine does not become a node.
    pub fn enroll(&self, now_ms: i64, request: &EnrollRequest) -> Result<EnrollResponse, EnrollError> {
        let response =
            service::enroll(&self.store, &self.entropy, now_ms, request, self.map_key.verifying_key())?;
        self.refresh(response.node_id);
        Ok(response)
    }

    /// Who a token belongs to, where that is known without a look at the database; never blocks for long.
    #[must_use]
    pub fn identify(&self, token: &NodeToken) -> Option<NodeIdentity> {
        let (identity, first_use) = self.directory().identify(token.hash())?;
        (!first_use).then_some(identity)
    }

    /// Who a token belongs to. The first use of a token that was given out again makes the older one void.
    ///
    /// # Errors
    /// Unknown token, deleted node, or a database that does not answer.
    pub fn authenticate(&self, token: &NodeToken) -> Result<NodeIdentity, AuthError> {
        let hash = token.hash();
        let known = self.directory().identify(hash);
        let (identity, first_use) = match known {
            Some(known) => known,
            None => {
                // Not in memory: deleted, or written by another process a moment ago.
                let row = self.store.read(|tx| tx.node_by_token(hash))?.ok_or(AuthError::Unauthenticated)?;
                if row.deleted_at_ms.is_some() {
                    return Err(AuthError::NodeDeleted(Some(self.map_key.sign_deletion(row.id))));
                }
                self.refresh(row.id);
                self.directory().identify(hash).ok_or(AuthError::Unauthenticated)?
            }
        };
        if first_use {
            match self.store.write(move |tx| tx.confirm_token(hash)) {
                // The token is good; that it is the newest is noted when it is used again.
                Err(StoreError::Disk(_)) => {}
                confirmed => {
                    confirmed?;
                    self.refresh(identity.node);
                }
            }
        }
        Ok(identity)
    }

    /// `POST /report`: takes over what a node observed, answers with a fresh relay token.
    ///
    /// # Errors
    /// A field out of bounds, or a node that is gone.
    pub fn report(
        &self,
        now_ms: i64,
        identity: &NodeIdentity,
        report: Report,
    ) -> Result<ReportResponse, ReportRefused> {
        let (response, candidates) = self.take_report(now_ms, identity, report)?;
        if let Some(candidates) = candidates {
            self.keep_candidates(candidates);
        }
        Ok(response)
    }

    /// The same but for what belongs on the disk: candidates that are others than before, for
    /// [`Coordinator::keep_candidates`]. Never blocks for long.
    pub(crate) fn take_report(
        &self,
        now_ms: i64,
        identity: &NodeIdentity,
        report: Report,
    ) -> Result<(ReportResponse, Option<CandidatesRow>), ReportRefused> {
        let mut directory = self.directory();
        let home = directory.home(identity);
        let network = directory.network_mut(home).ok_or(AuthError::NodeDeleted(None))?;
        let report = service::clean(report, network.row())?;
        let taken =
            network.put_report(identity.node, report, now_ms).map_err(|_| AuthError::NodeDeleted(None))?;
        let (relay_token, relay_token_lifetime_s) =
            network.relay_token(identity, &self.signing_key, now_ms).ok_or(AuthError::NodeDeleted(None))?;
        drop(directory);
        let row = |candidates| CandidatesRow { node_id: identity.node, candidates, reported_at_ms: now_ms };
        let response = ReportResponse {
            relay_token,
            relay_token_lifetime_s,
            report_interval_s: REPORT_INTERVAL_S,
            wants_all_paths: taken.wants_all_paths,
        };
        Ok((response, taken.other_candidates.map(row)))
    }

    /// `GET /map`: opens the node's stream. With the revision that it has, it gets only what it missed, where that
    /// is still known.
    ///
    /// # Errors
    /// A node that is gone.
    pub fn open_map(
        self: &Arc<Self>,
        identity: &NodeIdentity,
        revision: Option<u64>,
    ) -> Result<MapSubscription, AuthError> {
        let mut directory = self.directory();
        let stream = directory.next_stream();
        let home = directory.home(identity);
        let network = directory.network_mut(home).ok_or(AuthError::NodeDeleted(None))?;
        let wakers = network.open_stream(identity.node, stream).map_err(|_| AuthError::NodeDeleted(None))?;
        let newest = network.newest_revision();
        drop(directory);
        if let Some(revision) = revision.filter(|revision| *revision > newest) {
            tracing::warn!(node = %identity.node, revision, newest, "a node has a newer map than this coordinator ever made, and \
                refuses older ones: a database that was put back by other means is brought in by `restore`");
        }
        let identity = NodeIdentity { network: home, ..*identity };
        Ok(MapSubscription::new(Arc::clone(self), identity, stream, revision, wakers))
    }

    /// Deletes a node: its stream ends, its token is refused, its peers are told. Also what `DELETE /node` does.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_node(&self, now_ms: i64, node: Uuid) -> Result<bool, StoreError> {
        let deleted = self.store.write(move |tx| tx.delete_node(node, now_ms))?;
        self.refresh(node);
        Ok(deleted)
    }

    /// What a person may see.
    #[must_use]
    pub fn overview(&self, now_ms: i64, caller: &Caller) -> Overview {
        self.directory().overview(caller, now_ms)
    }

    /// Two nodes, for a person to see why their path is as it is. Both are asked what they know of the other; the second value says
    /// whether that may come soon.
    ///
    /// # Errors
    /// Where the person may not see both, or they are not in one network.
    pub fn pair(
        &self,
        now_ms: i64,
        caller: &Caller,
        own: Uuid,
        peer: Uuid,
    ) -> Result<(PairReport, bool), PairUnknown> {
        self.directory().pair(now_ms, caller, (own, peer))
    }

    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.directory().counts()
    }

    /// Ends all map streams, now and later: the coordinator stops.
    pub fn close_streams(&self) {
        self.directory().close();
    }

    /// What a stream sends next.
    pub(crate) fn map_view(&self, identity: &NodeIdentity, stream: u64, known: Option<u64>) -> MapView {
        let mut directory = self.directory();
        if directory.is_closing() {
            return MapView::Ended(StreamEnd::ShuttingDown);
        }
        match directory.network_mut(identity.network) {
            Some(network) => {
                let view = network.view(identity.node, stream, known);
                let is_idle = matches!(view, MapView::Idle { .. });
                is_idle.then(|| network.take_request(identity.node)).flatten().map_or(view, MapView::Request)
            }
            None => MapView::Ended(StreamEnd::NodeDeleted),
        }
    }

    /// The key that signs maps.
    pub(crate) const fn map_key(&self) -> &MapSigningKey {
        &self.map_key
    }

    /// Closes a stream.
    pub(crate) fn close_stream(&self, identity: &NodeIdentity, stream: u64) {
        if let Some(network) = self.directory().network_mut(identity.network) {
            network.close_stream(identity.node, stream);
        }
    }

    /// Brings one node in memory to the state of the database. The row is read under the lock, so the last writer's
    /// row is what stays.
    pub(crate) fn refresh(&self, node: Uuid) {
        let mut directory = self.directory();
        let read = self.store.read(|tx| {
            let Some(row) = tx.node(node)? else { return Ok(None) };
            let network = tx.network(row.network_id)?;
            let rules = tx.access_rules(row.network_id)?;
            Ok::<_, StoreError>(Some((row, network, rules)))
        });
        match read {
            Ok(Some((row, network, rules))) => {
                if let Some(network) = network
                    && !directory.knows_network(network.id)
                {
                    directory.put_network_with_rules(network, rules);
                }
                directory.put_node(row);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%node, %error, "a node could not be read back; what was known of it stays");
                self.stale.store(true, Ordering::Relaxed);
            }
        }
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.directory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
