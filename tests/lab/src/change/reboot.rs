//! A router that starts anew while the mesh is used: it forgets its connections, and gets a new address and new ports.

use std::time::Duration;

use super::echoes::{Echoes, now_s, percentile};
use super::{Case, Stage, parameter, part, until_path};
use crate::error::LabError;
use crate::opening::Expected;
use crate::scenario::Outcome;
use crate::topology::Topology;

/// A request each 20 ms: the gap is known to that.
const INTERVAL: Duration = Duration::from_millis(20);
/// The gap that users may notice. The goal is one second; see [`play`] for what the lab adds.
const GAP_MAX_MS: f64 = 1_500.0;
/// How long a pair may take to be direct again.
const DIRECT_AGAIN: Duration = Duration::from_secs(20);
/// How long traffic is watched after each change. An agent heeds a relay's hint that mappings moved no more often than each
/// 30 s, so that a hostile relay cannot hold all traffic: sooner, the change would be noticed by silence alone (measured: 1.2
/// to 2.0 s instead of 0.5 s).
const WATCH: Duration = Duration::from_secs(31);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "change/router-reboot",
            about: "a router gets a new address and new ports during traffic, again and again (WARREN_LAB_REBOOTS, 3)",
            places: |topology| places(topology, ["reboot-a", "reboot-b"], "port-restricted-random"),
            play: |stage, outcome| play(stage, outcome, ["reboot-a", "reboot-b"], Expected::Direct),
        },
        Case {
            name: "change/router-reboot-relayed",
            about: "the same between two nodes behind symmetric NATs, whose traffic the relay carries",
            places: |topology| places(topology, ["resym-a", "resym-b"], "symmetric"),
            play: |stage, outcome| play(stage, outcome, ["resym-a", "resym-b"], Expected::Relay),
        },
    ]
}

fn places(topology: Topology, hosts: [&str; 2], recipe: &str) -> Topology {
    hosts.into_iter().fold(topology, |topology, host| topology.site(host, recipe, &[host]))
}

/// The figure is the longest silence around each change, over all changes the 95th percentile: with three of them, the
/// longest. The lab's own part of it is the time in which the router has no rules (three programs, 50 to 150 ms). Measured: 0.47 to
/// 0.98 s on a machine with six times as much to do as it can, so half a second more than the goal keeps a slow machine apart
/// from a slow agent.
fn play(
    stage: &Stage<'_>,
    outcome: Outcome,
    hosts: [&str; 2],
    expected: Expected,
) -> Result<Outcome, LabError> {
    let nodes = stage.pair(hosts, expected)?;
    let far = nodes[1].mesh_address(false)?;
    let reboots = parameter("WARREN_LAB_REBOOTS", 3)?;
    let row = Echoes::start(&stage.context, &nodes[0].namespace, far, INTERVAL, 56)?;
    std::thread::sleep(Duration::from_secs(1));
    let watch = if expected == Expected::Relay { Duration::ZERO } else { WATCH };
    let (mut spans, mut settled) = (Vec::new(), Vec::new());
    for _ in 0..reboots {
        let start = now_s();
        stage.internet.rebind(hosts[0])?;
        // The old path is still shown for a moment.
        std::thread::sleep(Duration::from_secs(3));
        until_path(&nodes, expected.kind(), DIRECT_AGAIN)?;
        settled.push((now_s() - start) * 1000.0);
        std::thread::sleep(watch.saturating_sub(Duration::from_secs_f64((now_s() - start).max(0.0))));
        spans.push((start - 0.2, now_s()));
    }
    let row = row.stop()?;
    part(nodes)?;
    let gaps: Vec<f64> = spans.iter().map(|(from, to)| row.gap_ms(*from, *to)).collect();
    let outcome = gaps
        .iter()
        .enumerate()
        .fold(outcome, |outcome, (index, gap)| outcome.figure(&format!("gap_{:03}_ms", index + 1), *gap));
    Ok(outcome
        .figure("gap_median_ms", percentile(gaps.clone(), 50))
        .limited("gap_p95_ms", percentile(gaps, 95), GAP_MAX_MS)
        .figure("settled_max_ms", percentile(settled, 100))
        .judged(Ok(format!("{} after {reboots} changes", expected.kind()))))
}
