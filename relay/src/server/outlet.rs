//! The way out: through a UDP socket, or into the queue of a connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use endpoint_selection::Timestamp;
use tokio::net::UdpSocket;

use super::Hub;
use super::bind::BoundSocket;
use super::connections::is_connection;
use super::io_counters::count;
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
