//! The agent's brain: a state machine that turns observations into paths. It holds no socket, clock or randomness:
//! time and bytes come in, wishes come out.
//!
//! The loop around it:
//!
//! 1. [`Engine::handle_input`] with what happened, or [`Engine::handle_timeout`] when a deadline passed;
//! 2. [`Engine::poll_output`] until it returns `None`, doing each thing;
//! 3. [`Engine::poll_timeout`] says when to come back, and why.
//!
//! What it does: registers at the relays first, so that every peer has a path at once; learns its own candidates from
//! interfaces, STUN servers and relays, and reports them; calls each peer over the relay with its candidates; both
//! sides probe all candidates at once; the first authenticated reply makes the direct path; silence returns to the
//! relay and starts over. It never gives up on direct, and never probes faster than its schedule.
//!
//! What it never does: choose a path because of a NAT's type, believe an address without an authenticated reply, or
//! drop what works because the coordinator is gone.

mod config;
mod context;
mod discovery;
mod engine;
mod entropy;
mod input;
mod output;
mod peer;
mod relay_client;
mod reported_paths;
mod reported_servers;
mod reporter;
mod routing;
mod schedule;
mod sockets;
mod status;
pub mod tunnel_config;
mod wanted_tunnel;

pub use config::EngineConfig;
pub use engine::Engine;
pub use input::{Input, LocalAddress, PeerTraffic, PortMapping, RelayServer, RouteSettings};
pub use output::{Output, PingAnswer, SIDE_SOCKETS_MAX, TunnelPath};
pub use status::{
    PathState, PeerStatus, RelayStatus, RelayTransport, RouteSkipped, RouteStatus, Status, StunStatus,
};
pub use wanted_tunnel::{TUNNEL_MTU_BASE, TUNNEL_MTU_MAX};
