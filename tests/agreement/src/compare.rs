//! The verdict on one pair.

use endpoint_selection::nat::{Allocation, NatProfile};
use serde::Serialize;

use crate::measured::{Case, Path};
use crate::play::Played;

/// What the lab may need beyond the simulator, or less: programs start, a coordinator spreads what it is told, and two
/// processors serve all of that at once.
const TOLERANCE_MS: f64 = 500.0;

/// One pair, measured and played.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) case: String,
    pub(crate) lab: Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lab_ms: Option<f64>,
    /// The simulator's most frequent outcome.
    pub(crate) simulator: Path,
    pub(crate) seeds: usize,
    /// With how many of them the pair met directly.
    pub(crate) direct: usize,
    /// Times to the direct path: least, median, most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) simulator_ms: Option<[u32; 3]>,
    pub(crate) outcome_agrees: bool,
    /// Absent where neither has a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) time_agrees: Option<bool>,
    /// What the agent knows of its NAT otherwise than its simulation does; empty where they agree.
    pub(crate) facts_differ: Vec<String>,
}

impl Compared {
    pub(crate) fn agrees(&self) -> bool {
        self.outcome_agrees && self.time_agrees != Some(false) && self.facts_differ.is_empty()
    }
}

/// The tolerance in words.
pub(crate) fn tolerance() -> String {
    format!("the lab's time may lie {TOLERANCE_MS} ms outside the simulator's range")
}

/// Compares a pair's measurement with its plays.
pub(crate) fn compare(played: Played, case: Case) -> Compared {
    let Played { direct_ms, relayed, nats } = played;
    let simulator = if direct_ms.len() > relayed { Path::Direct } else { Path::Relay };
    let simulator_ms = match direct_ms[..] {
        [first, .., last] => Some([first, direct_ms[direct_ms.len() / 2], last]),
        [only] => Some([only; 3]),
        [] => None,
    };
    let outcome_agrees = simulator == case.path;
    let time_agrees =
        case.direct_ms.filter(|_| outcome_agrees).zip(simulator_ms).map(|(lab, [first, _, last])| {
            (f64::from(first) - TOLERANCE_MS..=f64::from(last) + TOLERANCE_MS).contains(&lab)
        });
    Compared {
        case: case.name,
        lab: case.path,
        lab_ms: case.direct_ms,
        simulator,
        seeds: direct_ms.len() + relayed,
        direct: direct_ms.len(),
        simulator_ms,
        outcome_agrees,
        time_agrees,
        facts_differ: (0..2).flat_map(|node| differences(node, &case.nats[node], &nats[node])).collect(),
    }
}

/// Mapping, allocation and hairpinning are measured in both worlds. The edges of a port block depend on chance, and so are not
/// compared.
fn differences(node: usize, lab: &NatProfile, simulator: &NatProfile) -> Vec<String> {
    let kind = |nat: &NatProfile| {
        nat.allocation.map(|allocation| match allocation {
            Allocation::PortBlock { .. } => "a block".to_owned(),
            other @ (Allocation::Preserving | Allocation::Sequential { .. } | Allocation::Random) => {
                format!("{other:?}")
            }
        })
    };
    let texts = |nat: &NatProfile| {
        [
            ("mapping", format!("{:?}", nat.mapping)),
            ("allocation", format!("{:?}", kind(nat))),
            ("hairpin", format!("{:?}", nat.hairpin)),
        ]
    };
    texts(lab)
        .into_iter()
        .zip(texts(simulator))
        .filter(|(lab, simulator)| lab != simulator)
        .map(|((what, lab), (_, simulator))| format!("node {node}, {what}: {lab}, simulated {simulator}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::Description;

    fn verdict(path: Path, direct_ms: Option<f64>, played: &[u32], relayed: usize) -> Compared {
        let description = Description {
            nodes: [Vec::new(), Vec::new()],
            shared: Vec::new(),
            same_network: false,
            delay_ms: 10,
            window_ms: 20_000,
        };
        let case = Case { name: "x".to_owned(), description, path, direct_ms, nats: Default::default() };
        compare(Played { direct_ms: played.to_vec(), relayed, nats: Default::default() }, case)
    }

    #[test]
    fn a_time_beyond_the_range_and_the_tolerance_disagrees() {
        let at = |ms| verdict(Path::Direct, Some(ms), &[1_000, 1_200, 3_000], 0);
        assert!(at(500.0).agrees() && at(3_500.0).agrees());
        assert!(!at(499.0).agrees() && !at(3_501.0).agrees());
        assert_eq!(at(500.0).simulator_ms, Some([1_000, 1_200, 3_000]));
    }

    #[test]
    fn what_agent_and_simulation_know_of_a_nat_must_be_the_same() {
        let known = NatProfile { hairpin: Some(true), ..NatProfile::default() };
        assert!(differences(0, &known, &known).is_empty());
        let differ = differences(1, &known, &NatProfile::default());
        assert_eq!(differ, ["node 1, hairpin: Some(true), simulated None"]);
    }

    #[test]
    fn the_outcome_of_most_seeds_counts() {
        assert!(verdict(Path::Relay, None, &[], 5).agrees());
        assert!(verdict(Path::Relay, None, &[700], 4).agrees());
        assert!(!verdict(Path::Relay, None, &[700, 800, 900], 2).agrees());
        assert!(!verdict(Path::Direct, Some(700.0), &[700], 4).agrees());
    }
}
