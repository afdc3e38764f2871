//! What the engine tells: the coordinator in reports, people in the status.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use endpoint_selection::Timestamp;
use endpoint_selection::explain::{NodeView, Pair, RelayName};
use protocol::api::{RELAYS_SEEN_MAX, RelaySeen, Report, ReportResponse, ServersSeen};
use protocol::key::PublicKey;

use super::Engine;
use crate::output::Output;
use crate::relay_client::RelayClient;
use crate::reported_paths::Paths;
use crate::reported_servers::UNREACHED_AFTER;
use crate::status::Status;

/// Paths in a report: they serve people who look at a dashboard, and must not make a report too large to be taken.
const REPORTED_PATHS_MAX: usize = 1_000;

impl Engine {
    pub(super) fn on_report_accepted(&mut self, now: Timestamp, response: ReportResponse) {
        self.reported.on_accepted(response.wants_all_paths);
        self.reported_servers.on_accepted(response.wants_all_paths);
        self.reporter.on_accepted(now, response.report_interval_s);
        if response.wants_all_paths {
            self.reporter.touch(now);
        }
        self.token = Some(response);
        let relays: Vec<SocketAddr> = self.relays.keys().copied().collect();
        for relay in relays {
            self.take_token(now, relay);
        }
        self.note_servers(now);
    }

    /// What the engine knows, for people.
    #[must_use]
    pub fn status(&self) -> Status {
        let side = self.side();
        let own = self.map.as_ref().map(|map| map.own.clone());
        let scene = Pair {
            own: NodeView {
                name: own.as_ref().map(|own| own.name.to_string()).unwrap_or_default(),
                candidates: side.candidates.clone(),
                nat: side.nat,
                paths: None,
            },
            peer: NodeView::default(),
            mesh: self.inside.clone(),
            relays: self.relays.values().map(relay_name).collect(),
        };
        let mut peers: Vec<_> = self.peers.values().map(|peer| peer.status(&scene)).collect();
        peers.sort_by(|a, b| a.name.cmp(&b.name));
        Status {
            own,
            revision: self.map.as_ref().map(|map| map.revision),
            candidates: side.candidates,
            nat: side.nat,
            relays: self.relays.values().map(RelayClient::status).collect(),
            own_relay: self.own_relay.clone(),
            stun: self.discovery.stun_status(),
            routes: self.routing.status(),
            exit_nodes: self.routing.exit_nodes(),
            advertised: self.routing.advertised().to_vec(),
            peers,
        }
    }

    /// Whether what the router says of the port that it opened cannot be right any more: then it is worth asking again.
    #[must_use]
    pub fn doubts_port_mapping(&self) -> bool {
        self.discovery.doubts_port_mapping()
    }

    /// Servers answer or fall silent: people hear of it within a second or two.
    pub(super) fn note_servers(&mut self, now: Timestamp) {
        let waiting = self.owners_relays().filter_map(RelayClient::sessionless_since);
        let next = waiting.map(|since| since + UNREACHED_AFTER).filter(|at| *at > now).min();
        self.reported_servers.check_at = next;
        if self.reported_servers.is_news(&self.servers_seen(now)) {
            self.reporter.touch_later(now);
        }
    }

    fn owners_relays(&self) -> impl Iterator<Item = &RelayClient> {
        self.relays.values().filter(|relay| relay.info().node.is_none())
    }

    /// The servers as we see them. A relay that has not been tried for long enough is left out.
    fn servers_seen(&self, now: Timestamp) -> ServersSeen {
        let mut by_key: BTreeMap<PublicKey, Vec<&RelayClient>> = BTreeMap::new();
        for relay in self.owners_relays() {
            by_key.entry(relay.info().public_key).or_default().push(relay);
        }
        let relays = by_key.into_iter().filter_map(|(public_key, addresses)| {
            if let Some(reached) = addresses.iter().find(|address| address.is_registered()) {
                return Some(RelaySeen { public_key, reached: true, rtt_us: reached.rtt_us() });
            }
            let is_silent = |since: Timestamp| now.since(since) >= UNREACHED_AFTER;
            let mut since = addresses.iter().filter_map(|address| address.sessionless_since());
            since.any(is_silent).then_some(RelaySeen { public_key, reached: false, rtt_us: None })
        });
        ServersSeen {
            relays: relays.take(RELAYS_SEEN_MAX).collect(),
            stun_servers: self.discovery.servers_seen(),
        }
    }

    /// Sends the report that is due, unless one is under way.
    pub(super) fn send_report(&mut self, now: Timestamp) {
        if !self.reporter.take_due(now) {
            return;
        }
        let side = self.side();
        let peers = self.peers.values().take(REPORTED_PATHS_MAX);
        let Paths { paths, changed_only } = self.reported.take(now, peers);
        let servers = self.reported_servers.take(self.servers_seen(now), !changed_only);
        self.outputs.push_back(Output::Report(Report {
            candidates: side.candidates,
            nat: side.nat,
            paths,
            changed_paths_only: changed_only,
            relay: self.own_relay.clone(),
            routes: Some(self.routing.offered_here().to_vec()),
            servers,
            agent_version: self.config.agent_version.clone(),
        }));
    }
}

fn relay_name(relay: &RelayClient) -> RelayName {
    let info = relay.info();
    RelayName { name: info.name.clone(), address: info.address }
}
