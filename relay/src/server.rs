//! A relay and STUN server on UDP: moves datagrams between sockets and the decisions of [`crate::core`] and
//! [`crate::stun`].
//!
//! One task for each socket receives what waits in one system call, decides about it, and sends what comes of it with as
//! few calls as the kernel allows: datagrams of one length to one destination leave together, from the buffers that
//! they came in. What the kernel cannot take at once is dropped and counted, as any router does: WireGuard and what it
//! carries cope with loss, not with queues.
//!
//! The tasks share a thread of their own. On a runtime with several, an idle one would be woken by each packet that
//! arrives while another is at work; and a flood takes no time from what else the program does.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use crate::core::{RelayCore, RelayCounters};
use crate::stun::{StunCounters, StunResponder};

mod bind;
mod clock;
mod connections;
mod departures;
mod io_counters;
mod log_gate;
mod outlet;
mod queue;
mod receive_batch;
mod socket_task;
mod thread;

pub use connections::{
    CONNECTIONS_MAX, CONNECTIONS_PER_CLIENT_MAX, Connection, Connections, FRAME_BYTES_MAX,
};
pub use io_counters::IoCounters;

use clock::Clock;
use connections::ConnectionTable;
use io_counters::IoCounts;
use outlet::Outlet;
use socket_task::SocketTask;
use thread::Thread;

/// Which addresses a server listens on, and the relay behind them.
pub struct Config {
    /// The addresses that answer STUN. Two on different ports or hosts let nodes learn how their NAT maps.
    pub stun: Vec<SocketAddr>,
    /// The address that answers relay frames, and STUN as well; usually one of `stun`. `None`: no relay.
    pub relay: Option<SocketAddr>,
    /// The mark of all that is sent (`SO_MARK`), where there is to be one; that takes CAP_NET_ADMIN, and is left out without.
    pub mark: Option<u32>,
    /// The relay; idle where `relay` is `None`.
    pub core: RelayCore,
}

/// What a server did since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounters {
    /// The relay's part.
    pub relay: RelayCounters,
    /// The STUN server's part.
    pub stun: StunCounters,
    /// What happened at the sockets.
    pub io: IoCounters,
}

/// What the tasks of a server have in common.
struct Hub {
    core: Mutex<RelayCore>,
    stun: Mutex<StunResponder>,
    connections: ConnectionTable,
    io: IoCounts,
    clock: Clock,
}

impl Hub {
    fn core(&self) -> MutexGuard<'_, RelayCore> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stun(&self) -> MutexGuard<'_, StunResponder> {
        self.stun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running server. Dropping it ends its tasks too, without waiting for them.
pub struct UdpServer {
    hub: Arc<Hub>,
    stop: watch::Sender<()>,
    /// Hears when the thread of the tasks ends.
    ended: oneshot::Receiver<()>,
    addrs: Vec<SocketAddr>,
    relay: Option<Arc<Outlet>>,
}

impl UdpServer {
    /// Binds every address and starts to serve, on a thread of its own. Where one address cannot be had, nothing is
    /// served.
    ///
    /// A wildcard address (`0.0.0.0`, `[::]`) serves every address of the host; `[::]` serves IPv4 as well unless an
    /// IPv4 address with the same port is listed. Answers leave from the address that the host's routes choose: a
    /// host with several addresses of one family lists those that nodes shall use instead of a wildcard.
    ///
    /// # Errors
    /// Where an address cannot be bound (the message names it and says what to do), or the system has no random bytes or
    /// no room for a thread.
    pub fn bind(config: Config) -> io::Result<Self> {
        let Config { stun, relay, mark, core } = config;
        let (mut stun_secret, mut connection_secret) = ([0; 16], [0; 16]);
        getrandom::fill(&mut stun_secret).map_err(io::Error::other)?;
        getrandom::fill(&mut connection_secret).map_err(io::Error::other)?;
        let mut thread = Thread::new()?;
        let bound = thread.within(|| bind::bind_all(&stun, relay, mark))?;
        let hub = Arc::new(Hub {
            core: Mutex::new(core),
            stun: Mutex::new(StunResponder::new(stun_secret)),
            connections: ConnectionTable::new(connection_secret),
            io: IoCounts::default(),
            clock: Clock::start(),
        });
        let (stop, stopped) = watch::channel(());
        let addrs = bound.iter().map(|socket| socket.local).collect();
        let mut relay = None;
        for socket in bound {
            let is_relay = socket.is_relay;
            let outlet = Arc::new(Outlet::new(socket));
            if is_relay {
                relay = Some(Arc::clone(&outlet));
            }
            let task = SocketTask::new(outlet, is_relay, Arc::clone(&hub), stopped.clone());
            thread.spawn(task.run());
        }
        let ended = thread.start()?;
        Ok(Self { hub, stop, ended, addrs, relay })
    }

    /// The bound addresses with their real ports: STUN's in the order of [`Config::stun`] without repeats, then the
    /// relay's if it is none of them.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// The address that answers relay frames, with its real port.
    #[must_use]
    pub fn relay_addr(&self) -> Option<SocketAddr> {
        self.relay.as_ref().map(|relay| relay.local)
    }

    /// Where clients that do not come over UDP reach the relay; `None` where there is no relay.
    #[must_use]
    pub fn connections(&self) -> Option<Connections> {
        let outlet = self.relay.clone()?;
        Some(Connections { hub: Arc::clone(&self.hub), outlet })
    }

    /// What the server did so far.
    #[must_use]
    pub fn counters(&self) -> ServerCounters {
        let relay = {
            let mut core = self.hub.core();
            core.sweep(self.hub.clock.now());
            core.counters()
        };
        ServerCounters { relay, stun: self.hub.stun().counters(), io: self.hub.io.read() }
    }

    /// Ends the tasks after the datagrams that they have in hand, and closes the sockets.
    pub async fn stop(self) {
        let Self { hub, stop, ended, .. } = self;
        hub.connections.close();
        drop(stop);
        // It says so by going away.
        let _ = ended.await;
    }
}
