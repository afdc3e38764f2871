//! What the engine is told at start, and its limits.

use std::net::SocketAddr;

use protocol::key::PrivateKey;
use zeroize::Zeroizing;

/// What an engine needs to exist.
pub struct EngineConfig {
    /// The node's WireGuard private key.
    pub private_key: PrivateKey,
    /// The UDP port that datagrams leave from, for host candidates.
    pub local_port: u16,
    /// 32 random bytes: the seed of transaction ids, nonces, jitter and the epoch of this life.
    pub seed: Zeroizing<[u8; 32]>,
    /// Addresses that lead to this node, as its user knows: offered beside what is learnt.
    pub static_candidates: Vec<SocketAddr>,
    /// Version of the agent, for people.
    pub agent_version: String,
}
