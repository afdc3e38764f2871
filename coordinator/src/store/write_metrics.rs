//! What the writer does, in numbers.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// What the writer does; clones are the same numbers.
#[derive(Debug, Clone)]
pub struct WriteMetrics {
    /// Writes that were acknowledged.
    pub committed: Counter,
    /// Writes that were not committed; each caller was told so.
    pub failed: Counter,
    /// Writes in one transaction.
    pub batch: Histogram,
    /// Seconds of a transaction, from its begin to the flushed commit.
    pub commit: Histogram,
}

impl WriteMetrics {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            committed: Counter::default(),
            failed: Counter::default(),
            // 1 to 512, the most that there are in one.
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            // 0.1 ms (a fast disk) to 3.2 s (one that is overloaded).
            commit: Histogram::new(exponential_buckets(0.0001, 2.0, 16)),
        })
    }

    pub(super) fn note(&self, jobs: usize, took: Duration, committed: bool) {
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most 512 jobs")]
        self.batch.observe(jobs as f64);
        self.commit.observe(took.as_secs_f64());
        let counter = if committed { &self.committed } else { &self.failed };
        counter.inc_by(jobs as u64);
    }
}
