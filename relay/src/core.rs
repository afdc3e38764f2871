//! The relay's decisions: one state machine, fed with datagrams and the time, that says what to send where.
//!
//! The rules, in the order in which a registration meets them:
//!
//! 1. Until a sender shows the cookie that was sent to its address, it gets a challenge and nothing is stored or
//!    verified for it.
//! 2. No answer to a sender without a session is larger than what it sent, so a relay amplifies nothing.
//! 3. A token must be signed by the coordinator and not expired, and the sender must hold the private key of the
//!    node that the token names; a stolen token alone is worth nothing.
//! 4. A node has one session, at one address; the newest registration wins.
//! 5. Packets go only between nodes of one network, named by key; no frame carries an address. A peer relay lets in nodes of its
//!    own network only.
//!
//! An observer who records a registration and can forge the node's old address can move the session back there for
//! as long as the cookie lives. It gains nothing but the node's silence until its next keepalive, which whoever sits
//! on the path can have anyway by dropping packets.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::frame::{DatagramClass, classify};
use protocol::key::PublicKey;
use protocol::relay::{
    DELIVER_PREFIX_LEN, Frame, Kind, RefusalReason, Register, RelayKey, SEND_PREFIX_LEN, SessionId, decode,
    deliver_prefix, encode_challenge, encode_keepalive_reply, encode_no_session, encode_refused,
    encode_unreachable, encode_version_unsupported,
};
use protocol::relay_token::{RelayToken, TokenError};

use crate::limit::{Rate, SourceLimits};

mod config;
mod cookie;
mod outcome;
mod session;

pub use config::{NODE_BYTES, NODE_PACKETS, REGISTRATIONS, RelayConfig, SESSIONS_MAX};
pub use cookie::COOKIE_SLOT;
pub use outcome::{DropReason, Outcome, RelayCounters};

use cookie::RelaySecret;
use session::{Admission, Change, SessionTable};

/// How often one node is told that a destination is not registered. A sender learns it from the first answer; the
/// rest serves a node with many peers, and must not double the traffic of one that keeps sending.
const UNREACHABLE: Rate = Rate { per_second: 20, burst: 50 };

/// Where in a received datagram the frame for the destination begins: its header is shorter than the sender's, so
/// it is written over the end of that one and the payload stays where it is.
const DELIVER_START: usize = SEND_PREFIX_LEN - DELIVER_PREFIX_LEN;

/// A relay without sockets, clock and randomness.
pub struct RelayCore {
    config: RelayConfig,
    secret: RelaySecret,
    sessions: SessionTable,
    sessions_made: u64,
    registrations: SourceLimits,
    counters: RelayCounters,
}

impl RelayCore {
    /// `secret`: 32 fresh random bytes for each start; cookies and session ids are made of it.
    #[must_use]
    pub fn new(config: RelayConfig, secret: [u8; 32]) -> Self {
        let secret = RelaySecret::new(secret);
        Self {
            sessions: SessionTable::new(config.sessions_max),
            sessions_made: 0,
            registrations: SourceLimits::new(config.registrations, secret.source_limits()),
            counters: RelayCounters::default(),
            config,
            secret,
        }
    }

    /// Decides about one datagram that came from `from`. `now` is monotonic, `now_unix_s` the wall clock that token
    /// expiry is compared with. `datagram` is changed where it is forwarded: the frame for the destination is made in
    /// place.
    pub fn handle_datagram<'d>(
        &mut self,
        now: Timestamp,
        now_unix_s: u64,
        from: SocketAddr,
        datagram: &'d mut [u8],
    ) -> Outcome<'d> {
        self.sweep(now);
        let from = canonical(from);
        match classify(datagram) {
            DatagramClass::Relay => {}
            DatagramClass::OtherVersion(_) => return self.other_version(datagram),
            DatagramClass::Probe
            | DatagramClass::Stun
            | DatagramClass::WireGuard
            | DatagramClass::Unknown => return self.drop(DropReason::Foreign),
        }
        match decode(datagram) {
            Ok(Frame::Register(register)) => self.register(now, now_unix_s, from, &register),
            Ok(Frame::Send { session, destination, .. }) => {
                self.forward(now, from, session, &destination, datagram)
            }
            Ok(Frame::Keepalive { session, echo }) => self.keepalive(now, from, session, echo),
            Ok(
                Frame::Challenge(_)
                | Frame::Registered(_)
                | Frame::Refused { .. }
                | Frame::Deliver { .. }
                | Frame::KeepaliveReply { .. }
                | Frame::NoSession(_)
                | Frame::Unreachable { .. }
                | Frame::VersionUnsupported,
            ) => self.drop(DropReason::Unexpected),
            Err(_) => self.drop(DropReason::Malformed),
        }
    }

    /// Ends the sessions whose time is over. Every datagram does so too; this is for a relay that hears none.
    pub fn sweep(&mut self, now: Timestamp) {
        self.counters.expired += self.sessions.sweep(now);
    }

    /// What the relay did so far.
    #[must_use]
    pub fn counters(&self) -> RelayCounters {
        RelayCounters { sessions: self.sessions.len() as u64, ..self.counters }
    }

    /// The relay's public key, as nodes must know it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.config.private_key.public_key()
    }

    fn other_version(&mut self, datagram: &[u8]) -> Outcome<'static> {
        if datagram.get(2) != Some(&(Kind::Register as u8)) {
            return self.drop(DropReason::OtherVersion);
        }
        self.counters.version_unsupported += 1;
        Outcome::Reply(encode_version_unsupported())
    }

    fn register(
        &mut self,
        now: Timestamp,
        now_unix_s: u64,
        from: SocketAddr,
        register: &Register<'_>,
    ) -> Outcome<'static> {
        if !self.secret.accepts(&register.cookie, from, now) {
            self.counters.challenged += 1;
            return Outcome::Reply(encode_challenge(self.secret.cookie(from, now)));
        }
        if !self.registrations.take(from.ip(), now) {
            return self.drop(DropReason::RegistrationRate);
        }
        let (token, key) = match self.authenticate(register, now_unix_s) {
            Ok(authenticated) => authenticated,
            Err(reason) => return self.refuse(register, reason),
        };
        let lifetime = Duration::from_secs(token.expires_unix_s.saturating_sub(now_unix_s));
        let admission =
            Admission { node: token.node, network: token.network, address: from, ends: now + lifetime };
        let id = self.unused_id();
        let Some((session, change)) = self.sessions.admit(id, admission, now) else {
            return self.refuse(register, RefusalReason::Full);
        };
        match change {
            Change::Repeated => self.counters.registration_repeated += 1,
            Change::Made => self.counters.registered += 1,
        }
        let lifetime_s = u32::try_from(session.ends.since(now).as_secs()).unwrap_or(u32::MAX);
        Outcome::Reply(key.encode_registered(session.id, from, lifetime_s, register.nonce))
    }

    fn authenticate(
        &self,
        register: &Register<'_>,
        now_unix_s: u64,
    ) -> Result<(RelayToken, RelayKey), RefusalReason> {
        let mut reason = RefusalReason::TokenInvalid;
        for verifying_key in &self.config.verifying_keys {
            match RelayToken::verify(register.token, verifying_key, now_unix_s) {
                Ok(token) if self.config.network.is_some_and(|network| network != token.network) => {
                    return Err(RefusalReason::TokenInvalid);
                }
                Ok(token) => {
                    let key = RelayKey::of_relay(&self.config.private_key, &token.node)
                        .filter(|key| key.verify_register(register))
                        .ok_or(RefusalReason::ProofInvalid)?;
                    return Ok((token, key));
                }
                Err(TokenError::Expired) => reason = RefusalReason::TokenExpired,
                Err(TokenError::Invalid) => {}
            }
        }
        Err(reason)
    }

    fn unused_id(&mut self) -> SessionId {
        loop {
            self.sessions_made += 1;
            let id = self.secret.session_id(self.sessions_made);
            if !self.sessions.has_id(id) {
                return id;
            }
        }
    }

    fn forward<'d>(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        session: SessionId,
        destination: &PublicKey,
        datagram: &'d mut [u8],
    ) -> Outcome<'d> {
        let Some(sender) = self.sessions.at_address(session, from, now) else {
            return self.no_session(session);
        };
        let (packets, bytes) = (self.config.node_packets, self.config.node_bytes);
        let len = datagram.len() as u64;
        if !sender.bytes.allows(bytes, len, now) || !sender.packets.take(packets, 1, now) {
            return self.drop(DropReason::NodeRate);
        }
        sender.bytes.take(bytes, len, now);
        let (source, network) = (sender.node, sender.network);
        let Some(receiver) = self.sessions.in_network(destination, network, now) else {
            return self.unreachable(now, from, session, destination);
        };
        let to = receiver.address;
        datagram[DELIVER_START..SEND_PREFIX_LEN].copy_from_slice(&deliver_prefix(&source));
        self.counters.forwarded_packets += 1;
        self.counters.forwarded_bytes += len - SEND_PREFIX_LEN as u64;
        Outcome::Forward { to, datagram: &datagram[DELIVER_START..] }
    }

    /// The same answer for a node of another network as for one that does not exist: who is registered elsewhere is
    /// nobody's business.
    fn unreachable(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        session: SessionId,
        destination: &PublicKey,
    ) -> Outcome<'static> {
        let told = self
            .sessions
            .at_address(session, from, now)
            .is_some_and(|sender| sender.unreachable.take(UNREACHABLE, 1, now));
        if !told {
            return self.drop(DropReason::UnreachableRate);
        }
        self.counters.unreachable += 1;
        Outcome::Reply(encode_unreachable(session, destination))
    }

    fn keepalive(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        session: SessionId,
        echo: [u8; 8],
    ) -> Outcome<'static> {
        if self.sessions.at_address(session, from, now).is_none() {
            return self.no_session(session);
        }
        self.counters.keepalives += 1;
        Outcome::Reply(encode_keepalive_reply(echo))
    }

    /// Twelve bytes, in answer to a keepalive of twenty or a packet of at least forty-four.
    fn no_session(&mut self, session: SessionId) -> Outcome<'static> {
        self.counters.no_session += 1;
        Outcome::Reply(encode_no_session(session))
    }

    fn refuse(&mut self, register: &Register<'_>, reason: RefusalReason) -> Outcome<'static> {
        let counter = match reason {
            RefusalReason::TokenExpired => &mut self.counters.refused_token_expired,
            RefusalReason::TokenInvalid => &mut self.counters.refused_token_invalid,
            RefusalReason::ProofInvalid => &mut self.counters.refused_proof_invalid,
            RefusalReason::Full => &mut self.counters.refused_full,
        };
        *counter += 1;
        Outcome::Reply(encode_refused(register.nonce, reason))
    }

    fn drop(&mut self, reason: DropReason) -> Outcome<'static> {
        self.counters.count_drop(reason);
        Outcome::Drop(reason)
    }
}

/// IPv4 in its own form, however the socket wrote it, so that one address is one address.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        ip if ip == address.ip() => address,
        ip => SocketAddr::new(ip, address.port()),
    }
}

#[cfg(test)]
mod tests;
