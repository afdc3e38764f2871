//! A wire between two nodes that keeps a copy of every datagram.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Who sent a datagram, and the datagram.
type Seen = (SocketAddr, Vec<u8>);

pub struct Tap {
    socket: UdpSocket,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    /// Forwards what comes from `a` to `b` and the other way round.
    pub fn between(a: SocketAddr, b: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (wire, copies, stopped) = (socket.try_clone().unwrap(), Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok((len, from)) = wire.recv_from(&mut buffer) else { continue };
                copies.lock().unwrap().push((from, buffer[..len].to_vec()));
                let to = if from == a { b } else { a };
                wire.send_to(&buffer[..len], to).unwrap();
            }
        });
        Self { socket, seen, stop, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Every datagram so far that came from `node`.
    pub fn from(&self, node: SocketAddr) -> Vec<Vec<u8>> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(from, _)| *from == node).map(|(_, datagram)| datagram.clone()).collect()
    }

    pub fn inject(&self, datagram: &[u8], to: SocketAddr) {
        self.socket.send_to(datagram, to).unwrap();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}
