//! Tunnel traffic: numbered packets from one node to another, through whatever path the sender's engine has set.

use std::time::Duration;

use endpoint_selection::Timestamp;

/// Bytes of a modelled tunnel packet; its first four are those of WireGuard's transport data (type 4).
const PACKET_LEN: usize = 96;

/// Packets from one node to another.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    pub(crate) from: usize,
    pub(crate) to: usize,
    next: u64,
    stats: FlowStats,
    heard_at: Timestamp,
}

/// What became of a flow's packets since the last look at the clock ([`crate::World::mark`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// Packets that the sender's tunnel wanted to send.
    pub sent: u64,
    /// Of these, packets for which there was no path at all.
    pub without_path: u64,
    /// Packets that arrived.
    pub received: u64,
    /// The longest time in which none arrived.
    pub gap_max: Duration,
}

impl Flow {
    pub(crate) fn new(now: Timestamp, from: usize, to: usize) -> Self {
        Self { from, to, next: 0, stats: FlowStats::default(), heard_at: now }
    }

    /// The next packet.
    pub(crate) fn packet(&mut self, index: usize) -> Vec<u8> {
        self.next += 1;
        self.stats.sent += 1;
        let mut packet = vec![0; PACKET_LEN];
        packet[0] = 4;
        packet[8..16].copy_from_slice(&(index as u64).to_be_bytes());
        packet[16..24].copy_from_slice(&self.next.to_be_bytes());
        packet
    }

    pub(crate) const fn on_no_path(&mut self) {
        self.stats.without_path += 1;
    }

    pub(crate) fn on_received(&mut self, now: Timestamp) {
        self.stats.received += 1;
        self.stats.gap_max = self.stats.gap_max.max(now.since(self.heard_at));
        self.heard_at = now;
    }

    /// How long ago the last packet arrived.
    pub(crate) const fn silence(&self, now: Timestamp) -> Duration {
        now.since(self.heard_at)
    }

    /// Starts the statistics anew.
    pub(crate) fn mark(&mut self, now: Timestamp) {
        self.stats = FlowStats::default();
        self.heard_at = now;
    }

    /// The statistics as of `now`: silence that still lasts counts.
    pub(crate) fn stats(&self, now: Timestamp) -> FlowStats {
        FlowStats { gap_max: self.stats.gap_max.max(now.since(self.heard_at)), ..self.stats }
    }
}

/// The index of the flow that a tunnel packet belongs to.
pub(crate) fn flow_of(packet: &[u8]) -> Option<usize> {
    let index = packet.get(8..16)?.try_into().ok()?;
    usize::try_from(u64::from_be_bytes(index)).ok()
}
