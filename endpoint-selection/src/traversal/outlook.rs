//! What paths the pairs of a network may expect, before any of them is tried.

use serde::{Deserialize, Serialize};

use super::plan::{Plan, plan};
use super::side::Side;

/// What one node may expect of its paths to the others: how many peers there are of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Outlook {
    /// Reached directly by plain opening.
    pub direct: u32,
    /// Reached directly where a technique succeeds.
    pub technique: u32,
    /// Reached over a relay only.
    pub relay: u32,
    /// Of which too little is known.
    pub unknown: u32,
}

impl Outlook {
    /// Counts a peer by the first plan for it.
    const fn count(&mut self, plan: &Plan) {
        let count = match (plan.chance_ppm, plan.opening.chance_ppm) {
            (None, _) => &mut self.unknown,
            (Some(_), Some(1..)) => &mut self.direct,
            (Some(_), _) if plan.techniques.is_empty() => &mut self.relay,
            (Some(_), _) => &mut self.technique,
        };
        *count += 1;
    }
}

/// Compares each node with each other one: the outlook of each, in their order. A pair expects the same seen from both sides.
#[must_use]
pub fn outlook(nodes: &[Side]) -> Vec<Outlook> {
    let mut outlooks = vec![Outlook::default(); nodes.len()];
    for (own, side) in nodes.iter().enumerate() {
        for (peer, other) in nodes.iter().enumerate().skip(own + 1) {
            let plan = plan(side, other, 0);
            for node in [own, peer] {
                if let Some(outlook) = outlooks.get_mut(node) {
                    outlook.count(&plan);
                }
            }
        }
    }
    outlooks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nat::Allocation;
    use crate::traversal::examples::{any_side, behind, blocked, dependent, independent, public, unknown};

    #[test]
    fn each_kind_of_peer_is_counted() {
        let random = |last| behind(dependent(Some(Allocation::Random)), last);
        let nodes = [
            behind(independent(None), 1),
            public(2),
            random(3),
            random(4),
            behind(unknown(), 5),
            behind(blocked(), 6),
        ];
        let expected = [
            Outlook { direct: 1, technique: 2, relay: 1, unknown: 1 },
            Outlook { direct: 1, technique: 2, relay: 1, unknown: 1 },
            Outlook { direct: 0, technique: 2, relay: 2, unknown: 1 },
            Outlook { direct: 0, technique: 2, relay: 2, unknown: 1 },
            Outlook { direct: 0, technique: 0, relay: 1, unknown: 4 },
            Outlook { direct: 0, technique: 0, relay: 5, unknown: 0 },
        ];
        assert_eq!(outlook(&nodes), expected);
        assert_eq!((outlook(&[]), outlook(&nodes[..1])), (vec![], vec![Outlook::default()]));
    }

    proptest! {
        #[test]
        fn every_pair_counts_as_its_plan_from_either_side_says(nodes in prop::collection::vec(any_side(), 0..6)) {
            let count = |own: usize| {
                let mut outlook = Outlook::default();
                let peers = nodes.iter().enumerate().filter(|(peer, _)| *peer != own);
                peers.for_each(|(_, peer)| outlook.count(&plan(&nodes[own], peer, 0)));
                outlook
            };
            prop_assert_eq!(outlook(&nodes), (0..nodes.len()).map(count).collect::<Vec<_>>());
        }
    }
}
