//! The command line: one file per verb.

mod agent;
mod device_authorization;
mod down;
mod enrollment_key;
mod guard;
mod join;
mod leave;
mod netcheck;
mod peers;
mod ping;
mod set;
mod status;
mod table;
mod terminal;
mod up;
mod why;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde::de::DeserializeOwned;
use tracing_subscriber::filter::LevelFilter;

use crate::control::{self, Request};
use crate::exit_guard;
use crate::failure::{Code, Failure};
use crate::logging::{self, LogFormat};
use crate::state::StateFolder;
use terminal::Terminal;
pub(crate) use terminal::is_colourful_stderr;

const AFTER_HELP: &str = "Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 agent not running, 4 not enrolled, \
                          5 no permission, 6 unreachable, 7 timed out, 8 refused by the coordinator.";

/// A node of a self-hosted mesh network: encrypted tunnels straight from node to node, behind any NAT.
#[derive(Debug, Parser)]
#[command(name = "warren", version, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Clone, Args)]
struct Global {
    /// Where the agent keeps its identity and state
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "WARREN_STATE_DIR",
        default_value = "/var/lib/warren"
    )]
    state_dir: PathBuf,
    /// The control socket, at most 107 bytes long
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "WARREN_SOCKET",
        default_value = "/run/warren/warren.sock"
    )]
    socket: PathBuf,
    /// The name of the tunnel's network interface
    #[arg(long, global = true, value_name = "NAME", env = "WARREN_INTERFACE", default_value = "warren0")]
    interface: String,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT", env = "WARREN_LOG_FORMAT", default_value = "human")]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make this machine a node of a network
    Join(join::JoinArgs),
    /// Run the agent in the foreground
    Agent(agent::AgentArgs),
    /// Bring the tunnel up, and keep it so after restarts
    Up,
    /// Take the tunnel down, and keep it so after restarts
    Down,
    /// Choose what this node routes to, and what it uses of what others route to
    Set(set::SetArgs),
    /// Let nothing past the exit node, where one is chosen: for the time until the agent runs
    Guard,
    /// Leave the network
    Leave(leave::LeaveArgs),
    /// Show how this node is doing
    Status,
    /// List the peers and the path to each
    Peers,
    /// Measure round trips to a peer, and see which path they take
    Ping(ping::PingArgs),
    /// Show why a peer is reached the way it is
    Why(why::WhyArgs),
    /// Show what the network around this node is like
    Netcheck,
}

/// What a verb works with.
struct Context {
    global: Global,
    terminal: Terminal,
}

impl Context {
    /// Asks the daemon one thing.
    fn call<T: DeserializeOwned>(&self, request: &Request) -> Result<T, Failure> {
        control::call(&self.global.socket, request).map_err(|mut failure: Failure| {
            let is_guarded = || exit_guard::is_remembered(&StateFolder::new(&self.global.state_dir));
            if failure.code == Code::NotRunning && is_guarded() {
                failure.message.push_str(
                    "; until then nothing leaves for the internet (`warren set --no-exit-node` lets it)",
                );
            }
            failure
        })
    }
}

/// Runs the command line to its end.
pub(crate) fn run() -> ExitCode {
    let Cli { global, verb } = Cli::parse();
    let level = if matches!(verb, Verb::Agent(_)) { LevelFilter::INFO } else { LevelFilter::WARN };
    logging::start(global.log_format, level);
    let terminal = Terminal::new(global.json);
    let context = Context { global, terminal };
    let outcome = match verb {
        Verb::Join(args) => join::run(&context, args),
        Verb::Agent(args) => agent::run(&context, args),
        Verb::Up => up::run(&context),
        Verb::Down => down::run(&context),
        Verb::Set(args) => set::run(&context, args),
        Verb::Guard => guard::run(&context),
        Verb::Leave(args) => leave::run(&context, &args),
        Verb::Status => status::run(&context),
        Verb::Peers => peers::run(&context),
        Verb::Ping(args) => ping::run(&context, &args),
        Verb::Why(args) => why::run(&context, &args),
        Verb::Netcheck => netcheck::run(&context),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.terminal.error(&failure.message);
            ExitCode::from(failure.code as u8)
        }
    }
}

/// A runtime for a verb that talks HTTP.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("cannot start: {error}; check the limits on open files and processes"),
        )
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_verb() {
        for words in [["warren", "--socket", "/s", "status"], ["warren", "status", "--socket", "/s"]] {
            let cli = Cli::try_parse_from(words).unwrap();
            assert_eq!(cli.global.socket, PathBuf::from("/s"));
        }
    }
}
