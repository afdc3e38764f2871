//! A node that moves to another network, and one whose interface goes away for a moment.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::echoes::{Echoes, now_s};
use super::{Case, Stage, part, until_path};
use crate::error::LabError;
use crate::namespace::run;
use crate::opening::Expected;
use crate::scenario::Outcome;

/// How long the node has no network at all.
const AWAY: Duration = Duration::from_secs(5);
/// From the network's return to the first answered ping.
const SILENCE_MAX_MS: f64 = 2_000.0;
/// From the network's return until both show a direct path again.
const DIRECT_WITHIN: Duration = Duration::from_secs(20);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "change/roaming",
            about: "a node leaves its network and comes up in another one, with another address behind another router",
            places: |topology| {
                topology
                    .site("roam-one", "port-restricted", &["roam-a"])
                    .site("roam-two", "port-restricted", &["roam-neighbour"])
                    .site("roam-b", "port-restricted", &["roam-b"])
            },
            play: |stage, outcome| play(stage, outcome, ["roam-a", "roam-b"], Some("roam-neighbour")),
        },
        Case {
            name: "change/interface-down-up",
            about: "a node's only interface goes down and up again in place",
            places: |topology| {
                topology.site("updown-a", "port-restricted", &["updown-a"]).site(
                    "updown-b",
                    "port-restricted",
                    &["updown-b"],
                )
            },
            play: |stage, outcome| play(stage, outcome, ["updown-a", "updown-b"], None),
        },
    ]
}

/// `to`: a host of the network to move to.
fn play(
    stage: &Stage<'_>,
    outcome: Outcome,
    hosts: [&str; 2],
    to: Option<&str>,
) -> Result<Outcome, LabError> {
    let nodes = stage.pair(hosts, Expected::Direct)?;
    let far = nodes[1].mesh_address(false)?;
    let namespace = &nodes[0].namespace;
    let row = Echoes::start(&stage.context, namespace, far, Duration::from_millis(20), 56)?;
    std::thread::sleep(Duration::from_secs(1));
    namespace.configure(&["link set eth0 down".to_owned()])?;
    std::thread::sleep(AWAY);
    let lines = match to {
        Some(neighbour) => move_to(stage, hosts[0], neighbour)?,
        None => up("eth0", stage.internet.addresses(hosts[0])?[0]),
    };
    let back = now_s();
    namespace.configure(&lines)?;
    std::thread::sleep(Duration::from_secs(3));
    until_path(&nodes, "direct", DIRECT_WITHIN)?;
    let direct_ms = (now_s() - back) * 1000.0;
    let row = row.stop()?;
    part(nodes)?;
    Ok(outcome
        .limited("first_ping_ms", row.first_after_ms(back), SILENCE_MAX_MS)
        .figure("direct_again_ms", direct_ms)
        .judged(Ok("direct again".to_owned())))
}

/// The gateway of the lab's LANs, which all are a /24.
fn gateway(address: Ipv4Addr) -> Ipv4Addr {
    let [a, b, c, _] = address.octets();
    Ipv4Addr::new(a, b, c, 1)
}

fn up(interface: &str, address: Ipv4Addr) -> Vec<String> {
    let gateway = gateway(address);
    vec![
        format!("link set {interface} up"),
        format!("route replace {gateway} dev {interface}"),
        format!("route replace default via {gateway} dev {interface}"),
    ]
}

/// Plugs the host into the neighbour's LAN; gives the commands that bring the new interface up.
fn move_to(stage: &Stage<'_>, host: &str, neighbour: &str) -> Result<Vec<String>, LabError> {
    let [a, b, c, _] = stage.internet.addresses(neighbour)?[0].octets();
    let address = Ipv4Addr::new(a, b, c, 77);
    let site = stage.internet.site_of(neighbour).unwrap_or_default();
    let (router, _) = stage.internet.router(&site)?;
    let host = stage.internet.host(host)?;
    let mut command = std::process::Command::new("ip");
    command.args(["link", "add", "eth1", "netns", host.name(), "type", "veth"]);
    run(command.args(["peer", "name", "guest", "netns", router.name()]))?;
    router.configure(&["link set guest master lan".to_owned(), "link set guest up".to_owned()])?;
    let mut lines = vec![format!("addr add {address}/24 dev eth1")];
    lines.extend(up("eth1", address));
    Ok(lines)
}
