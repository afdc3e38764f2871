//! A NAT that gives its STUN users the inside port, as if its mapping were endpoint-independent, and everybody else a random one for
//! each destination (R2).

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::deadline::wait_for;
use crate::error::LabError;
use crate::mesh::{Mesh, folder};
use crate::namespace::Namespace;
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::scenario::{Context, Outcome};
use crate::topology::Topology;

/// The rules of the lying router; STUN and the relay in the coordinator are at these ports.
const RULES: &str = "
table ip home {
	chain after_routing {
		type nat hook postrouting priority srcnat; policy accept;
		oifname \"wan\" udp dport { 443, 3478, 3479 } snat ip to $wan
		oifname \"wan\" meta l4proto udp snat ip to $wan:1024-65535 fully-random
		oifname \"wan\" snat ip to $wan
	}
}
";
const STUN_PORTS: [u16; 3] = [443, 3478, 3479];
/// From the agents up to the first answered ping.
const FIRST_PING_MAX_MS: f64 = 1_000.0;
/// From the agents up to a direct path with the public peer, on both ends.
const DIRECT_MAX_MS: f64 = 2_000.0;
/// From the agents up until the node itself and its peer tell of the contradiction.
const TOLD_MAX_MS: f64 = 10_000.0;

pub(super) fn play(context: &Context, name: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let topology = Topology::default().host("ben", 1).host("coordinator", 2);
    let topology = topology.site("one", "symmetric", &["ada"]).site("three", "port-restricted", &["cyd"]);
    let internet = crate::internet::Internet::build(&topology)?;
    let (router, wan) = internet.router("one")?;
    router.load_rules(&format!("delete table ip home\n{}", RULES.replace("$wan", &wan.to_string())))?;
    let mut mesh = Mesh::start_on(context, &folder(name), internet, &["ada", "ben", "cyd"])?;
    let since = Instant::now();
    let (ada, ben, cyd) = (mesh.node("ada")?, mesh.node("ben")?, mesh.node("cyd")?);
    let direct = watch(ada, ben, since, Expected::Direct)?;
    // Its real ports are random, so the other one is in the place of a symmetric NAT's peer.
    let relayed = watch(ada, cyd, since, Expected::RelayFirst)?;
    wait_for("ada and cyd telling of the contradiction", PATIENCE, || {
        std::thread::sleep(Duration::from_millis(100));
        tells(ada, &["netcheck"], "peers see other ports than STUN servers")?;
        tells(cyd, &["why", "ada"], "the peer's NAT shows STUN servers another port than it shows peers")?;
        Ok(Some(()))
    })?;
    let told = since.elapsed();
    let own = mesh.internet.addresses("ada")?[0];
    let lies = Lies::of(&router, own)?;
    ping_all_ways(ada, ben, PATIENCE)?;
    ping_all_ways(ada, cyd, PATIENCE)?;
    mesh.must_run()?;
    let outcome = outcome
        .limited("first_ping_ms", ms(direct.first_ping.max(relayed.first_ping)), FIRST_PING_MAX_MS)
        .limited("direct_to_public_ms", ms(direct.settled), DIRECT_MAX_MS)
        .limited("told_ms", ms(told), TOLD_MAX_MS)
        .figure("kept_for_stun", f64::from(lies.kept_for_stun))
        .figure("changed_for_peers", f64::from(lies.changed_for_peers));
    Ok(outcome.judged(lies.verdict()))
}

fn tells(node: &Node, arguments: &[&str], words: &str) -> Result<(), LabError> {
    let said = node.warren(arguments)?.stdout;
    match said.contains(words) {
        true => Ok(()),
        false => {
            Err(LabError::Unmet(format!("`warren {}` of {} says: {said}", arguments.join(" "), node.name)))
        }
    }
}

/// What the router did to the main socket's ports: a recipe's classifier would believe the lie, so this one proves itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lies {
    /// Connections to STUN ports that left from the inside port.
    kept_for_stun: u32,
    /// Others, of the same inside ports, that left from another one.
    changed_for_peers: u32,
    /// Whatever was the other way round: one random port in 64,512 is the inside port, so one of 250 such may be.
    wrong: u32,
}

impl Lies {
    fn of(router: &Namespace, host: Ipv4Addr) -> Result<Self, LabError> {
        let listed = router.command("conntrack").args(["-L", "-p", "udp", "-s", &host.to_string()]).output();
        let listed = listed.map_err(|error| LabError::Unmet(format!("conntrack cannot be run: {error}")))?;
        Ok(Self::read(&String::from_utf8_lossy(&listed.stdout)))
    }

    /// Out of lines such as `udp 17 28 src=A dst=B sport=1 dport=2 src=B dst=C sport=2 dport=3 …`.
    fn read(listed: &str) -> Self {
        let mut lies = Self::default();
        for line in listed.lines() {
            let ports = |name: &'static str| {
                line.split(' ').filter_map(move |word| word.strip_prefix(name)?.parse::<u16>().ok())
            };
            let (Some(inside), Some(to), Some(outside)) =
                (ports("sport=").next(), ports("dport=").next(), ports("dport=").nth(1))
            else {
                continue;
            };
            match (STUN_PORTS.contains(&to), inside == outside) {
                (true, true) => lies.kept_for_stun += 1,
                (false, false) => lies.changed_for_peers += 1,
                (true, false) | (false, true) => lies.wrong += 1,
            }
        }
        lies
    }

    fn verdict(&self) -> Result<String, String> {
        match self {
            Self { kept_for_stun: 2.., changed_for_peers: 1.., wrong: 0..=2 } => {
                Ok("direct to the public peer, told to the other".to_owned())
            }
            _ => Err(format!("the router did not lie as it should: {self:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lies;

    #[test]
    fn a_router_lies_when_only_stun_servers_see_the_inside_port() {
        let line = |to: u16, outside: u16| {
            format!(
                "udp 17 28 src=10.0.0.2 dst=1.2.3.4 sport=4000 dport={to} src=1.2.3.4 dst=5.6.7.8 sport={to} dport={outside} mark=0"
            )
        };
        let text = [line(3478, 4000), line(3479, 4000), line(9000, 61_000)].join("\n");
        assert!(Lies::read(&text).verdict().is_ok());
        let honest = [3478, 3479, 9000].map(|to| line(to, 4000)).join("\n");
        assert!(Lies::read(&honest).verdict().is_err());
    }
}
