//! The way out: through a UDP socket, or into the queue of a connection.

use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Mutex, PoisonError};

use endpoint_selection::Timestamp;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::Hub;
use super::bind::BoundSocket;
use super::connections::is_connection;
use super::departures::{Departure, runs};
use super::io_counters::{count, count_many};
use super::log_gate::LogGate;

/// A UDP socket, and beside it the connections.
pub(super) struct Outlet {
    pub(super) socket: UdpSocket,
    pub(super) local: SocketAddr,
    log: Mutex<LogGate>,
}

impl Outlet {
    pub(super) fn new(bound: BoundSocket) -> Self {
        let BoundSocket { socket, local, .. } = bound;
        Self { socket, local, log: Mutex::default() }
    }

    /// Sends without waiting: what cannot leave at once is dropped and counted.
    pub(super) fn send(&self, hub: &Hub, now: Timestamp, datagram: &[u8], to: SocketAddr) {
        if is_connection(to.ip()) {
            if !hub.connections.push(to, datagram) {
                count(&hub.io.queue_full);
            }
            return;
        }
        let Err(error) = self.socket.try_send_to(datagram, self.in_socket_family(to)) else { return };
        if error.kind() == io::ErrorKind::WouldBlock {
            count(&hub.io.send_buffer_full);
            return;
        }
        count(&hub.io.send_errors);
        let passed = self.log.lock().unwrap_or_else(PoisonError::into_inner).pass(now);
        if let Some(held_back) = passed {
            tracing::warn!(local = %self.local, %to, %error, held_back, "a datagram could not be sent");
        }
    }

    /// Sends a batch without waiting: what cannot leave at once is dropped and counted. Keeps the order of what goes
    /// to one destination.
    pub(super) fn send_all(&self, hub: &Hub, now: Timestamp, mut departures: Vec<Departure<'_>>) {
        for departure in &mut departures {
            departure.to = self.in_socket_family(departure.to);
        }
        for run in runs(&mut departures) {
            match run {
                [_, _, ..] if !is_connection(run[0].to.ip()) => self.send_run(hub, now, run),
                _ => run.iter().for_each(|one| self.send(hub, now, &one.datagram, one.to)),
            }
        }
    }

    /// Sends a run with UDP segmentation offload (Linux 4.18), and its datagrams one by one where the kernel refuses that: an old one,
    /// a network card without checksums, or a path whose MTU is smaller than a datagram, which then is fragmented.
    ///
    /// A refusal is not remembered. It costs little beside the datagrams themselves, and is often the destination's own: one
    /// with a narrow path must not slow down the others.
    fn send_run(&self, hub: &Hub, now: Timestamp, run: &[Departure<'_>]) {
        let sent = self.socket.try_io(Interest::WRITABLE, || {
            let first = run.first().ok_or(io::ErrorKind::InvalidInput)?;
            let segment_len = u16::try_from(first.datagram.len()).map_err(io::Error::other)?;
            let slices: Vec<_> = run.iter().map(|departure| IoSlice::new(&departure.datagram)).collect();
            let control = [ControlMessage::UdpGsoSegments(&segment_len)];
            let to = SockaddrStorage::from(first.to);
            Ok(sendmsg(self.socket.as_raw_fd(), &slices, &control, MsgFlags::MSG_DONTWAIT, Some(&to))?)
        });
        match sent {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                count_many(&hub.io.send_buffer_full, run.len());
            }
            Err(_) => run.iter().for_each(|one| self.send(hub, now, &one.datagram, one.to)),
        }
    }

    /// A socket for both families takes IPv4 addresses in their IPv6-mapped form (RFC 3493 §3.7); Linux would take
    /// the plain form too, other systems refuse it.
    fn in_socket_family(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.local.is_ipv6() => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), address.port())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => address,
        }
    }
}
