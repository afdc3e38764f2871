//! The receive thread: tells what each datagram is and hands it on, and moves the tunnel's timers.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::frame::{DatagramClass, classify};
use protocol::relay::{Frame, decode};

use crate::path::canonical;
use crate::path_layer::{Attachment, PathState, Received, Source};
use crate::receive_batch::{Message, ReceiveBatch};

/// How often the tunnel's timers are looked at. WireGuard's shortest deadline is 5 s with up to 333 ms of jitter
/// (whitepaper §6.1), so this is as exact as it needs.
const TICK: Duration = Duration::from_millis(250);

/// Batches taken from one socket before the other one, the timers and the stop signal have their turn.
const BATCHES_MAX: usize = 8;

/// Runs until the other end of `stopped` is closed.
pub(crate) fn run(state: &PathState, stopped: &PipeReader, mut accept: impl FnMut(Received) -> bool) {
    let mut batch = ReceiveBatch::new();
    let mut events = Vec::new();
    let mut next_tick = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next_tick {
            next_tick = now + TICK;
            contain(state, || {
                state.with_attachment(|tunnel| {
                    if let Some(tunnel) = tunnel {
                        tunnel.tick();
                    }
                });
            });
        }
        let Ok(ready) = wait(state, stopped, next_tick.saturating_duration_since(Instant::now())) else {
            // Only a signal interrupts poll here; whatever else it may be, it must not spin.
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let Some(ready) = ready else { return };
        for socket in ready {
            for _ in 0..BATCHES_MAX {
                let count = contain(state, || receive(state, &mut batch, socket, &mut events)).unwrap_or(0);
                for event in events.drain(..) {
                    if !accept(event) {
                        state.counters.overflow.add(1);
                    }
                }
                if !ReceiveBatch::is_full(count) {
                    break;
                }
            }
        }
    }
}

/// Keeps a panic in one round from ending the thread, which carries every path of the node: whoever found a message
/// that makes some layer above panic must not be able to cut the node off. `None` where that happened.
fn contain<T>(state: &PathState, round: impl FnOnce() -> T) -> Option<T> {
    let result = std::panic::catch_unwind(AssertUnwindSafe(round));
    if result.is_err() {
        tracing::error!("a fault while receiving was contained");
        state.counters.faults.add(1);
    }
    result.ok()
}

/// The sockets that have something; `None` where the path layer is being dropped.
fn wait<'a>(
    state: &'a PathState,
    stopped: &PipeReader,
    timeout: Duration,
) -> nix::Result<Option<Vec<BorrowedFd<'a>>>> {
    // Rounded up, because poll counts whole milliseconds and must not spin through the last one.
    let timeout = PollTimeout::try_from(timeout + Duration::from_millis(1)).unwrap_or(PollTimeout::ZERO);
    let sockets: Vec<BorrowedFd<'a>> = state.port.sockets().collect();
    let mut polled: Vec<PollFd<'_>> = std::iter::once(stopped.as_fd())
        .chain(sockets.iter().copied())
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
        .collect();
    poll(&mut polled, timeout)?;
    let mut ready = polled.iter().map(|fd| fd.any().unwrap_or(false));
    if ready.next().unwrap_or(true) {
        return Ok(None);
    }
    Ok(Some(sockets.into_iter().zip(ready).filter_map(|(fd, ready)| ready.then_some(fd)).collect()))
}

/// Receives one batch, hands WireGuard messages to the tunnel and gathers everything else in `events`, which are
/// delivered after the tunnel's lock is gone. Returns the number of messages.
fn receive(
    state: &PathState,
    batch: &mut ReceiveBatch,
    socket: BorrowedFd<'_>,
    events: &mut Vec<Received>,
) -> usize {
    let count = match batch.receive(socket) {
        Ok(count) => count,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
        Err(error) => {
            tracing::debug!(%error, "receiving failed");
            0
        }
    };
    state.with_attachment(|tunnel| {
        for message in (0..count).filter_map(|index| batch.message(index)) {
            if message.truncated {
                state.counters.oversized.add(1);
                continue;
            }
            for datagram in message.datagrams() {
                demultiplex(state, tunnel, &message, datagram, events);
            }
        }
        if let Some(tunnel) = tunnel {
            tunnel.flush();
        }
    });
    count
}

fn demultiplex(
    state: &PathState,
    tunnel: Option<&dyn Attachment>,
    message: &Message<'_>,
    datagram: &[u8],
    events: &mut Vec<Received>,
) {
    let from = canonical(message.from);
    match classify(datagram) {
        DatagramClass::WireGuard => {
            hand_over(state, tunnel, Source::Direct(from), datagram);
        }
        DatagramClass::Relay => match decode(datagram) {
            Ok(Frame::Deliver { .. }) if !state.is_relay(from) => state.counters.relay_not_believed.add(1),
            Ok(Frame::Deliver { source, payload }) if classify(payload) == DatagramClass::WireGuard => {
                let source = Source::Relayed { server: from, sender: source };
                if hand_over(state, tunnel, source, payload) {
                    events.push(event(message, from, datagram));
                }
            }
            // The engine reads, counts and answers every other frame, unsound ones too.
            _ => events.push(event(message, from, datagram)),
        },
        DatagramClass::Stun | DatagramClass::Probe => events.push(event(message, from, datagram)),
        DatagramClass::OtherVersion(_) | DatagramClass::Unknown => state.counters.unknown.add(1),
    }
}

fn hand_over(state: &PathState, tunnel: Option<&dyn Attachment>, source: Source, datagram: &[u8]) -> bool {
    let Some(tunnel) = tunnel else {
        state.counters.no_tunnel.add(1);
        return false;
    };
    tunnel.receive(source, datagram)
}

fn event(message: &Message<'_>, from: std::net::SocketAddr, datagram: &[u8]) -> Received {
    Received { from, to_local: message.to_local, datagram: datagram.to_vec() }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::{Arc, mpsc};

    use protocol::key::PublicKey;
    use protocol::stun::encode_request;

    use super::*;
    use crate::path_layer::PathLayer;

    /// A tunnel with a bug in everything that the receive thread calls.
    struct Broken;

    impl Attachment for Broken {
        fn receive(&self, _: Source, _: &[u8]) -> bool {
            panic!("a test's bug");
        }

        fn flush(&self) {}

        fn tick(&self) {
            panic!("a test's bug");
        }

        fn path_appeared(&self, _: &PublicKey) {}
    }

    #[test]
    fn a_fault_above_the_port_does_not_end_what_shares_it() {
        let (accept, events) = mpsc::sync_channel(8);
        let paths = PathLayer::bind(0, move |received| accept.try_send(received).is_ok()).unwrap();
        paths.state().attach(Some(Arc::new(Broken)));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = (Ipv4Addr::LOCALHOST, paths.local_port());
        socket.send_to(&[&[4, 0, 0, 0][..], &[0; 60]].concat(), port).unwrap();
        while paths.counts().faults < 2 {
            std::thread::yield_now();
        }
        socket.send_to(&encode_request([1; 12]), port).unwrap();
        let received = events.recv_timeout(Duration::from_secs(4)).unwrap();
        assert_eq!(received.datagram, encode_request([1; 12]));
    }
}
