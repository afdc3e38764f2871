//! The same scenarios many times over, and how their figures spread.

use std::collections::BTreeMap;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde_json::{Value, json};

use crate::scenario::Outcome;

/// What is run where nobody names anything: a pair of each kind of opening, each technique, and what breaks.
pub const USUAL: [&str; 17] = [
    "matrix/public-x-public",
    "matrix/port-restricted-x-port-restricted",
    "matrix/address-restricted-x-symmetric",
    "matrix/port-restricted-x-symmetric",
    "matrix/ipv6-firewall-x-ipv6-firewall",
    "matrix/port-restricted-x-nat64",
    "matrix/port-restricted-x-udp-blocked",
    "agree/port-restricted-x-port-restricted",
    "agree/full-cone-x-symmetric",
    "agree/port-restricted-x-symmetric",
    "agree/firewall-x-symmetric",
    "foreign/port-restricted-x-sequential",
    "foreign/sequential-x-sequential",
    "foreign/port-restricted-x-port-block",
    "change/router-reboot",
    "change/roaming",
    "rebinding",
];

/// How one figure of one scenario spread.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    scenario: String,
    figure: String,
    runs: usize,
    passed: usize,
    p50: f64,
    p95: f64,
    max: f64,
}

/// One row for each figure of each scenario, in the order of the names.
fn rows(outcomes: &[Outcome]) -> Vec<Row> {
    let mut values: BTreeMap<(&str, &str), Vec<f64>> = BTreeMap::new();
    let mut runs: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for outcome in outcomes {
        let (all, passed) = runs.entry(&outcome.name).or_default();
        *all += 1;
        *passed += usize::from(outcome.passed);
        for (figure, value) in &outcome.figures {
            values.entry((&outcome.name, figure)).or_default().push(*value);
        }
    }
    let row = |((scenario, figure), mut values): ((&str, &str), Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        let (runs, passed) = runs.get(scenario).copied().unwrap_or_default();
        Row {
            scenario: scenario.to_owned(),
            figure: figure.to_owned(),
            runs,
            passed,
            p50: percentile(&values, 50),
            p95: percentile(&values, 95),
            max: percentile(&values, 100),
        }
    };
    values.into_iter().map(row).collect()
}

/// The least value that so many per cent of the sorted ones do not exceed (nearest rank).
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// A table for people, in Markdown.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["scenario", "figure", "p50", "p95", "max", "held"]);
    for row in rows(outcomes) {
        let held = format!("{} of {}", row.passed, row.runs);
        let figures = [row.p50, row.p95, row.max].map(|value| format!("{value:.0}"));
        let [p50, p95, max] = figures;
        table.add_row([row.scenario, row.figure, p50, p95, max, held]);
    }
    table.to_string()
}

/// The same for programs, in the form of all benchmarks. No peer can be run here, so `peer` and `ratio` are null.
#[must_use]
pub fn report(outcomes: &[Outcome], machine: &str) -> Value {
    let rows: Vec<Value> = rows(outcomes)
        .into_iter()
        .map(|row| {
            let unit = row.figure.rsplit('_').next().unwrap_or_default().to_owned();
            json!({
                "name": format!("{}: {}", row.scenario, row.figure), "unit": unit, "ours": row.p50,
                "p95": row.p95, "max": row.max, "runs": row.runs, "held": row.passed,
                "peer": null, "ratio": null,
            })
        })
        .collect();
    json!({ "bench": "traversal", "machine": machine, "rows": rows })
}

#[cfg(test)]
mod tests {
    use super::{percentile, report, rows, table};
    use crate::scenario::Outcome;

    fn outcome(value: f64) -> Outcome {
        Outcome::of("matrix/a-x-b").limited("first_ping_ms", value, 90.0).judged(Ok(String::new()))
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=40).map(f64::from).collect();
        assert_eq!([50, 95, 100].map(|percent| percentile(&values, percent)), [20.0, 38.0, 40.0]);
        assert_eq!(percentile(&[7.0], 95), 7.0);
    }

    #[test]
    fn a_row_tells_how_often_its_scenario_held() {
        let outcomes = [outcome(10.0), outcome(30.0), outcome(100.0)];
        let rows = rows(&outcomes);
        assert_eq!((rows.len(), rows[0].passed, rows[0].runs), (1, 2, 3));
        assert!(table(&outcomes).contains("2 of 3"));
        assert_eq!(report(&outcomes, "m")["rows"][0]["unit"], "ms");
    }
}
