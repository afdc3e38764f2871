//! Keeps the copy of the network map on disk: once a second at most, never two writes at once.

use std::time::{Duration, Instant};

use protocol::api::NetworkMap;
use protocol::key::PrivateKey;
use tokio::task::JoinHandle;

use crate::state::StateFolder;

/// Maps change in bursts; a copy that is a second old is as good after a restart.
const SPACING: Duration = Duration::from_secs(1);

/// Saves the maps of one node.
pub(crate) struct MapSaver {
    state: StateFolder,
    key: PrivateKey,
    is_due: bool,
    writing: Option<JoinHandle<()>>,
    started_at: Option<Instant>,
}

impl MapSaver {
    /// A saver with nothing to do; the node's private key vouches for what it saves.
    pub(crate) const fn new(state: StateFolder, key: PrivateKey) -> Self {
        Self { state, key, is_due: false, writing: None, started_at: None }
    }

    /// The map changed.
    pub(crate) const fn touch(&mut self) {
        self.is_due = true;
    }

    /// Starts a write where one is due and the last one began long enough ago.
    pub(crate) fn tick(&mut self, map: Option<&NetworkMap>) {
        if self.started_at.is_none_or(|at| at.elapsed() >= SPACING) {
            self.start(map);
        }
    }

    fn start(&mut self, map: Option<&NetworkMap>) {
        if !self.is_due || self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            return;
        }
        let Some(map) = map.cloned() else { return };
        self.is_due = false;
        self.started_at = Some(Instant::now());
        let (state, key) = (self.state.clone(), self.key.clone());
        self.writing = Some(tokio::task::spawn_blocking(move || save(&state, &map, &key)));
    }

    /// Saves what is due, and returns when it is on disk.
    pub(crate) async fn finish(&mut self, map: Option<&NetworkMap>) {
        self.wait().await;
        self.start(map);
        self.wait().await;
    }

    async fn wait(&mut self) {
        if let Some(writing) = self.writing.take()
            && let Err(error) = writing.await
        {
            tracing::error!(%error, "saving the network map ended badly");
        }
    }
}

fn save(state: &StateFolder, map: &NetworkMap, key: &PrivateKey) {
    if let Err(error) = state.set_network_map(map, key) {
        tracing::warn!(%error, "the network map is not saved: a restart begins with an older one");
    }
}
