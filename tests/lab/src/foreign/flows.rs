//! Flows of somebody else behind the same router: a host that begins one after the other, and servers that answer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::random::Random;

/// The port that the servers answer on.
const PORT: u16 = 4433;
/// The mean pause between two flows: 20 begin in a second.
const PAUSE: Duration = Duration::from_millis(50);
/// The ports that flows begin from, one after the other: each is a connection of its own to the router.
const FIRST_PORT: u16 = 20_000;
/// The most flows of one host: forty seconds of them, longer than any pair is watched.
const FLOWS_MAX: u16 = 800;
/// What a flow carries in its one datagram each way.
const DATAGRAM: [u8; 48] = [0x5a; 48];

/// Servers on all addresses of a public host; they end when dropped.
#[derive(Debug)]
pub(super) struct Servers {
    endpoints: Vec<SocketAddr>,
    worker: Worker,
}

/// A host that begins flows; it ends when dropped.
#[derive(Debug)]
pub(super) struct Flows {
    begun: Arc<AtomicU32>,
    since: Instant,
    worker: Worker,
}

/// A thread that is told to end when dropped.
#[derive(Debug)]
struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(work: impl FnOnce(&AtomicBool) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Self { stop, thread: Some(std::thread::spawn(move || work(&seen))) }
    }

    /// Fails if it ended by itself.
    fn must_run(&self, what: &str) -> Result<(), LabError> {
        match &self.thread {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => Err(LabError::Unmet(format!("{what} ended before the pair was judged"))),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Servers {
    /// Starts one on each address of a public host.
    pub(super) fn start(internet: &Internet, host: &str) -> Result<Self, LabError> {
        let endpoints: Vec<SocketAddr> = internet
            .addresses(host)?
            .into_iter()
            .map(|address| SocketAddr::new(IpAddr::V4(address), PORT))
            .collect();
        let sockets = internet.host(host)?.within(|| {
            let open = |endpoint: &SocketAddr| {
                let socket = UdpSocket::bind(endpoint).trying(format!("open {endpoint}"))?;
                socket.set_nonblocking(true).trying("make a socket non-blocking")?;
                Ok(socket)
            };
            endpoints.iter().map(open).collect::<Result<Vec<UdpSocket>, LabError>>()
        })?;
        let worker = Worker::start(move |stop| {
            let mut bytes = [0_u8; DATAGRAM.len()];
            while !stop.load(Ordering::SeqCst) {
                for socket in &sockets {
                    while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                        // A lost answer is a flow of one datagram; it has its mapping anyway.
                        let _ = socket.send_to(&bytes[..length], from);
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Ok(Self { endpoints, worker })
    }

    /// Fails if they ended.
    pub(super) fn must_run(&self) -> Result<(), LabError> {
        self.worker.must_run("the servers of the foreign flows")
    }
}

impl Flows {
    /// From now on this host begins 20 flows a second to those servers, spread by a Poisson process of this seed.
    pub(super) fn start(
        internet: &Internet,
        host: &str,
        servers: &Servers,
        seed: u64,
    ) -> Result<Self, LabError> {
        let namespace = internet.host(host)?;
        let own = *internet.addresses(host)?.first().ok_or_else(|| {
            LabError::Description(format!("the foreign host `{host}` needs an address of IPv4"))
        })?;
        let (endpoints, begun) = (servers.endpoints.clone(), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&begun);
        let worker = Worker::start(move |stop| {
            // Where it cannot enter the namespace, nothing is counted, and the scenario fails by that.
            let _ = namespace.within(|| {
                begin_flows(own, &endpoints, Random::of(seed), &counted, stop);
                Ok(())
            });
        });
        Ok(Self { begun, since: Instant::now(), worker })
    }

    /// How many began each second so far.
    pub(super) fn per_second(&self) -> Result<f64, LabError> {
        self.worker.must_run("the foreign flows")?;
        Ok(f64::from(self.begun.load(Ordering::SeqCst)) / self.since.elapsed().as_secs_f64())
    }
}

fn begin_flows(
    own: Ipv4Addr,
    endpoints: &[SocketAddr],
    mut random: Random,
    begun: &AtomicU32,
    stop: &AtomicBool,
) {
    let mut at = Instant::now();
    for index in 0..FLOWS_MAX {
        // From moment to moment and not from end to begin: what a datagram takes does not thin the flows out.
        at += random.pause(PAUSE);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let Ok(socket) = UdpSocket::bind((own, FIRST_PORT + index)) else { continue };
        let endpoint = endpoints[random.below(endpoints.len())];
        begun.fetch_add(u32::from(socket.send_to(&DATAGRAM, endpoint).is_ok()), Ordering::SeqCst);
    }
}
