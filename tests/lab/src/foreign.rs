//! Prediction while somebody else behind the same routers takes ports as well: 20 new flows a second.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::coordinator::Coordinator;
use crate::deadline::side_by_side;
use crate::error::LabError;
use crate::internet::Internet;
use crate::mesh::start_together;
use crate::namespace::Namespace;
use crate::node::Node;
use crate::opening::{PATIENCE, ms};
use crate::ping::first_reply;
use crate::random::seed;
use crate::report::attempt;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::{PublicHost, Site, Topology, WireSettings};

mod flows;

use flows::{Flows, Servers};

/// Pairs at the same time: agents share this machine's processors, and times have limits.
const AT_ONCE: usize = 2;
/// One way over each uplink, in milliseconds.
const DELAY_MS: u32 = 10;
/// Addresses of the host that the foreign flows go to.
const SERVER_ADDRESSES: usize = 8;
/// How long the flows run before the agents start: a NAT is never seen without them.
const BEFORE: Duration = Duration::from_millis(500);
/// Fewer than this in a second would make a test that is too easy; a Poisson process of 20 falls below it within the three
/// seconds that a pair takes once in a million times.
const FLOWS_MIN_PER_S: f64 = 8.0;
/// From both agents up to the first answered ping, through the relay.
const FIRST_PING_MAX_MS: f64 = 1_000.0;
/// How long a pair is watched: an attempt begins within five seconds and ends within twelve.
const WINDOW: Duration = Duration::from_secs(20);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections beside those of an attempt: STUN servers, relay, coordinator, plain opening.
const ENTRIES_BESIDE: f64 = 100.0;
/// What a mapper may open: one for each of its sockets.
const MAPPER_ENTRIES_MAX: f64 = 256.0 + ENTRIES_BESIDE;
/// What a prober may open: one for each of its probes.
const PROBER_ENTRIES_MAX: f64 = 2_048.0 + ENTRIES_BESIDE;

/// One scenario.
struct Case {
    name: &'static str,
    about: &'static str,
    recipes: [&'static str; 2],
    /// From both agents up until both show a direct path.
    direct_max_ms: f64,
    /// The most connections of each node on its router at one time.
    entries_max: [f64; 2],
}

const CASES: [Case; 4] = [
    Case {
        name: "foreign/port-restricted-x-sequential",
        about: "20 foreign flows a second take ports of the sequence that is predicted",
        recipes: ["port-restricted", "symmetric-seq"],
        direct_max_ms: 3_000.0,
        entries_max: [PROBER_ENTRIES_MAX, MAPPER_ENTRIES_MAX],
    },
    Case {
        name: "foreign/sequential-x-sequential",
        about: "20 foreign flows a second on both routers take ports of both sequences",
        recipes: ["symmetric-seq", "symmetric-seq"],
        direct_max_ms: 3_000.0,
        entries_max: [PROBER_ENTRIES_MAX, PROBER_ENTRIES_MAX],
    },
    Case {
        name: "foreign/port-restricted-x-port-block",
        about: "20 foreign flows a second beside the block that is searched",
        recipes: ["port-restricted", "symmetric-port-block"],
        direct_max_ms: 10_000.0,
        entries_max: [PROBER_ENTRIES_MAX, MAPPER_ENTRIES_MAX],
    },
    Case {
        name: "foreign/firewall-x-symmetric",
        about: "20 foreign flows a second beside a birthday search",
        recipes: ["firewall", "symmetric"],
        direct_max_ms: 10_000.0,
        entries_max: [PROBER_ENTRIES_MAX, MAPPER_ENTRIES_MAX],
    },
];

/// The group `foreign/…`.
pub(crate) fn group() -> Group {
    Group { members: CASES.iter().map(|case| (case.name.to_owned(), case.about.to_owned())).collect(), run }
}

/// The hosts of the pair with this number, which name their sites as well.
fn hosts(index: usize) -> [String; 2] {
    ["a", "b"].map(|side| format!("f{index}{side}"))
}

/// The foreign host beside one of them.
fn neighbour(host: &str) -> String {
    format!("{host}-foreign")
}

fn topology(cases: &[Case]) -> Topology {
    let wire = Some(WireSettings { delay_ms: DELAY_MS, ..WireSettings::default() });
    let mut topology = Topology::default().host("coordinator", 2);
    topology.hosts.push(PublicHost {
        name: "web".to_owned(),
        addresses: SERVER_ADDRESSES,
        ipv6: false,
        wire: None,
    });
    for (index, case) in cases.iter().enumerate() {
        for (host, recipe) in hosts(index).into_iter().zip(case.recipes) {
            topology.sites.push(Site {
                name: host.clone(),
                recipe: recipe.to_owned(),
                hosts: vec![host.clone(), neighbour(&host)],
                wire,
                ..Site::default()
            });
        }
    }
    topology
}

fn run(context: &Context, wanted: &[String]) -> Result<Vec<Outcome>, LabError> {
    let context = context.within("foreign")?;
    let cases: Vec<Case> =
        CASES.into_iter().filter(|case| wanted.iter().any(|name| name == case.name)).collect();
    let internet = Internet::build(&topology(&cases))?;
    let servers = Servers::start(&internet, "web")?;
    let mut coordinator = Coordinator::start(&context, &internet, "coordinator")?;
    let outcomes = side_by_side(cases.iter().enumerate().collect(), AT_ONCE, |(index, case)| {
        let logs = || hosts(index).map(|host| context.run_dir.join(format!("{host}.log"))).to_vec();
        let play = |outcome| {
            let seed = seed()?;
            let key = coordinator.new_network(&format!("foreign{index}"))?;
            let [one, other] = hosts(index);
            let nodes = [Node::on(&context, &internet, &one)?, Node::on(&context, &internet, &other)?];
            for node in &nodes {
                node.join(&coordinator.url(), &key)?;
            }
            play(&internet, &servers, case, nodes, seed, outcome)
                .map_err(|error| LabError::Unmet(format!("foreign flows of seed {seed}: {error}")))
        };
        attempt(case.name, play, logs)
    });
    servers.must_run()?;
    coordinator.must_run()?;
    Ok(outcomes)
}

fn play(
    internet: &Internet,
    servers: &Servers,
    case: &Case,
    mut nodes: [Node; 2],
    seed: u64,
    mut outcome: Outcome,
) -> Result<Outcome, LabError> {
    let others = [(&nodes[0].name, seed), (&nodes[1].name, !seed)]
        .map(|(host, seed)| Flows::start(internet, &neighbour(host), servers, seed));
    let [one, other] = others;
    let others = [one?, other?];
    std::thread::sleep(BEFORE);
    start_together(&mut nodes)?;
    let since = Instant::now();
    let is_over = AtomicBool::new(false);
    let (met, entries) = std::thread::scope(|scope| {
        let entries = scope.spawn(|| entries_max(internet, &nodes, &is_over));
        let met = meet(&nodes, since);
        is_over.store(true, Ordering::SeqCst);
        let panicked = |_| Err(LabError::Unmet("the count of connections panicked".to_owned()));
        (met, entries.join().unwrap_or_else(panicked))
    });
    let ((first_ping, direct), entries) = (met?, entries?);
    let rates = [others[0].per_second()?, others[1].per_second()?];
    drop(others);
    for node in &mut nodes {
        node.must_run()?;
        node.stop()?;
    }
    outcome = outcome.limited("first_ping_ms", ms(first_ping), FIRST_PING_MAX_MS);
    outcome = outcome.limited("direct_ms", ms(direct.unwrap_or(WINDOW)), case.direct_max_ms);
    for (index, side) in ["one", "other"].into_iter().enumerate() {
        outcome = outcome.limited(&format!("entries_max_{side}"), entries[index], case.entries_max[index]);
        outcome = outcome.figure(&format!("foreign_flows_per_s_{side}"), rates[index]);
    }
    outcome.facts = json!({ "seed": seed });
    let few = rates.into_iter().find(|rate| *rate < FLOWS_MIN_PER_S);
    Ok(outcome.judged(match (direct, few) {
        (_, Some(rate)) => Err(format!("only {rate:.1} foreign flows a second (seed {seed})")),
        (None, None) => Err(format!("no direct path within {} s (seed {seed})", WINDOW.as_secs())),
        (Some(_), None) => Ok(format!("direct (seed {seed})")),
    }))
}

/// From `since` to the first answered ping, and until both ends were direct; `None` within the window.
fn meet(nodes: &[Node; 2], since: Instant) -> Result<(Duration, Option<Duration>), LabError> {
    let far = nodes[1].mesh_address(false)?;
    let first_ping = first_reply(&nodes[0].namespace, far, since, PATIENCE)?;
    while since.elapsed() < WINDOW {
        let statuses = [nodes[0].status()?, nodes[1].status()?];
        let at = since.elapsed();
        let paths = [statuses[0].path_to(&nodes[1].name), statuses[1].path_to(&nodes[0].name)];
        if paths.iter().all(|path| path.kind == "direct") {
            // A path tells itself since when it is used.
            let used = paths.iter().map(|path| Duration::from_millis(path.since_ms.unwrap_or(0))).min();
            return Ok((first_ping, Some(at.saturating_sub(used.unwrap_or_default()))));
        }
        std::thread::sleep(PAUSE);
    }
    Ok((first_ping, None))
}

/// The most connections of each node itself that its router tracked at one time.
fn entries_max(internet: &Internet, nodes: &[Node; 2], is_over: &AtomicBool) -> Result<[f64; 2], LabError> {
    let mut most = [0.0_f64; 2];
    loop {
        // Read before the count, so that the last one is after everything.
        let last = is_over.load(Ordering::SeqCst);
        for (node, most) in nodes.iter().zip(&mut most) {
            let (router, _) = internet.router(&node.name)?;
            let own = internet.addresses(&node.name)?[0];
            *most = most.max(f64::from(connections_of(&router, own)?));
        }
        if last {
            return Ok(most);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The UDP connections of one host that a router tracks, whoever began them.
fn connections_of(router: &Namespace, host: Ipv4Addr) -> Result<u32, LabError> {
    let output = router.command("conntrack").args(["-L", "-p", "udp"]).output();
    let output = output.map_err(|error| LabError::Unmet(format!("conntrack cannot be run: {error}")))?;
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LabError::Command { command: "conntrack -L".to_owned(), output });
    }
    Ok(lines_of(&String::from_utf8_lossy(&output.stdout), host))
}

/// The lines in which a host is the source of one of the two directions.
fn lines_of(listed: &str, host: Ipv4Addr) -> u32 {
    let source = format!("src={host}");
    let lines = listed.lines().filter(|line| line.split(' ').any(|word| word == source)).count();
    u32::try_from(lines).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{CASES, lines_of, topology};
    use crate::plan::Plan;

    #[test]
    fn every_pair_has_a_foreign_host_behind_each_router() {
        let plan = Plan::of(&topology(&CASES)).unwrap();
        assert_eq!(plan.hosts.keys().filter(|name| name.ends_with("-foreign")).count(), 2 * CASES.len());
        assert_eq!(plan.hosts["f0a"].site, plan.hosts["f0a-foreign"].site);
    }

    #[test]
    fn only_the_connections_of_the_host_itself_are_counted() {
        let listed = "udp 17 28 src=192.168.1.10 dst=1.2.3.4 sport=1 dport=2 [UNREPLIED] src=1.2.3.4 dst=203.0.113.10\n\
            udp 17 28 src=192.168.1.100 dst=1.2.3.4 sport=1 dport=2 src=1.2.3.4 dst=203.0.113.10\n\
            udp 17 28 src=1.2.3.4 dst=203.0.113.10 sport=1 dport=2 src=192.168.1.10 dst=1.2.3.4\n";
        assert_eq!(lines_of(listed, [192, 168, 1, 10].into()), 2);
        assert_eq!(lines_of(listed, [192, 168, 1, 1].into()), 0);
    }
}
