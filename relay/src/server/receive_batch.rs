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

/// Messages per system call at most. More save little, and each has a buffer.
const MESSAGES: usize = 32;

/// Messages per system call while there are no more: to make room for many takes longer than to receive one.
const FEW_MESSAGES: usize = 4;

/// Bytes per message: more than any UDP payload and than what the kernel joins, so that nothing is ever cut.
const MESSAGE_LEN: usize = 1 << 16;

/// What one call received. 2 MiB for each socket, of which the system lends what packets have ever filled.
pub(super) struct ReceiveBatch {
    bytes: Box<[u8]>,
    arrived: Vec<Arrived>,
    taken: usize,
    /// For how many messages the next call has room.
    room: usize,
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
        Self { bytes, arrived: Vec::with_capacity(MESSAGES), taken: 0, room: FEW_MESSAGES }
    }

    /// Receives what is there, without waiting, in place of what was there before. Says whether more may wait; where not,
    /// the socket counts as drained, as after `WouldBlock`, without another call to hear so. An error behind the last message
    /// is told by the next call, if the kernel still knows it by then.
    ///
    /// # Errors
    /// `WouldBlock` where nothing waits; else what the kernel says. Nothing is there then.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        let Self { bytes, arrived, taken, room } = self;
        arrived.clear();
        *taken = 0;
        let drained = || io::Error::from(io::ErrorKind::WouldBlock);
        let result = socket.try_io(Interest::READABLE, || {
            // Made for each call: the kernel shortens the lengths of the control buffers, and only this sets them anew.
            let mut headers = MultiHeaders::preallocate(*room, Some(cmsg_space!(i32)));
            let chunks = bytes.chunks_exact_mut(MESSAGE_LEN).take(*room);
            let mut slices: Vec<_> = chunks.map(|bytes| [IoSliceMut::new(bytes)]).collect();
            let (socket, slices) = (socket.as_raw_fd(), slices.iter_mut());
            let messages = recvmmsg(socket, &mut headers, slices, MsgFlags::MSG_DONTWAIT, None)?;
            arrived.extend(messages.map(|message| Arrived::read(&message)));
            if arrived.len() < *room { Err(drained()) } else { Ok(()) }
        });
        *room = if arrived.len() < FEW_MESSAGES { FEW_MESSAGES } else { MESSAGES };
        match result {
            Err(_) if !arrived.is_empty() => Ok(false),
            result => result.map(|()| true),
        }
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

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use nix::sys::socket::{ControlMessage, sendmsg};

    use super::*;

    async fn receiver() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        allow_joined(&socket);
        socket
    }

    /// Everything that waits, and whether more may wait after it.
    async fn received(batch: &mut ReceiveBatch, socket: &UdpSocket) -> (Vec<(SocketAddr, Vec<u8>)>, bool) {
        socket.readable().await.unwrap();
        let more = batch.receive(socket).unwrap();
        let mut all = Vec::new();
        while batch.has_more() {
            for message in batch.take(3) {
                let message = message.expect("a message that can be read");
                let from = message.from;
                all.extend(message.into_datagrams().map(|datagram| (from, datagram.to_vec())));
            }
        }
        (all, more)
    }

    #[tokio::test]
    async fn datagrams_of_several_senders_come_in_order_and_whole() {
        let (receiver, mut batch) = (receiver().await, ReceiveBatch::new());
        let senders = [sender(), sender()];
        let lens = [3, 0, 65_507, 1, 1, 1_400, 1_400, 7];
        let mut sent = Vec::new();
        for (number, len) in lens.into_iter().enumerate() {
            let (sender, datagram) = (&senders[number % 2], vec![number as u8; len]);
            sender.send_to(&datagram, receiver.local_addr().unwrap()).unwrap();
            sent.push((sender.local_addr().unwrap(), datagram));
        }
        let (first, more) = received(&mut batch, &receiver).await;
        assert_eq!((&first[..], more), (&sent[..FEW_MESSAGES], true));
        let (rest, more) = received(&mut batch, &receiver).await;
        assert_eq!((&rest[..], more), (&sent[FEW_MESSAGES..], false));
        assert_eq!(batch.receive(&receiver).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn datagrams_that_come_joined_are_told_apart() {
        let (receiver, mut batch) = (receiver().await, ReceiveBatch::new());
        let sender = sender();
        let (bytes, segment_len) = ((0..24).collect::<Vec<u8>>(), 10);
        let to = SockaddrStorage::from(receiver.local_addr().unwrap());
        let control = [ControlMessage::UdpGsoSegments(&segment_len)];
        let slices = [IoSlice::new(&bytes)];
        sendmsg(sender.as_raw_fd(), &slices, &control, MsgFlags::empty(), Some(&to)).unwrap();
        let (all, _) = received(&mut batch, &receiver).await;
        let datagrams: Vec<_> = all.into_iter().map(|(_, datagram)| datagram).collect();
        assert_eq!(datagrams, [&bytes[..10], &bytes[10..20], &bytes[20..]]);
    }

    fn sender() -> std::net::UdpSocket {
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap()
    }
}
