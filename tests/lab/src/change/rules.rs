//! nft rules that a scenario lays over routers and the internet's core, and takes away again.

use std::net::Ipv4Addr;

use crate::error::{LabError, Trying};
use crate::namespace::Namespace;

/// A table of nft rules in a namespace; dropping it takes them away.
#[derive(Debug)]
pub(super) struct Rules {
    namespace: Namespace,
    table: String,
}

/// What a stretch of the internet does to UDP packets that it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// Drops all of them.
    All,
    /// Drops those longer than this, IP header included.
    LongerThan(u16),
    /// Drops this share of them, in percent, each for itself.
    Percent(u8),
    /// One packet in `one_in` begins a burst, in which all are dropped. (The model of Gilbert with a fixed stay in the
    /// bad state; nft keeps that state as an element that expires.)
    Bursts {
        /// How rarely a burst begins.
        one_in: u16,
        /// How long it lasts.
        ms: u16,
    },
}

impl Rules {
    /// Lays rules of one chain; `table` must be unique in the namespace.
    pub(super) fn lay(namespace: &Namespace, table: &str, rules: &str) -> Result<Self, LabError> {
        namespace.load_rules(&format!("table inet {table} {{ {rules}; }}"))?;
        Ok(Self { namespace: namespace.clone(), table: table.to_owned() })
    }

    /// Harms what the core passes from one address to another.
    pub(super) fn between(
        core: &Namespace,
        table: &str,
        harm: Harm,
        ways: &[(Ipv4Addr, Ipv4Addr)],
    ) -> Result<Self, LabError> {
        let matches = ways.iter().map(|(from, to)| format!("ip saddr {from} ip daddr {to} meta l4proto udp"));
        Self::lay(core, table, &script(harm, "forward", "filter", &matches.collect::<Vec<_>>()))
    }

    /// Harms all UDP of a router's outside interface, in both directions.
    pub(super) fn of_uplink(router: &Namespace, table: &str, harm: Harm) -> Result<Self, LabError> {
        let ways = ["iifname", "oifname"].map(|way| format!("{way} \"wan\" meta l4proto udp"));
        Self::lay(router, table, &script(harm, "forward", "filter", &ways))
    }

    /// Harms what comes from the hosts of a router before its NAT sees it: no mapping is refreshed by that.
    pub(super) fn before_nat(router: &Namespace, table: &str, harm: Harm) -> Result<Self, LabError> {
        let ways = ["iifname \"lan\" meta l4proto udp".to_owned()];
        Self::lay(router, table, &script(harm, "prerouting", "-400", &ways))
    }

    /// Counts what a router sends through its outside interface, optionally only to one address.
    pub(super) fn count_sent(
        router: &Namespace,
        table: &str,
        to: Option<Ipv4Addr>,
    ) -> Result<Self, LabError> {
        let to = to.map_or(String::new(), |to| format!("ip daddr {to} "));
        let chain = "type filter hook postrouting priority 300";
        Self::lay(router, table, &format!("chain count {{ {chain}; oifname \"wan\" {to}counter; }}"))
    }

    /// Packets and bytes counted so far.
    pub(super) fn counted(&self) -> Result<(f64, f64), LabError> {
        let text = list(&self.namespace, &["list", "table", "inet", &self.table])?;
        counters(&text).ok_or_else(|| LabError::Unmet(format!("no counter in {text}")))
    }
}

impl Drop for Rules {
    fn drop(&mut self) {
        // The namespace goes away anyway; what could not be removed vanishes with it.
        let _ = self.namespace.load_rules(&format!("delete table inet {}", self.table));
    }
}

/// Lets a router forget UDP mappings and what it lets in after so many seconds without a packet, whatever its recipe says.
pub(super) fn forget_after(router: &Namespace, seconds: u32) -> Result<(), LabError> {
    let text = seconds.to_string();
    router.set(&[
        ("netfilter/nf_conntrack_udp_timeout", text.as_str()),
        ("netfilter/nf_conntrack_udp_timeout_stream", text.as_str()),
    ])?;
    let rules = list(router, &["-s", "list", "ruleset"])?;
    let shorter = rules.replace("timeout 5m", &format!("timeout {seconds}s"));
    if shorter == rules {
        return Err(LabError::Unmet("the recipe's mappings have no time limit to shorten".to_owned()));
    }
    router.load_rules(&format!("flush ruleset\n{shorter}"))
}

/// Lets a router forget everything at once: connections, and the mappings of its recipe.
pub(super) fn forget_now(router: &Namespace) -> Result<(), LabError> {
    let rules = list(router, &["-s", "list", "ruleset"])?;
    router.load_rules(&format!("flush ruleset\n{}", without_elements(&rules)))?;
    router.flush_connections()
}

/// A ruleset without what its sets and maps hold right now.
fn without_elements(rules: &str) -> String {
    let mut kept = String::new();
    let mut rest = rules;
    while let Some((before, after)) = rest.split_once("elements = {") {
        kept.push_str(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    kept + rest
}

fn script(harm: Harm, hook: &str, priority: &str, matches: &[String]) -> String {
    let mut sets = String::new();
    let mut lines = Vec::new();
    for (index, packets) in matches.iter().enumerate() {
        match harm {
            Harm::All => lines.push(format!("{packets} drop;")),
            Harm::LongerThan(length) => lines.push(format!("{packets} meta length > {length} drop;")),
            Harm::Percent(percent) => {
                lines.push(format!("{packets} numgen random mod 100 < {percent} drop;"));
            }
            Harm::Bursts { one_in, ms } => {
                sets += &format!("set burst{index} {{ type inet_proto; flags dynamic,timeout; }}; ");
                lines.push(format!("{packets} meta l4proto @burst{index} drop;"));
                let begin = format!("add @burst{index} {{ meta l4proto timeout {ms}ms }}");
                lines.push(format!("{packets} numgen random mod {one_in} < 1 {begin} drop;"));
            }
        }
    }
    format!("{sets}chain harm {{ type filter hook {hook} priority {priority}; {} }}", lines.join(" "))
}

fn list(namespace: &Namespace, arguments: &[&str]) -> Result<String, LabError> {
    let output = namespace.command("nft").args(arguments).output().trying("run nft")?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command { command: format!("nft {}", arguments.join(" ")), output })
}

fn counters(text: &str) -> Option<(f64, f64)> {
    let mut words = text.split_once("counter packets ")?.1.split_whitespace();
    Some((words.next()?.parse().ok()?, words.nth(1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Harm, counters, script, without_elements};

    #[test]
    fn a_counter_is_read_out_of_nfts_listing() {
        let text = "oifname \"wan\" counter packets 12 bytes 3456\n";
        assert_eq!(counters(text), Some((12.0, 3456.0)));
        assert_eq!(counters("oifname \"wan\" counter"), None);
    }

    #[test]
    fn a_ruleset_loses_its_elements_and_nothing_else() {
        let text = "map m {\n\ttimeout 5m\n\telements = { 1.2.3.4 . 5 expires 3s : 6,\n\t\t 7 : 8 }\n\t}\nchain c { x }";
        assert_eq!(without_elements(text), "map m {\n\ttimeout 5m\n\t\n\t}\nchain c { x }");
    }

    #[test]
    fn every_way_has_bursts_of_its_own() {
        let script =
            script(Harm::Bursts { one_in: 40, ms: 300 }, "forward", "filter", &["a".into(), "b".into()]);
        assert!(
            script.contains("a meta l4proto @burst0 drop; a numgen random mod 40 < 1 add @burst0"),
            "{script}"
        );
        assert!(script.contains("b meta l4proto @burst1 drop;"), "{script}");
    }
}
