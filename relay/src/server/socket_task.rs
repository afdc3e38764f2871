//! The loop of one socket: receive, decide, send.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::frame::{DatagramClass, classify};
use tokio::sync::watch;

use super::Hub;
use super::clock::Clock;
use super::connections::is_connection;
use super::departures::Departure;
use super::io_counters::count;
use super::log_gate::LogGate;
use super::outlet::Outlet;
use super::receive_batch::{Message, ReceiveBatch};
use crate::core::Outcome;

/// After so many datagrams other tasks of the runtime get their turn, as soon as the message is done that they came in (at
/// most 127 more); the time that a datagram is judged by is as old.
pub(super) const TURN_DATAGRAMS: usize = 64;

/// Errors in a row that are taken for news of single datagrams, such as ICMP messages about what we sent earlier.
const ERRORS_MAX: u32 = 32;

/// A pause after nothing but errors, so that a broken socket costs no core.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// One socket and the loop that serves it.
pub(super) struct SocketTask {
    outlet: Arc<Outlet>,
    is_relay: bool,
    hub: Arc<Hub>,
    stopped: watch::Receiver<()>,
    receive_log: LogGate,
    /// Errors since the last datagram.
    errors: u32,
}

/// What a turn came to.
enum Turn {
    /// Nothing waits any more.
    Drained,
    /// More may wait.
    Full,
    /// Nothing but errors for a while.
    Failing,
}

impl SocketTask {
    pub(super) fn new(
        outlet: Arc<Outlet>,
        is_relay: bool,
        hub: Arc<Hub>,
        stopped: watch::Receiver<()>,
    ) -> Self {
        Self { outlet, is_relay, hub, stopped, receive_log: LogGate::default(), errors: 0 }
    }

    /// Serves until the server stops or is dropped.
    pub(super) async fn run(mut self) {
        let mut batch = ReceiveBatch::new();
        loop {
            let turn = tokio::select! {
                _ = self.stopped.changed() => return,
                ready = self.outlet.socket.readable() => match ready {
                    Ok(()) => self.receive(&mut batch),
                    Err(error) => self.failed(&error),
                },
            };
            while batch.has_more() {
                self.turn(&mut batch);
                if batch.has_more() {
                    tokio::task::yield_now().await;
                }
            }
            match turn {
                Turn::Drained => {}
                Turn::Full => tokio::task::yield_now().await,
                Turn::Failing => tokio::time::sleep(ERROR_PAUSE).await,
            }
        }
    }

    fn receive(&mut self, batch: &mut ReceiveBatch) -> Turn {
        match batch.receive(&self.outlet.socket) {
            Ok(more) => {
                self.errors = 0;
                if more { Turn::Full } else { Turn::Drained }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Turn::Drained,
            Err(error) => self.failed(&error),
        }
    }

    /// Handles the next datagrams of a batch, then sends what they led to.
    fn turn(&mut self, batch: &mut ReceiveBatch) {
        let (now, now_unix_s) = (self.hub.clock.now(), Clock::unix_s());
        let messages = batch.take(TURN_DATAGRAMS);
        let mut departures = Vec::with_capacity(messages.size_hint().0);
        for message in messages {
            match message {
                Some(message) => self.handle(now, now_unix_s, message, &mut departures),
                None => count(&self.hub.io.receive_errors),
            }
        }
        self.outlet.send_all(&self.hub, now, departures);
    }

    /// Handles the datagrams of one message; what is to be sent goes into `departures`.
    fn handle<'b>(
        &self,
        now: Timestamp,
        now_unix_s: u64,
        message: Message<'b>,
        departures: &mut Vec<Departure<'b>>,
    ) {
        let (hub, from) = (&self.hub, message.from);
        // One look for the whole message, and none where it is for STUN alone.
        let mut core = self.is_relay.then(|| hub.core());
        for datagram in message.into_datagrams() {
            count(&hub.io.received);
            if is_connection(from.ip()) {
                // Nobody has such an address; who writes it as a source wants to speak for a connection.
                count(&hub.io.dropped_source);
            } else if classify(datagram) == DatagramClass::Stun {
                let answer = hub.stun().respond(now, from, datagram);
                departures.extend(answer.map(|answer| Departure { to: from, datagram: answer.into() }));
            } else if let Some(core) = &mut core {
                match core.handle_datagram(now, now_unix_s, from, datagram) {
                    Outcome::Reply(reply) => departures.push(Departure { to: from, datagram: reply.into() }),
                    Outcome::Forward { to, datagram } => {
                        departures.push(Departure { to, datagram: datagram.into() });
                    }
                    Outcome::Drop(reason) => tracing::trace!(%from, ?reason, "dropped a datagram"),
                }
            } else {
                count(&hub.io.dropped_foreign);
            }
        }
    }

    fn failed(&mut self, error: &io::Error) -> Turn {
        let now = self.hub.clock.now();
        count(&self.hub.io.receive_errors);
        if let Some(held_back) = self.receive_log.pass(now) {
            tracing::warn!(local = %self.outlet.local, %error, held_back, "receiving failed; the socket goes on");
        }
        self.errors = self.errors.saturating_add(1);
        if self.errors > ERRORS_MAX { Turn::Failing } else { Turn::Full }
    }
}
