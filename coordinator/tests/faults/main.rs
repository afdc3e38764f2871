//! What the coordinator does when the world is against it: killed in mid-write, disks that fail or are full, files that rot, clocks
//! that jump, machines that all want the same key, clients that never finish.
//!
//! Each test runs in a short form; `WARREN_FAULTS=long` runs the long one, `WARREN_FAULTS_SEED=n` repeats a run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "seeds and figures of a run")]

mod clock;
mod corruption;
mod failing_writes;
#[path = "../fixture/mod.rs"]
mod fixture;
mod full_disk;
mod kill;
mod ledger;
mod played;
mod process;
mod single_use;
mod slow_clients;
