//! Runs one scenario against the clock and tells how it went, at once.

use std::path::PathBuf;
use std::time::Instant;

use crate::daemon::tail;
use crate::error::LabError;
use crate::output::{complain, say};
use crate::scenario::Outcome;

/// Runs a scenario; an error fails it. Of a failed one, the ends of its logs are shown.
pub(crate) fn attempt(
    name: &str,
    work: impl FnOnce(Outcome) -> Result<Outcome, LabError>,
    logs: impl FnOnce() -> Vec<PathBuf>,
) -> Outcome {
    let start = Instant::now();
    let outcome = work(Outcome::of(name));
    let mut outcome = outcome.unwrap_or_else(|error| Outcome::of(name).judged(Err(error.to_string())));
    outcome.seconds = (start.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    tell(&outcome);
    if !outcome.passed {
        for log in logs().iter().filter(|log| log.is_file()) {
            complain(format!("{name}: end of {}:\n{}", log.display(), tail(log)));
        }
    }
    outcome
}

/// Fails scenarios that could not even start.
pub(crate) fn fail_all(names: &[String], error: &LabError) -> Vec<Outcome> {
    let outcomes: Vec<Outcome> =
        names.iter().map(|name| Outcome::of(name).judged(Err(error.to_string()))).collect();
    outcomes.iter().for_each(tell);
    outcomes
}

fn tell(outcome: &Outcome) {
    let figures = outcome.figures.iter().map(|(name, value)| match outcome.limits.get(name) {
        Some(limit) => format!("{name} {value} (limit {limit})"),
        None => format!("{name} {value}"),
    });
    let figures: Vec<String> =
        figures.chain(Some(outcome.why.clone()).filter(|why| !why.is_empty())).collect();
    let mark = if outcome.passed { "ok  " } else { "FAIL" };
    say(format!("{mark} {} [{} s] {}", outcome.name, outcome.seconds, figures.join(", ")));
}
