//! How much there is: numbers for who operates the coordinator, never names.

use super::Directory;

/// How much there is now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Networks.
    pub networks: usize,
    /// Nodes of all networks, deleted ones not among them.
    pub nodes: usize,
    /// Nodes with an open map stream.
    pub online: usize,
}

impl Directory {
    /// Counts what is known: a walk over all nodes, for once in a while.
    pub(crate) fn counts(&self) -> Counts {
        let nodes = || self.networks.values().flat_map(|network| network.nodes.values());
        Counts {
            networks: self.networks.len(),
            nodes: nodes().count(),
            online: nodes().filter(|node| node.is_online()).count(),
        }
    }
}
