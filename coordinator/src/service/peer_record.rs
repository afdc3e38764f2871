//! What the other nodes of a network see of a node.

use protocol::api::{Peer, Route};

use super::addressing;
use super::reported::Reported;
use crate::store::{NetworkRow, NodeRow};

/// What other nodes see of a node.
pub(super) fn peer(network: &NetworkRow, node: &NodeRow, reported: Option<&Reported>, online: bool) -> Peer {
    Peer {
        id: node.id,
        name: node.name.clone(),
        public_key: node.public_key,
        allowed_ips: addressing::host_prefixes(network, node.host_index),
        online,
        candidates: reported.map(|reported| reported.candidates.clone()).unwrap_or_default(),
        nat: reported.map(|reported| reported.nat).unwrap_or_default(),
        plain_endpoint: node.plain_endpoint,
        tags: node.tags.clone(),
        routes: routes_now(node, reported),
    }
}

/// The networks that are reached through a node now: those approved that it offers. One that has not said what it offers since the
/// coordinator started, or cannot, is taken at the administrator's word.
fn routes_now(node: &NodeRow, reported: Option<&Reported>) -> Vec<Route> {
    let offered = reported.and_then(|reported| reported.routes.as_ref());
    let is_offered = |route: &&Route| offered.is_none_or(|offered| offered.contains(&route.prefix));
    node.approved_routes.iter().filter(is_offered).copied().collect()
}
