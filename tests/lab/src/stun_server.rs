//! A STUN server on two addresses of IPv4, and of IPv6 where there are two, for the classifier alone.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::stun_message::{read_request, response};

/// The ports: that of STUN and its neighbour, and two that many networks let through. Each pair is asked for as one.
pub(crate) const PORTS: [u16; 4] = [3478, 3479, 443, 53];
/// Where the pair begins that is asked through a network that lets nothing else through.
pub(crate) const COMMON_PORTS: usize = 2;

/// Two addresses of the same family with all ports.
pub(crate) type Endpoints = [[SocketAddr; PORTS.len()]; 2];

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct StunServer {
    /// `endpoints[address][port]` of IPv4.
    pub(crate) endpoints: Endpoints,
    /// The same of IPv6, where the host has it.
    pub(crate) ipv6: Option<Endpoints>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StunServer {
    /// Starts the server on a host with two addresses.
    pub(crate) fn start(internet: &Internet, host: &str) -> Result<Self, LabError> {
        let on = |addresses: &[IpAddr]| match addresses {
            [one, two] => Some([*one, *two].map(|ip| PORTS.map(|port| SocketAddr::new(ip, port)))),
            _ => None,
        };
        let ipv4: Vec<IpAddr> = internet.addresses(host)?.into_iter().map(IpAddr::V4).collect();
        let ipv6: Vec<IpAddr> = internet.ipv6_addresses(host)?.into_iter().map(IpAddr::V6).collect();
        let too_few =
            || LabError::Description(format!("the STUN server's host `{host}` needs two addresses"));
        let (endpoints, ipv6) = (on(&ipv4).ok_or_else(too_few)?, on(&ipv6));
        let all: Vec<Endpoints> = std::iter::once(endpoints).chain(ipv6).collect();
        let sockets = internet.host(host)?.within(|| {
            let mut sockets = Vec::new();
            for endpoint in all.as_flattened().as_flattened() {
                let socket = UdpSocket::bind(endpoint).trying(format!("open {endpoint}"))?;
                socket.set_nonblocking(true).trying("make a socket non-blocking")?;
                sockets.push(socket);
            }
            Ok(sockets)
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&sockets, &all, &seen));
        Ok(Self { endpoints, ipv6, stop, thread: Some(thread) })
    }
}

impl Drop for StunServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(sockets: &[UdpSocket], families: &[Endpoints], stop: &AtomicBool) {
    let mut bytes = [0_u8; 1500];
    while !stop.load(Ordering::SeqCst) {
        let mut polled: Vec<_> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut polled, PollTimeout::from(50_u8));
        for (index, socket) in sockets.iter().enumerate() {
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let Some((id, change)) = read_request(&bytes[..length]) else { continue };
                let (address, port) = (index / PORTS.len(), index % PORTS.len());
                let endpoints = families[address / 2];
                let answer_address = address ^ usize::from(change.address);
                let answer_port = port ^ usize::from(change.port);
                let origin = endpoints[answer_address % 2][answer_port];
                let answer = response(id, from, origin, endpoints[1 - address % 2][port ^ 1]);
                // A lost answer is asked for again.
                let _ = sockets[answer_address * PORTS.len() + answer_port].send_to(&answer, from);
            }
        }
    }
}
