//! Many datagrams of a socket in one system call: `recvmmsg`, and UDP_GRO where the kernel has it.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, RecvMsg, SockaddrStorage, recvmmsg, setsockopt, sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Messages per system call. More save little, and each has a buffer.
const MESSAGES: usize = 32;

/// Bytes per message: more than any UDP payload and than what the kernel joins, so that nothing is ever cut.
const MESSAGE_LEN: usize = 1 << 16;

/// What one call received. 2 MiB for each socket, of which the system lends what packets have ever filled.
pub(super) struct ReceiveBatch {
    bytes: Box<[u8]>,
    arrived: Vec<Arrived>,
    taken: usize,
}

/// How a message lies in its part of the bytes.
struct Arrived {
    /// `None`: the kernel did not say all about it, so that nobody knows where its datagrams begin or come from.
    from: Option<SocketAddr>,
    len: usize,
    segment_len: usize,
}

/// One datagram, or several of one sender and of the same length each but the last, which may be shorter.
pub(super) struct Message<'b> {
    pub(super) from: SocketAddr,
    pub(super) bytes: &'b mut [u8],
    segment_len: usize,
}

impl Arrived {
    fn read(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Self {
        let mut segment_len = message.bytes;
        let mut from = message.address.as_ref().and_then(socket_address);
        match message.cmsgs() {
            Ok(controls) => {
                for control in controls {
                    if let ControlMessageOwned::UdpGroSegments(len) = control {
                        segment_len = usize::try_from(len).unwrap_or_default();
                    }
                }
            }
            // Cut: there is more to it than what was asked for.
            Err(_) => from = None,
        }
        Self { from, len: message.bytes, segment_len: segment_len.max(1) }
    }

    /// How many datagrams it is. An empty datagram is one too.
    fn count(&self) -> usize {
        self.len.div_ceil(self.segment_len).max(1)
    }
}

impl<'b> Message<'b> {
    /// The single datagrams.
    pub(super) fn into_datagrams(self) -> impl Iterator<Item = &'b mut [u8]> {
        let empty = self.bytes.is_empty().then(Default::default);
        empty.into_iter().chain(self.bytes.chunks_mut(self.segment_len))
    }
}

impl ReceiveBatch {
    pub(super) fn new() -> Self {
        let bytes = vec![0; MESSAGES * MESSAGE_LEN].into_boxed_slice();
        Self { bytes, arrived: Vec::with_capacity(MESSAGES), taken: 0 }
    }

    /// Receives what is there, without waiting, in place of what was there before; says how many messages.
    ///
    /// # Errors
    /// `WouldBlock` where nothing waits; else what the kernel says. Nothing is there then.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let Self { bytes, arrived, taken } = self;
        arrived.clear();
        *taken = 0;
        // Made for each call: the kernel shortens the lengths of the control buffers, and only this sets them anew.
        let mut headers = MultiHeaders::preallocate(MESSAGES, Some(cmsg_space!(i32)));
        let mut slices: Vec<_> =
            bytes.chunks_exact_mut(MESSAGE_LEN).map(|bytes| [IoSliceMut::new(bytes)]).collect();
        let (headers, slices) = (&mut headers, slices.iter_mut());
        let messages = socket.try_io(Interest::READABLE, move || {
            Ok(recvmmsg(socket.as_raw_fd(), headers, slices, MsgFlags::MSG_DONTWAIT, None)?)
        })?;
        arrived.extend(messages.map(|message| Arrived::read(&message)));
        Ok(arrived.len())
    }

    /// Whether a call that received so many messages used all the room, so that more may wait.
    pub(super) const fn is_full(messages: usize) -> bool {
        messages >= MESSAGES
    }

    /// Whether messages are left that nobody took.
    pub(super) fn has_more(&self) -> bool {
        self.taken < self.arrived.len()
    }

    /// Takes the next messages, up to the one with the datagram of this number, in the order of their arrival. `None`: one
    /// that cannot be read.
    pub(super) fn take(&mut self, datagrams: usize) -> impl Iterator<Item = Option<Message<'_>>> {
        let (first, mut count) = (self.taken, 0);
        while count < datagrams
            && let Some(arrived) = self.arrived.get(self.taken)
        {
            count += arrived.count();
            self.taken += 1;
        }
        let all = self.bytes.chunks_exact_mut(MESSAGE_LEN).zip(&self.arrived);
        all.take(self.taken).skip(first).map(|(bytes, arrived)| {
            let Arrived { from, len, segment_len } = *arrived;
            Some(Message { from: from?, bytes: bytes.get_mut(..len)?, segment_len })
        })
    }
}

/// Asks the kernel to hand over joined what came in a row from one sender. Linux before 5.0 cannot: datagrams then come one
/// by one.
pub(super) fn allow_joined(socket: &impl AsFd) {
    if let Err(error) = setsockopt(socket, sockopt::UdpGroSegment, &true) {
        tracing::debug!(%error, "the kernel joins no datagrams");
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from(*address));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::from(*address)))
}
