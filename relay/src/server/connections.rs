//! Clients whose frames come over a connection (a WebSocket) and not over UDP.
//!
//! The relay knows its clients by address, so each connection gets one that no datagram can come from. How the frames
//! travel is the caller's business: it hands in what its client says and takes out what the client shall hear.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use protocol::relay::Kind;

use super::Hub;
use super::clock::Clock;
use super::outlet::Outlet;
use super::queue::Queue;
use crate::core::Outcome;
use crate::limit::limit_key;

/// Connections in all: with full queues 1 GiB, which takes as many nodes with a session that do not read.
pub const CONNECTIONS_MAX: usize = 4_096;

/// Connections of one client address (for IPv6 of one /64): a site with one address for all its machines.
pub const CONNECTIONS_PER_CLIENT_MAX: usize = 256;

/// The longest frame in bytes: what a UDP datagram over IPv4 carries.
pub const FRAME_BYTES_MAX: usize = 65_507;

/// 0100::/8 is reserved (RFC 4291 §2.4, with the discard prefix of RFC 6666 in it): nobody has an address there, and
/// no route leads to it. Our addresses begin with these 16 bits.
const PREFIX: u16 = 0x0100;

/// Whether an address is one of a connection.
pub(super) fn is_connection(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.segments()[0] == PREFIX)
}

/// All connections.
pub(super) struct ConnectionTable {
    secret: [u8; 16],
    inner: RwLock<Inner>,
}

/// The hash maps are never iterated but to close all queues, so nothing that is seen from outside depends on order.
#[derive(Default)]
struct Inner {
    queues: HashMap<SocketAddr, Arc<Queue>>,
    of_client: HashMap<IpAddr, usize>,
    made: u64,
    is_closed: bool,
}

impl ConnectionTable {
    /// `secret`: random, so that no client can choose whose limits it shares.
    pub(super) fn new(secret: [u8; 16]) -> Self {
        Self { secret, inner: RwLock::default() }
    }

    /// Queues a frame for the connection at `to`. Never waits; says whether there was room.
    pub(super) fn push(&self, to: SocketAddr, frame: &[u8]) -> bool {
        let queue = self.read().queues.get(&to).cloned();
        queue.is_some_and(|queue| queue.push(frame))
    }

    /// A new connection's address and queue; `None` where there are too many.
    fn open(&self, client: IpAddr) -> Option<(SocketAddr, Arc<Queue>)> {
        let client = limit_key(client);
        let mut inner = self.write();
        let is_full = inner.is_closed || inner.queues.len() >= CONNECTIONS_MAX;
        // Loopback is a reverse proxy on this host: everybody comes from there.
        let is_greedy = !client.is_loopback()
            && inner.of_client.get(&client).is_some_and(|count| *count >= CONNECTIONS_PER_CLIENT_MAX);
        if is_full || is_greedy {
            return None;
        }
        *inner.of_client.entry(client).or_default() += 1;
        inner.made += 1;
        let address = self.address(client, inner.made);
        let queue = Arc::new(Queue::default());
        inner.queues.insert(address, Arc::clone(&queue));
        Some((address, queue))
    }

    fn forget(&self, client: IpAddr, address: SocketAddr) {
        let client = limit_key(client);
        let mut inner = self.write();
        inner.queues.remove(&address);
        if let Some(count) = inner.of_client.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                inner.of_client.remove(&client);
            }
        }
    }

    /// Ends all connections, now and later.
    pub(super) fn close(&self) {
        let mut inner = self.write();
        inner.is_closed = true;
        inner.queues.values().for_each(|queue| queue.close());
    }

    /// The address of a client's connection. The relay limits registrations per IPv6 /64, so what comes after our prefix
    /// stands for the client, and only the rest for the connection.
    fn address(&self, client: IpAddr, number: u64) -> SocketAddr {
        let mut hasher = DefaultHasher::new();
        (self.secret, client).hash(&mut hasher);
        let network = u64::from(PREFIX) << 48 | hasher.finish() >> 16;
        let ip = Ipv6Addr::from_bits(u128::from(network) << 64 | u128::from(number));
        // Any port that is not 0, which no datagram can be sent to.
        SocketAddr::new(ip.into(), 1)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where connections are made to the relay of a running server.
#[derive(Clone)]
pub struct Connections {
    pub(super) hub: Arc<Hub>,
    pub(super) outlet: Arc<Outlet>,
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("open", &self.hub.connections.read().queues.len()).finish()
    }
}

impl Connections {
    /// A new connection of a client at this address. `None` where there are as many as may be
    /// ([`CONNECTIONS_MAX`], [`CONNECTIONS_PER_CLIENT_MAX`]), or the server stops.
    #[must_use]
    pub fn open(&self, client: IpAddr) -> Option<Connection> {
        let (address, queue) = self.hub.connections.open(client)?;
        Some(Connection { place: self.clone(), client, address, queue })
    }

    /// Ends all connections and takes no more: [`Connection::next`] says so to whoever waits.
    pub fn close(&self) {
        self.hub.connections.close();
    }
}

/// One client's connection; dropping it ends it.
pub struct Connection {
    place: Connections,
    client: IpAddr,
    address: SocketAddr,
    queue: Arc<Queue>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Connection {
    /// Takes in a frame of the client, as UDP would: never waits. Returns whether it showed that the client has a
    /// session; who keeps failing to is not worth a connection.
    pub fn receive(&self, frame: &mut [u8]) -> bool {
        let Connections { hub, outlet } = &self.place;
        let (now, now_unix_s) = (hub.clock.now(), Clock::unix_s());
        let outcome = hub.core().handle_datagram(now, now_unix_s, self.address, frame);
        match outcome {
            Outcome::Reply(reply) => {
                outlet.send(hub, now, &reply, self.address);
                let kind = reply.get(2).copied();
                kind == Some(Kind::Registered as u8) || kind == Some(Kind::KeepaliveReply as u8)
            }
            Outcome::Forward { to, datagram } => {
                outlet.send(hub, now, datagram, to);
                true
            }
            Outcome::Drop(reason) => {
                tracing::trace!(client = %self.client, ?reason, "dropped a frame");
                false
            }
        }
    }

    /// Waits for the next frame for the client; `None`: the server stops. May be dropped without losing one.
    pub async fn next(&self) -> Option<Vec<u8>> {
        self.queue.next().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.place.hub.connections.forget(self.client, self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> ConnectionTable {
        ConnectionTable::new([3; 16])
    }

    #[test]
    fn a_client_has_a_bounded_number_of_connections_and_another_still_has_its_own() {
        let (table, client) = (table(), "192.0.2.1".parse().unwrap());
        let open: Vec<_> = std::iter::from_fn(|| table.open(client)).take(1000).collect();
        assert_eq!(open.len(), CONNECTIONS_PER_CLIENT_MAX);
        assert!(table.open("192.0.2.2".parse().unwrap()).is_some());
        table.forget(client, open[0].0);
        assert!(table.open(client).is_some());
    }

    #[test]
    fn there_is_a_bounded_number_of_connections_in_all() {
        let table = table();
        let proxied = || table.open("127.0.0.1".parse().unwrap());
        assert_eq!(std::iter::from_fn(proxied).take(10_000).count(), CONNECTIONS_MAX);
        assert!(table.open("192.0.2.2".parse().unwrap()).is_none());
    }

    #[test]
    fn connections_of_one_client_share_a_subnet_that_no_other_client_has() {
        let table = table();
        let open = |client: &str| match table.open(client.parse().unwrap()).unwrap().0.ip() {
            IpAddr::V6(ip) => ip,
            IpAddr::V4(ip) => panic!("{ip}"),
        };
        let (one, again, other) = (open("192.0.2.1"), open("::ffff:192.0.2.1"), open("192.0.2.2"));
        let subnet = |ip: Ipv6Addr| ip.to_bits() >> 64;
        assert!(one != again && subnet(one) == subnet(again) && subnet(one) != subnet(other));
        assert!([one, again, other].into_iter().all(|ip| is_connection(ip.into())));
        assert!(!is_connection("2001:db8::1".parse().unwrap()) && !is_connection("1.0.0.1".parse().unwrap()));
    }
}
