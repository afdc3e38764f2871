//! The loop of one socket: receive, decide, send.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::frame::{DatagramClass, classify};
use tokio::sync::watch;

use super::Hub;
use super::clock::Clock;
use super::connections::is_connection;
use super::io_counters::count;
use super::log_gate::LogGate;
use super::outlet::Outlet;
use crate::core::Outcome;

/// Datagrams handled before other tasks of the runtime get their turn; also how old the time may be that a
/// datagram is judged by.
pub(super) const BATCH_MAX: usize = 64;

/// Larger than any UDP payload, so that nothing is ever cut.
const BUFFER_LEN: usize = 1 << 16;

/// A pause after a batch of nothing but errors, so that a broken socket costs no core.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// One socket and the loop that serves it.
pub(super) struct SocketTask {
    outlet: Arc<Outlet>,
    is_relay: bool,
    hub: Arc<Hub>,
    stopped: watch::Receiver<()>,
    receive_log: LogGate,
}

/// What a batch came to.
enum Batch {
    /// Nothing waits any more.
    Drained,
    /// More may wait.
    Full,
    /// More errors than datagrams.
    Failing,
}

impl SocketTask {
    pub(super) fn new(
        outlet: Arc<Outlet>,
        is_relay: bool,
        hub: Arc<Hub>,
        stopped: watch::Receiver<()>,
    ) -> Self {
        Self { outlet, is_relay, hub, stopped, receive_log: LogGate::default() }
    }

    /// Serves until the server stops or is dropped.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; BUFFER_LEN];
        loop {
            let ready = tokio::select! {
                _ = self.stopped.changed() => return,
                ready = self.outlet.socket.readable() => ready,
            };
            let batch = match ready {
                Ok(()) => self.batch(&mut buffer),
                Err(error) => {
                    self.receive_failed(self.hub.clock.now(), &error);
                    Batch::Failing
                }
            };
            match batch {
                Batch::Drained => {}
                Batch::Full => tokio::task::yield_now().await,
                Batch::Failing => tokio::time::sleep(ERROR_PAUSE).await,
            }
        }
    }

    fn batch(&mut self, buffer: &mut [u8]) -> Batch {
        let (now, now_unix_s) = (self.hub.clock.now(), Clock::unix_s());
        let mut errors = 0;
        for _ in 0..BATCH_MAX {
            match self.outlet.socket.try_recv_from(buffer) {
                Ok((len, from)) => {
                    count(&self.hub.io.received);
                    self.handle(now, now_unix_s, from, &mut buffer[..len]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Batch::Drained,
                // Such as ECONNREFUSED: an ICMP message about something we sent earlier.
                Err(error) => {
                    errors += 1;
                    self.receive_failed(now, &error);
                }
            }
        }
        if errors * 2 > BATCH_MAX { Batch::Failing } else { Batch::Full }
    }

    fn handle(&mut self, now: Timestamp, now_unix_s: u64, from: SocketAddr, datagram: &mut [u8]) {
        if is_connection(from.ip()) {
            // Nobody has such an address; who writes it as a source wants to speak for a connection.
            count(&self.hub.io.dropped_source);
        } else if classify(datagram) == DatagramClass::Stun {
            let answer = self.hub.stun().respond(now, from, datagram);
            if let Some(answer) = answer {
                self.outlet.send(&self.hub, now, &answer, from);
            }
        } else if self.is_relay {
            let outcome = self.hub.core().handle_datagram(now, now_unix_s, from, datagram);
            match outcome {
                Outcome::Reply(reply) => self.outlet.send(&self.hub, now, &reply, from),
                Outcome::Forward { to, datagram } => self.outlet.send(&self.hub, now, datagram, to),
                Outcome::Drop(reason) => tracing::trace!(%from, ?reason, "dropped a datagram"),
            }
        } else {
            count(&self.hub.io.dropped_foreign);
        }
    }

    fn receive_failed(&mut self, now: Timestamp, error: &io::Error) {
        count(&self.hub.io.receive_errors);
        if let Some(held_back) = self.receive_log.pass(now) {
            tracing::warn!(local = %self.outlet.local, %error, held_back, "receiving failed; the socket goes on");
        }
    }
}
