//! What every part of the engine may use while it handles one event.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use endpoint_selection::nat::{Heard, PeerView};
use endpoint_selection::traversal::Punch;
use endpoint_selection::{SocketId, Timestamp};
use protocol::key::PublicKey;
use protocol::relay::{SEND_PREFIX_LEN, SessionId, send_prefix};

use crate::entropy::Entropy;
use crate::output::{Output, TunnelPath};

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
    pub(crate) sessions: &'a BTreeMap<SocketAddr, RelaySession>,
    /// Our own candidates, best first, as told in calls.
    pub(crate) own_addresses: &'a [SocketAddr],
    /// What peers noticed that concerns the whole node.
    pub(crate) notices: &'a mut Vec<Notice>,
    /// When some peer's path was last begun to be looked at closely.
    pub(crate) scrutinized_at: &'a mut Option<Timestamp>,
}

/// A session of ours at a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RelaySession {
    pub(crate) id: SessionId,
    /// Where frames for the relay go: its own address, or the loopback address of its WebSocket.
    pub(crate) server: SocketAddr,
    /// The node that runs the relay, for a peer relay.
    pub(crate) node: Option<PublicKey>,
}

/// What one peer noticed that concerns the whole node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A peer saw us at this address.
    Seen(PeerView),
    /// A peer's probe came from where we had sent nothing.
    Heard(Heard),
    /// A peer asks us to send to where its mappings may be.
    Punch(PublicKey, Punch),
    /// A direct path to the peer works, through this socket.
    Opened(PublicKey, SocketId),
    /// A direct path no longer works.
    Lost,
    /// No path uses this socket any more.
    Idle(SocketId),
}

impl Context<'_> {
    /// Whether a node runs this relay, and not the coordinator's owner.
    pub(crate) fn is_peer_relay(&self, relay: SocketAddr) -> bool {
        self.sessions.get(&relay).is_some_and(|session| session.node.is_some())
    }

    pub(crate) fn transmit(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        self.transmit_from(SocketId::MAIN, to, datagram);
    }

    pub(crate) fn transmit_from(&mut self, socket: SocketId, to: SocketAddr, datagram: Vec<u8>) {
        self.outputs.push_back(Output::Transmit { socket, to, datagram });
    }

    /// What to put in front of a packet to `peer` through `relay`; `None` without a session there, or where the peer runs it.
    pub(crate) fn relay_prefix(&self, relay: SocketAddr, peer: &PublicKey) -> Option<[u8; SEND_PREFIX_LEN]> {
        let session = self.sessions.get(&relay).filter(|session| session.node.as_ref() != Some(peer))?;
        Some(send_prefix(session.id, peer))
    }

    /// Whether `peer` itself runs this relay: it holds no session there, so the relay is no way to it.
    pub(crate) fn is_run_by(&self, relay: SocketAddr, peer: &PublicKey) -> bool {
        self.sessions.get(&relay).is_some_and(|session| session.node.as_ref() == Some(peer))
    }

    /// Where frames for `relay` go.
    pub(crate) fn relay_server(&self, relay: SocketAddr) -> SocketAddr {
        self.sessions.get(&relay).map_or(relay, |session| session.server)
    }

    /// A path as the path layer takes it: peers know a relay by its own address, whatever way leads there.
    pub(crate) fn as_sent(&self, path: TunnelPath) -> TunnelPath {
        match path {
            TunnelPath::Relay { server, prefix } => {
                TunnelPath::Relay { server: self.relay_server(server), prefix }
            }
            TunnelPath::Direct { .. } => path,
        }
    }
}
