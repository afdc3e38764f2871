//! What a tunnel asks of a Noise core, and WireGuard's message layout as far as it is needed to find the peer.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use protocol::key::PublicKey;

mod gotatun_core;

pub(crate) use gotatun_core::Identity;

/// The Noise core of one peer: bytes in, bytes out, no sockets.
pub(crate) trait Noise: Send {
    /// Seals one inner packet. `out` gets what has to go to the peer: the sealed packet, or a handshake initiation
    /// while the packet waits for a session (the core keeps a bounded queue), or nothing where one is under way.
    fn seal(&mut self, packet: &[u8], mtu: u16, out: &mut Vec<BytesMut>);

    /// Opens a message that [`Identity::admit`] let in. `out` gets answers and packets that waited for the session.
    /// Returns the inner packet; `None` for everything that carries none (handshakes, keepalives).
    fn open(
        &mut self,
        message: BytesMut,
        mtu: u16,
        out: &mut Vec<BytesMut>,
    ) -> Result<Option<BytesMut>, Refused>;

    /// Moves the timers on; to be called about four times a second. `out` gets what is due.
    fn tick(&mut self, out: &mut Vec<BytesMut>);

    /// Begins a handshake now, even where one is under way. `out` gets the initiation.
    fn initiate(&mut self, out: &mut Vec<BytesMut>);

    /// Sets the persistent keepalive in seconds.
    fn set_keepalive(&mut self, interval_s: Option<u16>);

    /// What the core knows about the session.
    fn stats(&self) -> NoiseStats;
}

/// A message that the Noise core would not take: forged, replayed, expired or malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// What a Noise core knows about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NoiseStats {
    /// Age of the current session; `None` where there is none.
    pub(crate) handshake_age: Option<Duration>,
    /// Whether packets or keepalives wait for a session.
    pub(crate) waiting: bool,
    /// Bytes of WireGuard messages sent.
    pub(crate) tx_bytes: u64,
    /// Bytes of authentic messages received.
    pub(crate) rx_bytes: u64,
}

/// To whom an admitted message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A handshake initiation: to the peer whose key it proves.
    Initiator(PublicKey),
    /// Anything else: to the session or handshake of this index.
    Index(u32),
}

/// What became of a message before any peer was asked.
pub(crate) enum Admission {
    /// It may go to its owner's [`Noise::open`].
    Admitted(Owner, BytesMut),
    /// Too many handshakes from that source: send it this cookie (whitepaper §5.4.7).
    Limited(BytesMut),
    /// Malformed, or its MAC1 is wrong.
    Refused,
}

/// The types of messages (whitepaper §5.4), their first byte.
pub(crate) mod kind {
    pub(crate) const INITIATION: u8 = 1;
    pub(crate) const RESPONSE: u8 = 2;
    pub(crate) const DATA: u8 = 4;
}

/// The index that we gave to a handshake of ours, read from its initiation or response; `None` for other messages.
pub(crate) fn own_index(message: &[u8]) -> Option<u32> {
    matches!(message.first(), Some(&(kind::INITIATION | kind::RESPONSE)))
        .then(|| word_le(message, 4))
        .flatten()
}

/// The index of ours that a message from outside carries.
fn receiver_index(message: &[u8]) -> Option<u32> {
    word_le(message, if message.first() == Some(&kind::RESPONSE) { 8 } else { 4 })
}

fn word_le(message: &[u8], at: usize) -> Option<u32> {
    message.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// The address that stands for a relayed peer where handshakes are counted per source. A relay has proven the
/// sender's key, so that key and not the relay's address is what a limit must hang on; half a key in the shape of
/// an address is as hard to hit by chance as the key.
pub(crate) fn limit_address(sender: &PublicKey) -> SocketAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&sender.as_bytes()[..16]);
    SocketAddr::new(octets.into(), 0)
}
