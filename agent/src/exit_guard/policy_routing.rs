//! Policy routing by the program `ip` (ip-rule(8)): what does not carry the tunnel's mark is looked up in a table that has the
//! tunnel's default route while there is a tunnel, and the answer "unreachable" always. Local ranges, the hosts that the agent calls and
//! the machine's gateways are thrown out of that table again and go as the main one says; gateways, because the kernel answers
//! their ARP requests only where it finds a way back to them.
//!
//! No route of the main table counts for the internet, however long its prefix: one that a DHCP server gave would lead past the
//! exit node (CVE-2024-3661).

use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};

use protocol::api::local_ranges;
use tunnel::{EXIT_TABLE, TUNNEL_MARK};

/// Where our rule stands: after the kernel's local table (0), before the main one (32766) and what usual programs add.
const PRIORITY: u32 = 5_200;

/// The least preferred of all, so that the tunnel's route comes first.
const UNREACHABLE_METRIC: u32 = u32::MAX - 16_777_216;

/// A rule that was added twice, by whomever, is removed so often at most.
const REMOVALS_MAX: usize = 8;

/// The kernel's switches that make it heed marks: in the check of a packet's way back, and for what a TCP connection that was
/// accepted sends, which is looked up before a filter sees it. They stay on: without marks they do nothing.
const SWITCHES: [&str; 2] =
    ["/proc/sys/net/ipv4/conf/all/src_valid_mark", "/proc/sys/net/ipv4/tcp_fwmark_accept"];

/// Turns the switches on. Where that fails, some answers do not leave; nothing that should not does.
pub(super) fn heed_marks() {
    for path in SWITCHES {
        let is_on = std::fs::read_to_string(path).is_ok_and(|text| text.trim() != "0");
        if !is_on && let Err(error) = std::fs::write(path, "1") {
            tracing::warn!(path, %error, "connections from the internet to this machine may not be answered");
        }
    }
}

/// Sets routes and rules, with these hosts past the exit node.
pub(super) fn set(direct: &[IpAddr]) -> Result<(), String> {
    families().into_iter().try_for_each(|family| {
        family.run(&family.routes(&[direct, &family.gateways()].concat()))?;
        if family.has_rule() { Ok(()) } else { family.run(&family.rule("add")) }
    })
}

/// Whether they are there.
pub(super) fn is_there() -> bool {
    families().into_iter().all(|family| family.has_rule() && family.has_routes())
}

/// Takes them away.
pub(super) fn remove() {
    for family in families() {
        for _ in 0..REMOVALS_MAX {
            if !family.has_rule() || family.run(&family.rule("del")).is_err() {
                break;
            }
        }
        if let Err(why) = family.run(&format!("route flush table {EXIT_TABLE}\n")) {
            tracing::warn!(why, "routes of the exit node stay behind, and mean nothing without a rule");
        }
    }
}

/// One family of addresses.
#[derive(Debug, Clone, Copy)]
struct Family {
    is_ipv6: bool,
}

/// Those that this machine has; one that is switched off has no routes to leave by.
fn families() -> Vec<Family> {
    let switch = std::fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6");
    let has_ipv6 = switch.is_ok_and(|text| text.trim() == "0");
    [false, true]
        .into_iter()
        .filter(|is_ipv6| !is_ipv6 || has_ipv6)
        .map(|is_ipv6| Family { is_ipv6 })
        .collect()
}

impl Family {
    fn routes(self, thrown: &[IpAddr]) -> String {
        let thrown = thrown.iter().filter(|address| address.is_ipv6() == self.is_ipv6);
        let thrown = local_ranges(self.is_ipv6).chain(thrown.map(|address| (*address).into()));
        let thrown = thrown.map(|net| format!("route replace throw {net} table {EXIT_TABLE}\n"));
        format!(
            "route flush table {EXIT_TABLE} type throw\n{}\
             route replace unreachable default table {EXIT_TABLE} metric {UNREACHABLE_METRIC}\n",
            thrown.collect::<String>()
        )
    }

    fn rule(self, verb: &str) -> String {
        format!("rule {verb} not fwmark {TUNNEL_MARK:#x} table {EXIT_TABLE} priority {PRIORITY}\n")
    }

    fn has_rule(self) -> bool {
        let start = format!("{PRIORITY}:");
        self.tell(&["rule", "show"]).lines().any(|line| line.starts_with(&start))
    }

    fn has_routes(self) -> bool {
        let routes = self.tell(&["route", "show", "table", &EXIT_TABLE.to_string()]);
        let mut gateways = self.gateways().into_iter();
        routes.contains("unreachable default")
            && gateways.all(|gateway| routes.contains(&format!("throw {gateway} ")))
    }

    /// The next hops of the main table's default routes.
    fn gateways(self) -> Vec<IpAddr> {
        gateways(&self.tell(&["route", "show", "default"]))
    }

    const fn flag(self) -> &'static str {
        if self.is_ipv6 { "-6" } else { "-4" }
    }

    /// Runs `ip` on a script; the first refusal ends it.
    fn run(self, script: &str) -> Result<(), String> {
        let mut command = Command::new("ip");
        command.args([self.flag(), "-batch", "-"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                "the program `ip` is missing: install iproute2".to_owned()
            } else {
                format!("cannot run `ip`: {error}")
            }
        })?;
        if let Some(mut input) = child.stdin.take() {
            // One that ends without reading says why below.
            let _ = input.write_all(script.as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| format!("cannot wait for `ip`: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`ip {}` refuses: {}", self.flag(), said.lines().next().unwrap_or_default().trim()))
    }

    /// What `ip` tells; nothing where it fails.
    fn tell(self, arguments: &[&str]) -> String {
        let output = Command::new("ip").arg(self.flag()).args(arguments).stdin(Stdio::null()).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }
}

/// The next hops out of `ip route show`.
fn gateways(routes: &str) -> Vec<IpAddr> {
    let words: Vec<&str> = routes.split_whitespace().collect();
    let next = words.windows(2).filter(|pair| pair[0] == "via").filter_map(|pair| pair[1].parse().ok());
    next.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_ranges_and_called_hosts_are_thrown_out_and_the_rest_is_unreachable_without_a_tunnel() {
        let direct = ["203.0.113.7", "2001:db8::7"].map(|text| text.parse().unwrap());
        let text = Family { is_ipv6: false }.routes(&direct);
        for line in [
            "route flush table 87 type throw\n",
            "route replace throw 192.168.0.0/16 table 87\n",
            "route replace throw 203.0.113.7/32 table 87\n",
            "route replace unreachable default table 87 metric 4278190079\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("2001:db8") && !text.contains("0.0.0.0/0"), "{text}");
        assert!(Family { is_ipv6: true }.routes(&direct).contains("throw 2001:db8::7/128 table 87\n"));
    }

    #[test]
    fn gateways_are_read_out_of_what_ip_tells() {
        let told = "default via 192.0.2.1 dev eth0 proto dhcp metric 100 \ndefault dev ppp0 scope link\n\
                    default metric 7 \n\tnexthop via 10.0.0.1 dev a weight 1 \n\tnexthop via inet6 fe80::1 dev b\n";
        assert_eq!(gateways(told), ["192.0.2.1", "10.0.0.1"].map(|text| text.parse::<IpAddr>().unwrap()));
    }
}
