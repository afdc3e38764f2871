//! A real server on loopback, with real sockets and the real protocol.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on shall panic")]

mod batches;
mod connection;
mod listen;
mod node;
mod relaying;
