//! `scripts/bench selection [--json FILE]`: what the selection costs. There is no peer to compare with: no other mesh exposes its
//! selection as a function, so `peer` and `ratio` are null, and the limits are our own.
//!
//! All times are CPU time of the process, so that other work on the machine does not count; each is the median of five runs.

mod cpu;
mod rows;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::json;

use self::rows::Row;

const USAGE: &str = "usage: scripts/bench selection [--json FILE]";

/// What to do, by the arguments.
enum Task {
    /// Measure, with this WASM module beside the shipped one of that size, and write the figures to this file as well.
    Measure { module: PathBuf, gzip_bytes: u32, json: Option<PathBuf> },
    /// Keep the selectors of a mesh of so many nodes, and tell how much memory they take: in a process of its own.
    Keep(u32),
}

fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            // A reader that went away does not matter.
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench selection: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String> {
    let (module, gzip_bytes, file) = match task()? {
        Task::Keep(nodes) => return rows::bytes_per_pair(nodes).map(|bytes| bytes.to_string()),
        Task::Measure { module, gzip_bytes, json } => (module, gzip_bytes, json),
    };
    let rows = rows::all(&module, gzip_bytes)?;
    if let Some(file) = file {
        let text = serde_json::to_string_pretty(&report(&rows)?)?;
        std::fs::write(&file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    Ok(lines.join("\n"))
}

fn task() -> Result<Task> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    Ok(match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["keep", nodes] => Task::Keep(nodes.parse()?),
        ["measure", module, bytes, ref rest @ ..] => Task::Measure {
            module: module.into(),
            gzip_bytes: bytes.parse()?,
            json: match rest {
                [] => None,
                ["--json", file] => Some(file.into()),
                _ => bail!(USAGE),
            },
        },
        _ => bail!(USAGE),
    })
}

fn report(rows: &[Row]) -> Result<serde_json::Value> {
    let cpus = std::fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism()?.get();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| json!({ "name": row.name, "unit": row.unit, "ours": row.ours, "peer": null, "ratio": null, "limit": row.limit }))
        .collect();
    let machine = format!("{}, {cores} cores", model.unwrap_or("unknown processor"));
    Ok(json!({ "bench": "selection", "machine": machine, "rows": rows }))
}
