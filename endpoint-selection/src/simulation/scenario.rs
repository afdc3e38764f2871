//! What is played: two nodes, what is in front of them, and what changes on the way.

use serde::{Deserialize, Serialize};

use super::nat::NatBehaviour;

/// The longest run, in milliseconds: an hour, in which every pause has grown to its end.
pub const DURATION_MS_MAX: u32 = 3_600_000;

/// The most boxes in one row, and the most changes of a run.
pub const BOXES_MAX: usize = 4;
/// See [`BOXES_MAX`].
pub const CHANGES_MAX: usize = 16;

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Where chance begins.
    #[serde(default)]
    pub seed: u64,
    /// The two nodes.
    pub nodes: [SimulatedNode; 2],
    /// Boxes in front of both, such as a carrier's NAT, from the nodes outwards.
    #[serde(default)]
    pub shared: Vec<NatBehaviour>,
    /// Inside the outermost box in front of the first node stands a STUN server as well, which so sees less of the way.
    #[serde(default)]
    pub carrier_server: bool,
    /// The second node is in the first one's network; its own boxes do not count.
    #[serde(default)]
    pub same_network: bool,
    /// Packets lost, in a million, on each way over the internet.
    #[serde(default)]
    pub loss_ppm: u32,
    /// How long to play, in milliseconds; at most [`DURATION_MS_MAX`].
    pub duration_ms: u32,
    /// What changes on the way.
    #[serde(default)]
    pub changes: Vec<Change>,
}

/// A node and what is in front of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields, default)]
pub struct SimulatedNode {
    /// Its name.
    pub name: String,
    /// Boxes in front of it alone, nearest first; none: it has a public address.
    pub boxes: Vec<NatBehaviour>,
    /// UDP does not leave its network.
    pub is_udp_blocked: bool,
    /// Its nearest box maps packets to STUN servers as if it were endpoint-independent, so that these see a port that no peer
    /// ever sees.
    pub are_servers_exempt: bool,
    /// Its nearest box opens a port on request (PCP, NAT-PMP, UPnP-IGD).
    pub has_port_mapping: bool,
    /// It has an IPv6 address as well, behind a stateful firewall.
    pub has_ipv6: bool,
    /// One way to the middle of the internet, in milliseconds.
    pub delay_ms: u16,
    /// Flows that other hosts open per second on its nearest box.
    pub foreign_flows_per_s: u16,
    /// When it starts, in milliseconds.
    pub starts_at_ms: u32,
}

/// The nearest box of a node behaves otherwise from some time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When, in milliseconds.
    pub at_ms: u32,
    /// The node: 0 or 1.
    pub node: u8,
    /// How it behaves then; its tables are empty.
    pub behaviour: NatBehaviour,
}

/// A scenario that is not played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {given} given, at most {max} allowed")]
pub struct ScenarioError {
    field: &'static str,
    given: u64,
    max: u64,
}

impl Scenario {
    pub(super) fn validate(&self) -> Result<(), ScenarioError> {
        let count = |boxes: &[NatBehaviour]| boxes.len() as u64;
        let node = |change: &Change| u64::from(change.node);
        let bounds = [
            ("duration_ms", u64::from(self.duration_ms), u64::from(DURATION_MS_MAX)),
            ("shared", count(&self.shared), BOXES_MAX as u64),
            ("nodes[0].boxes", count(&self.nodes[0].boxes), BOXES_MAX as u64),
            ("nodes[1].boxes", count(&self.nodes[1].boxes), BOXES_MAX as u64),
            ("changes", self.changes.len() as u64, CHANGES_MAX as u64),
            ("changes[].node", self.changes.iter().map(node).max().unwrap_or(0), 1),
            ("nodes[0].foreign_flows_per_s", u64::from(self.nodes[0].foreign_flows_per_s), 1_000),
            ("nodes[1].foreign_flows_per_s", u64::from(self.nodes[1].foreign_flows_per_s), 1_000),
        ];
        match bounds.into_iter().find(|(_, given, max)| given > max) {
            Some((field, given, max)) => Err(ScenarioError { field, given, max }),
            None => Ok(()),
        }
    }
}
