//! When to report to the coordinator: at once when something matters, else at the interval that it asked for.

use std::time::Duration;

use endpoint_selection::Timestamp;

/// Changes within this time make one report.
const DEBOUNCE: Duration = Duration::from_millis(60);

/// Paths change in bursts while a mesh comes up; people who watch a dashboard wait this long.
const PATHS_DEBOUNCE: Duration = Duration::from_secs(1);

/// The interval before the coordinator named one.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// The pauses after failed reports.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Reporter {
    due_at: Option<Timestamp>,
    in_flight: bool,
    changed_in_flight: bool,
    interval: Duration,
    retry: Duration,
}

impl Reporter {
    pub(crate) const fn new() -> Self {
        Self {
            due_at: None,
            in_flight: false,
            changed_in_flight: false,
            interval: INTERVAL_DEFAULT,
            retry: RETRY_MIN,
        }
    }

    /// Something that peers need to know changed.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.plan(now + DEBOUNCE);
    }

    /// Something that only people look at changed.
    pub(crate) fn touch_later(&mut self, now: Timestamp) {
        self.plan(now + PATHS_DEBOUNCE);
    }

    fn plan(&mut self, at: Timestamp) {
        if self.in_flight {
            self.changed_in_flight = true;
            return;
        }
        self.due_at = Some(self.due_at.map_or(at, |due| due.min(at)));
    }

    pub(crate) const fn next_at(&self) -> Option<Timestamp> {
        self.due_at
    }

    /// Whether a report is to be sent now; it is under way then.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> bool {
        let is_due = !self.in_flight && self.due_at.is_some_and(|at| at <= now);
        if is_due {
            self.in_flight = true;
            self.due_at = None;
        }
        is_due
    }

    pub(crate) fn on_accepted(&mut self, now: Timestamp, interval_s: u32) {
        // A floor of five seconds: a wrong answer must not make us hammer the coordinator.
        self.interval = Duration::from_secs(u64::from(interval_s)).max(Duration::from_secs(5));
        self.retry = RETRY_MIN;
        self.finish(now, self.interval);
    }

    pub(crate) fn on_failed(&mut self, now: Timestamp) {
        let pause = self.retry;
        self.retry = (self.retry * 2).min(RETRY_MAX);
        self.changed_in_flight = false;
        self.finish(now, pause);
    }

    fn finish(&mut self, now: Timestamp, pause: Duration) {
        self.in_flight = false;
        let pause = if std::mem::take(&mut self.changed_in_flight) { DEBOUNCE } else { pause };
        self.due_at = Some(now + pause);
    }
}
