//! Whether a relay is to be reached over WebSocket because UDP does not get through, and back.
//!
//! UDP always has the first word: it needs fewer round trips than a TCP connection, so where it works its answer is here
//! before the connection is, and ends the attempt. Once the relay is reached over WebSocket, small questions over UDP,
//! which change nothing at the relay, say when the way back is open.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;

use crate::entropy::Entropy;

/// How long UDP may leave a registration unanswered before a connection is opened beside it. Longer than the round trip
/// to nearly every relay (STUN's first retransmission waits 500 ms, RFC 8489 §6.2.1), short enough for a node whose
/// network lets no UDP out to be there within a second.
const UDP_PATIENCE: Duration = Duration::from_millis(300);

/// How long a connection may be open without a session before another one is tried.
pub(super) const SESSIONLESS_MAX: Duration = Duration::from_secs(5);

/// The widest first pause after a connection ended, and the widest of all.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How often UDP is asked while the relay is reached over WebSocket: 165 bytes each.
const UDP_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Answers in a row over UDP that are worth going back: a single one may be luck.
const UDP_ANSWERS_MIN: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Opening,
    Open(SocketAddr),
}

/// The WebSocket to one relay.
pub(super) struct WebSocket {
    state: State,
    /// Since when UDP has left registrations unanswered.
    silent_since: Option<Timestamp>,
    /// Not opened before this.
    rest_until: Timestamp,
    pause: Duration,
    /// When UDP is asked next; of meaning while it is open.
    check_at: Timestamp,
    is_asked: bool,
    answers: u8,
}

impl WebSocket {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Closed,
            silent_since: None,
            rest_until: Timestamp::from_micros(0),
            pause: PAUSE_FIRST,
            check_at: Timestamp::from_micros(0),
            is_asked: false,
            answers: 0,
        }
    }

    /// The loopback address that stands for the relay, while it is open.
    pub(super) const fn address(&self) -> Option<SocketAddr> {
        match self.state {
            State::Open(address) => Some(address),
            State::Closed | State::Opening => None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// A registration left over UDP.
    pub(super) fn note_asked(&mut self, now: Timestamp) {
        self.silent_since.get_or_insert(now);
    }

    /// The relay answered over UDP. Returns whether that ends an attempt to open.
    pub(super) fn note_answered(&mut self) -> bool {
        self.silent_since = None;
        let is_over = self.state == State::Opening;
        if is_over {
            self.state = State::Closed;
        }
        is_over
    }

    /// When it is to be opened, if nothing changes.
    pub(super) fn open_at(&self) -> Option<Timestamp> {
        let since = self.silent_since.filter(|_| self.is_closed())?;
        Some((since + UDP_PATIENCE).max(self.rest_until))
    }

    /// Begins to open.
    pub(super) fn begin(&mut self) {
        self.state = State::Opening;
    }

    /// It is open. Returns false where nobody waits for it any more.
    pub(super) fn opened(&mut self, now: Timestamp, address: SocketAddr) -> bool {
        let is_awaited = self.state == State::Opening;
        if is_awaited {
            self.state = State::Open(address);
            self.check_at = now + UDP_CHECK_INTERVAL;
            (self.is_asked, self.answers) = (false, 0);
        }
        is_awaited
    }

    /// Not wanted any more.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
        self.silent_since = None;
    }

    /// It ended, or never came to be: the next attempt waits.
    pub(super) fn fail(&mut self, now: Timestamp, entropy: &mut Entropy) {
        self.close();
        let half_us = u64::try_from(self.pause.as_micros() / 2).unwrap_or(u64::MAX).max(1);
        self.rest_until = now + Duration::from_micros(half_us + entropy.number() % half_us);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// It proved to work: a later attempt need not wait long.
    pub(super) fn reset_pause(&mut self) {
        self.pause = PAUSE_FIRST;
    }

    /// Our network changed: what was learnt of the old one is no reason to wait.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        self.reset_pause();
        self.rest_until = now;
        self.check_at = now;
    }

    /// When UDP is to be asked.
    pub(super) fn check_at(&self) -> Option<Timestamp> {
        self.address().map(|_| self.check_at)
    }

    /// UDP is asked now.
    pub(super) fn note_check(&mut self, now: Timestamp) {
        if self.is_asked {
            self.answers = 0;
        }
        self.is_asked = true;
        self.check_at = now + UDP_CHECK_INTERVAL;
    }

    /// UDP answered a question. Returns whether it did so often enough to go back.
    pub(super) fn note_check_answered(&mut self) -> bool {
        if std::mem::take(&mut self.is_asked) {
            self.answers += 1;
            if self.answers >= UDP_ANSWERS_MIN {
                self.answers = 0;
                return true;
            }
        }
        false
    }
}
