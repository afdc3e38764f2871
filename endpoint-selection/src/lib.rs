//! Which path should each pair of nodes use, and why.
//!
//! The algorithm, whole:
//!
//! 1. A peer's **candidates** arrive from the network map, from a call over a relay, or from a packet that came from
//!    an address nobody named (peer-reflexive). Each is one **path** from our one UDP port.
//! 2. **Observations** are facts with a time: a probe was answered after so many microseconds, or was not. Only an
//!    answer, authenticated end to end, makes a path usable; a NAT's type never does.
//! 3. A usable path has a [`Score`]: first its health (sound, lossy, too narrow, losing data), then its tier (same
//!    network, same carrier, internet, relay), then its smoothed RTT and jitter, then its kind and address, so that equal
//!    evidence gives equal answers everywhere.
//! 4. [`Selector::select`] takes the best score among the path in use and those with fresh evidence, but leaves the
//!    path in use only for better health, a better tier or an RTT that is better by the **switch margin**, and at once
//!    when it falls silent.
//! 5. Every candidate gets exactly one [`Reason`], chosen or not.
//!
//! Beside the decision stands what leads to it and what explains it:
//!
//! - [`nat`]: what is known about the NAT in front of a node, from evidence.
//! - `traversal`: which probes may open a direct path between two nodes, at what cost and with what chance, and the
//!   machine that sends them within its budget.
//! - `explain`: the whole story of a pair in words, with advice.
//! - `simulation`: NATs and pairs of nodes in simulated time, to try all of this without a network.
//!
//! Pure: time comes in as [`Timestamp`], nothing is random, and iteration is ordered, so native code and WASM answer
//! alike, byte for byte.

mod address;
mod candidate;
pub mod explain;
pub mod json;
mod local_rules;
pub mod nat;
mod observation;
mod path;
mod policy;
mod quality;
mod reason;
mod rtt;
mod score;
mod selection;
mod selector;
pub mod simulation;
mod socket;
mod sorted;
mod time;
pub mod traversal;
#[cfg(feature = "wasm")]
pub mod wasm;

pub use address::{Realm, Unusable, check_address, prefix_contains};
pub use candidate::{Candidate, CandidateKind, CandidateSource, PortMappingProtocol};
pub use local_rules::{LocalRules, Prefix};
pub use observation::{Observation, ObservationKind};
pub use path::{PathEvidence, PathStatus, Snapshot};
pub use policy::Policy;
pub use quality::{Health, LossWindow, PathQuality};
pub use reason::{Cause, Reason};
pub use rtt::SmoothedRtt;
pub use score::{Score, Tier};
pub use selection::{Selection, Verdict};
pub use selector::Selector;
pub use socket::SocketId;
pub use time::Timestamp;
