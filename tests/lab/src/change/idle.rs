//! What a node costs that talks with nobody, in a network of a hundred.

use std::time::Duration;

use super::rules::Rules;
use super::{Case, Stage, parameter, part};
use crate::error::LabError;
use crate::node::Node;
use crate::scenario::Outcome;

/// Others that are registered, besides the second node that runs. They do not run: each would need a namespace.
const REGISTERED: u32 = 98;
/// Before the count: the search for the NAT's behaviour is over, and nobody has ever used the tunnel.
const SETTLE: Duration = Duration::from_secs(10);
/// How long is counted.
const COUNT: Duration = Duration::from_secs(30);
/// UDP and TCP that the node sends: a keepalive to its relay each 10 s (some 60 bytes), a STUN question each 25 s, and a report
/// to the coordinator now and then, with TCP's and HTTP's own bytes.
const SENT_MAX_BYTES_S: f64 = 100.0;
/// Milliseconds of processor time per second: an agent built without optimisation looks at its interfaces and its tunnel's
/// counters four times a second.
const PROCESSOR_MAX_MS_S: f64 = 20.0;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "idle/traffic",
        about: "what a node sends and computes that has 99 peers (WARREN_LAB_IDLE_PEERS, 98) and talks with none",
        places: |topology| {
            topology.site("idle-a", "port-restricted", &["idle-a"]).site(
                "idle-b",
                "port-restricted",
                &["idle-b"],
            )
        },
        play,
    }]
}

/// Registers a node, after a while where the coordinator takes no more from one address for now.
fn register(node: &Node, name: &str, url: &str, key: &str) -> Result<(), LabError> {
    for _ in 0..60 {
        match node.register_another(name, url, key) {
            Err(LabError::Command { output, .. }) if output.contains("too many requests") => {
                std::thread::sleep(Duration::from_secs(1));
            }
            registered => return registered,
        }
    }
    Err(LabError::Unmet(format!("{name} was not let in within a minute")))
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let hosts = ["idle-a", "idle-b"];
    let nodes = stage.up(stage.coordinator, hosts)?;
    let url = stage.coordinator.url();
    let key = stage.coordinator.enrollment_key_of(hosts[0], true, "1h")?;
    let registered = parameter("WARREN_LAB_IDLE_PEERS", REGISTERED)?;
    for index in 0..registered {
        register(&nodes[1], &format!("idle-{index}"), &url, &key)?;
    }
    std::thread::sleep(SETTLE);
    let (router, _) = stage.internet.router(hosts[0])?;
    let count = Rules::count_sent(&router, "idle", None)?;
    let before = nodes[0].agent()?.processor_time()?;
    std::thread::sleep(COUNT);
    let (packets, bytes) = count.counted()?;
    let worked = nodes[0].agent()?.processor_time()?.saturating_sub(before);
    let peers = nodes[0].status()?.peers.len();
    part(nodes)?;
    let seconds = COUNT.as_secs_f64();
    let wanted = usize::try_from(registered).unwrap_or(0) + 1;
    Ok(outcome
        .limited("sent_bytes_s", bytes / seconds, SENT_MAX_BYTES_S)
        .figure("sent_packets_s", packets / seconds)
        .limited("processor_ms_s", worked.as_secs_f64() * 1000.0 / seconds, PROCESSOR_MAX_MS_S)
        .judged(match peers == wanted {
            true => Ok(format!("{peers} peers")),
            false => Err(format!("the node has {peers} peers, not {wanted}")),
        }))
}
