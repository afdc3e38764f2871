//! What every part of the engine may use while it handles one event.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use endpoint_selection::{SocketId, Timestamp};
use protocol::key::PublicKey;
use protocol::relay::{SEND_PREFIX_LEN, SessionId, send_prefix};

use crate::entropy::Entropy;
use crate::output::Output;

/// One event's surroundings: the time, the randomness, where wishes go, and what is shared by all peers.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) entropy: &'a mut Entropy,
    pub(crate) outputs: &'a mut VecDeque<Output>,
    /// This life of ours, random, never 0.
    pub(crate) epoch: u64,
    /// Set where a path changed: the coordinator wants to know soon.
    pub(crate) is_path_changed: &'a mut bool,
    /// Relays that hold a session of ours.
    pub(crate) sessions: &'a BTreeMap<SocketAddr, SessionId>,
    /// Our own candidates, best first, as told in calls.
    pub(crate) own_addresses: &'a [SocketAddr],
}

impl Context<'_> {
    pub(crate) fn transmit(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        self.outputs.push_back(Output::Transmit { socket: SocketId::MAIN, to, datagram });
    }

    /// What to put in front of a packet to `peer` through `relay`; `None` without a session there.
    pub(crate) fn relay_prefix(&self, relay: SocketAddr, peer: &PublicKey) -> Option<[u8; SEND_PREFIX_LEN]> {
        self.sessions.get(&relay).map(|session| send_prefix(*session, peer))
    }
}
