//! The figures, each with what it should be.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// Told for comparison only.
    None,
    AtMost(f64),
    AtLeast(f64),
}

struct Row {
    name: String,
    unit: &'static str,
    value: f64,
    target: Target,
}

/// All figures so far; each is printed as soon as it is known.
#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

impl Rows {
    pub(crate) fn add(&mut self, name: impl Into<String>, unit: &'static str, value: f64, target: Target) {
        let row = Row { name: name.into(), unit, value, target };
        let verdict = match target {
            Target::None => String::new(),
            Target::AtMost(limit) if value > limit => format!("   ABOVE its limit of {limit}"),
            Target::AtMost(limit) => format!("   (at most {limit})"),
            Target::AtLeast(limit) if value < limit => format!("   BELOW its limit of {limit}"),
            Target::AtLeast(limit) => format!("   (at least {limit})"),
        };
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        // A reader that went away does not matter.
        let _ = writeln!(std::io::stdout(), "{:<74} {value:>9.digits$} {unit}{verdict}", row.name);
        self.0.push(row);
    }

    pub(crate) fn to_json(&self) -> Vec<Value> {
        let rows = self.0.iter().map(|row| {
            let (limit, kind) = match row.target {
                Target::None => (None, None),
                Target::AtMost(limit) => (Some(limit), Some("at most")),
                Target::AtLeast(limit) => (Some(limit), Some("at least")),
            };
            json!({
                "name": row.name, "unit": row.unit, "ours": row.value, "peer": null, "ratio": null,
                "limit": limit, "limit_kind": kind,
            })
        });
        rows.collect()
    }
}

/// Times of which parts are told.
#[derive(Debug, Default, Clone)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time in milliseconds that `percent` of all do not exceed; zero where there are none.
    pub(crate) fn percentile_ms(&mut self, percent: usize) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        self.0.get((self.0.len() * percent / 100).min(last)).map_or(0.0, |time| ms(*time))
    }
}

pub(crate) const fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A count as a factor.
pub(crate) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
