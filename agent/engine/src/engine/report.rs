//! What the engine tells: the coordinator in reports, people in the status.

use std::net::SocketAddr;

use endpoint_selection::Timestamp;
use endpoint_selection::explain::{NodeView, Pair, RelayName};
use protocol::api::{PathReport, Report, ReportResponse};

use super::Engine;
use crate::peer::Peer;
use crate::relay_client::RelayClient;
use crate::status::Status;

/// Paths in a report: they serve people who look at a dashboard, and must not make a report too large to be taken.
const REPORTED_PATHS_MAX: usize = 1_000;

/// Peers whose evidence is reported: those without a direct path first, for these are asked about. With five candidates
/// each of some 250 bytes that is 40 kB a minute.
const REPORTED_EVIDENCE_MAX: usize = 32;

impl Engine {
    pub(super) fn on_report_accepted(&mut self, now: Timestamp, response: ReportResponse) {
        self.reporter.on_accepted(now, response.report_interval_s);
        self.token = Some(response);
        let relays: Vec<SocketAddr> = self.relays.keys().copied().collect();
        for relay in relays {
            self.take_token(now, relay);
        }
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
            advertised: self.routing.advertised().to_vec(),
            peers,
        }
    }

    /// Whether what the router says of the port that it opened cannot be right any more: then it is worth asking again.
    #[must_use]
    pub fn doubts_port_mapping(&self) -> bool {
        self.discovery.doubts_port_mapping()
    }

    pub(super) fn report(&self) -> Report {
        let side = self.side();
        Report {
            candidates: side.candidates,
            nat: side.nat,
            paths: self.path_reports(),
            relay: self.own_relay.clone(),
            routes: Some(self.routing.advertised().to_vec()),
            agent_version: self.config.agent_version.clone(),
        }
    }

    fn path_reports(&self) -> Vec<PathReport> {
        let mut peers: Vec<&Peer> = self.peers.values().take(REPORTED_PATHS_MAX).collect();
        peers.sort_by_key(|peer| peer.is_direct());
        let numbered = peers.into_iter().enumerate();
        numbered.map(|(index, peer)| peer.path_report(index < REPORTED_EVIDENCE_MAX)).collect()
    }
}

fn relay_name(relay: &RelayClient) -> RelayName {
    let info = relay.info();
    RelayName { name: info.name.clone(), address: info.address }
}
