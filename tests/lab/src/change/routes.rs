//! Networks behind nodes, on real packets: a host without an agent is reached through a router node, and through another one when
//! the first is gone.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::echoes::{Echoes, now_s};
use super::{Case, Stage};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::node::Node;
use crate::opening::PATIENCE;
use crate::ping::{first_reply, ping};
use crate::scenario::Outcome;
use crate::topology::{Site, Topology};

/// The office's network: a number that no other site has by itself.
const LAN: u8 = 177;
const PREFIX: &str = "192.168.177.0/24";
const PREFIX_IPV6: &str = "fd77:7::/64";
const HOST_IPV6: &str = "fd77:7::9";
const NAMES: [&str; 3] = ["subnet-away", "subnet-a", "subnet-b"];
/// The host without an agent.
const HOST: &str = "subnet-host";

/// Looked at each 10 s.
const HEALED_MAX: Duration = Duration::from_secs(15);

const INTERVAL: Duration = Duration::from_millis(50);
/// The coordinator looks for commands once a second; a map, and the first packet of an idle pair.
const REACHED_MAX_MS: f64 = 5_000.0;
/// A look at the traffic, three questions on the path and one at the relay, each of a second at most.
const GAP_MAX_MS: f64 = 6_000.0;
/// A preferred router that is back waits for half a minute, and for the next look.
const RETURN_MIN: Duration = Duration::from_secs(25);
const RETURN_MAX: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "routes/subnet",
        about: "a host without an agent behind two router nodes: approved, reached; one is killed, comes back; withdrawn",
        places: |topology: Topology| {
            let mut topology = topology.site(NAMES[0], "port-restricted", &[NAMES[0]]);
            topology.sites.push(Site {
                name: "subnet-office".to_owned(),
                recipe: "port-restricted".to_owned(),
                hosts: [HOST, NAMES[1], NAMES[2]].map(str::to_owned).to_vec(),
                lan: Some(LAN),
                ..Site::default()
            });
            topology
        },
        play,
    }]
}

/// The name of the node that the office's network is reached through.
fn through(node: &Node) -> Result<Option<String>, LabError> {
    let routes = node.status()?.routes;
    Ok(routes.into_iter().find(|route| route.prefix == PREFIX).and_then(|route| route.through))
}

fn until_through(node: &Node, router: &str, limit: Duration) -> Result<Duration, LabError> {
    let (_, taken) = wait_for(&format!("the office through {router}"), limit, || {
        std::thread::sleep(Duration::from_millis(80));
        Ok((through(node)?.as_deref() == Some(router)).then_some(()))
    })?;
    Ok(taken)
}

/// Packets of a host on the same link that says it is a node of the mesh, as the rule that keeps them out has counted them.
fn pretended(stage: &Stage<'_>, claimed: &Node, node: &Node) -> Result<u64, LabError> {
    let (from, to) = (claimed.mesh_address(false)?, node.mesh_address(false)?);
    let unknown = || LabError::Description(format!("`{}` has no address", node.name));
    let lan = *stage.internet.addresses(&node.name)?.first().ok_or_else(unknown)?;
    let host = stage.internet.host(HOST)?;
    host.configure(&[
        format!("addr add {from}/32 dev eth0"),
        format!("route add {to}/32 via {lan} src {from}"),
    ])?;
    ping(&host, to, 5, Duration::from_millis(100)).ok();
    let table = node.namespace.command("nft").args(["list", "ruleset"]).output();
    let table = table.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let counted =
        table.split("counter packets ").filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    Ok(counted.sum())
}

/// A firewall that is loaded anew takes all rules away; gives how long the node takes to set its own again.
fn flushed(node: &Node) -> Result<Duration, LabError> {
    let flushed = node.namespace.command("nft").args(["flush", "ruleset"]).status();
    if !flushed.is_ok_and(|status| status.success()) {
        return Err(LabError::Unmet("`nft flush ruleset` fails".to_owned()));
    }
    let (_, taken) = wait_for("the rules are set again", HEALED_MAX, || {
        std::thread::sleep(Duration::from_millis(500));
        let tables = node.namespace.command("nft").args(["list", "ruleset"]).output();
        let has_ours =
            |output: std::process::Output| String::from_utf8_lossy(&output.stdout).contains("masquerade");
        Ok(tables.is_ok_and(has_ours).then_some(()))
    })?;
    Ok(taken)
}

/// Joins and starts the three, and waits until they are up.
fn start(stage: &Stage<'_>) -> Result<[Node; 3], LabError> {
    let key = stage.coordinator.new_network(NAMES[0])?;
    let mut nodes = [stage.node(NAMES[0])?, stage.node(NAMES[1])?, stage.node(NAMES[2])?];
    for node in &mut nodes {
        node.join(&stage.coordinator.url(), &key)?;
        node.start()?;
    }
    for node in &mut nodes {
        node.wait_until_up(PATIENCE)?;
    }
    Ok(nodes)
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let [mut away, mut a, mut b] = start(stage)?;
    let host = stage.internet.host(HOST)?;
    host.configure(&[format!("addr add {HOST_IPV6}/64 dev eth0 nodad")])?;
    a.namespace.configure(&["addr add fd77:7::1/64 dev eth0 nodad".to_owned()])?;
    let unknown = || LabError::Description(format!("`{HOST}` has no address"));
    let address: IpAddr = (*stage.internet.addresses(HOST)?.first().ok_or_else(unknown)?).into();
    let ipv6: IpAddr = HOST_IPV6.parse().map_err(|_| unknown())?;

    a.succeed(&["set", "--advertise-route", PREFIX, "--advertise-route", PREFIX_IPV6])?;
    b.succeed(&["set", "--advertise-route", PREFIX])?;
    std::thread::sleep(Duration::from_secs(2));
    let unapproved =
        ping(&away.namespace, address, 5, Duration::from_millis(200)).map_or(0, |row| row.received);
    let admin = |words: &[&str]| stage.coordinator.admin(&[&["node", "set"], words, &["--json"]].concat());
    let preferred = format!("{PREFIX}=10");
    admin(&[&a.name, "--approve-route", &preferred, "--approve-route", PREFIX_IPV6])?;
    admin(&[&b.name, "--approve-route", &format!("{PREFIX}=20")])?;
    let approved = Instant::now();
    let reached = first_reply(&away.namespace, address, approved, PATIENCE)?;
    let reached_ipv6 = first_reply(&away.namespace, ipv6, approved, PATIENCE)?;
    until_through(&away, &a.name, PATIENCE)?;
    let attached = b.status()?.routes.iter().any(|route| route.prefix == PREFIX && route.why.is_some());

    let healed = flushed(&a)?;
    first_reply(&away.namespace, address, Instant::now(), PATIENCE)?;
    let kept_out = pretended(stage, &away, &b)?;

    let row = Echoes::start(&stage.context, &away.namespace, address, INTERVAL, 56)?;
    std::thread::sleep(Duration::from_secs(2));
    let killed = now_s();
    a.kill();
    until_through(&away, &b.name, PATIENCE)?;
    std::thread::sleep(Duration::from_secs(5));
    let row_over = now_s();
    a.start()?;
    a.wait_until_up(PATIENCE)?;
    let returned = until_through(&away, &a.name, RETURN_MAX)?;
    std::thread::sleep(Duration::from_secs(3));
    let end = now_s();
    let row = row.stop()?;

    admin(&[&a.name, "--withdraw-route", PREFIX])?;
    admin(&[&b.name, "--withdraw-route", PREFIX])?;
    wait_for("no router any more", PATIENCE, || Ok(through(&away)?.is_none().then_some(())))?;
    let withdrawn =
        ping(&away.namespace, address, 5, Duration::from_millis(200)).map_or(0, |row| row.received);
    for node in [&mut away, &mut a, &mut b] {
        node.must_run()?;
        node.stop()?;
    }
    let left = a.namespace.command("nft").args(["list", "tables"]).output();
    let is_clean = left.is_ok_and(|output| !String::from_utf8_lossy(&output.stdout).contains("warren"));
    let verdict = match (unapproved, withdrawn, attached, returned >= RETURN_MIN, is_clean && kept_out >= 5) {
        (0, 0, true, true, true) => Ok("through one router, then the other, then the first again".to_owned()),
        _ => Err(format!(
            "replies while unapproved: {unapproved}, when withdrawn: {withdrawn}; the attached node says so: {attached}; \
             back after {} s; no rules left: {is_clean}; packets that pretended kept out: {kept_out} of 5",
            returned.as_secs()
        )),
    };
    Ok(outcome
        .limited("reached_ms", reached.as_secs_f64() * 1000.0, REACHED_MAX_MS)
        .figure("reached_ipv6_ms", reached_ipv6.as_secs_f64() * 1000.0)
        .figure("rules_set_again_s", healed.as_secs_f64())
        .limited("gap_killed_ms", row.gap_ms(killed - 0.5, row_over), GAP_MAX_MS)
        .figure("returned_s", returned.as_secs_f64())
        .limited("gap_returned_ms", row.gap_ms(row_over, end), GAP_MAX_MS)
        .judged(verdict))
}
