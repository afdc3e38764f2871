//! A far end that knows nothing of Warren: `wireguard-go`, set up by hand with `wg`.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::coordinator::text;
use crate::daemon::{Daemon, run_logged};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::mesh::{Mesh, folder, one_by_one};
use crate::namespace::{Namespace, run, run_with_input};
use crate::node::Node;
use crate::opening::PATIENCE;
use crate::ping::first_reply;
use crate::preflight::require_tool;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

/// The interface of the far end. Its control socket in `/run/wireguard` has this name, too.
const INTERFACE: &str = "wgplain";
const PORT: u16 = 51_820;

/// The group `interop/…`.
pub(crate) fn group() -> Group {
    let member = |name: &str, about: &str| (name.to_owned(), about.to_owned());
    Group {
        members: vec![
            member("interop/wireguard-go", "a plain WireGuard peer and a public node ping each other"),
            member("interop/wireguard-go-behind-nat", "the same with the node behind a port-restricted NAT"),
        ],
        run: |context, wanted| {
            Ok(one_by_one(context, wanted, |name, outcome| scenario(context, name, outcome)))
        },
    }
}

fn scenario(context: &Context, name: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    require_tool("wireguard-go", "wireguard-go")?;
    require_tool("wg", "wireguard-tools")?;
    let recipe = if name.ends_with("-behind-nat") { "port-restricted" } else { "public" };
    let topology = Topology::default().site("home", recipe, &["ada"]).host("plain", 1);
    let mut mesh = Mesh::start(context, &folder(name), topology, &["ada"])?;
    let (ada, far) = (mesh.node("ada")?, mesh.internet.host("plain")?);
    let far_address = mesh.internet.addresses("plain")?[0];
    let log = mesh.context.run_dir.join("wireguard-go.log");
    let private_key = key(&mut far.command("wg"), &["genkey"], "", &log)?;
    let public_key = key(&mut far.command("wg"), &["pubkey"], &private_key, &log)?;
    let endpoint = format!("{far_address}:{PORT}");
    let arguments = ["node", "add", "--network", "default", "--name", "plain", "--public-key", &public_key];
    let added = mesh.coordinator.admin(&[&arguments[..], &["--endpoint", &endpoint, "--json"]].concat())?;
    let addresses = added.get("addresses").and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let addresses: Vec<IpAddr> =
        addresses.iter().filter_map(|address| address.as_str()?.split('/').next()?.parse().ok()).collect();
    if !(addresses.iter().any(IpAddr::is_ipv4) && addresses.iter().any(IpAddr::is_ipv6)) {
        return Err(LabError::Unmet(format!(
            "`node add` gave no IPv4 and IPv6 address: {added} ({})",
            text(&added, "id")?
        )));
    }
    // A far end that is told no endpoint learns it from the first handshake.
    let known = if recipe == "public" {
        Some(SocketAddr::from((mesh.internet.addresses("ada")?[0], port(ada)?)))
    } else {
        None
    };
    let start = Instant::now();
    let daemon = far_end(&far, &private_key, &addresses, ada, known, &log)?;
    let first = addresses.iter().map(|address| first_reply(&ada.namespace, *address, start, PATIENCE));
    let first = first.collect::<Result<Vec<Duration>, LabError>>()?;
    for ipv6 in [false, true] {
        first_reply(&far, ada.mesh_address(ipv6)?, Instant::now(), PATIENCE)?;
    }
    let shown = run_logged(far.command("wg").args(["show", INTERFACE, "latest-handshakes"]), &log)?.stdout;
    let handshake = shown.split_whitespace().nth(1).and_then(|time| time.parse::<u64>().ok()).unwrap_or(0);
    let (path, _) = wait_for("the peer `plain` shown with a direct path", PATIENCE, || {
        Ok(Some(ada.status()?.path_to("plain")).filter(|path| path.kind == "direct"))
    })?;
    mesh.must_run()?;
    drop(daemon);
    let verdict = match handshake {
        0 => Err(format!("`wg show` of the far end has no handshake: {shown}")),
        _ if path.remote.as_deref() != Some(endpoint.as_str()) => {
            Err(format!("the path goes to {:?}, not {endpoint}", path.remote))
        }
        _ => Ok(format!("direct to {endpoint}")),
    };
    let slowest = first.into_iter().max().unwrap_or_default();
    Ok(outcome.figure("first_ping_ms", crate::opening::ms(slowest)).judged(verdict))
}

/// Starts `wireguard-go` and sets it up as a person would.
fn far_end(
    far: &Namespace,
    private_key: &str,
    addresses: &[IpAddr],
    ada: &Node,
    endpoint: Option<SocketAddr>,
    log: &std::path::Path,
) -> Result<Daemon, LabError> {
    let mut daemon =
        Daemon::start(far.command("wireguard-go").args(["-f", INTERFACE]).env("LOG_LEVEL", "verbose"), log)?;
    let up = || Ok(run(far.command("wg").args(["show", INTERFACE])).is_ok().then_some(()));
    wait_for("wireguard-go", PATIENCE, up)?;
    daemon.must_run()?;
    run_with_input(
        far.command("wg").args([
            "set",
            INTERFACE,
            "listen-port",
            &PORT.to_string(),
            "private-key",
            "/dev/stdin",
        ]),
        private_key,
    )?;
    let mine = [ada.mesh_address(false)?, ada.mesh_address(true)?];
    let key = ada.status()?.own.public_key;
    let allowed = format!("{}/32,{}/128", mine[0], mine[1]);
    let mut command = far.command("wg");
    command.args(["set", INTERFACE, "peer", &key, "allowed-ips", &allowed]);
    if let Some(endpoint) = endpoint {
        command.args(["endpoint", &endpoint.to_string(), "persistent-keepalive", "5"]);
    }
    run(&mut command)?;
    let mut lines = vec![format!("link set {INTERFACE} mtu 1280 up")];
    // `ip -batch` takes the family of a route from its address.
    lines.extend(
        addresses.iter().map(|address| format!("addr add {address}/{} dev {INTERFACE}", bits(address))),
    );
    lines.extend(mine.iter().map(|address| format!("route add {address}/{} dev {INTERFACE}", bits(address))));
    far.configure(&lines)?;
    Ok(daemon)
}

fn bits(address: &IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The port of a node's agent: the one UDP port that is open in its namespace.
fn port(node: &Node) -> Result<u16, LabError> {
    let ports = node.udp_ports()?;
    ports.first().copied().ok_or_else(|| LabError::Unmet(format!("{} has no UDP port open", node.name)))
}

/// Runs `wg` for a key; keys do not belong into logs.
fn key(
    command: &mut std::process::Command,
    arguments: &[&str],
    input: &str,
    log: &std::path::Path,
) -> Result<String, LabError> {
    use std::io::Write;
    let failed = |error: std::io::Error| LabError::at_path("make a WireGuard key, see", log, error);
    let mut child = command
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
