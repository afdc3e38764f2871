//! Relay frames: what a node and a relay say to each other. The layouts are in `docs/reference/protocol.md`.
//!
//! A node registers with a token that the coordinator signed and a MAC that only the holder of the node's private
//! key can make; the relay answers nothing larger than the request until the node's address is proven by a cookie.
//! Then frames go from node key to node key: no frame carries an address that a relay would send to.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::frame::{HEADER_LEN, MAGIC, VERSION, header};
use crate::key::{KEY_LEN, PublicKey};
use crate::relay_token::TOKEN_LEN;

mod mac;

pub use mac::{MAC_LEN, RelayKey};

/// Bytes in the cookie that proves that a node receives at its source address.
pub const COOKIE_LEN: usize = 16;

/// Bytes that [`send_prefix`] puts in front of a relayed packet.
pub const SEND_PREFIX_LEN: usize = HEADER_LEN + 8 + KEY_LEN;

/// Bytes that a relay puts in front of a packet that it delivers.
pub const DELIVER_PREFIX_LEN: usize = HEADER_LEN + KEY_LEN;

/// Bytes of an address on the wire: 16 of IPv6 (IPv4 as `::ffff:a.b.c.d`) and a port.
pub(crate) const ADDRESS_LEN: usize = 18;

/// What a relay frame is for: the third byte of the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Node → relay: let me in.
    Register = 0x10,
    /// Relay → node: say it again with this cookie.
    Challenge = 0x11,
    /// Relay → node: you are in.
    Registered = 0x12,
    /// Relay → node: you are not.
    Refused = 0x13,
    /// Node → relay: a packet for another node.
    Send = 0x14,
    /// Relay → node: a packet of another node.
    Deliver = 0x15,
    /// Node → relay: are you there, and do you still know me?
    Keepalive = 0x16,
    /// Relay → node: yes.
    KeepaliveReply = 0x17,
    /// Relay → node: I know no such session at your address; register again.
    NoSession = 0x18,
    /// Relay → node: the node that you sent to is not registered here.
    Unreachable = 0x19,
    /// Relay → node: I do not speak your version; the header's version byte says which one I speak.
    VersionUnsupported = 0x1f,
}

impl Kind {
    /// The kind of a datagram's third byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x10 => Self::Register,
            0x11 => Self::Challenge,
            0x12 => Self::Registered,
            0x13 => Self::Refused,
            0x14 => Self::Send,
            0x15 => Self::Deliver,
            0x16 => Self::Keepalive,
            0x17 => Self::KeepaliveReply,
            0x18 => Self::NoSession,
            0x19 => Self::Unreachable,
            0x1f => Self::VersionUnsupported,
            _ => return None,
        })
    }
}

/// Why a relay lets a node not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RefusalReason {
    /// The token's time is over: ask the coordinator for a new one.
    TokenExpired = 1,
    /// The token is not signed by the coordinator that this relay trusts.
    TokenInvalid = 2,
    /// The sender did not prove that it holds the private key of the node that the token names.
    ProofInvalid = 3,
    /// The relay holds as many sessions as it may.
    Full = 4,
}

impl RefusalReason {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::TokenExpired,
            2 => Self::TokenInvalid,
            3 => Self::ProofInvalid,
            4 => Self::Full,
            _ => return None,
        })
    }
}

/// A session's name on the wire: random, given by the relay, valid from one source address only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 8]);

/// A request to be let in. `raw` is what the MAC covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register<'a> {
    /// Zeros at first, then what the relay's challenge said.
    pub cookie: [u8; COOKIE_LEN],
    /// Random, comes back in the answer.
    pub nonce: [u8; 8],
    /// The coordinator's token ([`crate::relay_token`]).
    pub token: &'a [u8; TOKEN_LEN],
    /// The part of the datagram that the MAC covers.
    covered: &'a [u8],
    mac: [u8; MAC_LEN],
}

/// A relay frame, parsed; payloads are borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// See [`Kind::Register`].
    Register(Register<'a>),
    /// See [`Kind::Challenge`].
    Challenge([u8; COOKIE_LEN]),
    /// See [`Kind::Registered`]; only [`RelayKey::verify_registered`] makes it trustworthy.
    Registered(Registered),
    /// See [`Kind::Refused`].
    Refused {
        /// The nonce of the refused request.
        nonce: [u8; 8],
        /// Why.
        reason: RefusalReason,
    },
    /// See [`Kind::Send`].
    Send {
        /// The sender's session.
        session: SessionId,
        /// The node that shall have the packet.
        destination: PublicKey,
        /// The packet.
        payload: &'a [u8],
    },
    /// See [`Kind::Deliver`].
    Deliver {
        /// The node that sent the packet.
        source: PublicKey,
        /// The packet.
        payload: &'a [u8],
    },
    /// See [`Kind::Keepalive`].
    Keepalive {
        /// The sender's session.
        session: SessionId,
        /// Comes back as it is.
        echo: [u8; 8],
    },
    /// See [`Kind::KeepaliveReply`].
    KeepaliveReply {
        /// What the request held.
        echo: [u8; 8],
    },
    /// See [`Kind::NoSession`].
    NoSession(SessionId),
    /// See [`Kind::Unreachable`].
    Unreachable {
        /// The session of the node that sent: only the relay knows it, so nobody else can say this.
        session: SessionId,
        /// The node that is not there.
        destination: PublicKey,
    },
    /// See [`Kind::VersionUnsupported`].
    VersionUnsupported,
}

/// What a relay says when it lets a node in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// Names the session from now on.
    pub session: SessionId,
    /// The address that the relay saw the request come from: a server-reflexive candidate.
    pub observed: SocketAddr,
    /// Seconds until the session ends unless the node registers again.
    pub lifetime_s: u32,
    /// The nonce of the request that this answers.
    pub nonce: [u8; 8],
    mac: [u8; MAC_LEN],
}

/// A datagram that is no sound relay frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a relay frame of this version.
    #[error("not a relay frame of version {VERSION}")]
    Foreign,
    /// The datagram's length does not fit its kind.
    #[error("a relay frame of the wrong length")]
    Length,
    /// A field holds a value that the layout does not allow.
    #[error("a relay frame with an invalid field")]
    Field,
}

/// Parses one relay frame.
///
/// # Errors
/// Where the datagram is not a relay frame of this version, or its length or a field is wrong.
pub fn decode(datagram: &[u8]) -> Result<Frame<'_>, DecodeError> {
    let (&[MAGIC, VERSION, kind, 0], body) = datagram.split_first_chunk().ok_or(DecodeError::Foreign)? else {
        return Err(DecodeError::Foreign);
    };
    match Kind::from_byte(kind).ok_or(DecodeError::Foreign)? {
        Kind::Register => decode_register(datagram, body).map(Frame::Register),
        Kind::Challenge => Ok(Frame::Challenge(exactly(body)?)),
        Kind::Registered => decode_registered(body).map(Frame::Registered),
        Kind::Refused => {
            let [nonce @ .., reason] = exactly::<9>(body)?;
            let reason = RefusalReason::from_byte(reason).ok_or(DecodeError::Field)?;
            Ok(Frame::Refused { nonce, reason })
        }
        Kind::Send => {
            let (session, rest) = body.split_first_chunk().ok_or(DecodeError::Length)?;
            let (destination, payload) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
            let destination = PublicKey::from_bytes(*destination);
            Ok(Frame::Send { session: SessionId(*session), destination, payload })
        }
        Kind::Deliver => {
            let (source, payload) = body.split_first_chunk().ok_or(DecodeError::Length)?;
            Ok(Frame::Deliver { source: PublicKey::from_bytes(*source), payload })
        }
        Kind::Keepalive => {
            let (session, echo) = body.split_first_chunk().ok_or(DecodeError::Length)?;
            Ok(Frame::Keepalive { session: SessionId(*session), echo: exactly(echo)? })
        }
        Kind::KeepaliveReply => Ok(Frame::KeepaliveReply { echo: exactly(body)? }),
        Kind::NoSession => Ok(Frame::NoSession(SessionId(exactly(body)?))),
        Kind::Unreachable => {
            let (session, destination) = body.split_first_chunk().ok_or(DecodeError::Length)?;
            let destination = PublicKey::from_bytes(exactly(destination)?);
            Ok(Frame::Unreachable { session: SessionId(*session), destination })
        }
        Kind::VersionUnsupported => Ok(Frame::VersionUnsupported),
    }
}

/// The bytes that a node puts in front of each packet for `destination`: constant for a path, so that a path
/// layer can keep them.
#[must_use]
pub fn send_prefix(session: SessionId, destination: &PublicKey) -> [u8; SEND_PREFIX_LEN] {
    let mut prefix = [0; SEND_PREFIX_LEN];
    prefix[..4].copy_from_slice(&header(Kind::Send as u8));
    prefix[4..12].copy_from_slice(&session.0);
    prefix[12..].copy_from_slice(destination.as_bytes());
    prefix
}

/// The bytes that a relay puts in front of each packet of `source`.
#[must_use]
pub fn deliver_prefix(source: &PublicKey) -> [u8; DELIVER_PREFIX_LEN] {
    let mut prefix = [0; DELIVER_PREFIX_LEN];
    prefix[..4].copy_from_slice(&header(Kind::Deliver as u8));
    prefix[4..].copy_from_slice(source.as_bytes());
    prefix
}

/// A challenge frame.
#[must_use]
pub fn encode_challenge(cookie: [u8; COOKIE_LEN]) -> Vec<u8> {
    [&header(Kind::Challenge as u8)[..], &cookie].concat()
}

/// A refusal.
#[must_use]
pub fn encode_refused(nonce: [u8; 8], reason: RefusalReason) -> Vec<u8> {
    [&header(Kind::Refused as u8)[..], &nonce, &[reason as u8]].concat()
}

/// A keepalive; `echo` comes back and so measures the round trip.
#[must_use]
pub fn encode_keepalive(session: SessionId, echo: [u8; 8]) -> Vec<u8> {
    [&header(Kind::Keepalive as u8)[..], &session.0, &echo].concat()
}

/// The answer to a keepalive.
#[must_use]
pub fn encode_keepalive_reply(echo: [u8; 8]) -> Vec<u8> {
    [&header(Kind::KeepaliveReply as u8)[..], &echo].concat()
}

/// The answer to a frame of an unknown session.
#[must_use]
pub fn encode_no_session(session: SessionId) -> Vec<u8> {
    [&header(Kind::NoSession as u8)[..], &session.0].concat()
}

/// The answer to a packet for a node that is not registered.
#[must_use]
pub fn encode_unreachable(session: SessionId, destination: &PublicKey) -> Vec<u8> {
    [&header(Kind::Unreachable as u8)[..], &session.0, destination.as_bytes()].concat()
}

/// The answer to a registration in another version: a bare header that names ours.
#[must_use]
pub fn encode_version_unsupported() -> Vec<u8> {
    header(Kind::VersionUnsupported as u8).to_vec()
}

fn decode_register<'a>(datagram: &'a [u8], body: &'a [u8]) -> Result<Register<'a>, DecodeError> {
    let (cookie, rest) = body.split_first_chunk().ok_or(DecodeError::Length)?;
    let (nonce, rest) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    let (token, mac) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    let mac = exactly(mac)?;
    let covered = &datagram[..datagram.len() - MAC_LEN];
    Ok(Register { cookie: *cookie, nonce: *nonce, token, covered, mac })
}

fn decode_registered(body: &[u8]) -> Result<Registered, DecodeError> {
    let (session, rest) = body.split_first_chunk().ok_or(DecodeError::Length)?;
    let (observed, rest) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    let (lifetime_s, rest) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    let (nonce, mac) = rest.split_first_chunk().ok_or(DecodeError::Length)?;
    Ok(Registered {
        session: SessionId(*session),
        observed: decode_address(observed),
        lifetime_s: u32::from_be_bytes(*lifetime_s),
        nonce: *nonce,
        mac: exactly(mac)?,
    })
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Length)
}

pub(crate) fn encode_address(address: SocketAddr) -> [u8; ADDRESS_LEN] {
    let ip: Ipv6Addr = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; ADDRESS_LEN];
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

pub(crate) fn decode_address(bytes: &[u8; ADDRESS_LEN]) -> SocketAddr {
    let mut ip = [0; 16];
    ip.copy_from_slice(&bytes[..16]);
    SocketAddr::new(Ipv6Addr::from(ip).to_canonical(), u16::from_be_bytes([bytes[16], bytes[17]]))
}

#[cfg(test)]
mod tests;
