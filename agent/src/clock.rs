//! The time that the engine sees: microseconds since the daemon started, sleep of the machine included.

use std::time::Duration;

use endpoint_selection::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// A clock with its origin at its making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Duration,
}

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self { origin: read(ClockId::CLOCK_BOOTTIME) }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Timestamp {
        let since = read(ClockId::CLOCK_BOOTTIME).saturating_sub(self.origin);
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// How long the machine has slept since it booted: what the boot-time clock counts and the monotonic one does not.
    pub(crate) fn slept() -> Duration {
        read(ClockId::CLOCK_BOOTTIME).saturating_sub(read(ClockId::CLOCK_MONOTONIC))
    }
}

fn read(clock: ClockId) -> Duration {
    // Both clocks exist on every Linux since 2.6.39.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_begins_at_zero_and_never_goes_back() {
        let clock = Clock::start();
        let first = clock.now();
        assert!(first.as_micros() < 60_000_000);
        assert!(clock.now() >= first);
    }
}
