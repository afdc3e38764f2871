//! Scenarios that judge the lab before it judges anything else.

use std::net::IpAddr;
use std::time::Duration;

use crate::classification::{Classified, classify_recipes};
use crate::error::LabError;
use crate::internet::Internet;
use crate::ping::ping;
use crate::recipe::recipe_names;
use crate::report::attempt;
use crate::scenario::{Context, Group, Outcome};
use crate::stun_server::StunServer;
use crate::topology::{Topology, WireSettings};

/// The group `lab/…`.
#[must_use]
pub(crate) fn group() -> Group {
    let member = |name: &str, about: &str| (name.to_owned(), about.to_owned());
    Group {
        members: vec![
            member("lab/recipes", "every NAT recipe is what it claims, by RFC 5780"),
            member("lab/delay", "two wires of 10 ms each way give a round trip of 40 ms"),
            member("lab/loss", "two wires that lose 10 % each way lose about a third of the round trips"),
            member(
                "lab/rebinding",
                "a router that rebinds gives its hosts a new outside address and forgets the old",
            ),
        ],
        run,
    }
}

fn run(_context: &Context, wanted: &[String]) -> Result<Vec<Outcome>, LabError> {
    let one = |name: &str| match name {
        "lab/recipes" => recipes(name),
        "lab/delay" => delay(name),
        "lab/loss" => loss(name),
        _ => rebinding(name),
    };
    Ok(wanted.iter().map(|name| attempt(name, |_| one(name), Vec::new)).collect())
}

fn recipes(name: &str) -> Result<Outcome, LabError> {
    let results = classify_recipes(&recipe_names().collect::<Vec<_>>())?;
    let found = |result: &Classified| match &result.found {
        Ok(found) => format!("{} is {found}", result.recipe.name),
        Err(error) => format!("{}: {error}", result.recipe.name),
    };
    let wrong: Vec<String> = results.iter().filter(|result| !result.holds()).map(found).collect();
    let count = f64::from(u32::try_from(results.len()).unwrap_or(u32::MAX));
    let verdict = if wrong.is_empty() {
        Ok(String::new())
    } else {
        Err(format!("not as claimed: {}", wrong.join(", ")))
    };
    Ok(Outcome::of(name).figure("recipes", count).judged(verdict))
}

/// Two public hosts, each behind a wire.
fn wired(settings: WireSettings) -> Topology {
    let mut topology = Topology::default().host("near", 1).host("far", 1);
    for (index, host) in topology.hosts.iter_mut().enumerate() {
        let seed = settings.seed + u64::try_from(index).unwrap_or(0);
        host.wire = Some(WireSettings { seed, ..settings });
    }
    topology
}

fn delay(name: &str) -> Result<Outcome, LabError> {
    let internet = Internet::build(&wired(WireSettings { delay_ms: 10, ..WireSettings::default() }))?;
    let far = IpAddr::V4(internet.addresses("far")?[0]);
    // The first pair of packets also finds the link-layer addresses, which is one more way.
    ping(&internet.host("near")?, far, 3, Duration::from_millis(20))?;
    let pinged = ping(&internet.host("near")?, far, 40, Duration::from_millis(20))?;
    // 10 ms on each of two wires, both ways.
    let early = pinged.rtt_ms < 40.0 || pinged.received != pinged.sent;
    let verdict =
        if early { Err(format!("a wire is too short or loses: {pinged:?}")) } else { Ok(String::new()) };
    Ok(Outcome::of(name).limited("rtt_ms", pinged.rtt_ms, 50.0).judged(verdict))
}

fn loss(name: &str) -> Result<Outcome, LabError> {
    let internet =
        Internet::build(&wired(WireSettings { loss_percent: 10.0, seed: 42, ..WireSettings::default() }))?;
    let far = IpAddr::V4(internet.addresses("far")?[0]);
    let pinged = ping(&internet.host("near")?, far, 400, Duration::from_millis(5))?;
    let percent = 100.0 - 100.0 * f64::from(pinged.received) / f64::from(pinged.sent.max(1));
    // 1 - 0.9^4 = 34.4 %, give or take four standard deviations of 400 trials.
    let verdict =
        if percent < 24.8 { Err("too little is lost (seed 42)".to_owned()) } else { Ok(String::new()) };
    Ok(Outcome::of(name).limited("loss_percent", percent, 43.9).judged(verdict))
}

fn rebinding(name: &str) -> Result<Outcome, LabError> {
    let topology = Topology::default().host("stun", 2).site("home", "port-restricted", &["laptop"]);
    let internet = Internet::build(&topology)?;
    let server = StunServer::start(&internet, "stun")?;
    let (before, after, new) = internet.host("laptop")?.within(|| {
        let endpoint = server.endpoints[0][0];
        let socket = crate::classifier::socket(endpoint)?;
        let before = crate::classifier::seen_by(&socket, endpoint)?;
        let new = internet.rebind("home")?;
        Ok((before, crate::classifier::seen_by(&socket, endpoint)?, new))
    })?;
    let verdict = if after.ip() == new && before.ip() != new {
        Ok(format!("{before} became {after}"))
    } else {
        Err(format!("{before} became {after}, not {new}"))
    };
    Ok(Outcome::of(name).judged(verdict))
}
