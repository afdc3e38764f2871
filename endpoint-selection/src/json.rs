//! The selection as JSON in, JSON out: one boundary for browsers, Node and native tests, so that one set of vectors
//! (`endpoint-selection/scenarios`) holds for all.
//!
//! Every function takes one object and gives one value. Unknown fields of that object are refused: a misspelt one would
//! otherwise be a silent default. Those inside of what agents report are not, because a newer agent may report more.

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
    /// More than [`INPUT_BYTES_MAX`], or [`NETWORK_BYTES_MAX`] for a network.
    #[error("the input has {given} bytes, at most {max} are allowed")]
    TooLarge {
        /// Its length.
        given: usize,
        /// The bound.
        max: usize,
    },
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
        /// Which list, such as `nodes[0].candidates`.
        field: String,
        /// Its length.
        given: usize,
        /// The bound.
        max: usize,
    },
}

/// The most nodes of a network: half a million pairs, which a browser compares in seconds.
const NODES_MAX: usize = 1_024;

/// The longest network in bytes: so many nodes with 32 candidates of 128 bytes each.
pub const NETWORK_BYTES_MAX: usize = NODES_MAX * 32 * 128;

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
    let input: SelectInput = parse(input, INPUT_BYTES_MAX)?;
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
    let evidence: Evidence = parse(input, INPUT_BYTES_MAX)?;
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
    let PlanInput { own, peer, failures } = parse(input, INPUT_BYTES_MAX)?;
    at_most("own.candidates", own.candidates.len(), CANDIDATES_MAX)?;
    at_most("peer.candidates", peer.candidates.len(), CANDIDATES_MAX)?;
    answer(&traversal::plan(&own, &peer, failures))
}

/// What [`outlook`] takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct OutlookInput {
    /// The nodes of a network; at most 1,024.
    pub nodes: Vec<Side>,
}

/// What paths a whole network may expect: an [`OutlookInput`] in, an [`Outlook`](crate::traversal::Outlook) of each node out,
/// in their order.
///
/// # Errors
/// The first field that is not understood, or a list that is too long.
pub fn outlook(input: &str) -> Result<String, JsonError> {
    let OutlookInput { nodes } = parse(input, NETWORK_BYTES_MAX)?;
    at_most("nodes", nodes.len(), NODES_MAX)?;
    for (number, node) in nodes.iter().enumerate() {
        at_most(&format!("nodes[{number}].candidates"), node.candidates.len(), CANDIDATES_MAX)?;
    }
    answer(&traversal::outlook(&nodes))
}

/// The story of a pair: a [`Pair`] in, an [`Explanation`](crate::explain::Explanation) out.
///
/// # Errors
/// The first field that is not understood, or a list that is too long.
pub fn explain(input: &str) -> Result<String, JsonError> {
    let pair: Pair = parse(input, INPUT_BYTES_MAX)?;
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
    let scenario: Scenario = parse(input, INPUT_BYTES_MAX)?;
    let run = simulation::simulate(&scenario)
        .map_err(|error| JsonError::Field { field: "input".to_owned(), why: error.to_string() })?;
    answer(&run)
}

fn parse<T: DeserializeOwned>(input: &str, bytes_max: usize) -> Result<T, JsonError> {
    if input.len() > bytes_max {
        return Err(JsonError::TooLarge { given: input.len(), max: bytes_max });
    }
    reader::read(input).map_err(|Wrong { field, why }| JsonError::Field { field, why })
}

fn at_most(field: &str, given: usize, max: usize) -> Result<(), JsonError> {
    if given > max { Err(JsonError::TooMany { field: field.to_owned(), given, max }) } else { Ok(()) }
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

    #[test]
    fn a_network_beyond_its_bounds_is_refused() {
        let complaint = |input: &str| outlook(input).unwrap_err().to_string();
        let network = |node: &str, nodes| format!(r#"{{"nodes":[{}]}}"#, vec![node; nodes].join(","));
        let node = |candidates| {
            let candidate = r#"{"kind":"host","address":"10.0.0.1:1","source":"peer"}"#;
            format!(r#"{{"candidates":[{}]}}"#, vec![candidate; candidates].join(","))
        };
        assert_eq!(complaint(&network(&node(0), 1_025)), "nodes: 1025 given, at most 1024 allowed");
        let crowded = format!(r#"{{"nodes":[{},{}]}}"#, node(64), node(65));
        assert_eq!(complaint(&crowded), "nodes[1].candidates: 65 given, at most 64 allowed");
        assert_eq!(
            complaint(&" ".repeat(NETWORK_BYTES_MAX + 1)),
            "the input has 4194305 bytes, at most 4194304 are allowed"
        );
        let largest = network(&node(32), 1_024);
        assert!((INPUT_BYTES_MAX..NETWORK_BYTES_MAX).contains(&largest.len()), "{}", largest.len());
    }

    #[test]
    fn an_error_in_a_network_names_the_field_that_is_wrong() {
        let said = |input: &str| outlook(input).unwrap_err().to_string();
        for (input, complaint) in [
            ("{}", "input: missing field `nodes`"),
            (r#"{"nodes":[{"candidates":[]},{}]}"#, "nodes[1]: missing field `candidates`"),
            (r#"{"nodes":[{"candidates":[],"nat":{"udp":"shut"}}]}"#, "nodes[0].nat.udp: unknown variant"),
            (r#"{"nodes":[],"own":0}"#, "own: unknown field `own`"),
        ] {
            assert!(said(input).starts_with(complaint), "{input}: {}", said(input));
        }
    }

    #[test]
    fn a_network_is_told_what_each_of_its_nodes_may_expect() {
        let node = |address: &str| {
            let candidate = format!(r#"{{"kind":"host","address":"{address}","source":"peer"}}"#);
            format!(r#"{{"candidates":[{candidate}],"nat":{{"mapping":"none","udp":"open"}}}}"#)
        };
        let input = format!(r#"{{"nodes":[{},{}]}}"#, node("203.0.113.1:1"), node("203.0.113.2:1"));
        let expected = r#"{"direct":1,"technique":0,"relay":0,"unknown":0}"#;
        assert_eq!(outlook(&input), Ok(format!("[{expected},{expected}]")));
        assert_eq!(outlook(r#"{"nodes":[]}"#), Ok("[]".to_owned()));
    }
}
