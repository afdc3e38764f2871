//! What the daemon tells of the network's DNS names.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The node's place in the DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NamesAnswer {
    /// The node's own DNS name.
    pub(crate) name: String,
    /// The network's zone: each peer is `NAME.ZONE`.
    pub(crate) zone: String,
    /// The addresses and ports that answer programs of this machine; none while nothing does.
    pub(crate) resolvers: Vec<SocketAddr>,
    /// Whether systemd-resolved asks there for the network's names.
    pub(crate) is_system: bool,
    /// Why an address does not answer, or systemd-resolved does not ask.
    pub(crate) why: Option<String>,
}
