//! Every byte that crosses a wire between a node, a peer, a relay and the coordinator. Pure: no sockets, clocks or
//! randomness; they come in as arguments.

pub mod access;
pub mod api;
mod derive;
pub mod frame;
pub mod key;
pub mod map_signature;
pub mod probe;
pub mod relay;
pub mod relay_token;
pub mod replay;
pub mod sealed;
pub mod stun;
