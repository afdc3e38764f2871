//! Whether a router lost its mappings, from the seconds that it counts since it last did (RFC 6887 §8.5, RFC 6886 §3.6).

use endpoint_selection::Timestamp;

/// Slack between the two clocks beside the sixteenth: both sides round to seconds.
const SLACK_S: u64 = 2;

/// What a router's counter was last, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch {
    seconds: u32,
    at: Timestamp,
}

impl Epoch {
    /// The counter as it was seen at `at`.
    pub(super) const fn new(seconds: u32, at: Timestamp) -> Self {
        Self { seconds, at }
    }

    /// Whether `next`, seen later, shows that the router started anew between the two: the counter went back, or ran otherwise
    /// than our clock by more than a sixteenth.
    pub(super) fn is_restarted(self, next: Self) -> bool {
        if next.seconds.saturating_add(1) < self.seconds {
            return true;
        }
        let ours = next.at.since(self.at).as_secs();
        let theirs = u64::from(next.seconds.saturating_sub(self.seconds));
        let is_slower = |one: u64, other: u64| one + SLACK_S < other - other / 16;
        is_slower(ours, theirs) || is_slower(theirs, ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restarted(first: (u32, u64), next: (u32, u64)) -> bool {
        let epoch = |(seconds, at): (u32, u64)| Epoch::new(seconds, Timestamp::from_micros(at * 1_000_000));
        epoch(first).is_restarted(epoch(next))
    }

    #[test]
    fn a_counter_that_runs_with_our_clock_shows_no_restart() {
        assert!(!restarted((100, 0), (3_700, 3_600)));
        assert!(!restarted((100, 0), (99, 0)), "two datagrams may overtake each other");
        assert!(!restarted((100, 0), (3_500, 3_600)), "clocks of routers run badly");
    }

    #[test]
    fn a_counter_that_went_back_or_stood_still_or_leapt_shows_a_restart() {
        assert!(restarted((100, 0), (3, 3_600)));
        assert!(
            restarted((0, 0), (10, 3_600)),
            "it restarted soon after the first look and again before the second"
        );
        assert!(restarted((100, 0), (9_000, 10)));
    }

    #[test]
    fn no_counter_overflows() {
        assert!(restarted((u32::MAX, 0), (0, 1)));
        assert!(restarted((0, 0), (u32::MAX, 0)));
        assert!(!restarted((u32::MAX, 0), (u32::MAX, 0)));
    }
}
