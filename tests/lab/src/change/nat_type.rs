//! A router whose NAT becomes another one under traffic, and then what it was: its owner ticked a box, or a carrier moved the line.

use std::time::{Duration, Instant};

use super::echoes::{Echoes, Row, now_s};
use super::{Case, Stage};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, watch};
use crate::scenario::Outcome;

/// Who is behind the router that changes, a peer whose NAT lets anybody in, and one whose NAT filters by port.
const HOSTS: [&str; 3] = ["nattype-a", "nattype-b", "nattype-c"];
const RECIPES: [&str; 3] = ["port-restricted", "full-cone", "port-restricted"];
const INTERVAL: Duration = Duration::from_millis(50);
/// The longest silence around a change, as after a router's reboot.
const GAP_MAX_MS: f64 = 2_000.0;
/// From a change until the node tells how its NAT maps now.
const KNOWN_MAX_MS: f64 = 15_000.0;
/// From a change until both peers' paths are those of the new NAT.
const SETTLED_MAX_MS: f64 = 30_000.0;
/// How long everything may take before the scenario gives up.
const LIMIT: Duration = Duration::from_secs(40);
/// How long a kind of NAT is kept, so that a path found late by a search is seen as well.
const KEPT: Duration = Duration::from_secs(6);
/// How long a path that is dead may be shown after a change: three questions, and the time that they have for their answers.
const OLD_SHOWN: Duration = Duration::from_secs(3);
/// Changes of a path for each change of the NAT: to the relay, and directly again, and one more where a search found the first
/// direct path.
const SWITCHES_MAX: f64 = 6.0;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "change/nat-type",
        about: "a router's mapping becomes address-and-port-dependent with random ports under traffic, and back",
        places: |topology| {
            HOSTS
                .iter()
                .zip(RECIPES)
                .fold(topology, |topology, (host, recipe)| topology.site(host, recipe, &[host]))
        },
        play,
    }]
}

/// One change and what must come of it.
struct Change {
    recipe: &'static str,
    /// What the node must tell of its mapping then.
    mapping: Option<&'static str>,
    /// The paths to the second and the third node.
    expected: [Expected; 2],
}

const CHANGES: [Change; 2] = [
    Change {
        recipe: "symmetric",
        mapping: Some("address-and-port-dependent"),
        expected: [Expected::Direct, Expected::RelayFirst],
    },
    Change {
        recipe: "port-restricted",
        mapping: Some("endpoint-independent"),
        expected: [Expected::Direct, Expected::Direct],
    },
];

fn play(stage: &Stage<'_>, mut outcome: Outcome) -> Result<Outcome, LabError> {
    let key = stage.coordinator.new_network(HOSTS[0])?;
    let mut nodes = [stage.node(HOSTS[0])?, stage.node(HOSTS[1])?, stage.node(HOSTS[2])?];
    for node in &mut nodes {
        node.join(&stage.coordinator.url(), &key)?;
        node.start()?;
    }
    nodes.iter_mut().try_for_each(|node| node.wait_until_up(PATIENCE).map(|_| ()))?;
    let [own, peers @ ..] = &nodes;
    for peer in peers {
        watch(own, peer, Instant::now(), Expected::Direct)?;
    }
    until_mapping(own, "endpoint-independent")?;
    let rows = peers.each_ref().map(|peer| {
        let far = peer.mesh_address(false)?;
        Echoes::start(&stage.context, &own.namespace, far, INTERVAL, 56)
    });
    let [one, other] = rows;
    let rows = [one?, other?];
    std::thread::sleep(Duration::from_secs(1));
    let before = switches(own, peers)?;
    let mut spans = Vec::new();
    for change in &CHANGES {
        let (since, at_s) = (Instant::now(), now_s());
        stage.internet.exchange_rules(HOSTS[0], change.recipe)?;
        if let Some(mapping) = change.mapping {
            until_mapping(own, mapping)?;
            let known_ms = since.elapsed().as_secs_f64() * 1000.0;
            outcome = outcome.limited(&format!("known_{}_ms", change.recipe), known_ms, KNOWN_MAX_MS);
        }
        // The old path is still shown for a moment.
        std::thread::sleep(OLD_SHOWN.saturating_sub(since.elapsed()));
        until_paths(own, peers, change.expected)?;
        let settled_ms = since.elapsed().as_secs_f64() * 1000.0;
        std::thread::sleep(KEPT.saturating_sub(since.elapsed()));
        spans.push((change.recipe, at_s - 0.2, now_s()));
        outcome = outcome.limited(&format!("settled_{}_ms", change.recipe), settled_ms, SETTLED_MAX_MS);
    }
    let changes = switches(own, peers)? - before;
    let [one, other] = rows;
    let rows = [("open", one.stop()?), ("filtered", other.stop()?)];
    for mut node in nodes {
        node.must_run()?;
        node.stop()?;
    }
    for (recipe, from_s, to_s) in spans {
        for (peer, row) in &rows {
            let gap_ms = Row::gap_ms(row, from_s, to_s);
            outcome = outcome.limited(&format!("gap_{peer}_{recipe}_ms"), gap_ms, GAP_MAX_MS);
        }
    }
    Ok(outcome.limited("switches", changes, SWITCHES_MAX).judged(Ok("direct to both again".to_owned())))
}

/// Waits until a node tells that its NAT maps so.
fn until_mapping(node: &Node, mapping: &str) -> Result<(), LabError> {
    let what = format!("{} telling of {mapping} mapping", node.name);
    let look = || {
        std::thread::sleep(Duration::from_millis(80));
        let nat = node.status()?.own.nat;
        match nat.get("mapping").and_then(serde_json::Value::as_str) {
            Some(said) if said == mapping => Ok(Some(())),
            said => Err(LabError::Unmet(format!("it says {said:?}"))),
        }
    };
    wait_for(&what, LIMIT, look).map(|_| ())
}

/// Waits until the paths between a node and its peers are as expected, on both ends.
fn until_paths(own: &Node, peers: &[Node; 2], expected: [Expected; 2]) -> Result<(), LabError> {
    let look = || {
        std::thread::sleep(Duration::from_millis(80));
        for (peer, expected) in peers.iter().zip(expected) {
            for (node, far) in [(own, peer), (peer, own)] {
                if let Some(complaint) = expected.complaint(&node.status()?.path_to(&far.name)) {
                    return Err(LabError::Unmet(format!("{} to {}: {complaint}", node.name, far.name)));
                }
            }
        }
        Ok(Some(()))
    };
    wait_for("the paths of the NAT as it is now", LIMIT, look).map(|_| ())
}

/// How often a node has changed the path to that of its peers with the most changes.
fn switches(own: &Node, peers: &[Node; 2]) -> Result<f64, LabError> {
    let status = own.status()?;
    Ok(peers.iter().map(|peer| f64::from(status.switches_to(&peer.name))).fold(0.0, f64::max))
}
