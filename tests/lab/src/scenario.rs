//! What a scenario is, and what it leaves behind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::LabError;

/// The result of one scenario.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's name.
    pub name: String,
    /// Did everything hold?
    pub passed: bool,
    /// What was measured; the unit is at the end of each name.
    pub figures: BTreeMap<String, f64>,
    /// The largest value allowed for a figure.
    pub limits: BTreeMap<String, f64>,
    /// What was found beside figures, for programs that compare; null where there is nothing.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub facts: Value,
    /// Why it failed, or what it showed.
    pub why: String,
    /// How long it took, with everything it had to start.
    pub seconds: f64,
}

/// The JSON file of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// One for each scenario, in the order of their ends.
    pub scenarios: Vec<Outcome>,
}

impl Outcome {
    /// An outcome that has still to be judged.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Notes a figure.
    #[must_use]
    pub fn figure(mut self, name: &str, value: f64) -> Self {
        self.figures.insert(name.to_owned(), (value * 1000.0).round() / 1000.0);
        self
    }

    /// Notes a figure and the most it may be.
    #[must_use]
    pub fn limited(mut self, name: &str, value: f64, limit: f64) -> Self {
        self.limits.insert(name.to_owned(), limit);
        self.figure(name, value)
    }

    /// Judges: `Ok` with what was shown, or `Err` with what did not hold. A figure beyond its limit fails, too.
    #[must_use]
    pub fn judged(mut self, verdict: Result<String, String>) -> Self {
        let beyond = |(name, limit): (&String, &f64)| {
            let value = self.figures.get(name)?;
            (value > limit || value.is_nan()).then(|| format!("{name} is {value}, the limit is {limit}"))
        };
        let beyond: Vec<String> = self.limits.iter().filter_map(beyond).collect();
        self.passed = verdict.is_ok() && beyond.is_empty();
        let said = verdict.unwrap_or_else(|why| why);
        self.why = std::iter::once(said)
            .chain(beyond)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
        self
    }
}

/// What a scenario may use.
#[derive(Debug, Clone)]
pub struct Context {
    /// The folder with `warren` and `warren-coordinator`.
    pub bin_dir: PathBuf,
    /// The folder for logs and state of this run.
    pub run_dir: PathBuf,
}

impl Context {
    /// The path of one of the product's programs.
    ///
    /// # Errors
    /// [`LabError::Description`] when it was not built.
    pub fn program(&self, name: &str) -> Result<PathBuf, LabError> {
        program(&self.bin_dir, name)
    }

    /// The same programs with a folder of its own for one group of scenarios.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn within(&self, folder: &str) -> Result<Self, LabError> {
        let run_dir = self.run_dir.join(folder);
        std::fs::create_dir_all(&run_dir).map_err(|error| LabError::at_path("create", &run_dir, error))?;
        Ok(Self { bin_dir: self.bin_dir.clone(), run_dir })
    }
}

/// The path of a program in a folder.
///
/// # Errors
/// [`LabError::Description`] when it was not built.
pub fn program(bin_dir: &Path, name: &str) -> Result<PathBuf, LabError> {
    let path = bin_dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(LabError::Description(format!(
        "{} does not exist: build it with `scripts/build`, or name its folder with --bin-dir or WARREN_BIN_DIR",
        path.display()
    )))
}

/// Scenarios that share one internet.
pub struct Group {
    /// Names and one line about each.
    pub members: Vec<(String, String)>,
    /// Runs the members asked for; an error fails them all.
    pub run: fn(&Context, &[String]) -> Result<Vec<Outcome>, LabError>,
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn a_figure_beyond_its_limit_fails_a_scenario_that_held_otherwise() {
        let slow = Outcome::of("x").limited("first_ping_ms", 1200.0, 1000.0).judged(Ok(String::new()));
        assert!(!slow.passed);
        assert_eq!(slow.why, "first_ping_ms is 1200, the limit is 1000");
        assert!(Outcome::of("x").limited("first_ping_ms", 900.0, 1000.0).judged(Ok(String::new())).passed);
    }

    #[test]
    fn a_figure_that_is_no_number_is_never_within_its_limit() {
        assert!(!Outcome::of("x").limited("rtt_ms", f64::NAN, 1.0).judged(Ok(String::new())).passed);
    }
}
