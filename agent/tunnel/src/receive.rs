//! The receive thread: tells what each datagram is and hands it on, and moves the tunnel's timers.

use std::io;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use endpoint_selection::SocketId;
use protocol::frame::{DatagramClass, classify};
use protocol::relay::{Frame, decode};

use crate::path::canonical;
use crate::path_layer::{Attachment, PathState, Received, Source};
use crate::receive_batch::{Message, ReceiveBatch};
use crate::sockets::Readable;

/// How often the tunnel's timers are looked at. WireGuard's shortest deadline is 5 s with up to 333 ms of jitter
/// (whitepaper §6.1), so this is as exact as it needs.
const TICK: Duration = Duration::from_millis(250);

/// How often while no timer runs: WireGuard's shortest deadline is far longer than it takes to notice the next one.
const TICK_AT_REST: Duration = Duration::from_secs(1);

/// Batches taken from one socket before the other ones, the timers and the stop signal have their turn.
const BATCHES_MAX: usize = 8;

/// Runs until the path layer is dropped.
pub(crate) fn run(state: &PathState, mut accept: impl FnMut(Received) -> bool) {
    let mut batch = ReceiveBatch::new();
    let mut events = Vec::new();
    let mut next_tick = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next_tick {
            let runs =
                contain(state, || state.with_attachment(|tunnel| tunnel.is_some_and(Attachment::tick)));
            next_tick = now + if runs == Some(false) { TICK_AT_REST } else { TICK };
        }
        let Ok(readable) = state.sockets.wait(next_tick.saturating_duration_since(Instant::now())) else {
            // Only a signal interrupts the wait; whatever else it may be, it must not spin.
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        let Some(readable) = readable else { return };
        for readable in &readable {
            for _ in 0..BATCHES_MAX {
                let count = contain(state, || receive(state, &mut batch, readable, &mut events)).unwrap_or(0);
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

/// Receives one batch, hands WireGuard messages to the tunnel and gathers everything else in `events`, which are
/// delivered after the tunnel's lock is gone. Returns the number of messages.
fn receive(
    state: &PathState,
    batch: &mut ReceiveBatch,
    readable: &Readable,
    events: &mut Vec<Received>,
) -> usize {
    let count = match batch.receive(readable.fd()) {
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
                demultiplex(state, tunnel, readable.socket, &message, datagram, events);
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
    socket: SocketId,
    message: &Message<'_>,
    datagram: &[u8],
    events: &mut Vec<Received>,
) {
    let from = state.sockets.main().nat64().inward(canonical(message.from));
    match classify(datagram) {
        DatagramClass::WireGuard => {
            hand_over(state, tunnel, Source::Direct { socket, remote: from }, datagram);
        }
        DatagramClass::Relay => match decode(datagram) {
            Ok(Frame::Deliver { .. }) if !state.is_relay(from) => state.counters.relay_not_believed.add(1),
            Ok(Frame::Deliver { source, payload }) if classify(payload) == DatagramClass::WireGuard => {
                let source = Source::Relayed { server: from, sender: source };
                if hand_over(state, tunnel, source, payload) {
                    events.push(event(socket, message, from, datagram));
                }
            }
            // The engine reads, counts and answers every other frame, unsound ones too.
            _ => events.push(event(socket, message, from, datagram)),
        },
        DatagramClass::Stun | DatagramClass::Probe => events.push(event(socket, message, from, datagram)),
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

fn event(socket: SocketId, message: &Message<'_>, from: std::net::SocketAddr, datagram: &[u8]) -> Received {
    Received { socket, from, to_local: message.to_local, datagram: datagram.to_vec() }
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

        fn tick(&self) -> bool {
            panic!("a test's bug");
        }

        fn renew_session(&self, _: &PublicKey) {}
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
