//! From the command line to an exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::args::{Cli, Command, ConfigCommand};
use super::error::CliError;
use super::{admin, config_check, maintenance, relay, serve};

/// Runs the command that the process was started with. Exit codes: 0 done, 1 failed, 2 usage, 5 no permission.
#[must_use]
pub fn run() -> ExitCode {
    // Wrong usage ends inside, with code 2 and what is wrong on standard error.
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match carry_out(cli.command, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(std::io::stderr(), "warren-coordinator: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn carry_out(command: Command, matches: &ArgMatches) -> Result<(), CliError> {
    match command {
        Command::Serve(args) => serve::serve(&args),
        Command::Admin(args) => admin::admin(&args),
        Command::Backup(args) => maintenance::backup(&args),
        Command::Restore(args) => maintenance::restore(&args),
        Command::Check(args) => maintenance::check(&args),
        Command::Config(ConfigCommand::Check(args)) => {
            let of_check = matches.subcommand().and_then(|(_, matches)| matches.subcommand());
            config_check::check(&args, of_check.map_or(matches, |(_, matches)| matches))
        }
        Command::Relay(args) => relay::relay(&args),
    }
}
