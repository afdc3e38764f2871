//! What is measured: a mesh with evidence on every pair, and the decision and the plan of each. Pure, so that it runs as WASM too.

mod evidence;
mod mesh;
#[cfg(target_family = "wasm")]
pub mod wasm;

pub use evidence::{Evidence, NOW};
pub use mesh::{Mesh, Tally, candidates};
