//! Routers that forget idle UDP mappings sooner than RFC 4787 REQ-5 allows (two minutes): a pair that talks seldom stays
//! direct.

use std::time::Duration;

use super::echoes::{Echoes, now_s};
use super::rules::{Harm, Rules, forget_after};
use super::{Case, Stage, homes, part, switches, until_path};
use crate::error::LabError;
use crate::opening::Expected;
use crate::scenario::Outcome;

/// A ping that leaves each mapping idle for longer than half of 8 s.
const SELDOM: Duration = Duration::from_millis(4_500);
/// How many of them.
const SELDOM_COUNT: u32 = 4;
/// How long nobody says anything: four times the longer timeout, and less than the 130 s after which a pair is idle.
const REST: Duration = Duration::from_secs(60);
/// The longest pause between two packets to the peer while the tunnel rests: a NAT that forgets after 8 s must see one
/// before that even if one was lost.
const PAUSE_MAX_S: f64 = 6.0;

/// Where a tenth is lost each way, three questions in a row (19 % each, with their answers) go unanswered by chance in half of
/// all minutes with 48 questions of a scrutiny and two dozen others: then the relay carries for a moment, which is two changes.
/// Four times in one minute happens in one run of five hundred.
const CHANGES_BY_CHANCE: f64 = 6.0;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "change/mapping-expiry-15s",
            about: "routers forget after 15 s: a seldom used pair stays direct and loses no ping",
            places: |topology| homes(topology, "port-restricted-random", ["x15-a", "x15-b"]),
            play: |stage, outcome| play(stage, outcome, ["x15-a", "x15-b"], 15),
        },
        Case {
            name: "change/mapping-expiry-8s",
            about: "routers forget after 8 s, and a tenth of what hosts send is lost on the LAN while the tunnel rests",
            places: |topology| homes(topology, "port-restricted-random", ["x8-a", "x8-b"]),
            play: |stage, outcome| play(stage, outcome, ["x8-a", "x8-b"], 8),
        },
    ]
}

fn play(stage: &Stage<'_>, outcome: Outcome, hosts: [&str; 2], timeout_s: u32) -> Result<Outcome, LabError> {
    let routers = [stage.internet.router(hosts[0])?, stage.internet.router(hosts[1])?];
    for (router, _) in &routers {
        forget_after(router, timeout_s)?;
    }
    let nodes = stage.pair(hosts, Expected::Direct)?;
    let far = nodes[1].mesh_address(false)?;
    // The pair may have met before both ends agreed on one of two direct paths.
    std::thread::sleep(Duration::from_secs(2));
    let before = switches(&nodes)?;
    let row = Echoes::start(&stage.context, &nodes[0].namespace, far, SELDOM, 56)?;
    std::thread::sleep(SELDOM * SELDOM_COUNT + SELDOM / 2);
    let seldom = row.stop()?;
    let count = Rules::count_sent(&routers[0].0, "resting", Some(routers[1].1))?;
    let lossy = match timeout_s {
        8 => {
            let lossy = |router| Rules::before_nat(router, "lossy", Harm::Percent(10));
            Some((lossy(&routers[0].0)?, lossy(&routers[1].0)?))
        }
        _ => None,
    };
    std::thread::sleep(REST);
    let (packets, _) = count.counted()?;
    drop(lossy);
    let start = now_s();
    let row = Echoes::start(&stage.context, &nodes[0].namespace, far, Duration::from_millis(50), 56)?;
    std::thread::sleep(Duration::from_secs(2));
    let after = row.stop()?;
    until_path(&nodes, "direct", Duration::from_secs(1))?;
    let changes = switches(&nodes)? - before;
    let changes_max = if timeout_s == 8 { CHANGES_BY_CHANCE } else { 0.0 };
    part(nodes)?;
    Ok(outcome
        .limited("seldom_pings_lost", f64::from(seldom.lost()), 0.0)
        .limited("pings_lost_after_rest", f64::from(after.lost()), 0.0)
        .limited("first_ping_after_rest_ms", after.first_after_ms(start), 1_000.0)
        .limited("switches", changes, changes_max)
        .limited("mean_pause_at_rest_s", REST.as_secs_f64() / packets, PAUSE_MAX_S)
        .judged(Ok(format!("direct, {} seldom pings", seldom.sent))))
}
