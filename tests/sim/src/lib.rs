//! A whole mesh under virtual time: the real engine, coordinator services and relay in a world of simulated hosts, NATs
//! and links.
//!
//! - [`World`] is built and disturbed by a test's verbs and run by [`World::run_for`]; its clock jumps from event to event.
//! - Chance comes from one seed, so a seed is a whole run; [`World::transcript_hash`] proves it.
//! - Safety is judged at every step by what really happened, never by what an engine believes: a violation panics
//!   and names the seed.
//! - [`World::outlook`] says from the NATs' properties alone which pairs can be direct.

mod control;
mod flow;
mod impairment;
mod node;
mod oracle;
mod queue;
mod safety;
mod topology;
mod transcript;
mod world;

pub use endpoint_selection::simulation::{Dependence, Hairpinning, NatBehaviour, PortAllocation, Rng};
pub use flow::FlowStats;
pub use impairment::Impairments;
pub use oracle::Outlook;
pub use safety::Peaks;
pub use topology::{Addresses, INTERNET, Link, Segment};
pub use world::{Haste, NodeId, RelayId, SleepClock, World};
