//! DNS names of nodes, asked with a program of somebody else: `dig` of BIND, in the namespaces of two agents.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use super::{Case, Stage, homes, part};
use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::node::Node;
use crate::opening::PATIENCE;
use crate::preflight::require_tool;
use crate::scenario::Outcome;

const HOSTS: [&str; 2] = ["names-a", "names-b"];
const ZONE: &str = "names-a.warren.internal";
const RENAMED: &str = "names-other";
/// The coordinator looks for commands once a second, and an agent at its map as often while nobody uses the tunnel.
const SEEN_MAX_MS: f64 = 5_000.0;
/// A port that another program had is tried again each five seconds.
const FREED_MAX: Duration = Duration::from_secs(15);

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "names/dig",
        about: "dig asks an agent for names and addresses; a node is renamed, hidden by access rules, and asked by the other",
        places: |topology| homes(topology, "port-restricted", HOSTS),
        play,
    }]
}

/// Where agents answer.
const PORT: &str = "15353";

/// What `dig` was told: the status and the answers, each as `dig +short` has it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: String,
    is_authoritative: bool,
    answers: Vec<String>,
}

/// Asks a resolver from a node's namespace; `None` where nobody answers.
fn dig(from: &Node, resolver: IpAddr, arguments: &[&str]) -> Result<Option<Told>, LabError> {
    let mut command = from.namespace.command("dig");
    command
        .arg(format!("@{resolver}"))
        .args(["-p", PORT, "+time=1", "+tries=1", "+norecurse"])
        .args(arguments);
    let output = command.output().trying("run dig")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // 9: no answer from a server (dig(1)).
    if output.status.code() == Some(9) {
        return Ok(None);
    }
    told(&text).map(Some).ok_or_else(|| LabError::Unmet(format!("dig {arguments:?}: {}", text.trim())))
}

/// What is said in `dig`'s usual output: a header, and a section of answers with one a line.
fn told(text: &str) -> Option<Told> {
    let (_, rest) = text.split_once("status: ")?;
    let (status, rest) = rest.split_once(',')?;
    let flags = rest.split_once("flags:")?.1.split(';').next()?;
    let section = text.split_once(";; ANSWER SECTION:\n").map_or("", |(_, section)| section);
    let lines = section.lines().take_while(|line| !line.is_empty());
    let answers = lines.filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned).collect();
    let is_authoritative = flags.split_whitespace().any(|flag| flag == "aa");
    Some(Told { status: status.to_owned(), is_authoritative, answers })
}

fn expect(from: &Node, arguments: &[&str], status: &str, answers: &[&str]) -> Result<(), LabError> {
    let found = dig(from, from.mesh_address(false)?, arguments)?;
    let is_as_wanted = found.as_ref().is_some_and(|found| {
        found.status == status && found.answers == answers && found.is_authoritative == (status != "REFUSED")
    });
    if is_as_wanted {
        return Ok(());
    }
    Err(LabError::Unmet(format!("dig {arguments:?}: {found:?} instead of {status} {answers:?}")))
}

/// Waits until a name has a status; gives how long that took, in milliseconds.
fn until(from: &Node, name: &str, status: &str) -> Result<f64, LabError> {
    let resolver = from.mesh_address(false)?;
    let (_, taken) = wait_for(&format!("{status} for {name}"), PATIENCE, || {
        Ok(dig(from, resolver, &[name, "A"])?.filter(|told| told.status == status).map(|_| ()))
    })?;
    Ok(taken.as_secs_f64() * 1000.0)
}

/// The reasons why names are not answered, out of `warren status`.
fn until_why(node: &Node, words: Option<&str>, limit: Duration) -> Result<Duration, LabError> {
    let (_, taken) = wait_for(&format!("names of {}: {words:?}", node.name), limit, || {
        std::thread::sleep(Duration::from_millis(80));
        let names = node.status()?.own.names;
        let why = names.as_ref().and_then(|names| names.why.as_deref());
        let is_as_wanted = match words {
            Some(words) => why.is_some_and(|why| why.contains(words)),
            None => names.as_ref().is_some_and(|names| names.resolvers.len() == 2),
        };
        Ok(is_as_wanted.then_some(()))
    })?;
    Ok(taken)
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    require_tool("dig", "bind9-dnsutils")?;
    // Another program has the port first, and the agent goes on without it until it is free.
    let taken = stage
        .internet
        .host(HOSTS[0])?
        .within(|| UdpSocket::bind(format!("0.0.0.0:{PORT}")).trying("take the port"))?;
    let nodes = stage.up(stage.coordinator, HOSTS)?;
    let (asker, other) = (&nodes[0], &nodes[1]);
    until_why(asker, Some("is taken by another program"), PATIENCE)?;
    drop(taken);
    let freed = until_why(asker, None, FREED_MAX)?;
    let name = format!("{}.{ZONE}", other.name);
    until(asker, &name, "NOERROR")?;

    let (ipv4, ipv6) = (other.mesh_address(false)?, other.mesh_address(true)?);
    let (own, dotted) = (asker.mesh_address(false)?, format!("{name}."));
    expect(asker, &[&name, "A"], "NOERROR", &[&ipv4.to_string()])?;
    expect(asker, &[&name, "AAAA"], "NOERROR", &[&ipv6.to_string()])?;
    expect(asker, &["+tcp", &name, "A"], "NOERROR", &[&ipv4.to_string()])?;
    expect(asker, &["-x", &ipv4.to_string()], "NOERROR", &[&dotted])?;
    expect(asker, &["-x", &ipv6.to_string()], "NOERROR", &[&dotted])?;
    expect(asker, &[&format!("{}.{ZONE}", asker.name), "A"], "NOERROR", &[&own.to_string()])?;
    expect(asker, &[&format!("printer.{ZONE}"), "A"], "NXDOMAIN", &[])?;
    expect(asker, &[&name, "MX"], "NOERROR", &[])?;
    expect(asker, &["example.org", "A"], "REFUSED", &[])?;
    expect(asker, &[&format!("{}.lab.warren.internal", other.name), "A"], "REFUSED", &[])?;
    let over_ipv6 = dig(asker, asker.mesh_address(true)?, &[&name, "A"])?.is_some();
    // The tunnel carries the question, and nobody answers.
    let of_another = dig(other, own, &[&name, "A"])?;

    let admin = |words: &[&str]| stage.coordinator.admin(&[words, &["--json"]].concat());
    admin(&["node", "set", &other.name, "--name", RENAMED])?;
    let renamed = until(asker, &format!("{RENAMED}.{ZONE}"), "NOERROR")?;
    let forgotten = until(asker, &name, "NXDOMAIN")?;
    admin(&["network", "set", HOSTS[0], "--default-access", "deny"])?;
    let hidden = until(asker, &format!("{RENAMED}.{ZONE}"), "NXDOMAIN")?;
    expect(asker, &["-x", &ipv4.to_string()], "NXDOMAIN", &[])?;
    let verdict = match (over_ipv6, of_another) {
        (true, None) => Ok("each agent answers its own machine, for the peers that it sees".to_owned()),
        (over_ipv6, of_another) => {
            Err(format!("answered over IPv6: {over_ipv6}; to another node: {of_another:?}"))
        }
    };
    part(nodes)?;
    Ok(outcome
        .figure("freed_ms", freed.as_secs_f64() * 1000.0)
        .limited("renamed_ms", renamed, SEEN_MAX_MS)
        .limited("forgotten_ms", forgotten, SEEN_MAX_MS)
        .limited("hidden_ms", hidden, SEEN_MAX_MS)
        .judged(verdict))
}

#[cfg(test)]
mod tests {
    use super::{Told, told};

    #[test]
    fn what_dig_prints_is_read() {
        let text = ";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 7\n\
            ;; flags: qr aa; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1\n\n;; ANSWER SECTION:\n\
            nas.office.warren.internal. 5\tIN\tA\t100.92.0.9\n\n;; Query time: 0 msec\n";
        let expected =
            Told { status: "NOERROR".into(), is_authoritative: true, answers: vec!["100.92.0.9".into()] };
        assert_eq!(told(text), Some(expected));
        assert_eq!(told(";; no servers could be reached"), None);
    }
}
