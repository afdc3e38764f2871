//! `warren`: the node's command line and daemon, the only IO shell around the engine.

mod cli;
mod clock;
mod control;
mod coordinator_client;
mod daemon;
mod departure;
mod entropy;
mod exit_guard;
mod failure;
mod firewall;
mod logging;
mod map_stream;
mod names;
mod net;
mod peer_relay;
mod port_mapping;
mod printable;
mod program;
mod relay_web_sockets;
mod sse;
mod state;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
