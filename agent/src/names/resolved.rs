//! systemd-resolved: which names the agent answers, for as long as the tunnel's interface is there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// The folder that is there while systemd-resolved runs (systemd-resolved.service(8)).
const RUNNING: &str = "/run/systemd/resolve";

/// How long one command may take; D-Bus alone waits for longer where nobody answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether this machine's programs find the names by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum System {
    /// Nothing was tried yet.
    #[default]
    Unknown,
    /// systemd-resolved asks the agent for the network's names.
    Asks,
    /// systemd-resolved does not run here.
    Absent,
    /// It refused.
    Refused(String),
}

/// Lets systemd-resolved ask these addresses for names in these domains, and for no others. It forgets that by itself with
/// the interface, so a crash leaves nothing behind.
pub(super) async fn tell(interface: &str, resolvers: &[SocketAddr], domains: &[String]) -> System {
    if !Path::new(RUNNING).exists() {
        return System::Absent;
    }
    for arguments in commands(interface, resolvers, domains) {
        if let Err(why) = resolvectl(&arguments).await {
            return System::Refused(why);
        }
    }
    System::Asks
}

/// The commands of resolvectl(1). The domains have a `~` in front: names are looked up there, but short ones are not completed with
/// them, as any node may be called `wpad` or what the machine's own network calls a printer.
fn commands(interface: &str, resolvers: &[SocketAddr], domains: &[String]) -> [Vec<String>; 5] {
    let of = |verb: &str, values: Vec<String>| [vec![verb.to_owned(), interface.to_owned()], values].concat();
    [
        // First what keeps other questions away, so that a refusal half-way leaves no resolver that is asked for everything.
        of("domain", domains.iter().map(|domain| format!("~{domain}")).collect()),
        of("default-route", vec!["no".to_owned()]),
        // Nobody signs private zones; one that validates would take our addresses' names for forged.
        of("dnssec", vec!["no".to_owned()]),
        // What is asked stays on this machine; one that insists on TLS everywhere would never ask.
        of("dnsovertls", vec!["no".to_owned()]),
        of("dns", resolvers.iter().map(SocketAddr::to_string).collect()),
    ]
}

async fn resolvectl(arguments: &[String]) -> Result<(), String> {
    let mut command = Command::new("resolvectl");
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = match timeout(PATIENCE, command.output()).await {
        Err(_) => return Err(format!("`resolvectl` did not end within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => return Err(format!("cannot run `resolvectl`: {error}")),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let verb = arguments.first().map(String::as_str).unwrap_or_default();
    Err(format!("`resolvectl {verb}` refuses: {}", said.lines().next().unwrap_or_default().trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_asks_for_the_networks_names_alone_and_completes_none_with_them() {
        let domains = ["office.warren.internal".to_owned(), "92.100.in-addr.arpa".to_owned()];
        let resolvers = ["100.92.0.7:15353".parse().unwrap(), "[fd00:1::7]:15353".parse().unwrap()];
        let lines = commands("warren0", &resolvers, &domains).map(|arguments| arguments.join(" "));
        assert_eq!(
            lines,
            [
                "domain warren0 ~office.warren.internal ~92.100.in-addr.arpa",
                "default-route warren0 no",
                "dnssec warren0 no",
                "dnsovertls warren0 no",
                "dns warren0 100.92.0.7:15353 [fd00:1::7]:15353",
            ]
        );
    }
}
