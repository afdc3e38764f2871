//! Tunnel backends behind one trait, and the path layer below them.
//!
//! [`PathLayer`] owns the node's UDP sockets and knows by which path each peer is reached. [`TunnelBackend`] is
//! what the agent applies changes to; [`Embedded`] is the userspace WireGuard tunnel that works above a path layer.
//!
//! ```text
//!   TUN ──▶ transmit thread ──▶ Noise core ──▶ path of the peer ──▶ UDP sockets
//!   TUN ◀── Noise core ◀── WireGuard ◀─┐
//!   agent ◀── STUN, probes, relay ◀────┴── receive thread ◀──────── UDP sockets
//! ```

mod allowed_ips;
mod backend;
mod batch;
mod checksum;
mod counters;
mod embedded;
mod error;
mod exchange;
mod fitting;
mod fragment;
mod inbound_filter;
mod inner_packet;
mod interface;
mod memory;
mod mss;
mod nat64;
mod noise;
mod outbound;
mod path;
mod path_layer;
mod peer;
mod receive;
mod receive_batch;
mod socket;
mod sockets;
mod too_big;
mod transmit;
mod transport_header;
mod tun;

pub use backend::{Observation, PeerStats, TunnelBackend};
pub use batch::{ReadBatch, WriteBatch};
pub use counters::Counts;
pub use embedded::Embedded;
pub use error::TunnelError;
pub use interface::{Interface, OpenInterface};
pub use memory::Memory;
pub use nat64::Nat64Prefix;
pub use path::Path;
pub use path_layer::{PathLayer, Received};
pub use socket::{MARK_MASK, TUNNEL_MARK, bind_whole, mark};
pub use tun::TunInterface;
