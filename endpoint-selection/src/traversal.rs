//! How a direct path between two nodes may be opened: what to try, in which order, at what cost and with what chance.
//!
//! - [`plan`] compares two [`Side`]s and says which of the peer's candidates will probably answer to **plain opening**
//!   (both send to all of each other's candidates), and which **technique** remains where it cannot work.
//! - [`outlook`] does so for all pairs of a network, and counts.
//! - [`Attempt`] carries one technique out: it asks for sockets, STUN requests and probes, and holds the [`Budget`]. It has
//!   no clock, socket or randomness, and no keys: who runs it seals the probes.
//!
//! A plan is a hint, never a gate: plain opening is tried with every candidate whatever the plan expects, and a path is used
//! only because a probe came back on it.
//!
//! | one side's address | the other's | technique |
//! |---|---|---|
//! | known | known | plain opening |
//! | known, filter lax | new port per destination | plain opening: the other sends first and is answered where it came from |
//! | known | next port in sequence, or its own | [`Technique::Prediction`] |
//! | in sequence | in sequence | [`Technique::MutualPrediction`] |
//! | known | any of a block | [`Technique::PortBlock`] |
//! | known | any | [`Technique::Birthday`] |
//! | any of many | any of many | none within a budget that routers survive |

mod attempt;
mod budget;
pub mod chance;
mod cost;
#[cfg(test)]
pub(crate) mod examples;
mod outlook;
mod plan;
mod prospect;
mod side;
mod technique;
mod triggered;
mod volley;

pub use attempt::{Attempt, AttemptOutput, Outcome};
pub use budget::Budget;
pub use cost::Cost;
pub use outlook::{Outlook, outlook};
pub use plan::{Obstacle, Opening, Plan, PlannedPair, PlannedTechnique, plan};
pub use prospect::{Prospect, prospect_of};
pub(crate) use side::CANDIDATES_MAX;
pub use side::Side;
pub use technique::{Party, Punch, PunchKind, Technique};
pub use triggered::TriggeredChecks;
