//! What a node sees of the relays and STUN servers that its map names: who answers it, and how fast.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::key::PublicKey;

/// The most STUN servers that a node asks, the first of its map: two addresses with two ports tell a mapping apart, over IPv4 and IPv6.
pub const STUN_SERVERS_ASKED_MAX: usize = 8;

/// The most relays that a report speaks of: maps name 17 of the coordinator's owner at most. Peer relays are not reported.
pub const RELAYS_SEEN_MAX: usize = 32;

/// What a node sees of the servers of its map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServersSeen {
    /// The relays of the coordinator's owner that the node has tried for long enough to know.
    #[serde(default)]
    pub relays: Vec<RelaySeen>,
    /// The STUN servers that it has asked.
    #[serde(default)]
    pub stun_servers: Vec<StunServerSeen>,
}

/// A relay as a node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelaySeen {
    /// The relay's public key: it is one relay at all its addresses.
    pub public_key: PublicKey,
    /// Whether the node has a session there.
    pub reached: bool,
    /// Smoothed RTT in microseconds, in coarse steps; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
}

/// A STUN server as a node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StunServerSeen {
    /// Its address.
    pub address: SocketAddr,
    /// Whether it answered the last question.
    pub reached: bool,
    /// Smoothed RTT in microseconds, in coarse steps; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
}
