//! An agent that does not run for a while, as when its virtual machine is paused.
//!
//! A process that is stopped is no machine that sleeps: its clocks go on, as `CLOCK_BOOTTIME` does in sleep, but the kernel's
//! time in sleep does not grow, so the agent is not told. Nor can an hour be waited for here. `change/suspend-1h` stops the agent
//! for 30 s and lets everything forget it that an hour makes forget: both routers their mappings, the relay its sessions,
//! the coordinator its streams (both are killed and started again). What it cannot show are timers that an hour of the
//! agent's own clock ends, such as those of WireGuard's keys and of tokens: `tests/sim` plays those, up to ten hours.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::echoes::{Echoes, now_s};
use super::rules::forget_now;
use super::{Case, Stage, parameter, part, until_path};
use crate::coordinator::Coordinator;
use crate::error::LabError;
use crate::node::Node;
use crate::opening::Expected;
use crate::scenario::Outcome;
use crate::topology::Topology;

/// From the agent's continuation to the first answered ping, in either direction.
const SILENCE_MAX_MS: f64 = 2_000.0;
/// From the agent's continuation until both show a direct path again.
const DIRECT_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "change/suspend-30s",
            about: "an agent is stopped for 30 s (WARREN_LAB_SUSPEND_S) and continued",
            places: |topology| places(topology, ["sus30-a", "sus30-b"]),
            play: half_a_minute,
        },
        Case {
            name: "change/suspend-1h",
            about: "the same while routers, relay and coordinator forget the node, as they would in an hour",
            places: |topology| places(topology.host("sus1h-coordinator", 2), ["sus1h-a", "sus1h-b"]),
            play: an_hour,
        },
    ]
}

fn places(topology: Topology, hosts: [&str; 2]) -> Topology {
    hosts.into_iter().fold(topology, |topology, host| topology.site(host, "port-restricted-random", &[host]))
}

fn half_a_minute(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let nodes = stage.pair(["sus30-a", "sus30-b"], Expected::Direct)?;
    sleep(stage, outcome, nodes, || Ok(()))
}

fn an_hour(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let hosts = ["sus1h-a", "sus1h-b"];
    let mut coordinator =
        Coordinator::start(&stage.context.within("own")?, stage.internet, "sus1h-coordinator")?;
    let nodes = stage.pair_at(&coordinator, hosts, Expected::Direct)?;
    sleep(stage, outcome, nodes, || {
        coordinator.kill();
        hosts.into_iter().try_for_each(|site| forget_now(&stage.internet.router(site)?.0))?;
        coordinator.serve()
    })
}

/// Stops the first agent for a while in which something else happens.
fn sleep(
    stage: &Stage<'_>,
    outcome: Outcome,
    nodes: [Node; 2],
    meanwhile: impl FnOnce() -> Result<(), LabError>,
) -> Result<Outcome, LabError> {
    let interval = Duration::from_millis(50);
    let row = |from: &Node, to: &Node| {
        Echoes::start(&stage.context, &from.namespace, to.mesh_address(false)?, interval, 56)
    };
    let (out, back) = (row(&nodes[0], &nodes[1])?, row(&nodes[1], &nodes[0])?);
    let start = Instant::now();
    nodes[0].agent()?.signal(Signal::SIGSTOP)?;
    meanwhile()?;
    let length = Duration::from_secs(parameter("WARREN_LAB_SUSPEND_S", 30)?.into());
    std::thread::sleep(length.saturating_sub(start.elapsed()));
    let resumed = now_s();
    nodes[0].agent()?.signal(Signal::SIGCONT)?;
    std::thread::sleep(Duration::from_secs(3));
    until_path(&nodes, "direct", DIRECT_WITHIN)?;
    let direct_ms = (now_s() - resumed) * 1000.0;
    let (out, back) = (out.stop()?, back.stop()?);
    part(nodes)?;
    Ok(outcome
        .limited("first_ping_ms", out.first_after_ms(resumed), SILENCE_MAX_MS)
        .limited("first_ping_of_the_peer_ms", back.first_after_ms(resumed), SILENCE_MAX_MS)
        .figure("direct_again_ms", direct_ms)
        .judged(Ok("direct again".to_owned())))
}
