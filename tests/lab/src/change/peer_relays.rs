//! A node that an administrator lets be a relay: pairs that it is nearer to use it, and leave it when it is gone.

use std::time::Duration;

use super::echoes::{Echoes, Row, now_s};
use super::relays::{ADOPTED_MAX_MS, FAR_MS, GAP_MAX_MS, INTERVAL, NEAR_MS, until_relay};
use super::{Case, Stage, part};
use crate::coordinator::Coordinator;
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::node::Node;
use crate::opening::{Expected, PATIENCE};
use crate::router_daemon::{Protocol, RouterDaemon};
use crate::scenario::Outcome;
use crate::topology::{PublicHost, Site, Topology, WireSettings};

/// How long the pair is watched after the peer relay was killed or forbidden.
const WATCHED: Duration = Duration::from_secs(5);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "relay/peer",
            about: "a node with a public address may relay: a pair uses it; killed, restarted, forbidden: the pair follows",
            places: |topology| {
                let topology = homes_of_pair(topology, "peer");
                host(topology, "peer-relay", 1, NEAR_MS)
            },
            play: |stage, outcome| play(stage, "peer", outcome),
        },
        Case {
            name: "relay/peer-mapped",
            about: "the same with a node behind a symmetric NAT whose router opens a port by PCP",
            places: |topology| {
                let mut topology = homes_of_pair(topology, "mapped");
                topology.sites.push(Site {
                    name: "mapped-relay".to_owned(),
                    recipe: "symmetric".to_owned(),
                    hosts: vec!["mapped-relay".to_owned()],
                    sites: Vec::new(),
                    lan: None,
                    wire: Some(WireSettings { delay_ms: NEAR_MS, ..WireSettings::default() }),
                });
                topology
            },
            play: |stage, outcome| {
                let site = "mapped-relay";
                let mut router =
                    RouterDaemon::start(&stage.context, stage.internet, site, Protocol::Pcp, None)?;
                let outcome = play(stage, "mapped", outcome)?;
                router.must_run()?;
                Ok(outcome)
            },
        },
    ]
}

fn host(mut topology: Topology, name: &str, addresses: usize, delay_ms: u32) -> Topology {
    let wire = Some(WireSettings { delay_ms, ..WireSettings::default() });
    topology.hosts.push(PublicHost { name: name.to_owned(), addresses, wire, ipv6: false });
    topology
}

/// A coordinator that is far from everybody, and two nodes that cannot go direct.
fn homes_of_pair(topology: Topology, word: &str) -> Topology {
    let (a, b) = (format!("{word}-a"), format!("{word}-b"));
    let topology = topology.site(&a, "symmetric", &[&a]).site(&b, "symmetric", &[&b]);
    host(topology, word, 2, FAR_MS)
}

/// The address that the pair's packets go to.
fn used_address(nodes: &[Node; 2]) -> Result<String, LabError> {
    nodes[0].status()?.path_to(&nodes[1].name).remote.ok_or_else(|| LabError::Unmet("no path".to_owned()))
}

fn play(stage: &Stage<'_>, word: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let (a, b, relay) = (format!("{word}-a"), format!("{word}-b"), format!("{word}-relay"));
    let mut coordinator = Coordinator::start(&stage.context.within("own")?, stage.internet, word)?;
    let nodes = stage.pair_at(&coordinator, [&a, &b], Expected::Relay)?;
    let row = |from: usize, to: usize| {
        let (from, to) = (&nodes[from].namespace, nodes[to].mesh_address(false)?);
        Echoes::start(&stage.context, from, to, INTERVAL, 56)
    };
    // Who only answers notices later that nobody hears it: both ask.
    let rows = [row(0, 1)?, row(1, 0)?];
    let mut node = stage.node(&relay)?;
    node.join(&coordinator.url(), &coordinator.enrollment_key_of(&a, true, "1h")?)?;
    node.start()?;
    node.wait_until_up(PATIENCE)?;
    std::thread::sleep(Duration::from_secs(2));
    until_relay(&nodes, "coordinator", Duration::from_secs(5))?;

    coordinator.admin(&["node", "allow-relay", &relay, "--json"])?;
    let allowed = now_s();
    let adopted_ms = until_relay(&nodes, &relay, Duration::from_secs(30))?;
    let address = used_address(&nodes)?;
    let own = node.status()?;
    if own.relays.len() != 1 || !own.relays[0].registered {
        return Err(LabError::Unmet(format!("the node uses more than the coordinator's: {:?}", own.relays)));
    }
    wait_for("both nodes in what the relay tells of itself", PATIENCE, || {
        let told = node.status()?.own.relay.unwrap_or_default();
        if told.addresses.contains(&address) && told.sessions == 2 {
            Ok(Some(()))
        } else {
            Err(LabError::Unmet(format!("{told:?}, and the pair is at {address}")))
        }
    })?;
    std::thread::sleep(Duration::from_secs(2));
    node.must_run()?;
    let killed = now_s();
    node.kill();
    std::thread::sleep(WATCHED);
    until_relay(&nodes, "coordinator", Duration::from_secs(5))?;

    node.start()?;
    node.wait_until_up(PATIENCE)?;
    let again_ms = until_relay(&nodes, &relay, Duration::from_secs(60))?;
    wait_for("the pair at the same address as before", PATIENCE, || {
        Ok((used_address(&nodes)? == address).then_some(()))
    })?;
    std::thread::sleep(Duration::from_secs(2));
    coordinator.admin(&["node", "forbid-relay", &relay, "--json"])?;
    let forbidden = now_s();
    let left_ms = until_relay(&nodes, "coordinator", Duration::from_secs(10))?;
    std::thread::sleep(WATCHED);

    let [row, back] = rows;
    let (row, back) = (row.stop()?, back.stop()?);
    coordinator.must_run()?;
    node.must_run()?;
    node.stop()?;
    part(nodes)?;
    let gap = |since: f64| {
        let of = |row: &Row| row.gap_ms(since - 0.5, since + WATCHED.as_secs_f64());
        of(&row).max(of(&back))
    };
    let (before, after) = (row.rtt_ms(allowed - 1.5, allowed), row.rtt_ms(killed - 1.5, killed));
    Ok(outcome
        .limited("adopted_ms", adopted_ms, ADOPTED_MAX_MS)
        .figure("rtt_before_ms", before)
        .limited("rtt_near_ms", after, before / 2.0)
        .limited("gap_killed_ms", gap(killed), GAP_MAX_MS)
        .figure("again_ms", again_ms)
        .limited("gap_forbidden_ms", gap(forbidden), GAP_MAX_MS)
        .figure("left_ms", left_ms)
        .judged(Ok("near, then the coordinator's, twice".to_owned())))
}
