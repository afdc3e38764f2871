//! What the agent asks of any tunnel: observe it, and apply changes to it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use engine::tunnel_config::{Change, TunnelConfig};
use ipnet::IpNet;
use protocol::key::PublicKey;

use crate::error::TunnelError;

/// The smallest MTU for IPv4, bytes (RFC 791 §3.1: every host takes 576).
const IPV4_MTU_MIN: u16 = 576;

/// The smallest MTU for IPv6, bytes (RFC 8200 §5); below it the kernel switches IPv6 off on the interface.
const IPV6_MTU_MIN: u16 = 1280;

/// A tunnel: something that can be looked at and changed. The agent subtracts what it observes from what it wants
/// and applies the difference.
pub trait TunnelBackend: Send {
    /// What is there now, however it came about.
    fn observe(&mut self) -> Observation;

    /// Whether [`Self::observe`] may show something else than at the last call of this, but for ages, which grow. A tunnel that
    /// nobody uses is not looked at all the time.
    fn take_moved(&mut self) -> bool {
        true
    }

    /// Applies `changes` in order, with the meaning that [`engine::tunnel_config::apply`] gives them.
    ///
    /// # Errors
    /// Where a change cannot be made: the changes before it stay, it and those after it do not happen, except
    /// that an interface that could not be changed as wanted is removed whole. [`TunnelBackend::observe`] tells.
    fn apply(&mut self, changes: &[Change]) -> Result<(), TunnelError>;
}

/// What a tunnel is and has done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// The tunnel; `None` where there is none.
    pub config: Option<TunnelConfig>,
    /// What is known about each peer of the tunnel.
    pub peers: BTreeMap<PublicKey, PeerStats>,
}

/// What a tunnel knows about a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerStats {
    /// Age of the current session; `None` where there is none. Above 180 s a session is of no use any more.
    pub handshake_age: Option<Duration>,
    /// Time since the last authentic message, keepalives included; `None` where none came.
    pub received_age: Option<Duration>,
    /// Bytes received in authentic messages.
    pub rx_bytes: u64,
    /// Bytes of messages made for the peer, whether or not there was a path for them.
    pub tx_bytes: u64,
    /// Where the last authentic message came from that did not come through a relay. An observation: the tunnel
    /// itself never changes a path for it.
    pub last_source: Option<SocketAddr>,
}

/// Checks what every backend needs before it touches anything.
pub(crate) fn check_interface(addresses: &[IpNet], mtu: u16) -> Result<(), TunnelError> {
    let has_ipv6 = addresses.iter().any(|address| address.addr().is_ipv6());
    let min = if has_ipv6 { IPV6_MTU_MIN } else { IPV4_MTU_MIN };
    if mtu < min { Err(TunnelError::MtuInvalid { mtu, min }) } else { Ok(()) }
}
