//! The effect that Raven's paper reports for a hole through the NATs: 54.6 ms through the relay, 37.4 ms without it.

use std::time::Duration;

use super::echoes::{Echoes, now_s};
use super::rules::{Harm, Rules};
use super::{Case, Stage, part, until_path};
use crate::coordinator::Coordinator;
use crate::error::LabError;
use crate::opening::Expected;
use crate::scenario::Outcome;
use crate::topology::{PublicHost, Site, Topology, WireSettings};

/// One-way delays in whole milliseconds, as the lab's cables have them: 38 ms directly, 54 ms over the relay.
const DELAYS_MS: [u32; 2] = [9, 10];
const RELAY_DELAY_MS: u32 = 4;
const DIRECT_RTT_MS: f64 = 38.0;
const RELAY_RTT_MS: f64 = 54.0;
/// What two agents, built without optimisation, may add on a machine that does other things (measured: 1.4 ms, and 10.5 ms on
/// one with eight times as much to do as it can). The relay's round trip may not be below that of its cables, and the direct one
/// must be, so that one is never taken for the other.
const ADDED_MAX_MS: f64 = 15.0;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "relay/seed-effect",
        about: "54 ms over the relay become 38 ms directly, and no ping is lost at the switch",
        places,
        play,
    }]
}

fn places(mut topology: Topology) -> Topology {
    let wire = |delay_ms| Some(WireSettings { delay_ms, ..WireSettings::default() });
    let (name, addresses) = ("seed-relay".to_owned(), 2);
    topology.hosts.push(PublicHost { name, addresses, wire: wire(RELAY_DELAY_MS), ipv6: false });
    for (name, delay_ms) in ["seed-a", "seed-b"].into_iter().zip(DELAYS_MS) {
        let hosts = vec![name.to_owned()];
        let (name, recipe) = (name.to_owned(), "port-restricted".to_owned());
        topology.sites.push(Site { name, recipe, hosts, wire: wire(delay_ms), ..Site::default() });
    }
    topology
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let hosts = ["seed-a", "seed-b"];
    let mut relay = Coordinator::start(&stage.context.within("own")?, stage.internet, "seed-relay")?;
    let [one, other] = [stage.internet.router(hosts[0])?.1, stage.internet.router(hosts[1])?.1];
    let (core, ways) = (stage.internet.core(), [(one, other), (other, one)]);
    let closed = Rules::between(&core, "seed", Harm::All, &ways)?;
    let nodes = stage.pair_at(&relay, hosts, Expected::Relay)?;
    let far = nodes[1].mesh_address(false)?;
    let row = Echoes::start(&stage.context, &nodes[0].namespace, far, Duration::from_millis(50), 56)?;
    std::thread::sleep(Duration::from_secs(3));
    let opened = now_s();
    drop(closed);
    let upgrade = until_path(&nodes, "direct", Duration::from_secs(60))?;
    let direct = now_s();
    std::thread::sleep(Duration::from_secs(3));
    let row = row.stop()?;
    relay.must_run()?;
    part(nodes)?;
    Ok(outcome
        .figure("relay_rtt_ms", row.rtt_ms(opened - 2.5, opened))
        .limited("direct_rtt_ms", row.rtt_ms(direct + 0.5, now_s()), DIRECT_RTT_MS + ADDED_MAX_MS)
        .limited("pings_lost", f64::from(row.lost()), 0.0)
        .figure("pings_sent", f64::from(row.sent))
        .figure("upgrade_ms", upgrade.as_secs_f64() * 1000.0)
        .judged(match row.rtt_ms(opened - 2.5, opened) >= RELAY_RTT_MS {
            true => Ok("direct".to_owned()),
            false => Err("the relay was faster than its cables".to_owned()),
        }))
}
