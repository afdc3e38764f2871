//! Networks behind nodes, as users read of them.

use engine::Status;
use protocol::key::PublicKey;

use crate::control::answer::{OwnRouteAnswer, RouteAnswer};

use super::super::node::Node;

/// The networks behind this node.
pub(super) fn of_node(node: &Node, status: &Status) -> Vec<OwnRouteAnswer> {
    let approved = status.own.as_ref().map(|own| own.routes.as_slice()).unwrap_or_default();
    let answer = |prefix: &ipnet::IpNet| {
        let approved = approved.iter().any(|route| route.prefix == *prefix);
        let trouble = node.forwarding_trouble().filter(|_| approved);
        OwnRouteAnswer { prefix: *prefix, approved, why: trouble.map(str::to_owned) }
    };
    status.advertised.iter().map(answer).collect()
}

/// The networks behind other nodes.
pub(super) fn of_others(status: &Status) -> Vec<RouteAnswer> {
    let name = |key: &PublicKey| {
        status.peers.iter().find(|peer| peer.public_key == *key).map(|peer| peer.name.to_string())
    };
    let answer = |route: &engine::RouteStatus| {
        let mut routers: Vec<_> = route.routers.iter().map(|(key, priority)| (*priority, *key)).collect();
        routers.sort_unstable();
        RouteAnswer {
            prefix: route.prefix,
            through: route.through.as_ref().and_then(name),
            routers: routers.iter().filter_map(|(_, key)| name(key)).collect(),
            why: route.skipped.map(|why| why.to_string()),
        }
    };
    status.routes.iter().map(answer).collect()
}
