//! Networks behind nodes, as users read of them.

use engine::{PeerStatus, Status};
use ipnet::IpNet;
use protocol::api::{PathKind, is_default};
use protocol::key::PublicKey;

use crate::control::answer::{ExitNodeAnswer, OwnRouteAnswer, RouteAnswer};
use crate::state::ExitNode;

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
    status.routes.iter().filter(|route| !is_default(&route.prefix)).map(answer).collect()
}

/// The exit node in use.
pub(super) fn exit_node(node: &Node, status: &Status) -> Option<ExitNodeAnswer> {
    let trouble = node.exit_trouble().map(|why| format!("traffic may leave past it: {why}"));
    let Some(chosen) = node.exit_node() else {
        let why = "the choice was lost with a damaged file: nothing leaves until `warren set --exit-node NODE` or \
                   `--no-exit-node`";
        let lost =
            || ExitNodeAnswer { name: "unknown".to_owned(), routes: Vec::new(), why: Some(why.to_owned()) };
        return node.is_exit_guarded().then(lost);
    };
    let peer = status.peers.iter().find(|peer| peer.id == chosen.id);
    let key = peer.map(|peer| peer.public_key);
    let is_through = |route: &&engine::RouteStatus| is_default(&route.prefix) && route.through == key;
    let routes: Vec<IpNet> = match key {
        Some(_) => status.routes.iter().filter(is_through).map(|route| route.prefix).collect(),
        None => Vec::new(),
    };
    let why = trouble.or_else(|| closed(chosen, peer, &routes));
    let name = peer.map_or_else(|| chosen.name.clone(), |peer| peer.name.to_string());
    Some(ExitNodeAnswer { name, routes, why })
}

/// Why nothing leaves through the exit node.
fn closed(chosen: &ExitNode, peer: Option<&PeerStatus>, routes: &[IpNet]) -> Option<String> {
    let name = &chosen.name;
    let why = match peer {
        None => format!("this node sees no {name} any more"),
        Some(_) if routes.is_empty() => {
            "it does not offer that any more, or no administrator approves it".to_owned()
        }
        Some(peer) if peer.path.kind == PathKind::None => "it is not reached".to_owned(),
        Some(_) => return None,
    };
    Some(format!("{why}: nothing leaves for the internet (`warren set --no-exit-node` lets it)"))
}

/// The nodes that may be chosen as exit node.
pub(super) fn exit_nodes(status: &Status) -> Vec<String> {
    let offered = status.peers.iter().filter(|peer| status.exit_nodes.contains(&peer.public_key));
    offered.map(|peer| peer.name.to_string()).collect()
}
