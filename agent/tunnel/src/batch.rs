//! Packets on their way from or to an interface, many per system call.

use std::io;

use bytes::BytesMut;
use tun_rs::{GROTable, VIRTIO_NET_HDR_LEN};

/// Packets per read: the largest segmentation-offload packet (64 KiB) of a TCP connection whose segments carry 256
/// bytes or more; every host takes 536 (RFC 9293 §3.7.1).
const READ_PACKETS: usize = 256;

/// Packets per write.
const WRITE_PACKETS: usize = 128;

/// The largest IP packet in bytes. A write buffer has room for it even where packets are small, because packets of
/// one flow are coalesced into the spare room of the first.
const PACKET_LEN_MAX: usize = 65_535;

/// Packets that the kernel routed to the interface.
pub struct ReadBatch {
    pub(crate) scratch: Vec<u8>,
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) lengths: Vec<usize>,
    pub(crate) count: usize,
}

impl ReadBatch {
    /// A batch for packets of up to `mtu` bytes.
    pub(crate) fn new(mtu: u16) -> Self {
        Self {
            scratch: vec![0; VIRTIO_NET_HDR_LEN + PACKET_LEN_MAX],
            packets: vec![vec![0; mtu.into()]; READ_PACKETS],
            lengths: vec![0; READ_PACKETS],
            count: 0,
        }
    }

    /// Whether packets of `mtu` bytes fit.
    pub(crate) fn fits(&self, mtu: u16) -> bool {
        self.packets.first().is_some_and(|packet| packet.len() >= mtu.into())
    }

    /// Makes the batch hold the one packet that `read` writes; it returns the packet's length in bytes.
    ///
    /// # Errors
    /// What `read` says; the batch is empty then.
    pub fn read_one(&mut self, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<()> {
        self.count = 0;
        self.lengths[0] = read(&mut self.packets[0])?;
        self.count = 1;
        Ok(())
    }

    pub(crate) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.packets
            .iter()
            .zip(&self.lengths)
            .take(self.count)
            .filter_map(|(packet, length)| packet.get(..*length))
    }
}

/// Packets for the kernel's network stack.
pub struct WriteBatch {
    pub(crate) buffers: Vec<BytesMut>,
    pub(crate) used: usize,
    pub(crate) table: GROTable,
}

impl WriteBatch {
    /// Free bytes in front of each packet, for the header that an offloading interface needs.
    pub(crate) const HEADROOM: usize = VIRTIO_NET_HDR_LEN;

    pub(crate) fn new() -> Self {
        Self::of(WRITE_PACKETS, PACKET_LEN_MAX)
    }

    /// A batch of so many packets of up to `len` bytes each.
    pub(crate) fn of(packets: usize, len: usize) -> Self {
        let buffer = || BytesMut::with_capacity(Self::HEADROOM + len);
        Self { buffers: (0..packets).map(|_| buffer()).collect(), used: 0, table: GROTable::new() }
    }

    pub(crate) fn push(&mut self, packet: &[u8]) {
        if let Some(buffer) = self.buffers.get_mut(self.used) {
            buffer.clear();
            buffer.resize(Self::HEADROOM, 0);
            buffer.extend_from_slice(packet);
            self.used += 1;
        }
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.used >= self.buffers.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The packets, whole and in order.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.buffers.iter().take(self.used).filter_map(|buffer| buffer.get(Self::HEADROOM..))
    }
}
