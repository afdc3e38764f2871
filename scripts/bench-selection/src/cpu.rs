//! CPU time of this process, and medians of it.

use std::time::Duration;

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Runs of which the median counts.
pub(crate) const RUNS: usize = 5;

/// CPU time spent so far, in user and kernel mode.
fn spent() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

/// The median of the CPU seconds that `work` takes.
pub(crate) fn seconds<T>(mut work: impl FnMut() -> T) -> Result<f64> {
    let mut runs = [0.0; RUNS];
    for run in &mut runs {
        let before = spent()?;
        std::hint::black_box(work());
        *run = (spent()? - before).as_secs_f64();
    }
    Ok(median(&mut runs))
}

/// The median of the CPU nanoseconds that one of `calls` calls takes.
pub(crate) fn nanoseconds<T>(calls: u32, mut call: impl FnMut() -> T) -> Result<f64> {
    let all = seconds(|| {
        for _ in 0..calls {
            std::hint::black_box(call());
        }
    })?;
    Ok(all * 1e9 / f64::from(calls))
}

/// The middle one.
pub(crate) fn median(runs: &mut [f64]) -> f64 {
    runs.sort_by(f64::total_cmp);
    runs.get(runs.len() / 2).copied().unwrap_or(f64::NAN)
}
