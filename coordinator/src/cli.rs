//! The command `warren-coordinator`: reads flags, environment and file, and calls the rest.

mod admin;
mod announce;
mod args;
mod config;
mod error;
mod logs;
mod maintenance;
mod output;
mod relay;
mod run;
mod serve;

pub use run::run;
