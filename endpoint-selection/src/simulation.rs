//! The boxes between nodes, simulated: NATs and firewalls as RFC 4787 describes them, and the chance they draw from.
//!
//! The selection itself uses none of this. It is here because whoever plays meshes, natively or in a browser, needs the
//! same model of a NAT; like everything here it is pure: time and chance come in from outside.

mod nat;
mod network;
mod pair;
mod party;
mod rng;
mod run;
mod scenario;

pub use nat::{Dependence, Hairpinning, Nat, NatBehaviour, PortAllocation};
pub use pair::simulate;
pub use rng::Rng;
pub use run::{Run, RunEvent, RunEventKind};
pub use scenario::{BOXES_MAX, CHANGES_MAX, Change, DURATION_MS_MAX, Scenario, ScenarioError, SimulatedNode};
