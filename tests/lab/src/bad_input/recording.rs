//! The datagrams that reach a host from one address, as they came.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::LabError;
use crate::namespace::Namespace;

/// The most datagrams that are kept.
const KEPT_MAX: usize = 4_096;
/// The header of UDP.
const UDP_HEADER: usize = 8;

/// A running recording (raw(7): a copy of all UDP of IPv4 that comes in).
#[derive(Debug)]
pub(super) struct Recording {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Recording {
    /// Keeps what comes to a namespace from this address from now on.
    pub(super) fn start(namespace: &Namespace, from: Ipv4Addr) -> Result<Self, LabError> {
        let socket = namespace.within(|| {
            let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // SAFETY: plain system call without pointers; the result is checked.
            let descriptor = unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_UDP) };
            if descriptor < 0 {
                return Err(LabError::System {
                    action: "record datagrams".to_owned(),
                    source: std::io::Error::last_os_error(),
                });
            }
            // SAFETY: the descriptor was just opened and belongs to nobody else.
            Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Ok(Self { stop, thread: std::thread::spawn(move || record(&socket, from, &seen)) })
    }

    /// Ends the recording; gives the datagrams without their headers, in the order in which they came.
    pub(super) fn finish(self) -> Result<Vec<Vec<u8>>, LabError> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| LabError::Unmet("the recording panicked".to_owned()))
    }
}

fn record(socket: &OwnedFd, from: Ipv4Addr, stop: &AtomicBool) -> Vec<Vec<u8>> {
    let (mut kept, mut packet) = (Vec::new(), vec![0_u8; 65_536]);
    loop {
        // Read before the end is looked at, so that nothing that arrived before `finish` is missed.
        let last = stop.load(Ordering::SeqCst);
        while let Ok(length) =
            nix::sys::socket::recv(socket.as_raw_fd(), &mut packet, nix::sys::socket::MsgFlags::empty())
        {
            if kept.len() < KEPT_MAX {
                kept.extend(payload(&packet[..length], from).map(<[u8]>::to_vec));
            }
        }
        if last {
            return kept;
        }
        let _ = poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::from(50_u8));
    }
}

/// What an IPv4 packet from this address carries behind the header of UDP.
fn payload(packet: &[u8], from: Ipv4Addr) -> Option<&[u8]> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    if packet.get(12..16)? != from.octets() {
        return None;
    }
    packet.get(header + UDP_HEADER..)
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn only_datagrams_from_the_address_are_kept_without_headers() {
        let mut packet = vec![0_u8; 31];
        packet[0] = 0x45;
        packet[12..16].copy_from_slice(&[192, 0, 2, 7]);
        packet[28..].copy_from_slice(&[7, 8, 9]);
        assert_eq!(payload(&packet, [192, 0, 2, 7].into()), Some(&[7, 8, 9][..]));
        assert_eq!(payload(&packet, [192, 0, 2, 8].into()), None);
        assert_eq!(payload(&packet[..14], [192, 0, 2, 7].into()), None);
    }
}
