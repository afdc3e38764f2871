//! A STUN server on two addresses and two ports, for the classifier alone.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::{LabError, Trying};
use crate::namespace::Namespace;
use crate::stun_message::{read_request, response};

/// The two ports: that of STUN and its neighbour.
pub(crate) const PORTS: [u16; 2] = [3478, 3479];

/// A running server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct StunServer {
    /// `endpoints[address][port]`.
    pub(crate) endpoints: [[SocketAddrV4; 2]; 2],
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StunServer {
    /// Starts the server inside a namespace that has both addresses.
    pub(crate) fn start(namespace: &Namespace, addresses: [Ipv4Addr; 2]) -> Result<Self, LabError> {
        let endpoints = addresses.map(|address| PORTS.map(|port| SocketAddrV4::new(address, port)));
        let sockets = namespace.within(|| {
            let mut sockets = Vec::new();
            for endpoint in endpoints.as_flattened() {
                let socket = UdpSocket::bind(endpoint).trying(format!("open {endpoint}"))?;
                socket.set_nonblocking(true).trying("make a socket non-blocking")?;
                sockets.push(socket);
            }
            Ok(sockets)
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&sockets, &endpoints, &seen));
        Ok(Self { endpoints, stop, thread: Some(thread) })
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

fn serve(sockets: &[UdpSocket], endpoints: &[[SocketAddrV4; 2]; 2], stop: &AtomicBool) {
    let mut bytes = [0_u8; 1500];
    while !stop.load(Ordering::SeqCst) {
        let mut polled: Vec<_> =
            sockets.iter().map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let _ = poll(&mut polled, PollTimeout::from(50_u8));
        for (index, socket) in sockets.iter().enumerate() {
            while let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut bytes) {
                let Some((id, change)) = read_request(&bytes[..length]) else { continue };
                let (address, port) = (index / 2, index % 2);
                let (answer_address, answer_port) =
                    (address ^ usize::from(change.address), port ^ usize::from(change.port));
                let origin = endpoints[answer_address][answer_port];
                let answer = response(id, from, origin, endpoints[1 - address][1 - port]);
                // A lost answer is asked for again.
                let _ = sockets[answer_address * 2 + answer_port].send_to(&answer, from);
            }
        }
    }
}
