//! The real `warren` binary: its exit codes, its words, what it leaves on disk, and what it never says.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "all of it is tests, helpers of tests included"
)]

mod agent;
mod coordinator;
mod device_authorization;
mod join;
mod leave;
mod machine;
mod secrets;
mod signed_maps;
mod tunnel;
