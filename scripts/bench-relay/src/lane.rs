//! A way from one host to another and back, and what goes over it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// One end: its socket, where to send, and what every datagram begins with there.
pub(crate) struct End {
    pub(crate) socket: UdpSocket,
    pub(crate) to: SocketAddr,
    pub(crate) head: Head,
}

/// What a datagram begins with.
pub(crate) enum Head {
    /// Always the same bytes.
    Fixed(Vec<u8>),
    /// A TURN channel's number and the length of what follows (RFC 8656 §12.4).
    Channel(u16),
}

/// Two ends.
pub(crate) struct Lane {
    pub(crate) near: End,
    pub(crate) far: End,
}

impl Head {
    fn before(&self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::Fixed(head) => [head, payload].concat(),
            Self::Channel(number) => {
                let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
                [&number.to_be_bytes()[..], &len.to_be_bytes(), payload].concat()
            }
        }
    }
}

impl Lane {
    /// Sends as fast as it can for so long; gives how many datagrams arrived.
    pub(crate) fn flood(&self, payload: usize, time: Duration) -> Result<u64> {
        let (is_over, arrived) = (AtomicBool::new(false), AtomicU64::new(0));
        let datagram = self.near.head.before(&vec![0x5a; payload]);
        self.far.socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        std::thread::scope(|scope| {
            let count = scope.spawn(|| {
                let mut buffer = [0; 2_048];
                loop {
                    match self.far.socket.recv(&mut buffer) {
                        Ok(_) => {
                            arrived.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) if is_over.load(Ordering::Relaxed) => break,
                        Err(_) => {}
                    }
                }
            });
            let start = Instant::now();
            while start.elapsed() < time {
                for _ in 0..64 {
                    // A full queue drops; the receiver counts what was not.
                    let _ = self.near.socket.send_to(&datagram, self.near.to);
                }
            }
            is_over.store(true, Ordering::Relaxed);
            count.join()
        })
        .map_err(|_| anyhow::anyhow!("the receiver panicked"))?;
        Ok(arrived.into_inner())
    }

    /// The median of so many round trips, one after the other.
    pub(crate) fn round_trip(&self, payload: usize, count: usize) -> Result<Duration> {
        let (there, back) = (vec![1; payload], vec![2; payload]);
        let (there, back) = (self.near.head.before(&there), self.far.head.before(&back));
        let mut times = Vec::with_capacity(count);
        for socket in [&self.near.socket, &self.far.socket] {
            socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        }
        std::thread::scope(|scope| {
            let echo = scope.spawn(|| {
                let mut buffer = [0; 2_048];
                for _ in 0..count {
                    self.far.socket.recv(&mut buffer)?;
                    self.far.socket.send_to(&back, self.far.to)?;
                }
                Ok::<_, std::io::Error>(())
            });
            let mut buffer = [0; 2_048];
            for _ in 0..count {
                let start = Instant::now();
                self.near.socket.send_to(&there, self.near.to)?;
                self.near.socket.recv(&mut buffer)?;
                times.push(start.elapsed());
            }
            ensure!(matches!(echo.join(), Ok(Ok(()))), "the far end gave up");
            Ok::<_, anyhow::Error>(())
        })?;
        times.sort();
        Ok(times.get(count / 2).copied().unwrap_or_default())
    }
}
