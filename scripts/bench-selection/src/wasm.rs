//! The same work for Node, without JSON: numbers in, numbers out, and the selection's own allocator.

use crate::mesh::Mesh;

#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Decides and plans for all pairs of so many nodes; returns how many have a direct path.
#[unsafe(no_mangle)]
pub extern "C" fn decide_all(nodes: u32) -> u32 {
    Mesh::new(nodes).decide_all().direct
}
