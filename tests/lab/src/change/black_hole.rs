//! Direct paths that stop to carry what they carried: traffic must return to the relay.

use std::time::Duration;

use super::echoes::{Echoes, now_s};
use super::rules::{Harm, Rules};
use super::{Case, Stage, homes, part, until_path};
use crate::error::LabError;
use crate::opening::Expected;
use crate::scenario::Outcome;

/// How long the relay may take to be shown by both.
const RELAYED_WITHIN: Duration = Duration::from_secs(20);

/// What breaks, and what it may cost.
#[derive(Clone, Copy)]
struct Hole {
    hosts: [&'static str; 2],
    harm: Harm,
    /// Only from the first node to the second.
    one_way: bool,
    /// Size of the pings.
    size: u16,
    gap_max_ms: f64,
}

/// The peer's answers are lost or our questions are, so both ask twice (see `upkeep` in the agent: at most one second
/// for an answer, four RTTs if that is known), then the relay carries.
const ONE_WAY: Hole =
    Hole { hosts: ["hole-a", "hole-b"], harm: Harm::All, one_way: true, size: 56, gap_max_ms: 3_000.0 };
/// Short probes pass, so the loss shows only in what the peer says it has heard and in long questions, three of which may go
/// unanswered. The sender finds out and tells the peer, whose answers get lost as well (measured: 3.7 to 3.9 s; twice that is the
/// limit).
const DATA_ONLY: Hole = Hole {
    hosts: ["narrow-a", "narrow-b"],
    harm: Harm::LongerThan(1_000),
    one_way: false,
    size: 1_200,
    gap_max_ms: 7_500.0,
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "change/one-way-black-hole",
            about: "the direct path loses everything in one direction: the relay carries on, and direct when it heals",
            places: |topology| homes(topology, "port-restricted", ONE_WAY.hosts),
            play: |stage, outcome| play(stage, outcome, ONE_WAY),
        },
        Case {
            name: "change/data-only-black-hole",
            about: "the direct path loses all that is longer than 1000 bytes, probes pass: large pings work again",
            places: |topology| homes(topology, "port-restricted", DATA_ONLY.hosts),
            play: |stage, outcome| play(stage, outcome, DATA_ONLY),
        },
    ]
}

fn play(stage: &Stage<'_>, outcome: Outcome, hole: Hole) -> Result<Outcome, LabError> {
    let nodes = stage.pair(hole.hosts, Expected::Direct)?;
    let far = nodes[1].mesh_address(false)?;
    let [one, other] = hole.hosts.map(|site| stage.internet.router(site).map(|(_, wan)| wan));
    let (one, other) = (one?, other?);
    let ways = if hole.one_way { vec![(one, other)] } else { vec![(one, other), (other, one)] };
    let row = Echoes::start(&stage.context, &nodes[0].namespace, far, Duration::from_millis(50), hole.size)?;
    std::thread::sleep(Duration::from_secs(2));
    let start = now_s();
    let table = hole.hosts[0].replace('-', "_");
    let rules = Rules::between(&stage.internet.core(), &table, hole.harm, &ways)?;
    let relayed = until_path(&nodes, "relay", RELAYED_WITHIN)?;
    std::thread::sleep(Duration::from_secs(3));
    let end = now_s();
    drop(rules);
    let mut outcome = outcome;
    if hole.one_way {
        let again = until_path(&nodes, "direct", Duration::from_secs(60))?;
        outcome = outcome.figure("direct_again_ms", again.as_secs_f64() * 1000.0);
    }
    let row = row.stop()?;
    part(nodes)?;
    Ok(outcome
        .limited("gap_ms", row.gap_ms(start - 0.1, end), hole.gap_max_ms)
        .figure("relay_shown_ms", relayed.as_secs_f64() * 1000.0)
        .judged(Ok("the relay carried".to_owned())))
}
