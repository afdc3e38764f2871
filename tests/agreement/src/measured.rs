//! What the lab wrote: its words for NATs, and the pairs it measured.

use std::collections::BTreeMap;

use anyhow::Context;
use endpoint_selection::nat::NatProfile;
use serde::{Deserialize, Serialize};

/// Where a pair ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Path {
    Direct,
    Relay,
}

/// RFC 4787 section 4.1, as the lab's classifier proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mapping {
    None,
    EndpointIndependent,
    AddressDependent,
    AddressAndPortDependent,
}

/// RFC 4787 section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Filtering {
    EndpointIndependent,
    AddressDependent,
    AddressAndPortDependent,
}

/// RFC 4787 section 4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Allocation {
    Preserved,
    Sequential,
    PortBlock,
    Random,
}

/// RFC 4787 section 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hairpin {
    NotApplicable,
    No,
    Simultaneous,
    Open,
}

/// One box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Behaviour {
    pub(crate) mapping: Mapping,
    pub(crate) filtering: Filtering,
    pub(crate) allocation: Allocation,
    pub(crate) hairpin: Hairpin,
}

/// Where the two nodes are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The boxes in front of each node, nearest first.
    pub(crate) nodes: [Vec<Behaviour>; 2],
    /// The boxes in front of both, from the nodes outwards.
    pub(crate) shared: Vec<Behaviour>,
    pub(crate) same_network: bool,
    /// One way over each node's uplink.
    pub(crate) delay_ms: u16,
    /// How long the lab watched.
    pub(crate) window_ms: u32,
}

/// One measured pair.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) description: Description,
    pub(crate) path: Path,
    /// From both agents up to a direct path on both ends.
    pub(crate) direct_ms: Option<f64>,
    /// What each agent says of its NAT.
    pub(crate) nats: [NatProfile; 2],
}

#[derive(Deserialize)]
struct Results {
    scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
struct Scenario {
    name: String,
    passed: bool,
    why: String,
    figures: BTreeMap<String, f64>,
    #[serde(default)]
    facts: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Facts {
    path: Path,
    case: Description,
    nats: [NatProfile; 2],
}

/// Reads the lab's file. Scenarios of other groups are none of ours.
///
/// # Errors
/// Names the pair that has failed in the lab, which cannot be compared, or is not written as agreed.
pub(crate) fn read(text: &str) -> anyhow::Result<Vec<Case>> {
    let results: Results = serde_json::from_str(text).context("the lab's results are not as agreed")?;
    let ours = results.scenarios.into_iter().filter(|scenario| scenario.name.starts_with("agree/"));
    ours.map(|scenario| {
        let name = scenario.name;
        anyhow::ensure!(scenario.passed, "{name} failed in the lab: {}", scenario.why);
        let facts = scenario.facts.with_context(|| format!("{name} has no facts"))?;
        let Facts { path, case, nats } = serde_json::from_value(facts)
            .with_context(|| format!("the facts of {name} are not as agreed"))?;
        let direct_ms = scenario.figures.get("direct_ms").copied();
        anyhow::ensure!(
            direct_ms.is_some() == (path == Path::Direct),
            "{name}: a direct path needs a time, and only that has one"
        );
        let name = name.trim_start_matches("agree/").to_owned();
        Ok(Case { name, description: case, path, direct_ms, nats })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: &str = r#"{"mapping":"endpoint-independent","filtering":"address-and-port-dependent","allocation":"preserved","hairpin":"no"}"#;

    fn results(passed: bool, path: &str, figures: &str) -> String {
        format!(
            r#"{{"scenarios":[{{"name":"lab/delay","passed":false,"why":"","figures":{{}}}},
            {{"name":"agree/x","passed":{passed},"why":"slow","figures":{figures},"facts":{{"path":"{path}","nats":[{{}},{{"mapping":"none"}}],
            "case":{{"nodes":[[{BOX}],[]],"shared":[],"same_network":false,"delay_ms":10,"window_ms":20000}}}}}}]}}"#
        )
    }

    #[test]
    fn a_measured_pair_is_read_and_scenarios_of_other_groups_are_not() {
        let cases = read(&results(true, "direct", r#"{"direct_ms":12.5}"#)).unwrap();
        assert_eq!(cases.len(), 1);
        assert_eq!(
            (cases[0].name.as_str(), cases[0].path, cases[0].direct_ms),
            ("x", Path::Direct, Some(12.5))
        );
        assert_eq!(cases[0].nats[1].mapping, Some(endpoint_selection::nat::Mapping::None));
        assert_eq!(cases[0].description.nodes[0][0].allocation, Allocation::Preserved);
    }

    #[test]
    fn a_pair_that_failed_or_contradicts_itself_is_refused_by_name() {
        let failed = read(&results(false, "relay", "{}")).unwrap_err();
        assert_eq!(failed.to_string(), "agree/x failed in the lab: slow");
        for (path, figures) in [("direct", "{}"), ("relay", r#"{"direct_ms":1}"#), ("magic", "{}")] {
            let error = read(&results(true, path, figures)).unwrap_err();
            assert!(error.to_string().contains("agree/x"), "{error}");
        }
    }
}
