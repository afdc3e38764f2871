//! A relay as far as a tunnel sees it: Send frames in, Deliver frames out, for two nodes that it knows.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::key::PublicKey;
use protocol::relay::{Frame, SessionId, decode, deliver_prefix, send_prefix};
use tunnel::Path;

pub struct Relay {
    address: SocketAddr,
    pub forwarded: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A node that is registered at the relay: its key, and the address that it registered from.
pub type Registered = (PublicKey, SocketAddr);

impl Relay {
    pub fn new(nodes: [Registered; 2]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let (forwarded, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&forwarded), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
                let Ok(Frame::Send { session, destination, payload }) = decode(&buffer[..len]) else {
                    panic!("a node sent the relay something else than a Send frame");
                };
                let (sender, _) = nodes[usize::from(session.0[0])];
                assert_eq!(nodes[usize::from(session.0[0])].1, from, "the session belongs to that address");
                let (_, to) = nodes.into_iter().find(|(key, _)| *key == destination).expect("registered");
                socket.send_to(&[&deliver_prefix(&sender)[..], payload].concat(), to).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, forwarded, stop, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path of node `sender` (its place in the array given to `new`) to `destination`.
    pub fn path(&self, sender: u8, destination: &PublicKey) -> Path {
        let session = SessionId([sender, 0, 0, 0, 0, 0, 0, 0]);
        Path::Relay { server: self.address, prefix: send_prefix(session, destination) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}
