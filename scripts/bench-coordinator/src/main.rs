//! `scripts/bench coordinator [--quick] [--part NAME] [--agents N] [--json FILE]`: what the coordinator costs and how fast it is, with up to 10,000
//! agents.
//!
//! The program itself runs as it does for a user, on loopback; this process plays the agents. Both share the machine's
//! processors, so every time here holds the agents' own work too. CPU figures are the coordinator's alone.

mod agent;
mod change;
mod connection;
mod enrollment;
mod hub;
mod mesh;
mod process;
mod report;
mod rest;
mod row;
mod sse;
mod wide;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;

use self::row::Rows;

const USAGE: &str =
    "usage: scripts/bench coordinator [--quick] [--part rest|wide|hub|mesh] [--agents N] [--json FILE]";

/// What may be measured alone.
const PARTS: [&str; 4] = ["rest", "wide", "hub", "mesh"];

/// How much is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// Numbers of agents after each of which is measured.
    pub(crate) steps: &'static [usize],
    /// Nodes in each network of the mesh.
    pub(crate) network: usize,
    /// Nodes of the one wide network, after each of which is measured.
    pub(crate) wide: &'static [usize],
    /// Nodes of the network with a hub, after each of which is measured.
    pub(crate) hub: &'static [usize],
    /// Changes of which the delays are told.
    pub(crate) changes: usize,
    /// Seconds of a measurement that takes time to be exact.
    pub(crate) seconds: u64,
}

impl Scale {
    /// Without the steps that take more agents, but for the first.
    fn at_most(self, agents: usize) -> Self {
        let until = |steps: &'static [usize]| {
            let count = steps.iter().filter(|step| **step <= agents).count();
            steps.get(..count.max(1)).unwrap_or(steps)
        };
        Self { steps: until(self.steps), wide: until(self.wide), hub: until(self.hub), ..self }
    }
}

/// All of it: some four minutes.
const FULL: Scale = Scale {
    steps: &[10, 100, 1_000, 10_000],
    network: 200,
    wide: &[1_000, 3_000],
    hub: &[1_000, 10_000],
    // One node makes them all, and after forty a coordinator tells of one a second.
    changes: 30,
    seconds: 10,
};
/// Whether it works at all: some twenty seconds.
const QUICK: Scale =
    Scale { steps: &[10, 100], network: 50, wide: &[100], hub: &[100], changes: 5, seconds: 2 };

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench coordinator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().context(USAGE)?;
    let (mut scale, mut file, mut part) = (FULL, None, None);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--quick" => scale = QUICK,
            "--agents" => scale = scale.at_most(arguments.next().context(USAGE)?.parse().context(USAGE)?),
            "--part" => part = Some(arguments.next().filter(|name| PARTS.contains(&&**name)).context(USAGE)?),
            "--json" => file = Some(PathBuf::from(arguments.next().context(USAGE)?)),
            _ => bail!(USAGE),
        }
    }
    raise_open_files()?;
    // One thread: the other processor is the coordinator's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut rows = Rows::default();
    let measured = runtime.block_on(measure(Path::new(&program), part.as_deref(), scale, &mut rows));
    if let Some(file) = file {
        let report =
            json!({ "bench": "coordinator", "machine": lab::runner::machine(), "rows": rows.to_json() });
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(&file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    measured
}

async fn measure(program: &Path, part: Option<&str>, scale: Scale, rows: &mut Rows) -> Result<()> {
    let is_wanted = |name: &str| part.is_none_or(|part| part == name);
    if is_wanted("rest") {
        rest::measure(program, scale, rows).await.context("at rest")?;
    }
    if is_wanted("wide") {
        wide::measure(program, scale, rows).await.context("one wide network")?;
    }
    if is_wanted("hub") {
        hub::measure(program, scale, rows).await.context("a hub")?;
    }
    if is_wanted("mesh") {
        mesh::measure(program, scale, rows).await.context("many networks")?;
    }
    Ok(())
}

/// An agent is one open file here and one there; the coordinator inherits the limit.
fn raise_open_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")
}
