//! The control plane of a mesh: enrollment, reports, network maps; hosts STUN and a relay.
//!
//! Three layers, each knows only the next: `http` → `service` → `store`. [`Coordinator`] is the services over one
//! open database; it has no clock of its own, so a simulation drives it with virtual time, and `http` with the real.

pub mod cli;
mod coordinator;
mod entropy;
pub mod http;
pub mod mail;
mod server_check;
pub mod service;
pub mod store;

pub use coordinator::Coordinator;
pub use entropy::Entropy;
