//! Networks behind nodes, and the internet behind one.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A network behind this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnRouteAnswer {
    /// The network.
    pub(crate) prefix: IpNet,
    /// Whether an administrator approved it.
    pub(crate) approved: bool,
    /// Why it is not reached through this node, where it should be.
    pub(crate) why: Option<String>,
}

/// A network behind other nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteAnswer {
    /// The network.
    pub(crate) prefix: IpNet,
    /// The name of the peer that its traffic goes to.
    pub(crate) through: Option<String>,
    /// The names of all peers that have it, the preferred ones first.
    pub(crate) routers: Vec<String>,
    /// Why it is not used.
    pub(crate) why: Option<String>,
}

/// The node that this machine's traffic to the internet goes through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExitNodeAnswer {
    /// Its name; `null` where the choice was lost.
    pub(crate) name: Option<String>,
    /// The default routes that go through it: of IPv4, IPv6 or both. What has none does not leave.
    pub(crate) routes: Vec<IpNet>,
    /// Why nothing leaves for the internet, where nothing does.
    pub(crate) blocked: Option<String>,
    /// Why traffic may leave past the exit node, where it may.
    pub(crate) leaking: Option<String>,
    /// The public addresses that are reached past it: the coordinator's, and those of relays over WebSocket.
    pub(crate) past_it: Vec<IpAddr>,
}
