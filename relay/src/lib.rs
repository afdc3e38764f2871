//! Forwards still-encrypted packets between nodes that have no direct path, and answers STUN on the same port.
//!
//! [`core`] decides, without sockets, clock or randomness; [`server`] moves the datagrams. A relay never holds a
//! WireGuard key of a node: it sees who sends to whom and how much, never what.

pub mod core;
pub mod limit;
pub mod server;
pub mod stun;
