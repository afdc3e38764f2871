//! Policy routing by the program `ip` (ip-rule(8)), in this order: addresses that an exit node does not carry, networks that are reached
//! through the tunnel anyway and hosts that the agent calls go as the main table says; what does not carry the tunnel's mark is
//! looked up in a table that has the tunnel's default route while there is a tunnel; and what is not found there is unreachable.
//!
//! No other route of the main table counts for the internet, however long its prefix: one that a DHCP server gave would lead past
//! the exit node (CVE-2024-3661). The last step is a rule and no route, because a socket that is bound to an interface makes the
//! kernel pass over routes of others.

use std::net::IpAddr;

use ipnet::IpNet;
use protocol::api::{DEFAULT_ROUTES, GLOBAL_UNICAST_V6, local_ranges};
use tunnel::{MARK_MASK, TUNNEL_MARK};

use crate::net::interface_index;
use crate::program;

/// The kernel's routing table: a number that no usual program takes (`W`; 253 to 255 are the kernel's).
const EXIT_TABLE: u8 = 87;

/// Where our rules stand: after the kernel's local table (0), before the main one (32766) and what usual programs add.
const AS_MAIN: u32 = 5_201;
const INTO_TUNNEL: u32 = 5_202;
const UNREACHABLE: u32 = 5_203;

/// The kernel's switches that make it heed marks: in the check of a packet's way back, and for what a TCP connection that was
/// accepted sends, which is looked up before a filter sees it. They stay on: without marks they do nothing.
const SWITCHES: [&str; 2] =
    ["/proc/sys/net/ipv4/conf/all/src_valid_mark", "/proc/sys/net/ipv4/tcp_fwmark_accept"];

/// What is to be so.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The tunnel's interface, which need not be there.
    pub(super) interface: String,
    /// The default routes that go through it.
    pub(super) exits: Vec<IpNet>,
    /// The other networks that do.
    pub(super) inside: Vec<IpNet>,
    /// The hosts that the agent calls over TCP.
    pub(super) called: Vec<IpAddr>,
    /// The user that the agent runs as.
    pub(super) uid: u32,
}

/// Turns the switches on. Where that fails, some answers do not leave; nothing that should not does.
pub(super) fn heed_marks() {
    for path in SWITCHES {
        let is_on = std::fs::read_to_string(path).is_ok_and(|text| text.trim() != "0");
        if !is_on && let Err(error) = std::fs::write(path, "1") {
            tracing::warn!(path, %error, "connections from the internet to this machine may not be answered");
        }
    }
}

/// Sets rules and routes of both families, of each as far as it goes.
pub(super) fn set(wanted: &Wanted) -> Result<(), String> {
    families().into_iter().map(|family| family.set(wanted)).fold(Ok(()), Result::and)
}

/// Whether they are there.
pub(super) fn is_there(wanted: &Wanted) -> bool {
    families().into_iter().all(|family| {
        family.ours().is_ok_and(|there| family.rules(wanted).iter().all(|rule| there.contains(rule)))
            && family.exit(wanted).is_some() == family.has_exit(&wanted.interface)
    })
}

/// Checks that rules can be read at all.
pub(super) fn check() -> Result<(), String> {
    families().into_iter().try_for_each(|family| family.ours().map(drop))
}

/// Takes them away.
pub(super) fn remove(interface: &str) -> Result<(), String> {
    let remove = |family: Family| {
        family.run(&family.ours()?.iter().map(|rule| rule.command("del")).collect::<String>())?;
        family.flush(interface)
    };
    families().into_iter().map(remove).fold(Ok(()), Result::and)
}

/// A rule of policy routing, as `ip rule show` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    priority: u32,
    text: String,
}

impl Rule {
    /// Of a line of `ip rule show`, where the rule is one of ours.
    fn read(line: &str) -> Option<Self> {
        let (priority, text) = line.split_once(':')?;
        let (priority, text) = (priority.parse().ok()?, text.trim());
        let text = match priority {
            AS_MAIN if text.starts_with("from all to ") && text.ends_with(" lookup main") => {
                // The protocol's name is as the machine's tables have it, and old versions put a space before the length.
                let (start, _) = text.split_once(" ipproto ").unwrap_or_default();
                let text = text.replace(" /", "/");
                if start.is_empty() { text } else { format!("{start} {CALLED_LOOKUP}") }
            }
            // So is the name of the table.
            INTO_TUNNEL if text.contains(&mark()) => into_tunnel(),
            UNREACHABLE if text.contains(&mark()) => unreachable(),
            _ => return None,
        };
        Some(Self { priority, text })
    }

    fn command(&self, verb: &str) -> String {
        format!("rule {verb} priority {} {}\n", self.priority, self.text)
    }
}

/// TCP, by its number: some machines have no table of names.
const CALLED_LOOKUP: &str = "ipproto 6 lookup main";

fn into_tunnel() -> String {
    format!("not from all {} lookup {EXIT_TABLE}", mark())
}

fn unreachable() -> String {
    format!("not from all {} unreachable", mark())
}

fn mark() -> String {
    format!("fwmark {TUNNEL_MARK:#x}/{MARK_MASK:#x}")
}

/// One family of addresses.
#[derive(Debug, Clone, Copy)]
struct Family {
    is_ipv6: bool,
}

/// Those that the kernel has.
fn families() -> Vec<Family> {
    let has_ipv6 = std::fs::exists("/proc/sys/net/ipv6").unwrap_or(true);
    [false, true]
        .into_iter()
        .filter(|is_ipv6| !is_ipv6 || has_ipv6)
        .map(|is_ipv6| Family { is_ipv6 })
        .collect()
}

impl Family {
    fn rules(self, wanted: &Wanted) -> Vec<Rule> {
        let inside =
            wanted.inside.iter().map(IpNet::trunc).filter(|net| net.addr().is_ipv6() == self.is_ipv6);
        let mut networks: Vec<IpNet> = local_ranges(self.is_ipv6).chain(inside).collect();
        networks.sort_unstable();
        networks.dedup();
        let networks = networks.iter().map(|net| format!("from all to {} lookup main", shown(*net)));
        let uid = wanted.uid;
        let called = wanted.called.iter().filter(|address| address.is_ipv6() == self.is_ipv6);
        // What only passes counts as root's, and came by an interface.
        let called = called
            .map(|address| format!("from all to {address} iif lo uidrange {uid}-{uid} {CALLED_LOOKUP}"));
        let as_main = networks.chain(called).map(|text| Rule { priority: AS_MAIN, text });
        let last = [(INTO_TUNNEL, into_tunnel()), (UNREACHABLE, unreachable())];
        as_main.chain(last.map(|(priority, text)| Rule { priority, text })).collect()
    }

    /// What is missing first, then what is there from before goes.
    fn set(self, wanted: &Wanted) -> Result<(), String> {
        let (there, rules) = (self.ours()?, self.rules(wanted));
        let missing = rules.iter().filter(|rule| !there.contains(rule)).map(|rule| rule.command("add"));
        self.run(&missing.collect::<String>())?;
        let stale = there.iter().filter(|rule| !rules.contains(rule)).map(|rule| rule.command("del"));
        self.run(&stale.collect::<String>())?;
        match self.exit(wanted) {
            Some(exit) => self.run(&format!("route replace {exit}\n")),
            None => self.flush(&wanted.interface),
        }
    }

    /// Takes the tunnel's routes away; without an interface there are none.
    fn flush(self, interface: &str) -> Result<(), String> {
        match interface_index(interface) {
            Some(_) => self.run(&format!("route flush table {EXIT_TABLE} dev {interface}\n")),
            None => Ok(()),
        }
    }

    /// Our rules that are there.
    fn ours(self) -> Result<Vec<Rule>, String> {
        Ok(self.tell(&["rule", "show"])?.lines().filter_map(Rule::read).collect())
    }

    /// The tunnel's route, where this family has one and the interface is there and takes it: it goes with the interface.
    fn exit(self, wanted: &Wanted) -> Option<String> {
        let is_used = wanted.exits.iter().any(|exit| exit.addr().is_ipv6() == self.is_ipv6);
        let switch = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", wanted.interface);
        let is_off = self.is_ipv6 && std::fs::read_to_string(switch).is_ok_and(|text| text.trim() != "0");
        let is_there = interface_index(&wanted.interface).is_some() && !is_off;
        // What an exit node of IPv6 does not carry is better unreachable at once than lost in the tunnel.
        let range = if self.is_ipv6 { GLOBAL_UNICAST_V6 } else { DEFAULT_ROUTES[0] };
        (is_used && is_there).then(|| format!("{range} dev {} table {EXIT_TABLE}", wanted.interface))
    }

    fn has_exit(self, interface: &str) -> bool {
        let routes = self.tell(&["route", "show", "table", &EXIT_TABLE.to_string(), "dev", interface]);
        routes.is_ok_and(|routes| !routes.trim().is_empty())
    }

    const fn flag(self) -> &'static str {
        if self.is_ipv6 { "-6" } else { "-4" }
    }

    /// Runs `ip` on a script; the first refusal ends it.
    fn run(self, script: &str) -> Result<(), String> {
        if script.is_empty() {
            return Ok(());
        }
        self.ip(&["-batch", "-"], script).map(drop)
    }

    /// What `ip` tells.
    fn tell(self, arguments: &[&str]) -> Result<String, String> {
        self.ip(arguments, "")
    }

    fn ip(self, arguments: &[&str], script: &str) -> Result<String, String> {
        program::run(&["ip", self.flag()], "iproute2", arguments, script)
    }
}

/// A network as `ip` shows it: a host without its length.
fn shown(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Family = Family { is_ipv6: false };
    const V6: Family = Family { is_ipv6: true };

    fn wanted() -> Wanted {
        let called = ["203.0.113.7", "2001:db8::7"].map(|text| text.parse().unwrap()).to_vec();
        let inside = ["100.92.0.7/16", "198.51.100.0/24"].map(|text| text.parse().unwrap()).to_vec();
        Wanted { interface: "lo".to_owned(), exits: vec![DEFAULT_ROUTES[0]], inside, called, uid: 0 }
    }

    fn commands(family: Family) -> String {
        family.rules(&wanted()).iter().map(|rule| rule.command("add")).collect()
    }

    #[test]
    fn local_ranges_and_called_hosts_go_as_before_and_the_rest_into_the_tunnel_or_nowhere() {
        let text = commands(V4);
        for line in [
            "rule add priority 5201 from all to 192.168.0.0/16 lookup main\n",
            "rule add priority 5201 from all to 198.51.100.0/24 lookup main\n",
            "rule add priority 5201 from all to 203.0.113.7 iif lo uidrange 0-0 ipproto 6 lookup main\n",
            "rule add priority 5202 not from all fwmark 0x57000000/0xff000000 lookup 87\n",
            "rule add priority 5203 not from all fwmark 0x57000000/0xff000000 unreachable\n",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line}{text}");
        }
        assert!(
            !text.contains("2001:db8") && commands(V6).contains("to 2001:db8::7 iif lo uidrange"),
            "{text}"
        );
    }

    #[test]
    fn our_rules_are_told_from_those_of_others_at_the_same_place() {
        for rule in V4.rules(&wanted()).into_iter().chain(V6.rules(&wanted())) {
            assert_eq!(Rule::read(&format!("{}:\t{}", rule.priority, rule.text)), Some(rule));
        }
        for (line, text) in [
            ("5201:\tfrom all to 10.0.0.0 /8 lookup main", "from all to 10.0.0.0/8 lookup main"),
            (
                "5201:\tfrom all to 192.0.2.7 iif lo uidrange 0-0 ipproto tcp lookup main",
                "from all to 192.0.2.7 iif lo uidrange 0-0 ipproto 6 lookup main",
            ),
            (
                "5202:\tnot from all fwmark 0x57000000/0xff000000 lookup vpn",
                "not from all fwmark 0x57000000/0xff000000 lookup 87",
            ),
        ] {
            assert_eq!(
                Rule::read(line).map(|rule| rule.text).as_deref(),
                Some(text),
                "as other versions tell it"
            );
        }
        for line in [
            "0:\tfrom all lookup local",
            "5201:\tfrom 10.0.0.9 lookup 100",
            "5202:\tfrom all fwmark 0x1 lookup 87",
            "5210:\tfrom all to 192.168.0.0/16 lookup main",
            "32766:\tfrom all lookup main",
            "",
        ] {
            assert_eq!(Rule::read(line), None, "{line}");
        }
    }

    #[test]
    fn the_tunnels_route_is_there_for_families_that_go_through_it_while_there_is_a_tunnel() {
        assert_eq!(V4.exit(&wanted()), Some("0.0.0.0/0 dev lo table 87".to_owned()));
        assert_eq!(V6.exit(&wanted()), None);
        let gone = Wanted { interface: "no-such".to_owned(), ..wanted() };
        assert_eq!(V4.exit(&gone), None);
    }
}
