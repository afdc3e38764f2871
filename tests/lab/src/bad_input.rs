//! Garbage, missing rights and bad keys: clear answers, and everything else goes on.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::coordinator::{HTTP_PORT, OPEN_PORT};
use crate::daemon::Ran;
use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::mesh::{Mesh, folder, one_by_one};
use crate::node::Node;
use crate::opening::{PATIENCE, ping_all_ways};
use crate::random::Random;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

mod flood;
mod recording;

/// Garbage datagrams for each open port.
const GARBAGE: u32 = 1500;
/// Where the garbage starts; told when the scenario fails.
const SEED: u64 = 20_260_101;

/// The group `bad-input/…`.
pub(crate) fn group() -> Group {
    let member = |name: &str, about: &str| (name.to_owned(), about.to_owned());
    Group {
        members: vec![
            member(
                "bad-input/garbage",
                "garbage to every port of coordinator and agents: the mesh still works",
            ),
            member(
                "bad-input/flood",
                "a peer replays what it sent and throws noise and frames, 5,000 a second: others go on",
            ),
            member(
                "bad-input/enrollment-keys",
                "wrong, used and expired enrollment keys are refused with exit code 8",
            ),
            member("bad-input/no-coordinator", "a coordinator that is not there gives exit code 6"),
            member("bad-input/stopped-agent", "without a running agent `warren status` exits with 3"),
            member("bad-input/no-tun", "an agent without /dev/net/tun says so in a sentence"),
            member(
                "bad-input/leave",
                "a node that left is gone for its peers and says that it is not enrolled (exit code 4)",
            ),
        ],
        run: |context, wanted| {
            Ok(one_by_one(context, wanted, |name, outcome| scenario(context, name, outcome)))
        },
    }
}

fn scenario(context: &Context, name: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let topology = Topology::default().host("ada", 1).host("ben", 1).host("mallory", 1);
    let running: &[&str] = match name {
        "bad-input/garbage" | "bad-input/flood" | "bad-input/leave" => &["ada", "ben"],
        "bad-input/stopped-agent" => &["ada"],
        _ => &[],
    };
    let mut mesh = Mesh::start(context, &folder(name), topology, running)?;
    if name == "bad-input/flood" {
        return flood::flood(&mut mesh, outcome);
    }
    let verdict = match name {
        "bad-input/garbage" => garbage(&mut mesh),
        "bad-input/enrollment-keys" => enrollment_keys(&mesh),
        "bad-input/no-coordinator" => no_coordinator(&mesh),
        "bad-input/stopped-agent" => stopped_agent(&mut mesh),
        "bad-input/no-tun" => no_tun(&mesh),
        _ => leave(&mut mesh),
    };
    verdict.map(|()| outcome.judged(Ok(String::new())))
}

fn garbage(mesh: &mut Mesh) -> Result<(), LabError> {
    let [server, second] = mesh.coordinator.addresses.map(IpAddr::V4);
    let mut targets: Vec<SocketAddr> =
        [(server, OPEN_PORT), (server, 3478), (server, 3479), (second, 3478)].map(SocketAddr::from).to_vec();
    for node in &mesh.nodes {
        let (address, ports) = (mesh.internet.addresses(&node.name)?[0], node.udp_ports()?);
        if ports.is_empty() {
            return Err(LabError::Unmet(format!("{} has no UDP port to send garbage to", node.name)));
        }
        targets.extend(ports.into_iter().map(|port| SocketAddr::from((address, port))));
    }
    ping_all_ways(&mesh.nodes[0], &mesh.nodes[1], PATIENCE)?;
    let http = SocketAddr::from((server, HTTP_PORT));
    mesh.internet.host("mallory")?.within(|| {
        targets.iter().try_for_each(|target| throw_datagrams(*target))?;
        throw_streams(http)
    })?;
    let shown = |error: LabError| LabError::Unmet(format!("after garbage of seed {SEED}: {error}"));
    mesh.must_run().map_err(shown)?;
    ping_all_ways(&mesh.nodes[0], &mesh.nodes[1], PATIENCE).map_err(shown)?;
    let healthy = || Ok(mesh.coordinator.healthy().then_some(()));
    wait_for("a healthy coordinator", PATIENCE, healthy).map_err(shown)?;
    let newcomer = Node::on(&mesh.context, &mesh.internet, "mallory")?;
    newcomer.join(&mesh.coordinator.url(), &mesh.coordinator.enrollment_key(false, "1h")?).map_err(shown)
}

/// Datagrams of all sizes: pure noise, and noise behind the first bytes of protocols that live on the port.
fn throw_datagrams(target: SocketAddr) -> Result<(), LabError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).trying("open a UDP socket")?;
    let mut random = Random::of(SEED);
    // WireGuard message types 1 to 4, STUN request and response with its cookie, and nothing.
    let heads: [&[u8]; 7] = [
        &[1, 0, 0, 0],
        &[2, 0, 0, 0],
        &[3, 0, 0, 0],
        &[4, 0, 0, 0],
        &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42],
        &[1, 1, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42],
        &[],
    ];
    for (index, head) in (0..GARBAGE).zip(heads.iter().cycle()) {
        let length = random.below(1400);
        let datagram = [*head, &random.bytes(length)].concat();
        // A refusal of an earlier datagram is the target's good right.
        let _ = socket.send_to(&datagram, target);
        if index % 50 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

fn throw_streams(target: SocketAddr) -> Result<(), LabError> {
    let mut random = Random::of(SEED);
    for request in [
        "GET / HTTP/9.9\r\n\r\n",
        "POST /",
        "\r\n\r\n\r\n",
        "GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let mut stream =
            TcpStream::connect_timeout(&target, Duration::from_secs(2)).trying("reach the coordinator")?;
        let noise = random.bytes(20_000);
        // The server may hang up on the first bytes.
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.write_all(&noise));
    }
    Ok(())
}

fn enrollment_keys(mesh: &Mesh) -> Result<(), LabError> {
    let url = mesh.coordinator.url();
    let (ada, ben) =
        (Node::on(&mesh.context, &mesh.internet, "ada")?, Node::on(&mesh.context, &mesh.internet, "ben")?);
    let once = mesh.coordinator.enrollment_key(false, "1h")?;
    must_end("a text that is no key", &ben.try_join(&url, "not-a-key-at-all")?, 2)?;
    must_end("a key nobody made", &ben.try_join(&url, &other_key(&once))?, 8)?;
    ada.join(&url, &once)?;
    must_end("a used key", &ben.try_join(&url, &once)?, 8)?;
    let short = mesh.coordinator.enrollment_key(true, "1s")?;
    std::thread::sleep(Duration::from_millis(2100));
    must_end("an expired key", &ben.try_join(&url, &short)?, 8)?;
    // Refusals left nothing behind that would stand in the way of a good key.
    ben.join(&url, &mesh.coordinator.enrollment_key(false, "1h")?)
}

/// A key of the same form with another secret: one character in its middle is exchanged.
fn other_key(key: &str) -> String {
    let exchanged = |letter: char| if letter == 'A' { 'B' } else { 'A' };
    let middle = key.len() / 2;
    key.char_indices().map(|(at, letter)| if at == middle { exchanged(letter) } else { letter }).collect()
}

fn no_coordinator(mesh: &Mesh) -> Result<(), LabError> {
    let ada = Node::on(&mesh.context, &mesh.internet, "ada")?;
    let key = mesh.coordinator.enrollment_key(false, "1h")?;
    let closed = format!("http://{}:9", mesh.coordinator.addresses[0]);
    must_end("a closed port", &ada.try_join(&closed, &key)?, 6)?;
    let start = std::time::Instant::now();
    let silent = ada.try_join("http://198.51.100.249:8080", &key)?;
    if start.elapsed() > Duration::from_secs(60) {
        return Err(LabError::Unmet(
            "`warren join` waits for more than a minute for a silent address".to_owned(),
        ));
    }
    // A time-out has a code of its own in the contract; either tells the truth.
    if silent.code == 7 {
        must_end("a silent address", &silent, 7)
    } else {
        must_end("a silent address", &silent, 6)
    }
}

fn stopped_agent(mesh: &mut Mesh) -> Result<(), LabError> {
    mesh.nodes[0].stop()?;
    must_end("status without an agent", &mesh.nodes[0].warren(&["status", "--json"])?, 3)
}

fn no_tun(mesh: &Mesh) -> Result<(), LabError> {
    let ada = Node::on(&mesh.context, &mesh.internet, "ada")?;
    ada.join(&mesh.coordinator.url(), &mesh.coordinator.enrollment_key(false, "1h")?)?;
    let agent = ada.command(&["agent"]);
    let mut hidden = ada.namespace.command("unshare");
    // An empty file in the device's place: it exists, but is no TUN device.
    hidden.args([
        "--mount",
        "sh",
        "-c",
        "mount --bind /dev/null /dev/net/tun && exec timeout -s KILL 10 \"$@\"",
        "sh",
    ]);
    // Without `ip netns exec NAME` in front, which `hidden` has already.
    hidden.args(agent.get_args().skip(3));
    for (name, value) in agent.get_envs() {
        match value {
            Some(value) => hidden.env(name, value),
            None => hidden.env_remove(name),
        };
    }
    let ran = crate::daemon::run_logged(&mut hidden, &ada.log)?;
    let said = format!("{}{}", ran.stdout, ran.stderr);
    if said.contains("panicked") {
        return Err(LabError::Unmet(format!("the agent panicked: {said}")));
    }
    if ran.code == 137 || ran.code <= 0 {
        return Err(LabError::Unmet(format!(
            "the agent did not end by itself with an error (exit {})",
            ran.code
        )));
    }
    if said.to_lowercase().contains("tun") {
        Ok(())
    } else {
        Err(LabError::Unmet(format!("no word about TUN in: {said}")))
    }
}

fn leave(mesh: &mut Mesh) -> Result<(), LabError> {
    ping_all_ways(&mesh.nodes[0], &mesh.nodes[1], PATIENCE)?;
    let left = mesh.nodes[0].warren(&["leave", "--json"])?;
    if left.code != 0 {
        return Err(LabError::Unmet(format!(
            "`warren leave` ended with {}: {}",
            left.code,
            left.stderr.trim()
        )));
    }
    wait_for("ada gone from ben's peers", PATIENCE, || {
        Ok(mesh.nodes[1].status()?.peers.iter().all(|peer| peer.name != "ada").then_some(()))
    })?;
    must_end("status after leaving", &mesh.nodes[0].warren(&["status", "--json"])?, 4)
}

/// The exit code that was agreed, and one sentence on standard error.
fn must_end(what: &str, ran: &Ran, code: i32) -> Result<(), LabError> {
    // The agent may warn that the lab's coordinator is reached by plain HTTP; that is no part of the answer.
    let warns = |line: &&str| line.contains(" WARN ") || line.starts_with("warren: warning: ");
    let said: Vec<&str> = ran.stderr.lines().filter(|line| !warns(line)).collect();
    let said = said.join("\n");
    if ran.code != code {
        return Err(LabError::Unmet(format!(
            "{what}: exit code {} instead of {code}, with: {said}",
            ran.code
        )));
    }
    if said.is_empty() || said.lines().count() > 1 || said.contains("panicked") {
        return Err(LabError::Unmet(format!("{what}: not one sentence on standard error, but: {said:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::must_end;
    use crate::daemon::Ran;

    #[test]
    fn an_end_is_good_only_with_its_code_and_one_sentence() {
        let ran = |code, stderr: &str| Ran { code, stdout: String::new(), stderr: stderr.to_owned() };
        assert!(must_end("x", &ran(8, "warren: the key is unknown: ask for a new one\n"), 8).is_ok());
        assert!(
            must_end("x", &ran(8, "warren: warning: plain HTTP\nwarren: the key is unknown\n"), 8).is_ok()
        );
        assert!(must_end("x", &ran(1, "warren: no\n"), 8).is_err());
        assert!(must_end("x", &ran(8, ""), 8).is_err());
        assert!(must_end("x", &ran(8, "a\nb\n"), 8).is_err());
    }
}
