//! What a relay is told when it starts.

use protocol::key::PrivateKey;
use protocol::relay_token::TokenVerifyingKey;
use uuid::Uuid;

use crate::limit::Rate;

/// The sessions that a relay holds unless told otherwise. At an estimated 400 bytes each (a session and its entries in
/// three indexes) that is 4 MiB, which the smallest server has to spare.
pub const SESSIONS_MAX: usize = 10_000;

/// Packets a second of one node: enough for [`NODE_BYTES`] at 1250 bytes a packet; above it are floods of tiny
/// packets, which cost a relay as much as large ones. The burst is a fifth of a second of it.
pub const NODE_PACKETS: Rate = Rate { per_second: 100_000, burst: 20_000 };

/// Bytes a second of one node: 1 Gbit/s, the port of a usual small server; so the default bounds a fault, and a
/// shared relay whose traffic costs money sets less. The burst is what a receive buffer of the server holds.
pub const NODE_BYTES: Rate = Rate { per_second: 125_000_000, burst: 4 << 20 };

/// Registrations a second from one source address that hold a valid cookie. Each costs the relay two operations on
/// elliptic curves (about 0.1 ms), so one address takes at most 1 % of a core; the burst lets a hundred nodes behind
/// one NAT return at once, and the others at their next try.
pub const REGISTRATIONS: Rate = Rate { per_second: 50, burst: 100 };

/// The configuration of a [`super::RelayCore`].
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// The relay's own key; nodes know its public half from the network map.
    pub private_key: PrivateKey,
    /// The keys of the coordinator that sign tokens: one, or two while it changes its key. Without any, nobody gets in.
    pub verifying_keys: Vec<TokenVerifyingKey>,
    /// The one network whose nodes get in; `None`: all that the coordinator vouches for.
    pub network: Option<Uuid>,
    /// See [`SESSIONS_MAX`].
    pub sessions_max: usize,
    /// See [`NODE_PACKETS`].
    pub node_packets: Rate,
    /// See [`NODE_BYTES`]; counts whole datagrams as they arrive.
    pub node_bytes: Rate,
    /// See [`REGISTRATIONS`].
    pub registrations: Rate,
}

impl RelayConfig {
    /// A relay for all networks, with the default limits.
    #[must_use]
    pub fn new(private_key: PrivateKey, verifying_keys: Vec<TokenVerifyingKey>) -> Self {
        Self {
            private_key,
            verifying_keys,
            network: None,
            sessions_max: SESSIONS_MAX,
            node_packets: NODE_PACKETS,
            node_bytes: NODE_BYTES,
            registrations: REGISTRATIONS,
        }
    }
}
