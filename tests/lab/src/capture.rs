//! Listens to every packet of a namespace (packet(7)) and looks for byte strings in them.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

use crate::error::{LabError, Trying};
use crate::namespace::Namespace;

/// Room for the largest packet that offloading may show.
const PACKET_MAX: usize = 65_600;

/// What was heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// All packets.
    pub(crate) packets: u64,
    /// For each byte string, the packets that contained it.
    pub(crate) hits: Vec<u64>,
}

/// A running capture.
#[derive(Debug)]
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Heard>,
}

impl Capture {
    /// Starts to listen on all interfaces of a namespace.
    pub(crate) fn start(namespace: &Namespace, needles: Vec<Vec<u8>>) -> Result<Self, LabError> {
        let socket = namespace.within(|| {
            let protocol = i32::from(u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be());
            let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // SAFETY: plain system call without pointers; the result is checked.
            let descriptor = unsafe { libc::socket(libc::AF_PACKET, kind, protocol) };
            if descriptor < 0 {
                return Err(LabError::System {
                    action: "capture packets".to_owned(),
                    source: std::io::Error::last_os_error(),
                });
            }
            // SAFETY: the descriptor was just opened and belongs to nobody else.
            Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        Ok(Self { stop, thread: std::thread::spawn(move || listen(&socket, &needles, &seen)) })
    }

    /// Ends the capture once everything that has arrived is read.
    pub(crate) fn finish(self) -> Result<Heard, LabError> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().map_err(|_| LabError::Unmet("the capture panicked".to_owned()))
    }
}

fn listen(socket: &OwnedFd, needles: &[Vec<u8>], stop: &AtomicBool) -> Heard {
    let mut heard = Heard { packets: 0, hits: vec![0; needles.len()] };
    let mut packet = vec![0_u8; PACKET_MAX];
    loop {
        // Read before the end is looked at, so that nothing that arrived before `finish` is missed.
        let last = stop.load(Ordering::SeqCst);
        while let Ok(length) =
            nix::sys::socket::recv(socket.as_raw_fd(), &mut packet, nix::sys::socket::MsgFlags::empty())
        {
            heard.packets += 1;
            for (needle, hits) in needles.iter().zip(&mut heard.hits) {
                *hits += u64::from(contains(&packet[..length], needle));
            }
        }
        if last {
            return heard;
        }
        let _ = poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::from(50_u8));
    }
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && hay.windows(needle.len()).any(|window| window == needle)
}

/// 32 bytes that nobody can have seen before.
pub(crate) fn marker() -> Result<Vec<u8>, LabError> {
    let mut bytes = vec![0_u8; 32];
    let mut source = std::fs::File::open("/dev/urandom").trying("open /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes).trying("read random bytes")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_marker_is_found_anywhere_in_a_packet_and_only_whole() {
        assert!(contains(b"headerMARKERtail", b"MARKER"));
        assert!(contains(b"MARKER", b"MARKER"));
        assert!(!contains(b"headerMARKE", b"MARKER"));
        assert!(!contains(b"x", b""));
    }
}
