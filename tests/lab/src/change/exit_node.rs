//! An exit node, on real packets: a machine with public addresses of its own reaches the internet through another node, and whatever
//! is taken away from it meanwhile, no packet of its own addresses reaches a host on the internet that it talks to.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::{Case, Stage};
use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::namespace::{Namespace, run};
use crate::node::Node;
use crate::opening::PATIENCE;
use crate::ping::{first_reply, ping};
use crate::scenario::Outcome;

mod strangers;

/// The machine, its exit node, a host of the internet that it talks to, and one that talks to it.
const USER: &str = "exit-user";
const EXIT: &str = "exit-node";
const WEB: &str = "exit-web";
const VISITOR: &str = "exit-visitor";

/// The priorities of our rules of policy routing that keep traffic in: into the tunnel, or unreachable.
const PRIORITIES: [&str; 2] = ["5202", "5203"];

/// A map, and the first packet of a pair that knows each other.
const USED_MAX_MS: f64 = 5_000.0;
/// Rules of policy routing are watched; at rest the node looks once a second.
const RULES_HEALED_MAX_MS: f64 = 3_000.0;
/// Tables of nft are looked at each 10 s while the tunnel is used, and each 40 s at rest.
const TABLE_HEALED_MAX: Duration = Duration::from_secs(60);
const SPACING: Duration = Duration::from_millis(50);

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "routes/exit",
        about: "the internet through an exit node; rules, tables, agents and the node are taken away, and nothing leaves past it",
        places: |topology| {
            [USER, EXIT, WEB]
                .into_iter()
                .fold(topology, |topology, name| topology.dual_host(name, 1))
                .host(VISITOR, 1)
        },
        play,
    }]
}

/// What the scenario is about.
struct Play<'a> {
    stage: &'a Stage<'a>,
    user: Node,
    exit: Node,
    web: Namespace,
    /// The web host's addresses, of IPv4 and IPv6.
    to: [IpAddr; 2],
    /// The machine's own.
    own: [IpAddr; 2],
    figures: Vec<(&'static str, f64)>,
}

fn addresses(stage: &Stage<'_>, host: &str) -> Result<[IpAddr; 2], LabError> {
    let v4 = stage.internet.addresses(host)?.first().copied().map(IpAddr::from);
    let v6 = stage.internet.ipv6_addresses(host)?.first().copied().map(IpAddr::from);
    let unknown = || LabError::Description(format!("`{host}` has no addresses of both families"));
    v4.zip(v6).map(|(v4, v6)| [v4, v6]).ok_or_else(unknown)
}

/// Counts at the web host what comes from the machine's own addresses, and from those of the exit node.
fn count_at(web: &Namespace, own: [IpAddr; 2], exit: [IpAddr; 2]) -> Result<(), LabError> {
    web.load_rules(&format!(
        "table inet seen {{\n\tcounter own {{ }}\n\tcounter exit {{ }}\n\tchain arriving {{\n\
         \t\ttype filter hook prerouting priority raw; policy accept;\n\
         \t\tip saddr {} counter name own\n\t\tip6 saddr {} counter name own\n\
         \t\tip saddr {} counter name exit\n\t\tip6 saddr {} counter name exit\n\t}}\n}}\n",
        own[0], own[1], exit[0], exit[1]
    ))
}

/// The packets that a counter of nft has seen.
fn counted(host: &Namespace, arguments: &[&str]) -> Result<u64, LabError> {
    let output = host.command("nft").args(arguments).output().trying("run nft")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers =
        text.split("packets ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    Ok(numbers.sum())
}

impl<'a> Play<'a> {
    /// Both nodes are up, and the web host counts.
    fn start(stage: &'a Stage<'a>) -> Result<Self, LabError> {
        let [user, exit] = stage.up(stage.coordinator, [USER, EXIT])?;
        let (own, to, others) = (addresses(stage, USER)?, addresses(stage, WEB)?, addresses(stage, EXIT)?);
        let web = stage.internet.host(WEB)?;
        count_at(&web, own, others)?;
        // The strictest that a distribution sets.
        user.namespace.set(&[("ipv4/conf/all/rp_filter", "1"), ("ipv4/conf/eth0/rp_filter", "1")])?;
        Ok(Self { stage, user, exit, web, to, own, figures: Vec::new() })
    }

    /// Pings the web host by both families: nothing of the machine's own addresses may arrive. Gives the answered ones.
    fn ping_web(&self) -> Result<u32, LabError> {
        let answered = |to| ping(&self.user.namespace, to, 5, SPACING).map_or(0, |pinged| pinged.received);
        Ok(self.to.into_iter().map(answered).sum())
    }

    /// Whether the web host answers what leaves by an interface that a program names.
    fn ping_bound(&self, to: IpAddr) -> Result<bool, LabError> {
        let mut command = self.user.namespace.command("ping");
        command.args(["-n", "-q", "-c", "3", "-i", "0.05", "-W", "1", "-I", "eth0", &to.to_string()]);
        Ok(command.output().trying("run ping")?.status.success())
    }

    /// What reached the web host since the last look, from the machine's own addresses and through the exit node.
    fn seen(&self) -> Result<(u64, u64), LabError> {
        let seen = |name| counted(&self.web, &["reset", "counter", "inet", "seen", name]);
        Ok((seen("own")?, seen("exit")?))
    }

    /// Whatever else is so, nothing leaves past the exit node.
    fn check(&self, when: &str, is_answered: bool) -> Result<(), LabError> {
        let bound = self.ping_bound(self.to[0])? || self.ping_bound(self.to[1])?;
        let answered = self.ping_web()?;
        let (own, exit) = self.seen()?;
        if own == 0 && !bound && (answered >= 8) == is_answered && (exit > 0) == is_answered {
            return Ok(());
        }
        Err(LabError::Unmet(format!(
            "{when}: {own} packets of the machine's own addresses, {exit} of the exit node's, {answered} of 10 answered, \
             answered by the interface's name: {bound}"
        )))
    }

    /// The core's interface towards the machine.
    fn link(&self) -> Result<String, LabError> {
        let mut command = self.stage.internet.core().command("ip");
        let route = command.args(["route", "get", &self.own[0].to_string()]).output().trying("run ip")?;
        let route = String::from_utf8_lossy(&route.stdout).into_owned();
        let device = route.split_once(" dev ").and_then(|(_, rest)| rest.split(' ').next());
        device
            .map(str::to_owned)
            .ok_or_else(|| LabError::Unmet(format!("no link towards the machine: {route}")))
    }

    fn forget_neighbours(&self) -> Result<(), LabError> {
        self.stage.internet.core().configure(&[format!("neigh flush dev {}", self.link()?)])
    }

    fn wait_used(&mut self, figure: &'static str) -> Result<(), LabError> {
        let start = Instant::now();
        for to in self.to {
            first_reply(&self.user.namespace, to, start, PATIENCE)?;
        }
        self.figures.push((figure, start.elapsed().as_secs_f64() * 1000.0));
        // What was on its way before.
        self.seen().map(drop)
    }

    fn has_rules(&self) -> Result<bool, LabError> {
        let mut rules = String::new();
        for family in ["-4", "-6"] {
            let output =
                self.user.namespace.command("ip").args([family, "rule"]).output().trying("run ip")?;
            rules.push_str(&String::from_utf8_lossy(&output.stdout));
        }
        Ok(PRIORITIES.iter().all(|priority| rules.matches(&format!("{priority}:")).count() == 2))
    }

    fn delete_rules(&self) -> Result<(), LabError> {
        for (family, priority) in
            ["-4", "-6"].into_iter().flat_map(|family| PRIORITIES.map(|one| (family, one)))
        {
            run(self.user.namespace.command("ip").args([family, "rule", "del", "priority", priority]))?;
        }
        Ok(())
    }

    fn flush_tables(&self) -> Result<(), LabError> {
        run(self.user.namespace.command("nft").args(["flush", "ruleset"]))
    }

    fn has_table(&self) -> Result<bool, LabError> {
        let output =
            self.user.namespace.command("nft").args(["list", "tables"]).output().trying("run nft")?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("warren_exit_"))
    }

    fn until(
        &self,
        what: &str,
        limit: Duration,
        is_so: impl Fn() -> Result<bool, LabError>,
    ) -> Result<f64, LabError> {
        let (_, taken) = wait_for(what, limit, || {
            std::thread::sleep(Duration::from_millis(80));
            Ok(is_so()?.then_some(()))
        })?;
        Ok(taken.as_secs_f64() * 1000.0)
    }
}

/// The exit node is offered, approved and chosen, in this order and in no other.
fn choose(play: &mut Play<'_>) -> Result<(), LabError> {
    let refused = play.user.warren(&["set", "--exit-node", EXIT])?;
    if refused.code != 8 || play.has_table()? {
        let told = refused.stderr.trim();
        return Err(LabError::Unmet(format!(
            "a node that is no exit node was chosen: {} {told}",
            refused.code
        )));
    }
    play.exit.succeed(&["set", "--advertise-exit-node", "true"])?;
    play.stage.coordinator.admin(&["node", "set", EXIT, "--approve-exit-node", "--json"])?;
    play.until("the exit node is offered", PATIENCE, || Ok(play.user.status()?.exit_nodes == [EXIT]))?;
    if play.ping_web()? < 8 || play.seen()?.0 == 0 {
        return Err(LabError::Unmet("the machine does not reach the web host by itself".to_owned()));
    }
    let session = play.open_session()?;
    play.user.succeed(&["set", "--exit-node", EXIT])?;
    session.go_on()?;
    play.wait_used("used_ms")?;
    session.go_on()
}

/// Somebody takes away what keeps traffic to the exit node, or adds what leads past it.
fn take_away(play: &mut Play<'_>) -> Result<(), LabError> {
    let gateway =
        play.user.namespace.command("ip").args(["route", "show", "default"]).output().trying("run ip")?;
    let gateway =
        String::from_utf8_lossy(&gateway.stdout).trim().replace("default ", "").replace(" onlink", "");
    // What a DHCP server may say (CVE-2024-3661).
    play.user.namespace.configure(&[format!("route add {}/32 {gateway} onlink", play.to[0])])?;
    play.check("with a route of the web host's own", true)?;
    play.user.namespace.configure(&[format!("route del {}/32 {gateway}", play.to[0])])?;

    play.delete_rules()?;
    let healed = play.until("the rules are set again", PATIENCE, || play.has_rules())?;
    play.figures.push(("rules_set_again_ms", healed));
    play.check("after the rules were taken away", true)?;

    play.flush_tables()?;
    let healed = play.until("the table is set again", TABLE_HEALED_MAX, || play.has_table())?;
    play.figures.push(("table_set_again_ms", healed));
    play.check("after the table was taken away", true)
}

/// Packets that say that they come from the web host reach the machine's mesh address by another interface than the tunnel's.
fn pretend(play: &Play<'_>) -> Result<u64, LabError> {
    let mesh = play.user.mesh_address(false)?;
    let core = play.stage.internet.core();
    let device = play.link()?;
    core.configure(&[format!("route add {mesh}/32 dev {device}")])?;
    play.forget_neighbours()?;
    ping(&play.web, mesh, 5, SPACING).ok();
    core.configure(&[format!("route del {mesh}/32 dev {device}")])?;
    let table = format!("warren_exit_{}", crate::node::INTERFACE);
    counted(&play.user.namespace, &["list", "chain", "inet", &table, "from_elsewhere"])
}

/// The agent is killed and stopped, and the machine starts anew; gives whether a stranger is answered meanwhile.
fn without_agent(play: &mut Play<'_>) -> Result<bool, LabError> {
    play.user.kill();
    play.check("while the agent is killed", false)?;
    let visited = play.serve()?;
    // What the rules are for: somebody else loads a firewall, and nobody sets ours again.
    play.flush_tables()?;
    if play.ping_web()? > 0 || play.ping_bound(play.to[1])? || play.seen()?.0 > 0 {
        return Err(LabError::Unmet(
            "without agent and tables something leaves past the exit node".to_owned(),
        ));
    }
    play.user.start()?;
    play.user.wait_until_up(PATIENCE)?;
    play.wait_used("restarted_ms")?;

    play.user.stop()?;
    play.check("while the agent is stopped", false)?;
    // As after a start of the machine.
    play.flush_tables()?;
    play.delete_rules()?;
    play.user.succeed(&["guard"])?;
    play.check("before the agent runs", false)?;
    play.user.succeed(&["set", "--no-exit-node"])?;
    if play.ping_web()? < 8 || play.has_table()? || play.has_rules()? {
        return Err(LabError::Unmet("without an agent no command opens the way".to_owned()));
    }
    play.user.start()?;
    play.user.wait_until_up(PATIENCE)?;
    play.until("the exit node is offered", PATIENCE, || Ok(play.user.status()?.exit_nodes == [EXIT]))?;
    play.user.succeed(&["set", "--exit-node", EXIT])?;
    play.wait_used("chosen_again_ms")?;
    Ok(visited)
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut play = Play::start(stage)?;
    choose(&mut play)?;
    play.check("in use", true)?;
    let visited = play.serve()?;
    let pretended = pretend(&play)?;
    take_away(&mut play)?;

    play.exit.kill();
    play.check("while the exit node is killed", false)?;
    play.exit.start()?;
    play.exit.wait_until_up(PATIENCE)?;
    play.wait_used("back_ms")?;

    let visited_without = without_agent(&mut play)?;
    stage.coordinator.admin(&["node", "set", EXIT, "--withdraw-exit-node", "--json"])?;
    play.until("it is offered no more", PATIENCE, || Ok(play.user.status()?.exit_nodes.is_empty()))?;
    play.check("when it is approved no more", false)?;
    stage.coordinator.admin(&["node", "delete", USER, "--json"])?;
    play.until("the node is deleted", PATIENCE, || Ok(play.user.status()?.state == "deleted"))?;
    play.check("when the node is deleted", false)?;

    play.user.succeed(&["set", "--no-exit-node"])?;
    let opened = play.ping_web()?;
    let is_clean = !play.has_table()? && !play.has_rules()?;
    for node in [&mut play.user, &mut play.exit] {
        node.must_run()?;
        node.stop()?;
    }
    let verdict = match (visited, visited_without, pretended >= 5, opened >= 8, is_clean) {
        (true, true, true, true, true) => {
            Ok("through the exit node or not at all, until none was chosen".to_owned())
        }
        _ => Err(format!(
            "a stranger's connection is answered: {visited}, with the agent killed: {visited_without}; packets that pretended \
             kept out: {pretended} of 5; open again: {opened} of 10, nothing left behind: {is_clean}"
        )),
    };
    let outcome = play.figures.iter().fold(outcome, |outcome, (name, value)| match *name {
        "used_ms" => outcome.limited(name, *value, USED_MAX_MS),
        "rules_set_again_ms" => outcome.limited(name, *value, RULES_HEALED_MAX_MS),
        name => outcome.figure(name, *value),
    });
    Ok(outcome.judged(verdict))
}
