//! Access rules on real packets: who may open what is decided at the coordinator and enforced by the node that is protected.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Case, Stage, homes, part};
use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::node::Node;
use crate::opening::Expected;
use crate::scenario::Outcome;

const HOSTS: [&str; 2] = ["guarded-a", "guarded-b"];
/// The port that a rule allows, and one that none does.
const ALLOWED: u16 = 7001;
const OTHER: u16 = 7002;
/// The coordinator looks for commands once a second, and the node that is protected hears of it at once.
const ENFORCED_MAX_MS: f64 = 5_000.0;
/// How long a connection may take that nothing forbids; one that is dropped is given up after this.
const CONNECT: Duration = Duration::from_millis(700);
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "access/rules",
        about: "one port of one node is open to nodes with a tag, and nothing else; then a node is switched off and on again",
        places: |topology| homes(topology, "port-restricted", HOSTS),
        play,
    }]
}

/// Listens on both ports of a node's mesh address; who connects is accepted by the kernel.
fn listen(node: &Node) -> Result<(IpAddr, [TcpListener; 2]), LabError> {
    let address = node.mesh_address(false)?;
    let listen =
        |port| TcpListener::bind(SocketAddr::new(address, port)).trying("listen on the mesh address");
    Ok((address, node.namespace.within(|| Ok([listen(ALLOWED)?, listen(OTHER)?]))?))
}

fn opens(from: &Node, to: IpAddr, port: u16) -> Result<bool, LabError> {
    let address = SocketAddr::new(to, port);
    from.namespace.within(|| Ok(TcpStream::connect_timeout(&address, CONNECT).is_ok()))
}

/// Waits until the connection opens, or does not; gives how long that took, in milliseconds.
fn until(from: &Node, to: IpAddr, port: u16, wanted: bool) -> Result<f64, LabError> {
    let what = format!("port {port} {} to {}", if wanted { "open" } else { "closed" }, from.name);
    let (_, taken) = wait_for(&what, PATIENCE, || Ok((opens(from, to, port)? == wanted).then_some(())))?;
    Ok(taken.as_secs_f64() * 1000.0)
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let nodes = stage.pair(HOSTS, Expected::Direct)?;
    let ((client, server), network) = ((&nodes[0], &nodes[1]), HOSTS[0]);
    let (address, _listeners) = listen(server)?;
    let (back, _others) = listen(client)?;
    for port in [ALLOWED, OTHER] {
        until(client, address, port, true)?;
    }
    let admin = |words: &[&str]| stage.coordinator.admin(&[words, &["--json"]].concat());
    admin(&["node", "set", &client.name, "--tags", "client"])?;
    admin(&["node", "set", &server.name, "--tags", "server"])?;
    let port = ALLOWED.to_string();
    let rule = [
        "--network",
        network,
        "allow",
        "--from",
        "client",
        "--to",
        "server",
        "--protocol",
        "tcp",
        "--ports",
        &port,
    ];
    admin(&[&["access-rule", "create"], &rule[..]].concat())?;
    admin(&["network", "set", network, "--default-access", "deny"])?;
    let enforced = until(client, address, OTHER, false)?;
    let allowed = opens(client, address, ALLOWED)?;
    let answers_only = !opens(server, back, ALLOWED)? && !opens(server, back, OTHER)?;
    admin(&["node", "disable", &client.name])?;
    let cut = until(client, address, ALLOWED, false)?;
    let peers = client.status()?.peers.len() + server.status()?.peers.len();
    admin(&["node", "enable", &client.name])?;
    let restored = until(client, address, ALLOWED, true)?;
    let verdict = match (allowed, answers_only, peers) {
        (true, true, 0) => Ok("one port, one way; and none while it is switched off".to_owned()),
        _ => Err(format!(
            "port {ALLOWED} open: {allowed}; closed the other way: {answers_only}; peers that see a node switched off: {peers}"
        )),
    };
    part(nodes)?;
    Ok(outcome
        .limited("enforced_ms", enforced, ENFORCED_MAX_MS)
        .limited("cut_ms", cut, ENFORCED_MAX_MS)
        .limited("restored_ms", restored, ENFORCED_MAX_MS)
        .judged(verdict))
}
