//! Pairs that a simulator can play as well: which path they end with, when, what each node says of its NAT, and what that costs
//! the routers. The lab judges only what must hold anywhere; `agreement` compares the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::behaviour::{Allocation, Behaviour, Filtering, Hairpin, Mapping, word};
use crate::coordinator::Coordinator;
use crate::deadline::side_by_side;
use crate::error::LabError;
use crate::internet::Internet;
use crate::mesh::start_together;
use crate::node::Node;
use crate::opening::{PATIENCE, ms};
use crate::ping::first_reply;
use crate::report::attempt;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

mod cases;

use cases::{CASES, Case};

/// Pairs at the same time: agents share this machine's processors, and times are compared.
const AT_ONCE: usize = 2;
/// Pause between two looks at a pair; a path tells itself since when it is used.
const PAUSE: Duration = Duration::from_millis(150);
/// Connections on one router: the sockets and probes of one attempt, and whatever else two nodes do (STUN servers, relay,
/// coordinator, plain opening).
const ENTRIES_MAX: f64 = 256.0 + 2048.0 + 100.0;
/// A measurement of a NAT takes 1.5 s and begins with the first answers.
const NAT_KNOWN: Duration = Duration::from_secs(4);

/// The group `agree/…`.
pub(crate) fn group() -> Group {
    let member = |case: &Case| (format!("agree/{}", case.name), format!("to compare: {}", case.about));
    Group { members: CASES.iter().map(member).collect(), run }
}

fn run(context: &Context, wanted: &[String]) -> Result<Vec<Outcome>, LabError> {
    let context = context.within("agree")?;
    let cases: Vec<Case> =
        CASES.into_iter().filter(|case| wanted.contains(&format!("agree/{}", case.name))).collect();
    let mut topology = Topology::default().host("coordinator", 2);
    let sites: Vec<Vec<String>> =
        cases.iter().enumerate().map(|(index, case)| case.add_to(&mut topology, index)).collect();
    let internet = Internet::build(&topology)?;
    let mut coordinator = Coordinator::start(&context, &internet, "coordinator")?;
    let outcomes = side_by_side(cases.iter().enumerate().collect(), AT_ONCE, |(index, case)| {
        let logs = || Case::hosts(index).map(|host| context.run_dir.join(format!("{host}.log"))).to_vec();
        let meet = |outcome| {
            let nodes = start(&context, &internet, &coordinator, index)?;
            meet(&internet, case, &sites[index], nodes, outcome)
        };
        attempt(&format!("agree/{}", case.name), meet, logs)
    });
    coordinator.must_run()?;
    Ok(outcomes)
}

/// Starts both agents in a network of their own, together.
fn start(
    context: &Context,
    internet: &Internet,
    coordinator: &Coordinator,
    index: usize,
) -> Result<[Node; 2], LabError> {
    let [one, other] = Case::hosts(index);
    let mut nodes = [Node::on(context, internet, &one)?, Node::on(context, internet, &other)?];
    let key = coordinator.new_network(&format!("pair{index}"))?;
    for node in &nodes {
        node.join(&coordinator.url(), &key)?;
    }
    start_together(&mut nodes)?;
    Ok(nodes)
}

/// What a pair was seen to do.
struct Watched {
    /// From `since` until both ends were direct; `None` within the window.
    direct: Option<Duration>,
    /// The paths' kinds at the end.
    kinds: [String; 2],
    /// What each node says of its NAT.
    nats: [Value; 2],
}

fn meet(
    internet: &Internet,
    case: &Case,
    sites: &[String],
    mut nodes: [Node; 2],
    mut outcome: Outcome,
) -> Result<Outcome, LabError> {
    let since = Instant::now();
    let is_over = AtomicBool::new(false);
    let (watched, entries) = std::thread::scope(|scope| {
        let entries = scope.spawn(|| entries_max(internet, sites, &is_over));
        // A pair that does not talk is left alone.
        let talk = nodes[1]
            .mesh_address(false)
            .and_then(|far| first_reply(&nodes[0].namespace, far, since, PATIENCE));
        let watched = talk.and_then(|_| watch(case, &nodes, since));
        is_over.store(true, Ordering::SeqCst);
        (watched, entries.join())
    });
    let watched = watched?;
    let entries =
        entries.unwrap_or_else(|_| Err(LabError::Unmet("the count of connections panicked".into())))?;
    for node in &mut nodes {
        node.must_run()?;
        node.stop()?;
    }
    if let Some(direct) = watched.direct {
        outcome = outcome.figure("direct_ms", ms(direct));
    }
    for (site, entries) in entries {
        outcome = outcome.limited(&format!("entries_max_{site}"), entries, ENTRIES_MAX);
    }
    let path = match (watched.direct, &watched.kinds) {
        (Some(_), _) => "direct",
        (None, [one, other]) if one == "relay" && other == "relay" => "relay",
        (None, _) => "none",
    };
    let mut wrong: Vec<String> =
        (path == "none").then(|| format!("the paths are {:?}", watched.kinds)).into_iter().collect();
    for (node, said) in watched.nats.iter().enumerate() {
        if let Some(truth) = case.only_box(node)? {
            wrong.extend(contradictions(said, truth).into_iter().map(|what| format!("node {node}: {what}")));
        }
    }
    outcome.facts = json!({ "path": path, "case": case.description()?, "nats": watched.nats });
    Ok(outcome.judged(if wrong.is_empty() { Ok(path.to_owned()) } else { Err(wrong.join(", ")) }))
}

/// Looks until both are direct and know their NATs, or the window is over.
fn watch(case: &Case, nodes: &[Node; 2], since: Instant) -> Result<Watched, LabError> {
    let mut direct: Option<Duration> = None;
    loop {
        let statuses = [nodes[0].status()?, nodes[1].status()?];
        let at = since.elapsed();
        let paths = [statuses[0].path_to(&nodes[1].name), statuses[1].path_to(&nodes[0].name)];
        if direct.is_none() && paths.iter().all(|path| path.kind == "direct") {
            let used = |path: &crate::status::Path| Duration::from_millis(path.since_ms.unwrap_or(0));
            direct = paths.iter().map(|path| at.saturating_sub(used(path))).max();
        }
        let is_over = at >= case.window || (direct.is_some() && at >= NAT_KNOWN);
        if is_over {
            let nats = statuses.map(|status| json!(status.own.nat));
            return Ok(Watched { direct, kinds: paths.map(|path| path.kind), nats });
        }
        std::thread::sleep(PAUSE);
    }
}

/// The most connections that each router tracked at one time.
fn entries_max(
    internet: &Internet,
    sites: &[String],
    is_over: &AtomicBool,
) -> Result<Vec<(String, f64)>, LabError> {
    let mut most: Vec<(String, f64)> = sites.iter().map(|site| (site.clone(), 0.0)).collect();
    while !is_over.load(Ordering::SeqCst) {
        for (site, most) in &mut most {
            *most = most.max(f64::from(internet.router(site)?.0.tracked_connections()?));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(most)
}

/// Where a node's word about its NAT is wrong. Not to know is no error.
fn contradictions(said: &Value, truth: Behaviour) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, said: Option<&str>, truth: &str| {
        if let Some(said) = said.filter(|said| *said != truth) {
            wrong.push(format!("{what} is `{truth}`, the agent says `{said}`"));
        }
    };
    compare("mapping", said["mapping"].as_str(), &word(&truth.mapping));
    // A filter is known to be as lax as what came in, so only more than the truth is wrong.
    let filtering = serde_json::from_value::<Filtering>(said["filtering"].clone()).ok();
    if let Some(said) = filtering.filter(|said| *said < truth.filtering) {
        compare("filtering", Some(&word(&said)), &word(&truth.filtering));
    }
    if truth.mapping != Mapping::None {
        let allocation = match truth.allocation {
            Allocation::Preserved => "preserving",
            Allocation::Sequential => "sequential",
            Allocation::PortBlock => "port-block",
            Allocation::Random => "random",
        };
        // A word of its own, or the name of what is told about it.
        let details = said["allocation"].as_object().and_then(|object| object.keys().next());
        let said_allocation = said["allocation"].as_str().or(details.map(String::as_str));
        compare("allocation", said_allocation, allocation);
        let hairpins = matches!(truth.hairpin, Hairpin::Simultaneous | Hairpin::Open);
        let said = said["hairpin"].as_bool().map(|said| said.to_string());
        compare("hairpin", said.as_deref(), &hairpins.to_string());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::contradictions;
    use crate::recipe::recipe;
    use serde_json::json;

    #[test]
    fn a_node_may_know_nothing_but_must_not_be_wrong() {
        let truth = recipe("symmetric-seq").unwrap().ipv4().unwrap();
        assert!(contradictions(&json!({}), truth).is_empty());
        let right = json!({ "mapping": "address-and-port-dependent", "hairpin": false,
            "allocation": { "sequential": { "step": 1 } } });
        assert!(contradictions(&right, truth).is_empty());
        let wrong = json!({ "mapping": "endpoint-independent", "hairpin": true, "filtering": "address-dependent",
            "allocation": "random" });
        assert_eq!(contradictions(&wrong, truth).len(), 4);
    }
}
