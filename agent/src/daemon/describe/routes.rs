//! Networks behind nodes, as users read of them.

use engine::{PeerStatus, Status};
use ipnet::IpNet;
use protocol::api::{DEFAULT_ROUTES, PathKind, is_default};
use protocol::key::PublicKey;

use crate::control::answer::{ExitNodeAnswer, OwnRouteAnswer, RouteAnswer};
use crate::exit_guard::ExitGuard;
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
    // Who wants to be an exit node and has no way to the internet is told so.
    let is_missing = |route: &&IpNet| node.is_exit_node() && !status.advertised.contains(route);
    let missing = DEFAULT_ROUTES.iter().filter(is_missing).map(|prefix| OwnRouteAnswer {
        prefix: *prefix,
        approved: approved.iter().any(|route| route.prefix == *prefix),
        why: Some("this machine itself has no route to the internet".to_owned()),
    });
    status.advertised.iter().map(answer).chain(missing).collect()
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

/// The exit node in use, of a node that works.
pub(super) fn exit_node(node: &Node, status: &Status) -> Option<ExitNodeAnswer> {
    let guarded = of_guard(node.exit_guard());
    let Some(chosen) = node.exit_node() else {
        let why = "the exit node is not known, as a file was damaged: nothing leaves for the internet until \
                   `warren set --exit-node NODE` or `--no-exit-node`";
        return guarded.map(|guarded| ExitNodeAnswer { blocked: Some(why.to_owned()), ..guarded });
    };
    let peer = status.peers.iter().find(|peer| peer.id == chosen.id);
    let key = peer.map(|peer| peer.public_key);
    let is_through = |route: &&engine::RouteStatus| is_default(&route.prefix) && route.through == key;
    let routes: Vec<IpNet> = match key {
        Some(_) => status.routes.iter().filter(is_through).map(|route| route.prefix).collect(),
        None => Vec::new(),
    };
    let name = peer.map_or_else(|| chosen.name.clone(), |peer| peer.name.to_string());
    let blocked = blocked(&name, peer, &routes);
    Some(ExitNodeAnswer { name: Some(name), routes, blocked, ..guarded.unwrap_or_default() })
}

/// What the guard says, where it is on.
fn of_guard(guard: &ExitGuard) -> Option<ExitNodeAnswer> {
    let leaking = guard.trouble().map(|why| format!("traffic may leave past the exit node: {why}"));
    guard.is_closed().then(|| ExitNodeAnswer {
        leaking,
        past_it: guard.past_it(),
        ..ExitNodeAnswer::default()
    })
}

/// The exit node of a node that does not work: nothing leaves.
pub(crate) fn exit_node_down(guard: &ExitGuard, chosen: Option<&ExitNode>) -> Option<ExitNodeAnswer> {
    let name = chosen.map(|chosen| chosen.name.clone());
    let why = "nothing leaves for the internet until `warren leave` or `warren set --no-exit-node`";
    of_guard(guard).map(|guarded| ExitNodeAnswer { name, blocked: Some(why.to_owned()), ..guarded })
}

/// Why nothing leaves through the exit node.
fn blocked(name: &str, peer: Option<&PeerStatus>, routes: &[IpNet]) -> Option<String> {
    let why = match peer {
        None => format!("the exit node {name} is not in the network any more, or not for this node to see"),
        Some(_) if routes.is_empty() => {
            format!("{name} is no exit node any more: it does not offer that, or is not approved")
        }
        Some(peer) if peer.path.kind == PathKind::None => format!("the exit node {name} is not reached"),
        Some(_) => return None,
    };
    Some(format!("{why}: nothing leaves for the internet (`warren set --no-exit-node` lets it)"))
}

/// The nodes that may be chosen as exit node.
pub(super) fn exit_nodes(status: &Status) -> Vec<String> {
    let offered = status.peers.iter().filter(|peer| status.exit_nodes.contains(&peer.public_key));
    offered.map(|peer| peer.name.to_string()).collect()
}
