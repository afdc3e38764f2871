//! Two homes behind one carrier NAT that turns nothing round, a STUN server between the NATs besides the coordinator's outside, and
//! a third node elsewhere (N10).

use std::time::{Duration, Instant};

use crate::coordinator::{Coordinator, text};
use crate::daemon::{Daemon, product_command};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::internet::Internet;
use crate::mesh::{Mesh, folder, up};
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::scenario::{Context, Outcome};
use crate::topology::{Site, Topology};

/// The ports of the carrier's server.
const PORTS: [u16; 2] = [3478, 3479];
/// From the agents up to the first answered ping.
const FIRST_PING_MAX_MS: f64 = 1_000.0;
/// From the agents up to a direct path on both ends.
const DIRECT_MAX_MS: f64 = 3_000.0;
/// How long a node may take to know both of its NATs.
const KNOWN_MAX_MS: f64 = 5_000.0;

fn topology() -> Topology {
    let home = |name: &str, host: &str| Site {
        name: name.to_owned(),
        recipe: "port-restricted".to_owned(),
        hosts: vec![host.to_owned()],
        ..Site::default()
    };
    let mut topology = Topology::default().host("coordinator", 2);
    topology.sites.push(Site {
        name: "carrier".to_owned(),
        recipe: "cgnat-port-restricted".to_owned(),
        hosts: vec!["inner".to_owned()],
        sites: vec![home("one", "ada"), home("two", "ben")],
        ..Site::default()
    });
    topology.sites.push(home("three", "cyd"));
    topology
}

pub(super) fn play(context: &Context, name: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let context = context.within(&folder(name))?;
    let internet = Internet::build(&topology())?;
    let coordinator = Coordinator::start(&context, &internet, "coordinator")?;
    let mut server = server_between(&context, &internet, &coordinator)?;
    let nodes = up(&context, &internet, &coordinator, &["ada", "ben", "cyd"])?;
    let since = Instant::now();
    let mut mesh = Mesh { nodes, coordinator, internet, context };
    let (ada, ben, cyd) = (mesh.node("ada")?, mesh.node("ben")?, mesh.node("cyd")?);
    let inside = watch(ada, ben, since, Expected::Direct)?;
    let outside = [watch(cyd, ada, since, Expected::Direct)?, watch(cyd, ben, since, Expected::Direct)?];
    let (_, known) = wait_for("both NATs known to both nodes", PATIENCE, || {
        for (node, site) in [(ada, "one"), (ben, "two")] {
            knows_layers(&mesh, node, site)?;
        }
        Ok(Some(()))
    })?;
    for (node, site) in [(ada, "one"), (ben, "two")] {
        tells_layers(&mesh, node, site)?;
    }
    let outer = mesh.internet.router("carrier")?.1;
    let wans = [mesh.internet.router("one")?.1, mesh.internet.router("two")?.1];
    for (from, to, address) in
        [(ada, ben, wans[1]), (ben, ada, wans[0]), (cyd, ada, outer), (cyd, ben, outer)]
    {
        wait_for(&format!("{} sending to {} at {address}", from.name, to.name), PATIENCE, || {
            let remote = from.status()?.path_to(&to.name).remote.unwrap_or_default();
            match remote.starts_with(&format!("{address}:")) {
                true => Ok(Some(())),
                false => Err(LabError::Unmet(format!("it sends to {remote}"))),
            }
        })?;
    }
    ping_all_ways(ada, ben, PATIENCE)?;
    ping_all_ways(cyd, ada, PATIENCE)?;
    server.must_run()?;
    mesh.must_run()?;
    let latest = outside[0].settled.max(outside[1].settled);
    Ok(outcome
        .limited("first_ping_ms", ms(inside.first_ping), FIRST_PING_MAX_MS)
        .limited("direct_ms", ms(inside.settled), DIRECT_MAX_MS)
        .limited("direct_outside_ms", ms(latest), DIRECT_MAX_MS)
        .limited("layers_known_ms", ms(known), KNOWN_MAX_MS)
        .judged(Ok(format!("between the NATs at {} and {}, outside at {outer}", wans[0], wans[1]))))
}

/// Starts a relay and STUN server on the carrier's own host, and names it in every map.
fn server_between(
    context: &Context,
    internet: &Internet,
    coordinator: &Coordinator,
) -> Result<Daemon, LabError> {
    let address = internet.addresses("inner")?[0];
    let listen = PORTS.map(|port| format!("{address}:{port}"));
    let log = context.run_dir.join("inner.log");
    let verify_key = text(&coordinator.admin(&["relay", "list", "--json"])?, "verify_key")?;
    let mut command = product_command(&internet.host("inner")?, &context.program("warren-coordinator")?);
    command.args([
        "relay",
        "--listen",
        &listen.join(","),
        "--log-format",
        "json",
        "--verify-key",
        &verify_key,
    ]);
    command.arg("--private-key-file").arg(context.run_dir.join("inner.key"));
    let server = Daemon::start(&mut command, &log)?;
    let (public_key, _) = wait_for("the server's public key in its log", Duration::from_secs(10), || {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let key = said.split("\"public_key\":\"").nth(1).and_then(|rest| rest.split('"').next());
        Ok(key.map(str::to_owned))
    })?;
    let add = ["relay", "add", "--name", "inner", "--public-key", &public_key, "--address", &listen[0]];
    coordinator.admin(&[&add[..], &["--stun", &listen.join(","), "--json"]].concat())?;
    Ok(server)
}

/// Fails unless a node knows that servers see it at two layers, and takes neither for a mapping that depends on the destination.
fn knows_layers(mesh: &Mesh, node: &Node, site: &str) -> Result<(), LabError> {
    let (_, wan) = mesh.internet.router(site)?;
    let nat = node.status()?.own.nat;
    let fact = |name: &str| nat.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    match (fact("mapping").as_str(), fact("inner_address")) {
        ("endpoint-independent", inner) if inner == wan.to_string() => Ok(()),
        _ => Err(LabError::Unmet(format!("{} says of its NAT, behind {wan}: {nat:?}", node.name))),
    }
}

/// Fails unless `netcheck` tells people the same, and what each kind of server saw.
fn tells_layers(mesh: &Mesh, node: &Node, site: &str) -> Result<(), LabError> {
    let (outer, wan) = (mesh.internet.router("carrier")?.1, mesh.internet.router(site)?.1);
    let told = node.warren(&["netcheck"])?.stdout;
    let wanted = [
        "endpoint-independent mapping".to_owned(),
        format!("a second NAT further out, {wan} between them"),
        format!(" saw {wan}:"),
        format!(" saw {outer}:"),
    ];
    match wanted.iter().find(|words| !told.contains(words.as_str())) {
        None => Ok(()),
        Some(words) => {
            Err(LabError::Unmet(format!("netcheck of {} does not tell `{words}`: {told}", node.name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::topology;
    use crate::plan::Plan;

    #[test]
    fn the_inner_server_and_both_homes_are_in_the_carriers_network() {
        let plan = Plan::of(&topology()).unwrap();
        assert_eq!(plan.hosts["inner"].addresses[0].to_string(), "100.64.0.10");
        assert_eq!(plan.routers["one"].wan.to_string(), "100.64.0.11");
        assert_eq!(plan.routers["two"].wan.to_string(), "100.64.0.12");
    }
}
