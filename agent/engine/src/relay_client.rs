//! Our session at one relay: register, stay, register again.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::{SmoothedRtt, Timestamp};
use protocol::api::{RelayInfo, ReportResponse};
use protocol::key::PrivateKey;
use protocol::relay::{self, COOKIE_LEN, Frame, RelayKey, SessionId};
use protocol::relay_token::{SignedToken, TOKEN_LEN};

use crate::context::{Context, RelaySession};
use crate::output::Output;
use crate::status::{RelayStatus, RelayTransport};

mod registration;
mod transport;
mod web_socket;

use web_socket::WebSocket;

/// How often a session is refreshed. Below the shortest mapping lifetimes seen in the field (15 s), so that the relay
/// can always reach us.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A session that was seen to hold is not asked about again within this time.
const CHECK_SPACING: Duration = Duration::from_secs(1);

/// How long an answer may take until the question is repeated; an answer that comes while later questions are out counts as
/// well, so this does not bound the RTT.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(250);

/// The same over WebSocket: what is lost below it comes late instead, with all that follows.
const ANSWER_TIMEOUT_WEB_SOCKET: Duration = Duration::from_millis(1_200);

/// Keepalives in a row without an answer after which the session counts as lost: a dead relay is left 1.25 s after the first
/// question, and one to which every second packet is lost (75 % of the round trips) is kept three times in four.
const UNANSWERED_MAX: u8 = 5;

/// Asks for a challenge.
const NO_COOKIE: [u8; COOKIE_LEN] = [0; COOKIE_LEN];

/// The first and the longest pause between registration attempts.
const RETRY_MIN: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// A restart, even of a whole machine, hardly takes longer.
const RESTART_MAX: Duration = Duration::from_secs(60);

/// The shortest lifetime of a session that is believed.
const LIFETIME_MIN: Duration = Duration::from_secs(60);

pub(crate) struct RelayClient {
    info: RelayInfo,
    key: RelayKey,
    token: Option<Token>,
    session: Option<Session>,
    registration: Option<Registration>,
    rtt: Option<SmoothedRtt>,
    /// Since when it has no session though it tries to get one.
    sessionless_since: Option<Timestamp>,
    /// How long this address waits for others.
    wait: Duration,
    /// No registration before this: the relay refused our token, and would refuse the next one as well, or a peer relay ended
    /// session after session.
    rest_until: Timestamp,
    /// How long a peer relay rests that ends the next session, or refuses the next token.
    rest: Duration,
    web_socket: WebSocket,
}

#[derive(Clone, Copy)]
struct Token {
    bytes: [u8; TOKEN_LEN],
    /// When to have a session made with a newer token.
    renew_at: Timestamp,
}

struct Session {
    id: SessionId,
    began_at: Timestamp,
    /// The relay's own address, or the loopback address of its WebSocket.
    server: SocketAddr,
    expires_at: Timestamp,
    keepalive_at: Timestamp,
    asked: Option<(u64, Timestamp)>,
    /// Earlier questions whose answers are late: they count as well, or a slow path would look like a dead relay.
    late: VecDeque<(u64, Timestamp)>,
    unanswered: u8,
}

struct Registration {
    /// As in [`Session::server`].
    server: SocketAddr,
    since: Timestamp,
    nonce: [u8; 8],
    cookie: [u8; COOKIE_LEN],
    retry_at: Timestamp,
    pause: Duration,
    sent_at: Timestamp,
}

/// What a frame or a deadline changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// There is a session now; the relay saw us at this address, which means nothing over WebSocket.
    Registered { session: RelaySession, observed: Option<SocketAddr> },
    /// The session is gone.
    Lost,
    /// The relay takes our token no longer: a report brings a new one.
    TokenRefused,
}

impl RelayClient {
    /// `None` where the relay's key is of low order. `wait`: how long this address waits for others.
    pub(crate) fn new(info: RelayInfo, own: &PrivateKey, wait: Duration) -> Option<Self> {
        let key = RelayKey::of_node(own, &info.public_key)?;
        Some(Self {
            info,
            key,
            token: None,
            session: None,
            registration: None,
            rtt: None,
            sessionless_since: None,
            wait,
            rest_until: Timestamp::default(),
            rest: RETRY_MAX,
            web_socket: WebSocket::new(),
        })
    }

    /// Takes over what the map says of it now, where it is the same relay, perhaps by another name; says whether it is.
    pub(crate) fn is_still(&mut self, relays: &[RelayInfo]) -> bool {
        let is_same =
            |info: &&RelayInfo| RelayInfo { name: self.info.name.clone(), ..(*info).clone() } == self.info;
        let Some(found) = relays.iter().find(is_same).cloned() else { return false };
        self.info = found;
        true
    }

    pub(crate) const fn info(&self) -> &RelayInfo {
        &self.info
    }

    pub(crate) fn status(&self) -> RelayStatus {
        RelayStatus {
            name: self.info.name.clone(),
            address: self.info.address,
            node: self.info.node,
            transport: match self.web_socket.address() {
                Some(_) => RelayTransport::WebSocket,
                None => RelayTransport::Udp,
            },
            registered: self.session.is_some(),
            rtt_us: self.rtt_us(),
        }
    }

    /// Takes a new token, and has a session made with it where one is due. `is_elsewhere`: the relay is reached over UDP at
    /// another of its addresses.
    pub(crate) fn set_token(
        &mut self,
        context: &mut Context<'_>,
        response: &ReportResponse,
        is_elsewhere: bool,
    ) {
        let SignedToken(bytes) = response.relay_token;
        let lifetime = Duration::from_secs(u64::from(response.relay_token_lifetime_s));
        let due = self.token.is_none_or(|token| context.now >= token.renew_at);
        if self.session.is_none() || due {
            self.token = Some(Token { bytes, renew_at: context.now + lifetime / 2 });
            if !is_elsewhere {
                self.register(context);
            }
        }
    }

    /// A path is in doubt: see whether the session still holds, unless that was seen within the last second.
    pub(crate) fn check_session(&mut self, now: Timestamp) {
        let unchecked = |session: &&mut Session| {
            session.asked.is_none() && session.keepalive_at <= now + (KEEPALIVE_INTERVAL - CHECK_SPACING)
        };
        if let Some(session) = self.session.as_mut().filter(unchecked) {
            session.keepalive_at = now;
        }
    }

    /// Our network changed: see at once whether the session still holds, or try again to get one.
    pub(crate) fn check_now(&mut self, now: Timestamp) {
        self.check_session(now);
        if let Some(registration) = &mut self.registration {
            registration.pause = RETRY_MIN;
            registration.retry_at = now;
        }
        self.web_socket.hurry(now);
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let session = self.session.as_ref().map(|session| {
            let asked = session.asked.map(|(_, at)| at + self.answer_timeout(session));
            asked.unwrap_or(session.keepalive_at).min(session.expires_at)
        });
        let registration = self.registration.as_ref().map(|registration| registration.retry_at);
        [session, registration, self.open_at(), self.check_at(), self.give_up_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due. `is_elsewhere`: the same relay is reached at another of its addresses.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>, is_elsewhere: bool) -> Option<Event> {
        if self.give_up_at().is_some_and(|at| at <= context.now)
            && let Some(event) = self.give_up_registration(context)
        {
            return Some(event);
        }
        if self.registration.as_ref().is_some_and(|registration| registration.retry_at <= context.now) {
            self.send_registration(context);
        }
        if self.open_at().is_some_and(|at| at <= context.now) {
            self.open_web_socket(context, is_elsewhere);
        }
        if self.check_at().is_some_and(|at| at <= context.now) {
            self.check_udp(context);
        }
        self.keep_session(context)
    }

    fn keep_session(&mut self, context: &mut Context<'_>) -> Option<Event> {
        let answer_timeout = self.answer_timeout(self.session.as_ref()?);
        let session = self.session.as_mut()?;
        if let Some(asked) = session.asked.filter(|(_, at)| context.now >= *at + answer_timeout) {
            session.asked = None;
            session.late.truncate(usize::from(UNANSWERED_MAX) - 1);
            session.late.push_front(asked);
            session.unanswered += 1;
            session.keepalive_at = context.now;
        }
        if session.unanswered >= UNANSWERED_MAX || session.expires_at <= context.now {
            let is_silent = session.unanswered >= UNANSWERED_MAX;
            if is_silent && Some(session.server) == self.web_socket.address() {
                return self.on_web_socket_failed(context);
            }
            return Some(self.lose(context));
        }
        if session.asked.is_none() && session.keepalive_at <= context.now {
            let echo = context.entropy.number();
            session.asked = Some((echo, context.now));
            let keepalive = relay::encode_keepalive(session.id, echo.to_be_bytes());
            context.transmit(session.server, keepalive);
        }
        None
    }

    /// A control frame of this relay, from its own address or from the loopback address of its WebSocket.
    pub(crate) fn handle_frame(
        &mut self,
        context: &mut Context<'_>,
        from: SocketAddr,
        frame: &Frame<'_>,
    ) -> Option<Event> {
        if from == self.info.address && self.web_socket.note_answered() {
            context.outputs.push_back(Output::CloseWebSocket { relay: self.info.address });
        }
        match frame {
            Frame::Challenge(cookie) => {
                self.on_challenge(context, from, *cookie);
                None
            }
            Frame::Registered(answer) => {
                let registration = self.registration.as_ref().filter(|waiting| waiting.server == from)?;
                if answer.nonce != registration.nonce || !self.key.verify_registered(answer) {
                    return None;
                }
                let sent_at = registration.sent_at;
                self.note_answered(context.now.since(sent_at));
                self.registration = None;
                self.sessionless_since = None;
                self.session = Some(Session {
                    id: answer.session,
                    server: from,
                    began_at: context.now,
                    expires_at: context.now
                        + Duration::from_secs(u64::from(answer.lifetime_s)).max(LIFETIME_MIN),
                    keepalive_at: context.now + KEEPALIVE_INTERVAL,
                    asked: None,
                    late: VecDeque::new(),
                    unanswered: 0,
                });
                let observed = self.on_transport_proven(context, from).then_some(answer.observed);
                Some(Event::Registered {
                    session: RelaySession { id: answer.session, server: from, node: self.info.node },
                    observed,
                })
            }
            Frame::Refused { nonce, reason } => self.on_refused(context.now, *nonce, *reason),
            Frame::KeepaliveReply { echo } => {
                let session = self.session.as_mut()?;
                let mut questions = session.asked.iter().chain(&session.late);
                let (_, at) = *questions.find(|(asked, _)| asked.to_be_bytes() == *echo)?;
                session.asked = None;
                session.late.clear();
                session.unanswered = 0;
                session.keepalive_at = context.now + KEEPALIVE_INTERVAL;
                self.note_answered(context.now.since(at));
                None
            }
            Frame::NoSession(id)
                if self
                    .session
                    .as_ref()
                    .is_some_and(|session| session.id == *id && session.server == from) =>
            {
                Some(self.lose(context))
            }
            Frame::NoSession(_)
            | Frame::Register(_)
            | Frame::Send { .. }
            | Frame::Deliver { .. }
            | Frame::Keepalive { .. }
            | Frame::Unreachable { .. }
            | Frame::VersionUnsupported => None,
        }
    }

    fn lose(&mut self, context: &mut Context<'_>) -> Event {
        let session = self.session.take();
        if self.info.node.is_some() {
            if session.is_some_and(|session| context.now.since(session.began_at) >= RESTART_MAX) {
                self.rest = RETRY_MAX;
            } else {
                self.rest_peer_relay(context.now);
            }
        }
        self.rtt = None;
        self.register(context);
        Event::Lost
    }

    /// The relay has the session at another of its addresses now. A registration over UDP goes on where that one is reached over
    /// WebSocket only, and where the relay may have granted it already: then the session comes here.
    pub(crate) fn stand_by(&mut self, context: &mut Context<'_>, is_udp: bool) {
        self.close_web_socket(context);
        let own = self.info.address;
        self.registration.take_if(|it| it.server != own || (is_udp && it.cookie == NO_COOKIE));
        self.session = None;
        (self.rtt, self.sessionless_since) = (None, None);
        if !is_udp {
            self.resume(context);
        }
    }

    /// The relay is not reached at another of its addresses any more.
    pub(crate) fn resume(&mut self, context: &mut Context<'_>) {
        if self.session.is_none() && self.registration.is_none() {
            self.register(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_with_another_name_is_the_same_and_one_with_another_address_or_key_is_not() {
        let key = |byte| PrivateKey::from_random([byte; 32]);
        let info = RelayInfo {
            name: "main".into(),
            address: "198.51.100.9:443".parse().unwrap(),
            public_key: key(9).public_key(),
            url: None,
            node: None,
        };
        let mut relay = RelayClient::new(info.clone(), &key(1), Duration::ZERO).unwrap();
        let renamed = RelayInfo { name: "paris".into(), ..info.clone() };
        assert!(relay.is_still(&[renamed]));
        assert_eq!(relay.info().name, "paris");
        let moved = RelayInfo { address: "198.51.100.8:443".parse().unwrap(), ..info.clone() };
        let other = RelayInfo { public_key: key(8).public_key(), ..info };
        assert!(!relay.is_still(&[moved, other]) && !relay.is_still(&[]));
    }
}
