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
    seen: Seen,
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
    /// Packets that arrived, copies left out.
    pub received: u64,
    /// The longest time in which none arrived.
    pub gap_max: Duration,
}

impl Flow {
    pub(crate) fn new(now: Timestamp, from: usize, to: usize) -> Self {
        Self { from, to, next: 0, seen: Seen::default(), stats: FlowStats::default(), heard_at: now }
    }

    /// The next packet.
    pub(crate) fn packet(&mut self, index: usize) -> Vec<u8> {
        self.next += 1;
        self.stats.sent += 1;
        let mut packet = vec![0; PACKET_LEN];
        packet[0] = 4;
        packet[8..16].copy_from_slice(&(index as u64).to_be_bytes());
        packet[16..24].copy_from_slice(&self.next.to_be_bytes());
        packet[24..32].copy_from_slice(&seal(index as u64, self.next).to_be_bytes());
        packet
    }

    pub(crate) const fn on_no_path(&mut self) {
        self.stats.without_path += 1;
    }

    pub(crate) fn on_received(&mut self, now: Timestamp, packet: &[u8]) {
        let number = packet.get(16..24).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        if !self.seen.take(number) {
            return;
        }
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

/// The numbers of late that arrived: WireGuard takes each packet once (its anti-replay window is far larger).
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    highest: u64,
    /// Bit n: the packet n before the highest arrived.
    window: u64,
}

impl Seen {
    /// Whether this packet arrives for the first time, and is not too old to tell.
    const fn take(&mut self, number: u64) -> bool {
        if number > self.highest {
            let step = number - self.highest;
            self.window = if step < 64 { self.window << step | 1 } else { 1 };
            self.highest = number;
            return true;
        }
        let age = self.highest - number;
        let is_new = age < 64 && self.window >> age & 1 == 0;
        if is_new {
            self.window |= 1 << age;
        }
        is_new
    }
}

/// Stands for WireGuard's authentication: who changes a packet on its way does not know what to put there.
const fn seal(index: u64, number: u64) -> u64 {
    (number ^ index.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The index of the flow that a tunnel packet belongs to; `None` for one that was changed on its way.
pub(crate) fn flow_of(packet: &[u8]) -> Option<usize> {
    let field = |at: usize| Some(u64::from_be_bytes(packet.get(at..at + 8)?.try_into().ok()?));
    let (index, number) = (field(8)?, field(16)?);
    if field(24)? != seal(index, number) {
        return None;
    }
    usize::try_from(index).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_packet_counts_once_however_late_its_copy_comes() {
        let mut seen = Seen::default();
        for (number, is_new) in
            [(1, true), (1, false), (4, true), (2, true), (2, false), (4, false), (3, true)]
        {
            assert_eq!(seen.take(number), is_new, "{number}");
        }
        assert!(seen.take(100));
        assert!(!seen.take(36), "too old to tell");
        assert!(seen.take(37));
    }
}
