//! Which probes of a peer are new: a window over the counters of the peer's current life.
//!
//! A probe may change what we believe about paths only if it speaks to *this* life of ours (so nothing recorded before
//! our restart counts) and its counter was not seen before (so nothing recorded since counts twice).

/// How many counters below the newest one may still arrive: probes are few, reordering is short.
const WINDOW: u64 = 64;

/// What a received probe is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// New, and meant for this life of ours.
    Fresh,
    /// Sealed by the peer, but meant for no or another life of ours: it may be a replay. It deserves at most an
    /// answer, which tells the peer our epoch.
    Unproven,
    /// Seen before, or too old.
    Replayed,
}

/// The receive side of one peer.
#[derive(Debug, Clone, Default)]
pub struct ReplayWindow {
    epoch: u64,
    newest: u64,
    /// Bit n: the counter `newest - n` was seen.
    seen: u64,
    /// Earlier lives of the peer: nothing that they said counts any more.
    retired: [u64; 4],
}

impl ReplayWindow {
    /// The peer's current life as far as we know; 0 before its first fresh probe.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Judges a probe and remembers it. `own_epoch` is this life of ours.
    pub fn judge(&mut self, probe: &crate::probe::Probe, own_epoch: u64) -> Freshness {
        if probe.receiver_epoch != own_epoch {
            return Freshness::Unproven;
        }
        if probe.sender_epoch != self.epoch {
            // It knows our random epoch, so it was sealed after we started: the peer has a new life, unless it is a
            // recorded probe of an earlier one.
            if self.retired.contains(&probe.sender_epoch) {
                return Freshness::Replayed;
            }
            let [first, second, third, _] = self.retired;
            let retired = [self.epoch, first, second, third];
            *self = Self { epoch: probe.sender_epoch, newest: probe.counter, seen: 1, retired };
            return Freshness::Fresh;
        }
        if probe.counter > self.newest {
            let ahead = probe.counter - self.newest;
            self.seen = if ahead < WINDOW { (self.seen << ahead) | 1 } else { 1 };
            self.newest = probe.counter;
            return Freshness::Fresh;
        }
        let behind = self.newest - probe.counter;
        if behind >= WINDOW || self.seen & (1 << behind) != 0 {
            return Freshness::Replayed;
        }
        self.seen |= 1 << behind;
        Freshness::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::{Message, Probe};

    const OWN: u64 = 5;

    fn probe(sender_epoch: u64, counter: u64) -> Probe {
        Probe {
            sender_epoch,
            receiver_epoch: OWN,
            counter,
            message: Message::Request { transaction: 0, padding: 0 },
        }
    }

    #[test]
    fn a_counter_counts_once_in_any_order() {
        let mut window = ReplayWindow::default();
        for counter in [3, 1, 2, 70, 69] {
            assert_eq!(window.judge(&probe(9, counter), OWN), Freshness::Fresh, "{counter}");
            assert_eq!(window.judge(&probe(9, counter), OWN), Freshness::Replayed, "{counter}");
        }
    }

    #[test]
    fn a_counter_below_the_window_is_replayed() {
        let mut window = ReplayWindow::default();
        window.judge(&probe(9, 1000), OWN);
        assert_eq!(window.judge(&probe(9, 1000 - WINDOW), OWN), Freshness::Replayed);
        assert_eq!(window.judge(&probe(9, 1001 - WINDOW), OWN), Freshness::Fresh);
    }

    #[test]
    fn a_probe_to_an_earlier_life_of_ours_proves_nothing() {
        let mut window = ReplayWindow::default();
        let recorded = Probe { receiver_epoch: OWN - 1, ..probe(9, 1) };
        assert_eq!(window.judge(&recorded, OWN), Freshness::Unproven);
        assert_eq!(window.epoch(), 0);
    }

    #[test]
    fn a_recorded_probe_of_an_earlier_life_never_resets_the_window() {
        let mut window = ReplayWindow::default();
        window.judge(&probe(9, 1), OWN);
        window.judge(&probe(10, 5), OWN);
        assert_eq!(window.judge(&probe(9, 2), OWN), Freshness::Replayed);
        assert_eq!(window.judge(&probe(10, 5), OWN), Freshness::Replayed);
    }

    #[test]
    fn a_restarted_peer_is_heard_at_once() {
        let mut window = ReplayWindow::default();
        window.judge(&probe(9, 1000), OWN);
        assert_eq!(window.judge(&probe(10, 1), OWN), Freshness::Fresh);
        assert_eq!(window.epoch(), 10);
    }
}
