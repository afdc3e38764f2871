//! What clients do right now: how many requests, map streams and relay connections are open, and since when none is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a client has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// A request that is not answered yet.
    Request,
    /// A node's map stream.
    MapStream,
    /// A WebSocket to the relay.
    RelayConnection,
}

/// What clients have open.
#[derive(Debug)]
pub struct Activity {
    started: Instant,
    open: [AtomicUsize; 3],
    /// When something opened or closed last, in milliseconds since the start.
    last_ms: AtomicU64,
}

/// Something open; closed when it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Arc<Activity>,
    what: Open,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), open: Default::default(), last_ms: AtomicU64::new(0) })
    }

    pub(super) fn open(self: &Arc<Self>, what: Open) -> Busy {
        self.touch();
        self.open[what as usize].fetch_add(1, Ordering::Relaxed);
        Busy { activity: Arc::clone(self), what }
    }

    /// How many of these are open.
    #[must_use]
    pub fn count(&self, what: Open) -> usize {
        self.open[what as usize].load(Ordering::Relaxed)
    }

    /// How long nothing has been open; `None` while something is.
    #[must_use]
    pub fn idle_for(&self) -> Option<Duration> {
        let busy = self.open.iter().any(|count| count.load(Ordering::Relaxed) > 0);
        let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        (!busy).then(|| self.started.elapsed().saturating_sub(last))
    }

    fn touch(&self) {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.fetch_max(now_ms, Ordering::Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.activity.touch();
        self.activity.open[self.what as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_counts_until_it_is_dropped_and_keeps_from_being_idle() {
        let activity = Activity::new();
        assert!(activity.idle_for().is_some());
        let streams = (activity.open(Open::MapStream), activity.open(Open::MapStream));
        let request = activity.open(Open::Request);
        assert_eq!((activity.count(Open::MapStream), activity.count(Open::Request)), (2, 1));
        drop(request);
        drop(streams.0);
        assert_eq!((activity.count(Open::MapStream), activity.idle_for()), (1, None));
        drop(streams.1);
        assert!(activity.idle_for().is_some());
    }
}
