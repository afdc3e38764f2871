//! Getting a session: how often a relay is asked for one, and when it is left alone.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::{SmoothedRtt, Timestamp};
use protocol::relay::{COOKIE_LEN, RefusalReason};

use super::{Event, NO_COOKIE, RESTART_MAX, RETRY_MAX, RETRY_MIN, Registration, RelayClient};
use crate::context::Context;
use crate::reported_servers::rtt_with;

/// The longest pause while a relay has been away for [`RESTART_MAX`] only: what restarts is used again within seconds.
const RETRY_SOON_MAX: Duration = Duration::from_millis(1_600);

/// The longest pause for a relay that a node runs: its address may be somebody else's, or behind a firewall, and it may end each
/// session at once. One that held for [`RESTART_MAX`] is used again soon.
const PEER_RELAY_PAUSE_MAX: Duration = Duration::from_secs(300);

impl RelayClient {
    pub(super) fn on_challenge(
        &mut self,
        context: &mut Context<'_>,
        from: SocketAddr,
        cookie: [u8; COOKIE_LEN],
    ) {
        let Some(registration) = self.registration.as_mut().filter(|waiting| waiting.server == from) else {
            return self.on_udp_check_answered(context, from, cookie);
        };
        // One answer per cookie: a flood of forged challenges makes us send nothing more.
        if registration.cookie != cookie {
            let first = registration.cookie == NO_COOKIE;
            registration.cookie = cookie;
            if first || context.now.since(registration.sent_at) >= RETRY_MIN {
                self.send_registration(context);
            }
        }
    }

    /// The relay says no to the registration of this nonce.
    pub(super) fn on_refused(
        &mut self,
        now: Timestamp,
        nonce: [u8; 8],
        reason: RefusalReason,
    ) -> Option<Event> {
        let registration = self.registration.as_mut().filter(|waiting| waiting.nonce == nonce)?;
        registration.pause = RETRY_MAX;
        registration.retry_at = now + RETRY_MAX;
        if !matches!(reason, RefusalReason::TokenExpired | RefusalReason::TokenInvalid) {
            return None;
        }
        // Only a new token helps; the next report brings one.
        self.token = None;
        self.registration = None;
        if self.info.node.is_some() {
            // Which comes anyway: a clock that is wrong there is no reason for more reports.
            self.rest_peer_relay(now);
            return None;
        }
        self.rest_until = now + RETRY_MAX;
        Some(Event::TokenRefused)
    }

    /// A peer relay is left alone for a while, and for twice as long the next time.
    pub(super) fn rest_peer_relay(&mut self, now: Timestamp) {
        self.rest_until = now + self.rest;
        self.rest = (self.rest * 2).min(PEER_RELAY_PAUSE_MAX);
    }

    pub(super) fn register(&mut self, context: &mut Context<'_>) {
        self.begin_registration(context, self.web_socket.address().unwrap_or(self.info.address), NO_COOKIE);
    }

    pub(super) fn begin_registration(
        &mut self,
        context: &mut Context<'_>,
        server: SocketAddr,
        cookie: [u8; COOKIE_LEN],
    ) {
        if self.token.is_some() {
            self.sessionless_since.get_or_insert(context.now);
        }
        self.registration = self.token.map(|_| Registration {
            server,
            since: context.now,
            nonce: context.entropy.bytes(),
            cookie,
            retry_at: self.rest_until.max(context.now + self.wait),
            pause: RETRY_MIN,
            sent_at: context.now,
        });
        if self.registration.as_ref().is_some_and(|registration| registration.retry_at <= context.now) {
            self.send_registration(context);
        }
    }

    pub(super) fn send_registration(&mut self, context: &mut Context<'_>) {
        let (Some(registration), Some(token)) = (&mut self.registration, &self.token) else { return };
        registration.sent_at = context.now;
        registration.retry_at = context.now + registration.pause;
        let is_restart = context.now.since(registration.since) < RESTART_MAX;
        let pause_max = match is_restart {
            true => RETRY_SOON_MAX,
            false if self.info.node.is_some() => PEER_RELAY_PAUSE_MAX,
            false => RETRY_MAX,
        };
        registration.pause = (registration.pause * 2).min(pause_max);
        let request = self.key.encode_register(registration.cookie, registration.nonce, &token.bytes);
        if registration.server == self.info.address {
            self.web_socket.note_asked(context.now);
        }
        context.transmit(registration.server, request);
    }
    /// Since when the relay holds no session of ours at this address though we try to get one.
    pub(crate) const fn sessionless_since(&self) -> Option<Timestamp> {
        self.sessionless_since
    }

    /// Smoothed RTT in microseconds.
    pub(crate) fn rtt_us(&self) -> Option<u32> {
        self.rtt.map(SmoothedRtt::as_micros)
    }

    /// Takes in how long an answer took.
    pub(super) fn note_answered(&mut self, took: Duration) {
        if let Ok(sample) = u32::try_from(took.as_micros()) {
            self.rtt = Some(rtt_with(self.rtt, sample));
        }
    }
}
