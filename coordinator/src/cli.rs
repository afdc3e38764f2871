//! The command `warren-coordinator`: reads flags, environment and file, and calls the rest.

mod activation;
mod admin;
mod announce;
mod args;
mod config;
mod config_check;
mod error;
mod file_limit;
mod first_owner;
mod logs;
mod mail;
mod maintenance;
mod oidc;
mod output;
mod relay;
mod run;
mod serve;
mod serve_args;
mod servers_socket;
mod tls;

pub use run::run;
