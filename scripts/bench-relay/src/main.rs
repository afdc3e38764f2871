//! `scripts/bench relay [--json FILE]`: what relaying costs, beside Debian's `coturn` (TURN with ChannelData, RFC 8656) and the
//! kernel's own forwarding, in one run, in network namespaces of its own.
//!
//! A machine's processors are shared with the senders and receivers, so throughput is told per second of the relay
//! process's own CPU time: what one core of a server that does nothing else would carry.

mod lane;
mod memory;
mod process;
mod rows;
mod turn;
mod warren;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lab::{runner, sandbox};
use serde_json::json;

use self::rows::Row;

const USAGE: &str = "usage: scripts/bench relay [--json FILE]";

fn main() -> ExitCode {
    if !sandbox::is_inside() {
        return sandbox::run_inside(false).unwrap_or_else(|error| failed(&error.into()));
    }
    match run() {
        Ok(text) => {
            // A reader that went away does not matter.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "bench relay: {error:#}");
    ExitCode::FAILURE
}

fn run() -> Result<String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (program, file) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [program] => (program, None),
        [program, "--json", file] => (program, Some(PathBuf::from(file))),
        _ => bail!(USAGE),
    };
    sandbox::settle_in()?;
    let rows = rows::all(Path::new(program))?;
    if let Some(file) = file {
        let text = serde_json::to_string_pretty(&report(&rows))?;
        std::fs::write(&file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(rows.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn report(rows: &[Row]) -> serde_json::Value {
    let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
    json!({ "bench": "relay", "machine": runner::machine(), "rows": rows })
}
