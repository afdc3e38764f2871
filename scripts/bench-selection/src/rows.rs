//! The figures, each with what it may be at most or must be at least.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use bench_selection::{Evidence, Mesh, NOW, candidates};
use endpoint_selection::json::SelectInput;
use endpoint_selection::simulation::{Dependence, NatBehaviour, Rng, Scenario, SimulatedNode, simulate};
use endpoint_selection::traversal::{Side, plan};
use endpoint_selection::{Candidate, Policy, Selector, json};
use serde_json::Value;

use crate::cpu::{median, nanoseconds, seconds};

/// Nodes of the large mesh: 499,500 pairs.
const NODES: u32 = 1_000;

/// One figure.
pub(crate) struct Row {
    /// What.
    pub(crate) name: String,
    /// In what.
    pub(crate) unit: &'static str,
    /// How much.
    pub(crate) ours: f64,
    /// The most that is acceptable, where that is said.
    pub(crate) limit: Option<f64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unit, ours, limit } = self;
        let digits = if *ours < 10.0 { 2 } else { 0 };
        write!(f, "{name:<66} {ours:>10.digits$} {unit}")?;
        match limit {
            Some(limit) if ours > limit => write!(f, "  ABOVE its limit of {limit}"),
            Some(limit) => write!(f, "  (at most {limit})"),
            None => Ok(()),
        }
    }
}

fn row(name: impl Into<String>, unit: &'static str, ours: f64, limit: impl Into<Option<f64>>) -> Row {
    Row { name: name.into(), unit, ours, limit: limit.into() }
}

/// Measures everything; `module` is this package's own WASM, and the shipped one has `gzip_bytes` with its script.
pub(crate) fn all(module: &Path, gzip_bytes: u32) -> Result<Vec<Row>> {
    let mut rows = decisions()?;
    rows.extend(offers()?);
    let mut mesh = Mesh::new(NODES);
    let native = seconds(|| mesh.decide_all())?;
    rows.push(row("all pairs of 1,000 nodes: restore, decide, plan; native", "s", native, 5.0));
    let network = serde_json::to_string(&mesh.network())?;
    let outlook = json::outlook(&network)?;
    let native = seconds(|| json::outlook(&network))?;
    rows.push(row("all pairs of 1,000 nodes: outlook through JSON; native", "s", native, 5.0));
    let figures = in_node(module, &network)?;
    ensure!(figures["direct"] == mesh.decide_all().direct, "WASM decides otherwise: {}", figures["direct"]);
    ensure!(figures["outlook"] == outlook, "the shipped WASM expects other paths than native code");
    rows.extend(wasm(&figures)?);
    rows.push(row("shipped WASM module with its script, gzip", "bytes", f64::from(gzip_bytes), 90_000.0));
    rows.extend(memory()?);
    rows.push(row(
        "simulate: pairs behind nine combinations of NATs",
        "pair-minutes/CPU-s",
        simulation()?,
        None,
    ));
    Ok(rows)
}

/// What the shipped module is asked to decide: one peer with eight candidates and evidence on each.
fn decision() -> Result<String> {
    let input = SelectInput {
        now: NOW,
        mesh: Vec::new(),
        snapshot: Mesh::new(2).snapshot(1).clone(),
        candidates: Vec::new(),
        observations: Vec::new(),
    };
    Ok(serde_json::to_string(&input)?)
}

/// One pair at a time.
fn decisions() -> Result<Vec<Row>> {
    let mut mesh = Mesh::new(2);
    let mut rng = Rng::new(3);
    let mut selectors: Vec<Selector> = (0..64).map(|_| mesh.restored(1, &mut rng)).collect();
    let mut next = (0..64).cycle();
    let mut turn = move || next.next().unwrap_or(0);
    let decide = nanoseconds(200_000, || selectors[turn()].select(NOW))?;
    let restore = nanoseconds(200_000, || mesh.restored(1, &mut rng))?;
    let (own, peer) = mesh.sides(0, 1);
    let planned = nanoseconds(100_000, || plan(own, peer, 0))?;
    let text = decision()?;
    let through_json = nanoseconds(20_000, || json::select(&text))?;
    Ok(vec![
        row("one decision, 8 candidates with evidence", "ns", decide, 10_000.0),
        row("restoring the evidence on 8 candidates", "ns", restore, None),
        row("one plan, 8 candidates on each side", "ns", planned, 10_000.0),
        row("one decision with its evidence through JSON; native", "ns", through_json, None),
    ])
}

/// What it costs to be offered more candidates than anyone has: bounded by `Policy::candidates_max`.
fn offers() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let evidence = Evidence::new();
    for offered in [10_usize, 100, 1_000, 10_000] {
        let many: Vec<Candidate> = (0..).flat_map(candidates).take(offered).collect();
        let mut selector = Selector::new(Policy::default(), Vec::new());
        let calls = 2_000_000 / u32::try_from(offered.max(100))?;
        let offer = nanoseconds(calls, || selector.set_candidates(&many, NOW))?;
        let mut snapshot = selector.snapshot(NOW);
        let mut rng = Rng::new(5);
        for path in &mut snapshot.paths {
            (path.status, path.quality) = evidence.choose(path.candidate.kind, &mut rng);
        }
        let mut selector = Selector::restore(Policy::default(), Vec::new(), &snapshot);
        let decide = nanoseconds(20_000, || selector.select(NOW))?;
        let side = Side { candidates: many, ..Side::default() };
        let planned = nanoseconds(calls.min(500), || plan(&side, &side, 0))?;
        rows.push(row(format!("select with {offered} candidates offered"), "ns", decide, 50_000.0));
        rows.push(row(format!("set_candidates with {offered} candidates"), "ns", offer, None));
        rows.push(row(format!("plan with {offered} candidates on each side"), "ns", planned, None));
    }
    Ok(rows)
}

/// The same work as WASM under Node, and the shipped module through its JSON: what the script measured.
fn in_node(module: &Path, network: &str) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("wasm.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .args([module.as_os_str(), NODES.to_string().as_ref(), decision()?.as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start node")?;
    // The script reads all of it before it writes, and the pipe closes here.
    node.stdin.take().context("node has no input")?.write_all(network.as_bytes())?;
    let output = node.wait_with_output()?;
    ensure!(output.status.success(), "node: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn wasm(figures: &Value) -> Result<Vec<Row>> {
    let middle = |name: &str| -> Result<f64> {
        let runs = figures[name].as_array().with_context(|| format!("node tells no `{name}`"))?;
        Ok(median(&mut runs.iter().filter_map(Value::as_f64).collect::<Vec<_>>()))
    };
    Ok(vec![
        row(
            "all pairs of 1,000 nodes: restore, decide, plan; WASM under Node",
            "s",
            middle("all_pairs_s")?,
            15.0,
        ),
        row("all pairs of 1,000 nodes: outlook through JSON; shipped WASM", "s", middle("outlook_s")?, 15.0),
        row("one decision with its evidence through JSON; shipped WASM", "ns", middle("json_ns")?, None),
    ])
}

/// Memory of the selectors that are kept, at two sizes: the same per pair if it is linear.
fn memory() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for nodes in [200, 400_u32] {
        let output = Command::new(std::env::current_exe()?).args(["keep", &nodes.to_string()]).output()?;
        let bytes: f64 =
            String::from_utf8(output.stdout)?.trim().parse().context("memory was not measured")?;
        let pairs = nodes * (nodes - 1) / 2;
        rows.push(row(
            format!("memory of a pair with 8 candidates, where {pairs} are kept"),
            "bytes",
            bytes,
            None,
        ));
    }
    Ok(rows)
}

/// What the selectors of all pairs of so many nodes add to the resident memory, per pair.
pub(crate) fn bytes_per_pair(nodes: u32) -> Result<f64> {
    let resident = || -> Result<f64> {
        let pages = std::fs::read_to_string("/proc/self/statm")?;
        let resident: f64 = pages.split(' ').nth(1).context("no resident size")?.parse()?;
        Ok(resident * 4_096.0)
    };
    let mut mesh = Mesh::new(nodes);
    let before = resident()?;
    let kept = mesh.keep_all();
    let bytes = resident()? - before;
    Ok(bytes / f64::from(u32::try_from(kept.len())?))
}

/// Simulated minutes of a pair for each second of CPU.
fn simulation() -> Result<f64> {
    const MINUTES: u32 = 10;
    let kinds = [
        (Dependence::EndpointIndependent, Dependence::EndpointIndependent),
        (Dependence::EndpointIndependent, Dependence::AddressAndPortDependent),
        (Dependence::AddressAndPortDependent, Dependence::AddressAndPortDependent),
    ];
    let node = |(mapping, filtering)| SimulatedNode {
        boxes: vec![NatBehaviour::new(mapping, filtering)],
        delay_ms: 20,
        foreign_flows_per_s: 20,
        ..SimulatedNode::default()
    };
    let pairs = kinds.iter().flat_map(|own| kinds.iter().map(move |peer| [node(*own), node(*peer)]));
    let scenarios: Vec<Scenario> = pairs
        .map(|nodes| Scenario {
            seed: 1,
            nodes,
            shared: Vec::new(),
            same_network: false,
            carrier_server: false,
            loss_ppm: 10_000,
            duration_ms: MINUTES * 60_000,
            changes: Vec::new(),
        })
        .collect();
    let all = seconds(|| scenarios.iter().map(simulate).filter(Result::is_ok).count())?;
    Ok(f64::from(MINUTES) * f64::from(u32::try_from(scenarios.len())?) / all)
}
