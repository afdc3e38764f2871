//! The two clocks that the relay's decisions are given.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use endpoint_selection::Timestamp;

/// Counts from the start of the server.
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The monotonic time.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::default() + self.start.elapsed()
    }

    /// Unix seconds. A clock before 1970 is broken; every token counts as expired then rather than as fresh.
    pub(super) fn unix_s() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
    }
}
