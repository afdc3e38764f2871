//! The NAT in front of a node: facts from evidence, in the words of RFC 4787.
//!
//! - [`Evidence`] is what was seen: binding responses of STUN servers to one or several sockets, what peers saw, what came
//!   in unasked. It is bounded and holds no opinion.
//! - [`classify`] turns it into a [`NatProfile`] of `Option`s. `None` is "not known"; a failed measurement never reads as
//!   good news.
//! - [`NatFacts`] keeps the profile over time: each fact with its age, and a changed value only once it was seen twice, so
//!   that one odd answer changes nothing.

mod allocation;
mod classify;
mod evidence;
mod facts;
mod profile;

pub use classify::{classify, mapping_of_main};
pub use evidence::{Binding, Evidence, EvidenceError, Heard, IdleOutcome, PeerView};
pub use facts::{Fact, NatFacts};
pub use profile::{Allocation, Filtering, Lifetime, Mapping, NatProfile, UdpReach};
