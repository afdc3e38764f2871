//! How often a node may change what its peers are told of it. Each change reaches all of them: a node that sends another address each
//! moment would cost what a thousand do.

/// Changes that a node may make at once: enrollment, stream, the first reports and a network that comes up are some ten.
const AT_ONCE: i64 = 40;

/// And one more each so many milliseconds.
const EVERY_MS: i64 = 1_000;

/// What a node has left.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChangeBudget {
    /// When nothing will be missing any more, Unix milliseconds.
    full_at_ms: i64,
}

impl ChangeBudget {
    /// Nothing is used yet.
    pub(super) const fn full(now_ms: i64) -> Self {
        Self { full_at_ms: now_ms }
    }

    /// Takes one change, where there is one left. A clock that was put back takes nothing away.
    pub(super) fn take(&mut self, now_ms: i64) -> bool {
        let latest_ms = now_ms.saturating_add(AT_ONCE * EVERY_MS);
        self.full_at_ms = self.full_at_ms.clamp(now_ms, latest_ms);
        let is_left = latest_ms - self.full_at_ms >= EVERY_MS;
        if is_left {
            self.full_at_ms += EVERY_MS;
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(budget: &mut ChangeBudget, now_ms: i64) -> usize {
        (0..100).filter(|_| budget.take(now_ms)).count()
    }

    #[test]
    fn a_burst_passes_and_then_one_change_a_second() {
        let mut budget = ChangeBudget::full(5);
        assert_eq!(taken(&mut budget, 5), 40);
        assert_eq!(taken(&mut budget, 1_004), 0);
        assert_eq!(taken(&mut budget, 1_005), 1);
        assert_eq!(taken(&mut budget, 4_005), 3);
        assert_eq!(taken(&mut budget, 1_000_000), 40);
    }

    #[test]
    fn a_clock_that_jumps_locks_nobody_out() {
        let mut budget = ChangeBudget::full(0);
        assert_eq!(taken(&mut budget, i64::MAX), 0, "the edge of time");
        assert_eq!(taken(&mut budget, 1_000_000_000), 0);
        assert_eq!(taken(&mut budget, 1_000_040_000), 40);
        let put_back_ms = 1_000;
        assert_eq!(taken(&mut budget, put_back_ms), 0);
        assert_eq!(taken(&mut budget, put_back_ms + 1_000), 1);
    }
}
