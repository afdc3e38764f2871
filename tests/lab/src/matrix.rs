//! Every pair of classes of networks, and every order of starting.

use std::time::{Duration, Instant};

use crate::behaviour::Udp;
use crate::coordinator::Coordinator;
use crate::deadline::side_by_side;
use crate::error::LabError;
use crate::internet::Internet;
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::recipe::recipe;
use crate::report::attempt;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

/// The classes of the matrix.
const CLASSES: [&str; 14] = [
    "public",
    "firewall",
    "full-cone",
    "address-restricted",
    "port-restricted",
    "address-dependent",
    "symmetric-seq",
    "symmetric",
    "double-nat",
    "double-nat-no-hairpin",
    "udp-blocked",
    "udp-53-443",
    "ipv6-firewall",
    "nat64",
];
/// Pairs whose start is also tried in other orders.
const ORDERED: [(&str, &str); 5] = [
    ("port-restricted", "port-restricted"),
    ("public", "symmetric"),
    ("port-restricted", "udp-blocked"),
    ("ipv6-firewall", "ipv6-firewall"),
    ("port-restricted", "nat64"),
];
/// Pairs at the same time: agents share this machine's processors, and figures have limits.
const AT_ONCE: usize = 2;
/// Pairs in one internet with one coordinator: each has a network of its own, and a coordinator has 64 ranges for them.
const PAIRS_MAX: usize = 60;
/// From both agents up to the first answered ping.
const FIRST_PING_MAX_MS: f64 = 1000.0;
/// From both agents up to a direct path on both ends.
const DIRECT_MAX_MS: f64 = 2000.0;
/// What one side is late in `…-5s-late` scenarios.
const LATE: Duration = Duration::from_secs(5);

/// One pair of the matrix.
struct Pair {
    name: String,
    recipes: [&'static str; 2],
    /// How long each side waits before its agent starts.
    delays: [Duration; 2],
}

/// The group `matrix/…` and `start-order/…`.
pub(crate) fn group() -> Group {
    let about = |pair: &Pair| {
        let path = match expected(pair) {
            Ok(Expected::Relay) => "through the relay",
            Ok(Expected::RelayFirst) => "through the relay first",
            _ => "directly",
        };
        match pair.delays.iter().max() {
            Some(delay) if !delay.is_zero() => {
                format!("one starts {} ms late, they meet {path}", delay.as_millis())
            }
            _ => format!("two nodes that start together meet {path}"),
        }
    };
    Group { members: pairs().iter().map(|pair| (pair.name.clone(), about(pair))).collect(), run }
}

fn pairs() -> Vec<Pair> {
    let none = Duration::ZERO;
    let mut pairs = Vec::new();
    for (index, one) in CLASSES.into_iter().enumerate() {
        for other in &CLASSES[index..] {
            pairs.push(Pair {
                name: format!("matrix/{one}-x-{other}"),
                recipes: [one, other],
                delays: [none, none],
            });
        }
    }
    for (one, other) in ORDERED {
        let soon = Duration::from_millis(500);
        let orders = [("first-before", [none, soon]), ("second-before", [soon, none])];
        let late = [("second-5s-late", [none, LATE]), ("first-5s-late", [LATE, none])];
        for (order, delays) in orders.into_iter().chain(late) {
            pairs.push(Pair {
                name: format!("start-order/{one}-x-{other}/{order}"),
                recipes: [one, other],
                delays,
            });
        }
    }
    pairs
}

fn expected(pair: &Pair) -> Result<Expected, LabError> {
    Ok(Expected::between(recipe(pair.recipes[0])?.claim, recipe(pair.recipes[1])?.claim))
}

/// The hosts of the pair with this number.
fn hosts(index: usize) -> [String; 2] {
    [format!("n{index}a"), format!("n{index}b")]
}

fn run(context: &Context, wanted: &[String]) -> Result<Vec<Outcome>, LabError> {
    let pairs: Vec<Pair> = pairs().into_iter().filter(|pair| wanted.contains(&pair.name)).collect();
    let internets = pairs.chunks(PAIRS_MAX).enumerate();
    let outcomes =
        internets.map(|(number, pairs)| in_one_internet(&context.within(&format!("matrix{number}"))?, pairs));
    Ok(outcomes.collect::<Result<Vec<_>, LabError>>()?.concat())
}

fn in_one_internet(context: &Context, pairs: &[Pair]) -> Result<Vec<Outcome>, LabError> {
    let mut topology = Topology::default().host("coordinator", 2);
    for (index, pair) in pairs.iter().enumerate() {
        for (host, recipe) in hosts(index).iter().zip(pair.recipes) {
            topology = topology.site(&format!("site-{host}"), recipe, &[host]);
        }
    }
    let internet = Internet::build(&topology)?;
    let mut coordinator = Coordinator::start(context, &internet, "coordinator")?;
    let outcomes = side_by_side(pairs.iter().enumerate().collect(), AT_ONCE, |(index, pair)| {
        let logs = || hosts(index).map(|host| context.run_dir.join(format!("{host}.log"))).to_vec();
        attempt(&pair.name, |outcome| meet(context, &internet, &coordinator, index, pair, outcome), logs)
    });
    coordinator.must_run()?;
    Ok(outcomes)
}

fn meet(
    context: &Context,
    internet: &Internet,
    coordinator: &Coordinator,
    index: usize,
    pair: &Pair,
    outcome: Outcome,
) -> Result<Outcome, LabError> {
    let expected = expected(pair)?;
    let [one, other] = hosts(index);
    let mut nodes = [Node::on(context, internet, &one)?, Node::on(context, internet, &other)?];
    // A network of its own: the pair shall not see the others, nor wait for them.
    let key = coordinator.new_network(&format!("pair{index}"))?;
    for node in &nodes {
        node.join(&coordinator.url(), &key)?;
    }
    let start = Instant::now();
    std::thread::scope(|scope| {
        let starts: Vec<_> = nodes
            .iter_mut()
            .zip(pair.delays)
            .map(|(node, delay)| {
                scope.spawn(move || {
                    std::thread::sleep(delay);
                    node.start()?;
                    node.wait_until_up(PATIENCE).map(|_| ())
                })
            })
            .collect();
        let panicked = |_| Err(LabError::Unmet("the start of an agent panicked".to_owned()));
        starts.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })?;
    let since = Instant::now();
    let [one, other] = &nodes;
    let opened = watch(one, other, since, expected)?;
    ping_all_ways(one, other, PATIENCE)?;
    let last_start = start + pair.delays.into_iter().max().unwrap_or_default();
    let from_start = since.saturating_duration_since(last_start) + opened.first_ping;
    check_relay_leg(one, other, pair.recipes[0])?;
    check_relay_leg(other, one, pair.recipes[1])?;
    let outcome = outcome.limited("first_ping_ms", ms(opened.first_ping), FIRST_PING_MAX_MS);
    let outcome = outcome.figure("process_start_to_ping_ms", ms(from_start));
    let outcome = match expected {
        Expected::Relay | Expected::RelayFirst => outcome.figure("relay_shown_ms", ms(opened.settled)),
        Expected::Lan | Expected::Direct => outcome.limited("direct_ms", ms(opened.settled), DIRECT_MAX_MS),
    };
    for mut node in nodes {
        node.must_run()?;
        node.stop()?;
    }
    Ok(outcome.judged(Ok(expected.kind().to_owned())))
}

/// A network that limits UDP shows in how its node reaches the relay: not over UDP where none gets out, and over UDP
/// where it may go to the relay's port.
fn check_relay_leg(node: &Node, peer: &Node, site: &str) -> Result<(), LabError> {
    let wanted = match recipe(site)?.claim.udp {
        Udp::Anywhere => return Ok(()),
        Udp::To53And443 => "udp",
        Udp::Blocked => "web-socket",
    };
    let path = node.status()?.path_to(&peer.name);
    if path.relay_transport.as_deref() == Some(wanted) {
        return Ok(());
    }
    Err(LabError::Unmet(format!("{} is not at the relay by `{wanted}`: {path:?}", node.name)))
}

#[cfg(test)]
mod tests {
    use super::{CLASSES, pairs};

    #[test]
    fn the_matrix_has_every_unordered_pair_of_its_classes_once() {
        let names: Vec<String> = pairs().into_iter().map(|pair| pair.name).collect();
        assert_eq!(
            names.iter().filter(|name| name.starts_with("matrix/")).count(),
            CLASSES.len() * (CLASSES.len() + 1) / 2
        );
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
    }
}
