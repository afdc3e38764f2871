//! Paths that lose packets: the pair stays connected, and does not flap.

use std::time::Duration;

use serde_json::json;

use super::echoes::Echoes;
use super::rules::{Harm, Rules};
use super::{Case, Stage, homes, parameter, part, switches};
use crate::error::LabError;
use crate::opening::Expected;
use crate::scenario::Outcome;

/// How long it is watched, in seconds. An agent that misses an answer asks each half second, and wants 32 answers or losses of
/// each path before it believes that the relay is better.
const WATCH_S: u32 = 40;
/// After three unanswered questions in a row (13 % of them begin such a row, at 51 %) traffic goes over the relay until the
/// direct path answers, mostly a few milliseconds later, and the call for that makes the peer do the same. Measured: 3 to 21 a
/// minute, two for each time; 30 are fifteen times, one each four seconds.
const SWITCHES_PER_MINUTE_MAX: f64 = 30.0;

/// A scenario's hosts, what is done to their packets, and where.
#[derive(Clone, Copy)]
struct Lossy {
    hosts: [&'static str; 2],
    harm: Harm,
    /// Everything that the first site sends and receives, and not only what passes between both.
    is_uplink: bool,
    /// The share of pings without a reply, in percent.
    lost_max_percent: f64,
}

/// A ping is lost with 1 - 0.7² = 51 % on the direct path, and none over the relay: measured 9 to 25 % in 40 s. A path
/// that is never left loses 51, five standard deviations of 800 pings more than 40.
const DIRECT: Lossy =
    Lossy { hosts: ["loss-a", "loss-b"], harm: Harm::Percent(30), is_uplink: false, lost_max_percent: 40.0 };
/// Neither path is better; the relay's crosses the uplink once, too, and both ways. 60 is five standard deviations for 800
/// pings more than 51.
const UPLINK: Lossy = Lossy {
    hosts: ["lossup-a", "lossup-b"],
    harm: Harm::Percent(30),
    is_uplink: true,
    lost_max_percent: 60.0,
};
/// At 20 pings a second a burst begins each two seconds, in each direction, and lasts 300 ms: 13 % each way.
const BURSTY: Lossy = Lossy {
    hosts: ["burst-a", "burst-b"],
    harm: Harm::Bursts { one_in: 40, ms: 300 },
    is_uplink: false,
    lost_max_percent: 40.0,
};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "loss/30-percent",
            about: "the direct path loses 30 % each way, the relay's nothing: it is left for good (WARREN_LAB_LOSS_S, 40)",
            places: |topology| homes(topology, "port-restricted", DIRECT.hosts),
            play: |stage, outcome| play(stage, outcome, DIRECT),
        },
        Case {
            name: "loss/30-percent-uplink",
            about: "a whole uplink loses 30 % each way, relay or not: connected, without flapping",
            places: |topology| homes(topology, "port-restricted", UPLINK.hosts),
            play: |stage, outcome| play(stage, outcome, UPLINK),
        },
        Case {
            name: "loss/bursty",
            about: "the direct path loses everything for 300 ms, again and again: connected, without flapping",
            places: |topology| homes(topology, "port-restricted", BURSTY.hosts),
            play: |stage, outcome| play(stage, outcome, BURSTY),
        },
    ]
}

fn play(stage: &Stage<'_>, outcome: Outcome, lossy: Lossy) -> Result<Outcome, LabError> {
    let nodes = stage.pair(lossy.hosts, Expected::Direct)?;
    let far = nodes[1].mesh_address(false)?;
    let [(router, one), (_, other)] =
        [stage.internet.router(lossy.hosts[0])?, stage.internet.router(lossy.hosts[1])?];
    let table = lossy.hosts[0].replace('-', "_");
    let before = switches(&nodes)?;
    let rules = match lossy.is_uplink {
        true => Rules::of_uplink(&router, &table, lossy.harm)?,
        false => {
            let ways = [(one, other), (other, one)];
            Rules::between(&stage.internet.core(), &table, lossy.harm, &ways)?
        }
    };
    let row = Echoes::start(&stage.context, &nodes[0].namespace, far, Duration::from_millis(50), 56)?;
    let (mut looks, mut direct) = (0.0_f64, 0.0);
    let watch_s = parameter("WARREN_LAB_LOSS_S", WATCH_S)?;
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(watch_s.into()) {
        std::thread::sleep(Duration::from_millis(500));
        looks += 1.0;
        direct += f64::from(u8::from(nodes[0].status()?.path_to(&nodes[1].name).kind == "direct"));
    }
    let row = row.stop()?;
    let end = nodes[0].status()?.path_to(&nodes[1].name).kind;
    let changes = (switches(&nodes)? - before) * 60.0 / f64::from(watch_s);
    drop(rules);
    part(nodes)?;
    let mut outcome = outcome
        .limited("lost_percent", row.lost_percent(), lossy.lost_max_percent)
        .limited("switches_per_minute", changes, SWITCHES_PER_MINUTE_MAX)
        .figure("direct_percent", 100.0 * direct / looks);
    outcome.facts = json!({ "path_at_the_end": end });
    let must_leave = lossy.harm == Harm::Percent(30) && !lossy.is_uplink;
    Ok(outcome.judged(match must_leave && end != "relay" {
        true => Err(format!("{end} after {watch_s} s, though the relay loses nothing")),
        false => Ok(format!("{end} at the end")),
    }))
}
