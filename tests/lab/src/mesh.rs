//! A small mesh that is up: an internet, a coordinator and running agents.

use std::path::PathBuf;

use crate::coordinator::Coordinator;
use crate::deadline::side_by_side;
use crate::error::LabError;
use crate::internet::Internet;
use crate::node::Node;
use crate::opening::PATIENCE;
use crate::report::attempt;
use crate::scenario::{Context, Outcome};
use crate::topology::Topology;

/// Agents started at the same time.
const AT_ONCE: usize = 4;

/// Dropping it ends the agents, the coordinator and the internet, in this order.
#[derive(Debug)]
pub(crate) struct Mesh {
    pub(crate) nodes: Vec<Node>,
    pub(crate) coordinator: Coordinator,
    pub(crate) internet: Internet,
    pub(crate) context: Context,
}

impl Mesh {
    /// Builds the internet and a public host `coordinator`, joins nodes on the hosts named and waits until all are up.
    pub(crate) fn start(
        context: &Context,
        folder: &str,
        topology: Topology,
        hosts: &[&str],
    ) -> Result<Self, LabError> {
        let internet = Internet::build(&topology.host("coordinator", 2))?;
        Self::start_on(context, folder, internet, hosts)
    }

    /// The same on an internet that is up and has a public host `coordinator`.
    pub(crate) fn start_on(
        context: &Context,
        folder: &str,
        internet: Internet,
        hosts: &[&str],
    ) -> Result<Self, LabError> {
        let context = context.within(folder)?;
        let coordinator = Coordinator::start(&context, &internet, "coordinator")?;
        let nodes = up(&context, &internet, &coordinator, hosts)?;
        Ok(Self { nodes, coordinator, internet, context })
    }

    /// A node by its name.
    pub(crate) fn node(&self, name: &str) -> Result<&Node, LabError> {
        let unknown = || LabError::Description(format!("the mesh has no node `{name}`"));
        self.nodes.iter().find(|node| node.name == name).ok_or_else(unknown)
    }

    /// Fails if the coordinator or an agent ended.
    pub(crate) fn must_run(&mut self) -> Result<(), LabError> {
        self.coordinator.must_run()?;
        self.nodes.iter_mut().try_for_each(Node::must_run)
    }
}

/// Joins nodes on the hosts named to the coordinator's first network and waits until all are up.
pub(crate) fn up(
    context: &Context,
    internet: &Internet,
    coordinator: &Coordinator,
    hosts: &[&str],
) -> Result<Vec<Node>, LabError> {
    let (url, key) = (coordinator.url(), coordinator.enrollment_key(true, "1h")?);
    let nodes = side_by_side(hosts.to_vec(), AT_ONCE, |host| {
        let mut node = Node::on(context, internet, host)?;
        node.join(&url, &key)?;
        node.start()?;
        node.wait_until_up(PATIENCE)?;
        Ok(node)
    });
    nodes.into_iter().collect()
}

/// Starts two agents at the same time and waits until both are up.
pub(crate) fn start_together(nodes: &mut [Node; 2]) -> Result<(), LabError> {
    std::thread::scope(|scope| {
        let starts: Vec<_> = nodes
            .iter_mut()
            .map(|node| {
                scope.spawn(move || {
                    node.start()?;
                    node.wait_until_up(PATIENCE).map(|_| ())
                })
            })
            .collect();
        let panicked = |_| Err(LabError::Unmet("the start of an agent panicked".to_owned()));
        starts.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked))
    })
}

/// Runs one scenario after another; an error fails only its own. Logs are those of its folder.
pub(crate) fn one_by_one(
    context: &Context,
    wanted: &[String],
    scenario: impl Fn(&str, Outcome) -> Result<Outcome, LabError>,
) -> Vec<Outcome> {
    let logs = |name: &str| logs_in(&context.run_dir.join(folder(name)));
    let one = |name: &String| attempt(name, |outcome| scenario(name, outcome), || logs(name));
    wanted.iter().map(one).collect()
}

/// The folder of a scenario's logs.
pub(crate) fn folder(name: &str) -> String {
    name.replace('/', "-")
}

/// All logs of a folder.
pub(crate) fn logs_in(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut logs: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .collect();
    logs.sort();
    logs
}
