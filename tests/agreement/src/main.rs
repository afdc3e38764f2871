//! `agreement`: does the simulator say what real agents behind real NATs did? Reads the figures that `lab run agree --json`
//! wrote, plays the same pairs with many seeds, and compares outcomes and times.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;

mod compare;
mod measured;
mod play;
mod table;

/// Compares the lab's figures with the simulator.
#[derive(Debug, Parser)]
struct Cli {
    /// What `lab run … --json` wrote.
    results: PathBuf,
    /// How many seeds to play each pair with. The lab's time is one draw: where it depends on chance, it lies above all of n
    /// others in one of n + 1 cases, so few seeds are many false alarms.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Also write the comparison to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    run(&Cli::parse()).unwrap_or_else(|error| {
        // Not as `main`'s result: that would add a backtrace, which tells a user nothing.
        let _ = writeln!(std::io::stderr(), "agreement: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&cli.results)
        .with_context(|| format!("cannot read {}", cli.results.display()))?;
    let cases = measured::read(&text)?;
    ensure!(!cases.is_empty(), "{} has no pair to compare: run `lab run agree`", cli.results.display());
    let compared = cases
        .into_iter()
        .map(|case| Ok(compare::compare(play::play(&case, cli.seeds)?, case)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    if let Some(path) = &cli.json {
        let text = serde_json::to_string_pretty(&compared)?;
        std::fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    }
    let disagreeing = compared.iter().filter(|case| !case.agrees()).count();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", table::table(&compared))?;
    writeln!(out, "{} agree, {disagreeing} do not ({})", compared.len() - disagreeing, compare::tolerance())?;
    Ok(if disagreeing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
