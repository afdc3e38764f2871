//! An agent that is killed and starts again while its peer sends to it: the peer's session is one of the life before.

use std::time::Duration;

use super::echoes::{Echoes, now_s};
use super::{Case, Stage, homes, part, switches, until_path};
use crate::error::LabError;
use crate::opening::{Expected, PATIENCE};
use crate::scenario::Outcome;

const HOSTS: [&str; 2] = ["crashed-a", "crashed-b"];
const INTERVAL: Duration = Duration::from_millis(50);
/// How long the agent is dead.
const DEAD: Duration = Duration::from_secs(2);
/// How long the pair is watched after it is up again. WireGuard itself begins a new session 15 s after a packet that nothing answered.
const WATCH: Duration = Duration::from_secs(20);
/// From the agent up to the first answered ping.
const SILENCE_MAX_MS: f64 = 2_000.0;
/// To the relay and back, on both ends, and once more where they learn of each other apart.
const SWITCHES_MAX: f64 = 6.0;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "change/peer-killed",
        about: "a node's agent is killed and starts again, and only its peer has something to send",
        places: |topology| homes(topology, "port-restricted", HOSTS),
        play,
    }]
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut nodes = stage.pair(HOSTS, Expected::Direct)?;
    let far = nodes[1].mesh_address(false)?;
    let row = Echoes::start(&stage.context, &nodes[0].namespace, far, INTERVAL, 56)?;
    std::thread::sleep(Duration::from_secs(1));
    nodes[1].kill();
    std::thread::sleep(DEAD);
    let before = switches(&nodes);
    nodes[1].start()?;
    nodes[1].wait_until_up(PATIENCE)?;
    let up = now_s();
    std::thread::sleep(WATCH);
    let row = row.stop()?;
    until_path(&nodes, "direct", PATIENCE)?;
    let changes = switches(&nodes)? - before.unwrap_or(0.0);
    part(nodes)?;
    Ok(outcome
        .limited("silence_ms", row.first_after_ms(up), SILENCE_MAX_MS)
        .limited("switches", changes, SWITCHES_MAX)
        .judged(Ok("direct again".to_owned())))
}
