//! Which of a node's UDP sockets a datagram leaves from or came to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One of a node's UDP sockets. Behind a NAT each is a mapping of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(transparent)]
pub struct SocketId(pub u16);

impl SocketId {
    /// The node's one port, which is always open; the others are opened for one attempt, or for a measurement, and closed
    /// again.
    pub const MAIN: Self = Self(0);
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "socket {}", self.0)
    }
}
