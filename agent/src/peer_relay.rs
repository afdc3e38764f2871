//! The relay that this node runs for its network, where an administrator allows it.
//!
//! - [`PeerRelay`]: the task that serves as long as it may, beside the node and never in its way.
//! - `Serving`: one life of the relay, with a port of its own and that port's mapping at the router.
//!
//! Which of its addresses are told, the engine decides.

mod serving;

use std::net::SocketAddr;
use std::time::Duration;

use engine::{LocalAddress, RelayServer};
use protocol::api::RelayPermission;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::state::StateFolder;
use serving::Serving;

/// After a relay could not start, it is tried again: a port may be free by then.
const RETRY_INTERVAL: Duration = Duration::from_secs(60);

/// How often the nodes at the relay are counted, for people.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// How long the end may take: a little longer than the router gets to take its port back.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the user says of a relay on this node.
#[derive(Debug, Clone)]
pub(crate) struct RelayOptions {
    /// The UDP port; `None`: the last one, or any.
    pub(crate) port: Option<u16>,
    /// Where else strangers reach it.
    pub(crate) static_addresses: Vec<SocketAddr>,
    /// Whether the router is asked to open its port.
    pub(crate) port_mapping: bool,
    /// Megabits a second that each node may send through it: the uplink is shared with what the machine is for.
    pub(crate) mbit_per_node: u32,
}

/// How it stands with the relay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// The relay that serves.
    pub(crate) server: Option<RelayServer>,
    /// How many nodes hold a session there, a few seconds ago.
    pub(crate) sessions: u64,
    /// Why none does although it may, or why the router opens no port for the one that does.
    pub(crate) why: Option<String>,
}

/// What the node tells the task: the newest counts, nothing waits in line.
#[derive(Debug, Clone, Default)]
struct Situation {
    permission: Option<RelayPermission>,
    addresses: Vec<LocalAddress>,
    refreshes: u64,
    doubts: u64,
}

/// A running task; dropping it ends the relay.
#[derive(Debug)]
pub(crate) struct PeerRelay {
    situation: watch::Sender<Situation>,
    facts: watch::Receiver<Facts>,
    task: JoinHandle<()>,
}

impl PeerRelay {
    /// Starts the task, which waits for a permission.
    pub(crate) fn start(state: StateFolder, options: RelayOptions, clock: Clock) -> Self {
        let (situation, situation_receiver) = watch::channel(Situation::default());
        let (facts_sender, facts) = watch::channel(Facts::default());
        let task = Task {
            state,
            options,
            clock,
            known: Situation::default(),
            serving: None,
            situation: situation_receiver,
            facts: facts_sender,
        };
        Self { situation, facts, task: tokio::spawn(task.run()) }
    }

    /// The coordinator allows a relay on these terms, or forbids one.
    pub(crate) fn set_permission(&self, permission: Option<RelayPermission>) {
        self.situation.send_modify(|situation| situation.permission = permission);
    }

    /// The machine's addresses that may be offered changed.
    pub(crate) fn set_addresses(&self, addresses: &[LocalAddress]) {
        self.situation.send_modify(|situation| situation.addresses = addresses.to_vec());
    }

    /// The network may be another one.
    pub(crate) fn refresh(&self) {
        self.situation.send_modify(|situation| situation.refreshes += 1);
    }

    /// The router's word cannot be right any more.
    pub(crate) fn doubt(&self) {
        self.situation.send_modify(|situation| situation.doubts += 1);
    }

    /// What is known now.
    pub(crate) fn facts(&self) -> Facts {
        self.facts.borrow().clone()
    }

    /// Waits until something else is known. May be dropped without losing it.
    pub(crate) async fn changed(&mut self) {
        if self.facts.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Ends the relay and gives its port back; done, or given up, on return.
    pub(crate) async fn stop(self) {
        let Self { situation, facts: _facts, task } = self;
        drop(situation);
        if timeout(FAREWELL, task).await.is_err() {
            tracing::debug!("the relay did not end in time");
        }
    }
}

struct Task {
    state: StateFolder,
    options: RelayOptions,
    clock: Clock,
    known: Situation,
    /// The relay while it may serve, or why it does not.
    serving: Option<Result<Serving, String>>,
    situation: watch::Receiver<Situation>,
    facts: watch::Sender<Facts>,
}

impl Task {
    async fn run(mut self) {
        loop {
            self.publish();
            let is_failing = matches!(self.serving, Some(Err(_)));
            let is_serving = matches!(self.serving, Some(Ok(_)));
            tokio::select! {
                changed = self.situation.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.heed().await;
                }
                () = sleep(RETRY_INTERVAL), if is_failing => self.begin(),
                // What is known is published anew, the count with it.
                () = sleep(COUNT_INTERVAL), if is_serving => {}
                () = port_mapping_changed(self.serving.as_mut()) => {}
            }
        }
        self.end().await;
    }

    async fn heed(&mut self) {
        let newest = self.situation.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.known, newest);
        if before.permission != self.known.permission {
            self.end().await;
            self.begin();
            return;
        }
        let Some(Ok(Serving { mapper: Some(mapper), .. })) = &self.serving else { return };
        if before.addresses != self.known.addresses {
            mapper.set_addresses(&self.known.addresses);
        }
        if before.refreshes != self.known.refreshes {
            mapper.refresh();
        }
        if before.doubts != self.known.doubts {
            mapper.doubt();
        }
    }

    fn begin(&mut self) {
        let begun = self
            .known
            .permission
            .as_ref()
            .map(|permission| Serving::start(&self.state, &self.options, permission, self.clock));
        match &begun {
            None => {}
            Some(Err(why)) => tracing::warn!(%why, "this node may be a relay for its network and is none"),
            Some(Ok(serving)) => {
                tracing::info!(port = serving.port, public_key = %serving.public_key, "relay for the network");
                if let Some(mapper) = &serving.mapper {
                    mapper.set_addresses(&self.known.addresses);
                }
            }
        }
        self.serving = begun;
    }

    async fn end(&mut self) {
        if let Some(Ok(serving)) = self.serving.take() {
            serving.stop().await;
        }
    }

    fn publish(&self) {
        let facts = match &self.serving {
            None => Facts::default(),
            Some(Err(why)) => Facts { server: None, sessions: 0, why: Some(why.clone()) },
            Some(Ok(serving)) => serving.facts(&self.options.static_addresses),
        };
        self.facts.send_if_modified(|known| {
            let is_news = *known != facts;
            *known = facts;
            is_news
        });
    }
}

/// Waits for the router's news of the relay's port; forever, where nobody asks it.
async fn port_mapping_changed(serving: Option<&mut Result<Serving, String>>) {
    match serving {
        Some(Ok(Serving { mapper: Some(mapper), .. })) => mapper.changed().await,
        Some(Ok(Serving { mapper: None, .. }) | Err(_)) | None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
