//! The selection as JSON in, JSON out: one boundary for browsers, Node and native tests, so that one set of vectors
//! (`endpoint-selection/scenarios`) holds for all.
//!
//! Every function takes one object and gives one value. Unknown fields are refused: a misspelt one would otherwise be
//! a silent default.

mod place;
mod reader;
mod text;
mod writer;

use std::net::IpAddr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::text::Wrong;
use crate::explain::{self, Pair};
use crate::nat::{self, Evidence};
use crate::simulation::{self, Scenario};
use crate::traversal::{self, CANDIDATES_MAX, Side};
use crate::{Candidate, Observation, Policy, Selector, Snapshot, Timestamp};

/// The longest input in bytes. An observation has about 100, so ten thousand fit; a page that asks for more asks for
/// the wrong thing.
pub const INPUT_BYTES_MAX: usize = 1024 * 1024;

/// An input that is not understood. The message names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// More than [`INPUT_BYTES_MAX`].
    #[error("the input has {0} bytes, at most {INPUT_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// A field that is missing, unknown or malformed.
    #[error("{field}: {why}")]
    Field {
        /// Where, such as `candidates[0].address`.
        field: String,
        /// What is wrong, with the place in the text.
        why: String,
    },
    /// A list that is too long.
    #[error("{field}: {given} given, at most {max} allowed")]
    TooMany {
        /// Which list.
        field: &'static str,
        /// Its length.
        given: usize,
        /// The bound.
        max: usize,
    },
}

/// The most relays that are named.
const RELAYS_MAX: usize = 256;

/// What [`select`] takes: a peer's candidates and what was observed of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct SelectInput {
    /// When to decide.
    pub now: Timestamp,
    /// The prefixes of the node's own meshes, as network and length.
    #[serde(default)]
    pub mesh: Vec<(IpAddr, u8)>,
    /// What a node knew before, if it did.
    #[serde(default)]
    pub snapshot: Snapshot,
    /// The peer's candidates; at most [`Policy::candidates_max`], with those of the snapshot.
    #[serde(default)]
    pub candidates: Vec<Candidate>,
    /// What was observed, oldest first.
    #[serde(default)]
    pub observations: Vec<Observation>,
}

/// Decides once, by the default policy: a [`SelectInput`] in, a [`Selection`](crate::Selection) out.
///
/// # Errors
/// The first field that is not understood.
pub fn select(input: &str) -> Result<String, JsonError> {
    let input: SelectInput = parse(input)?;
    let policy = Policy::default();
    at_most("candidates", input.candidates.len(), policy.candidates_max)?;
    at_most("snapshot.paths", input.snapshot.paths.len(), policy.candidates_max)?;
    let mut selector = Selector::restore(policy, input.mesh, &input.snapshot);
    for candidate in input.candidates {
        selector.add_candidate(candidate);
    }
    input.observations.into_iter().for_each(|observation| selector.observe(observation));
    answer(&selector.select(input.now))
}

/// What is known about a NAT, from evidence: [`Evidence`] in, [`NatProfile`](crate::nat::NatProfile) out.
///
/// # Errors
/// The first field that is not understood, or a list that is too long.
pub fn classify(input: &str) -> Result<String, JsonError> {
    let evidence: Evidence = parse(input)?;
    let profile = nat::classify(&evidence)
        .map_err(|error| JsonError::Field { field: "input".to_owned(), why: error.to_string() })?;
    answer(&profile)
}

/// What [`plan`] takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct PlanInput {
    /// The node that plans.
    pub own: Side,
    /// The other one.
    pub peer: Side,
    /// Attempts that have failed so far.
    #[serde(default)]
    pub failures: u32,
}

/// How a direct path may be opened: a [`PlanInput`] in, a [`Plan`](crate::traversal::Plan) out.
///
/// # Errors
/// The first field that is not understood, or a list that is too long.
pub fn plan(input: &str) -> Result<String, JsonError> {
    let PlanInput { own, peer, failures } = parse(input)?;
    at_most("own.candidates", own.candidates.len(), CANDIDATES_MAX)?;
    at_most("peer.candidates", peer.candidates.len(), CANDIDATES_MAX)?;
    answer(&traversal::plan(&own, &peer, failures))
}

/// The story of a pair: a [`Pair`] in, an [`Explanation`](crate::explain::Explanation) out.
///
/// # Errors
/// The first field that is not understood, or a list that is too long.
pub fn explain(input: &str) -> Result<String, JsonError> {
    let pair: Pair = parse(input)?;
    at_most("relays", pair.relays.len(), RELAYS_MAX)?;
    for (field, node) in [("own.candidates", &pair.own), ("peer.candidates", &pair.peer)] {
        at_most(field, node.candidates.len(), CANDIDATES_MAX)?;
    }
    answer(&explain::explain(&pair))
}

/// What would happen: a [`Scenario`] in, a [`Run`](crate::simulation::Run) out.
///
/// # Errors
/// The first field that is not understood, or that is beyond its bound.
pub fn simulate(input: &str) -> Result<String, JsonError> {
    let scenario: Scenario = parse(input)?;
    let run = simulation::simulate(&scenario)
        .map_err(|error| JsonError::Field { field: "input".to_owned(), why: error.to_string() })?;
    answer(&run)
}

fn parse<T: DeserializeOwned>(input: &str) -> Result<T, JsonError> {
    if input.len() > INPUT_BYTES_MAX {
        return Err(JsonError::TooLarge(input.len()));
    }
    reader::read(input).map_err(|Wrong { field, why }| JsonError::Field { field, why })
}

fn at_most(field: &'static str, given: usize, max: usize) -> Result<(), JsonError> {
    if given > max { Err(JsonError::TooMany { field, given, max }) } else { Ok(()) }
}

fn answer(value: &impl Serialize) -> Result<String, JsonError> {
    writer::write(value)
        .map_err(|error| JsonError::Field { field: "output".to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(input: &str) -> String {
        select(input).unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_field_that_is_wrong() {
        let candidate = r#"{"kind":"host","address":"10.0.0.1","source":"peer"}"#;
        let wrong_address = complaint(&format!(r#"{{"now":1,"candidates":[{candidate}]}}"#));
        assert!(
            wrong_address.starts_with("candidates[0].address: invalid socket address syntax"),
            "{wrong_address}"
        );
        let missing = complaint(r#"{"candidates":[]}"#);
        assert!(missing.starts_with("input: missing field `now`"), "{missing}");
        let unknown = complaint(r#"{"now":1,"candidates":[],"observation":[]}"#);
        assert!(unknown.starts_with("observation: unknown field `observation`"), "{unknown}");
        let negative = complaint(r#"{"now":-1,"candidates":[]}"#);
        assert!(negative.starts_with("now: invalid value"), "{negative}");
    }

    #[test]
    fn what_is_no_json_or_more_than_json_is_refused() {
        for input in ["", "{", "null", "[]", r#"{"now":1,"candidates":[]} x"#] {
            assert!(matches!(select(input), Err(JsonError::Field { .. })), "{input}");
        }
    }

    #[test]
    fn an_input_beyond_its_bounds_is_refused() {
        assert_eq!(
            complaint(&" ".repeat(INPUT_BYTES_MAX + 1)),
            "the input has 1048577 bytes, at most 1048576 are allowed"
        );
        let candidate = r#"{"kind":"host","address":"10.0.0.1:1","source":"peer"}"#;
        let many = vec![candidate; 65].join(",");
        assert_eq!(
            complaint(&format!(r#"{{"now":1,"candidates":[{many}]}}"#)),
            "candidates: 65 given, at most 64 allowed"
        );
    }
}
