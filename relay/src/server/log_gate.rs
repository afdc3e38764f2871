//! Keeps a flood of datagrams from becoming a flood of log lines.

use std::time::Duration;

use endpoint_selection::Timestamp;

/// One line each ten seconds tells an operator enough; counters tell the rest.
const INTERVAL: Duration = Duration::from_secs(10);

/// Lets one line pass each ten seconds and counts those held back.
#[derive(Debug, Default)]
pub(super) struct LogGate {
    last: Option<Timestamp>,
    held_back: u64,
}

impl LogGate {
    /// Whether a line may be written now; holds the number of those held back since the last.
    pub(super) fn pass(&mut self, now: Timestamp) -> Option<u64> {
        if self.last.is_some_and(|last| now.since(last) < INTERVAL) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_each_interval_and_tells_of_the_others() {
        let mut gate = LogGate::default();
        let start = Timestamp::from_micros(5);
        assert_eq!(gate.pass(start), Some(0));
        assert_eq!(gate.pass(start + Duration::from_secs(9)), None);
        assert_eq!(gate.pass(start + INTERVAL), Some(1));
        assert_eq!(gate.pass(start + INTERVAL * 2), Some(0));
    }
}
