//! Counters of what happened at the sockets.

use std::sync::atomic::{AtomicU64, Ordering};

/// What happened at the sockets of a server since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Datagrams received, of every kind.
    pub received: u64,
    /// Datagrams that are not STUN, on a socket that only answers STUN.
    pub dropped_foreign: u64,
    /// Errors when receiving; the socket goes on after each.
    pub receive_errors: u64,
    /// Datagrams that the kernel refused to send.
    pub send_errors: u64,
    /// Datagrams dropped because the send buffer was full.
    pub send_buffer_full: u64,
    /// Datagrams over UDP whose source is an address of our connections: forged.
    pub dropped_source: u64,
    /// Frames dropped because the queue of the connection that they go to was full, or the connection had ended.
    pub queue_full: u64,
}

/// The same, counted by several tasks. Each counter stands alone, so relaxed order is enough.
#[derive(Default)]
pub(super) struct IoCounts {
    pub(super) received: AtomicU64,
    pub(super) dropped_foreign: AtomicU64,
    pub(super) receive_errors: AtomicU64,
    pub(super) send_errors: AtomicU64,
    pub(super) send_buffer_full: AtomicU64,
    pub(super) dropped_source: AtomicU64,
    pub(super) queue_full: AtomicU64,
}

impl IoCounts {
    pub(super) fn read(&self) -> IoCounters {
        IoCounters {
            received: self.received.load(Ordering::Relaxed),
            dropped_foreign: self.dropped_foreign.load(Ordering::Relaxed),
            receive_errors: self.receive_errors.load(Ordering::Relaxed),
            send_errors: self.send_errors.load(Ordering::Relaxed),
            send_buffer_full: self.send_buffer_full.load(Ordering::Relaxed),
            dropped_source: self.dropped_source.load(Ordering::Relaxed),
            queue_full: self.queue_full.load(Ordering::Relaxed),
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(super) fn count_many(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}
