//! What changes, fails or is lost while two nodes talk: each scenario in one internet, several side by side.
//!
//! What one scenario does happens on routers and hosts of its own, so that it disturbs no other. Most of the time they
//! wait, so a few at once fit two processors; limits leave room for that, and the raw figures go to the JSON. Longer runs are asked
//! for in the environment, such as `WARREN_LAB_REBOOTS=20`; `lab list` names what each scenario reads.

use std::time::{Duration, Instant};

use crate::coordinator::Coordinator;
use crate::deadline::{side_by_side, wait_for};
use crate::error::LabError;
use crate::internet::Internet;
use crate::mesh::{folder, logs_in};
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, watch};
use crate::report::attempt;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

mod access_rules;
mod black_hole;
mod clock;
mod coordinator_gone;
mod echoes;
mod exit_node;
mod expiry;
mod idle;
mod loss;
mod names;
mod nat_type;
mod peer_killed;
mod peer_relays;
mod reboot;
mod relays;
mod roaming;
mod routes;
mod rules;
mod seed_effect;
mod suspend;

/// Scenarios at the same time.
const AT_ONCE: usize = 7;

/// One scenario.
struct Case {
    name: &'static str,
    about: &'static str,
    /// Adds what it needs to the internet; names begin with a word of its own.
    places: fn(Topology) -> Topology,
    play: fn(&Stage<'_>, Outcome) -> Result<Outcome, LabError>,
}

/// Where a scenario plays.
struct Stage<'a> {
    context: Context,
    internet: &'a Internet,
    coordinator: &'a Coordinator,
}

/// The group `change/…`, `loss/…` and others.
pub(crate) fn group() -> Group {
    let members = cases().iter().map(|case| (case.name.to_owned(), case.about.to_owned())).collect();
    Group { members, run }
}

/// The longest ones first, so that none is left alone at the end.
fn cases() -> Vec<Case> {
    let all = [
        reboot::cases(),
        expiry::cases(),
        exit_node::cases(),
        coordinator_gone::cases(),
        loss::cases(),
        nat_type::cases(),
        peer_killed::cases(),
        suspend::cases(),
        black_hole::cases(),
        roaming::cases(),
        idle::cases(),
        seed_effect::cases(),
        peer_relays::cases(),
        relays::cases(),
        clock::cases(),
        access_rules::cases(),
        routes::cases(),
        names::cases(),
    ];
    all.into_iter().flatten().collect()
}

fn run(context: &Context, wanted: &[String]) -> Result<Vec<Outcome>, LabError> {
    let context = context.within("change")?;
    let cases: Vec<Case> =
        cases().into_iter().filter(|case| wanted.iter().any(|name| name == case.name)).collect();
    let topology = Topology::default().host("coordinator", 2);
    let topology = cases.iter().fold(topology, |topology, case| (case.places)(topology));
    let internet = Internet::build(&topology)?;
    let mut coordinator = Coordinator::start(&context, &internet, "coordinator")?;
    let outcomes = side_by_side(cases.iter().collect(), AT_ONCE, |case| {
        let logs = || logs_in(&context.run_dir.join(folder(case.name)));
        let play = |outcome| {
            let context = context.within(&folder(case.name))?;
            let stage = Stage { context, internet: &internet, coordinator: &coordinator };
            (case.play)(&stage, outcome)
        };
        attempt(case.name, play, logs)
    });
    coordinator.must_run()?;
    Ok(outcomes)
}

impl Stage<'_> {
    /// Two nodes that are up, in a network of their own, and that have met as expected.
    fn pair(&self, hosts: [&str; 2], expected: Expected) -> Result<[Node; 2], LabError> {
        self.pair_at(self.coordinator, hosts, expected)
    }

    /// The same at another coordinator.
    fn pair_at(
        &self,
        coordinator: &Coordinator,
        hosts: [&str; 2],
        expected: Expected,
    ) -> Result<[Node; 2], LabError> {
        let nodes = self.up(coordinator, hosts)?;
        watch(&nodes[0], &nodes[1], Instant::now(), expected)?;
        Ok(nodes)
    }

    /// Two nodes that are up, in a network of their own.
    fn up(&self, coordinator: &Coordinator, hosts: [&str; 2]) -> Result<[Node; 2], LabError> {
        let key = coordinator.new_network(hosts[0])?;
        let mut nodes = [self.node(hosts[0])?, self.node(hosts[1])?];
        for node in &mut nodes {
            node.join(&coordinator.url(), &key)?;
            node.start()?;
        }
        nodes.iter_mut().try_for_each(|node| node.wait_until_up(PATIENCE).map(|_| ()))?;
        Ok(nodes)
    }

    fn node(&self, host: &str) -> Result<Node, LabError> {
        Node::on(&self.context, self.internet, host)
    }
}

/// Two hosts, each behind a router of its own with this recipe.
fn homes(topology: Topology, recipe: &str, hosts: [&str; 2]) -> Topology {
    hosts.into_iter().fold(topology, |topology, host| topology.site(host, recipe, &[host]))
}

/// Waits until both show a path of this kind; gives how long that took.
fn until_path(nodes: &[Node; 2], kind: &str, limit: Duration) -> Result<Duration, LabError> {
    let what = format!("the path `{kind}` between {} and {}", nodes[0].name, nodes[1].name);
    let (_, taken) = wait_for(&what, limit, || {
        // Each look starts two programs, beside all the others on two processors.
        std::thread::sleep(Duration::from_millis(80));
        for (node, peer) in [(&nodes[0], &nodes[1]), (&nodes[1], &nodes[0])] {
            let path = node.status()?.path_to(&peer.name);
            if path.kind != kind {
                return Err(LabError::Unmet(format!("{} to {}: `{}`", node.name, peer.name, path.kind)));
            }
        }
        Ok(Some(()))
    })?;
    Ok(taken)
}

/// How often both have changed the path to each other so far.
fn switches(nodes: &[Node; 2]) -> Result<f64, LabError> {
    let one = nodes[0].status()?.switches_to(&nodes[1].name);
    let other = nodes[1].status()?.switches_to(&nodes[0].name);
    Ok(f64::from(one.max(other)))
}

/// Fails if an agent ended, and ends both.
fn part(nodes: [Node; 2]) -> Result<(), LabError> {
    for mut node in nodes {
        node.must_run()?;
        node.stop()?;
    }
    Ok(())
}

/// A number that a longer run sets in the environment, such as `WARREN_LAB_REBOOTS`.
fn parameter(name: &str, default: u32) -> Result<u32, LabError> {
    match std::env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => match text.parse() {
            Ok(number) if (1..=10_000).contains(&number) => Ok(number),
            _ => Err(LabError::Description(format!("{name} must be a number from 1 to 10000, not `{text}`"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::cases;
    use crate::plan::Plan;
    use crate::topology::Topology;

    #[test]
    fn all_scenarios_fit_into_one_internet_without_sharing_a_name() {
        let topology = Topology::default().host("coordinator", 2);
        let topology = cases().iter().fold(topology, |topology, case| (case.places)(topology));
        Plan::of(&topology).unwrap();
    }
}
