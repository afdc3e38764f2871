//! What a relay does with a datagram, and how often it did each.

use std::net::SocketAddr;

/// What to do with a datagram.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'d> {
    /// Send these bytes back to where the datagram came from.
    Reply(Vec<u8>),
    /// Send a packet on to another node.
    Forward {
        /// The node's registered address (IPv4 never in its IPv6-mapped form).
        to: SocketAddr,
        /// What to send: the part of the received buffer that now holds the frame for the destination.
        datagram: &'d [u8],
    },
    /// Send nothing.
    Drop(DropReason),
}

/// Why a datagram is dropped without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Not a relay frame.
    Foreign,
    /// A relay frame of the wrong length or with an invalid field.
    Malformed,
    /// A frame of another version that is not a registration.
    OtherVersion,
    /// A sound frame that only relays send: answering it could make two relays talk forever.
    Unexpected,
    /// More registrations from one address than [`super::RelayConfig::registrations`] allows.
    RegistrationRate,
    /// More packets or bytes from one node than it may send.
    NodeRate,
    /// The destination is not registered, and the sender was told so often enough.
    UnreachableRate,
}

/// How often a relay did what since it started, and how many sessions it holds now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayCounters {
    /// Sessions now.
    pub sessions: u64,
    /// Registrations that made a session, or moved a node's session to another address.
    pub registered: u64,
    /// Registrations of a node that already had this session at this address.
    pub registration_repeated: u64,
    /// Sessions that ended because their token's time was over.
    pub expired: u64,
    /// Challenges sent.
    pub challenged: u64,
    /// Refusals: the token's time is over.
    pub refused_token_expired: u64,
    /// Refusals: the token is not signed by a known key.
    pub refused_token_invalid: u64,
    /// Refusals: the sender does not hold the node's private key.
    pub refused_proof_invalid: u64,
    /// Refusals: no room for another session.
    pub refused_full: u64,
    /// Packets forwarded.
    pub forwarded_packets: u64,
    /// Bytes of the packets forwarded, without relay headers.
    pub forwarded_bytes: u64,
    /// Keepalives answered.
    pub keepalives: u64,
    /// Frames of an unknown session, or of a session at another address.
    pub no_session: u64,
    /// Senders told that their destination is not registered.
    pub unreachable: u64,
    /// Registrations in another version that were answered.
    pub version_unsupported: u64,
    /// See [`DropReason::Foreign`].
    pub dropped_foreign: u64,
    /// See [`DropReason::Malformed`].
    pub dropped_malformed: u64,
    /// See [`DropReason::OtherVersion`].
    pub dropped_other_version: u64,
    /// See [`DropReason::Unexpected`].
    pub dropped_unexpected: u64,
    /// See [`DropReason::RegistrationRate`].
    pub dropped_registration_rate: u64,
    /// See [`DropReason::NodeRate`].
    pub dropped_node_rate: u64,
    /// See [`DropReason::UnreachableRate`].
    pub dropped_unreachable_rate: u64,
}

impl RelayCounters {
    pub(super) fn count_drop(&mut self, reason: DropReason) {
        let counter = match reason {
            DropReason::Foreign => &mut self.dropped_foreign,
            DropReason::Malformed => &mut self.dropped_malformed,
            DropReason::OtherVersion => &mut self.dropped_other_version,
            DropReason::Unexpected => &mut self.dropped_unexpected,
            DropReason::RegistrationRate => &mut self.dropped_registration_rate,
            DropReason::NodeRate => &mut self.dropped_node_rate,
            DropReason::UnreachableRate => &mut self.dropped_unreachable_rate,
        };
        *counter += 1;
    }
}
