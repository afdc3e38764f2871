//! The node and its coordinator: what the map stream brings, and how reports fare.

use engine::Input;
use protocol::api::{MapEvent, Report};
use protocol::map_signature::MapVerifyingKey;
use tokio::time::sleep;

use super::Node;
use crate::coordinator_client::CallError;
use crate::map_stream::{StreamNews, StreamWish};

impl Node {
    pub(super) fn on_news(&mut self, news: StreamNews) {
        match news {
            StreamNews::Connected(remote) => {
                tracing::info!(coordinator = %self.identity.coordinator, "map stream open");
                (self.connection.is_open, self.connection.error) = (true, None);
                self.connection.remote = remote.map(|remote| remote.ip()).or(self.connection.remote);
                self.tell_routes();
            }
            StreamNews::Event(event) => {
                self.connection.refusal = None;
                self.on_map(*event);
            }
            StreamNews::FirstKey(key) => self.remember_map_key(key),
            StreamNews::Refused(why) => {
                if self.connection.refusal.as_ref() != Some(&why) {
                    tracing::error!(%why, "the coordinator's map is refused: keeping the last good one");
                }
                self.connection.refusal = Some(why);
            }
            StreamNews::ReportRequested(peers) => self.input(Input::ReportRequested(peers)),
            StreamNews::Lost(why) => {
                if self.connection.is_open || self.connection.error.as_ref() != Some(&why) {
                    tracing::warn!(%why, "no map stream: working from the last map, trying again");
                }
                (self.connection.is_open, self.connection.error) = (false, Some(why));
            }
            StreamNews::Deleted(why) => self.deletion = Some(why),
        }
    }

    /// This node was enrolled when coordinators signed no maps: it holds to the first key that it sees.
    fn remember_map_key(&mut self, key: MapVerifyingKey) {
        tracing::warn!(%key, "the coordinator signs its maps: trusting this key on first use, as none came with the enrollment");
        self.identity.map_key = Some(key);
        self.client.set_signer(self.identity.node_id, key);
        if let Err(error) = self.identity.save(&self.state) {
            tracing::warn!(%error, "the key is not remembered: the next start takes the first one again");
        }
    }

    fn on_map(&mut self, event: MapEvent) {
        if let MapEvent::Snapshot(map) = &event
            && map.own.id != self.identity.node_id
        {
            tracing::error!(own = %self.identity.node_id, got = %map.own.id, "ignored another node's network map");
            return;
        }
        self.input(Input::Map(event));
    }

    /// The map is another one.
    pub(super) fn save_map(&mut self) {
        self.saver.touch();
        self.names.touch();
    }

    pub(super) fn on_report_failed(&mut self, error: CallError) {
        if error.is_node_deleted() {
            self.deletion = Some(error.to_string());
            return;
        }
        tracing::debug!(%error, "a report did not get through");
        if self.connection.error.is_none() {
            self.connection.error = Some(error.to_string());
        }
        self.input(Input::ReportFailed);
    }

    /// Sends a report; the engine has one under way at most.
    pub(super) fn report(&mut self, report: Report) {
        let (client, sender) = (self.client.clone(), self.reports_sender.clone());
        self.tasks.spawn(async move {
            let outcome = client.report(&report).await;
            if let Some(pause) = outcome.as_ref().err().and_then(CallError::retry_after) {
                // The engine takes the report for under way meanwhile and sends no other; the client bounds the pause.
                sleep(pause).await;
            }
            // Where nobody listens the node is being stopped.
            let _ = sender.send(outcome).await;
        });
    }

    pub(super) fn wish(&self, wish: StreamWish) {
        if let Err(error) = self.wishes.try_send(wish) {
            // Full: enough wishes wait already, and each one makes a new stream.
            tracing::debug!(%error, "the map stream is busy");
        }
    }
}
