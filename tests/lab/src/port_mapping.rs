//! Routers that open a port for whoever asks: a node behind the hardest NAT is reached directly, and nothing is left behind.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::coordinator::Coordinator;
use crate::deadline::{side_by_side, wait_for};
use crate::error::LabError;
use crate::internet::Internet;
use crate::lying_router::{Lie, LyingRouter};
use crate::mesh::{Mesh, folder, one_by_one, up};
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::router_daemon::{Protocol, RouterDaemon};
use crate::scenario::{Context, Group, Outcome};
use crate::status::Status;
use crate::topology::Topology;

/// From both agents up to a direct path on both ends, as for two home routers.
const DIRECT_MAX_MS: f64 = 2_000.0;
/// Connections on the router of the mapped node: what plain opening, relay, servers and the measurement of its NAT make. A search
/// for ports makes a thousand.
const ENTRIES_MAX: f64 = 120.0;
/// From a router's restart until the port is open again: it announces itself, and the agent asks at most every ten seconds.
const MAPPED_AGAIN_MAX_MS: f64 = 15_000.0;
/// How long the router ran before.
const UPTIME: Duration = Duration::from_secs(10);
/// From the agent's end until the router has no rule of it any more.
const RELEASED_MAX_MS: f64 = 2_000.0;
/// The life of a mapping in `renewed`, and how long it is watched: two lives and a half.
const SHORT_LIFE_S: u32 = 10;
const WATCHED: Duration = Duration::from_secs(25);
/// An address of somebody else.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(198, 51, 101, 250);

/// Scenarios, with a line about each.
const MEMBERS: [(&str, &str); 9] = [
    (
        "pcp",
        "a router that speaks PCP: random ports meet a port-restricted NAT directly, and the port is given back",
    ),
    ("nat-pmp", "the same with a router that speaks NAT-PMP only"),
    ("upnp", "the same with a router that speaks UPnP-IGD only"),
    ("both-symmetric", "two NATs with random ports, and one of the two routers opens a port: directly"),
    ("renewed", "a mapping that lives for 10 s is still open after 25 s"),
    ("router-restart", "a router restarts and forgets: the port is open again"),
    ("new-address", "a router of UPnP-IGD gets a new address: peers are told the port there"),
    ("killed-agent", "an agent is killed and starts again: it gets its port of PCP back at once"),
    (
        "lies",
        "routers that tell foreign and impossible addresses, cut their answers and flood: no harm, no such candidate",
    ),
];

/// The group `port-mapping/…`.
pub(crate) fn group() -> Group {
    let member = |(name, about): (&str, &str)| (format!("port-mapping/{name}"), about.to_owned());
    Group {
        members: MEMBERS.map(member).to_vec(),
        run: |context, wanted| {
            Ok(one_by_one(context, wanted, |name, outcome| scenario(context, name, outcome)))
        },
    }
}

fn scenario(context: &Context, name: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let context = context.within(&folder(name))?;
    match name.trim_start_matches("port-mapping/") {
        "nat-pmp" => opened(&context, Protocol::NatPmp, "port-restricted", outcome),
        "upnp" => opened(&context, Protocol::UpnpIgd, "port-restricted", outcome),
        "both-symmetric" => opened(&context, Protocol::Pcp, "symmetric", outcome),
        "renewed" => renewed(&context, outcome),
        "router-restart" => restarted(&context, outcome),
        "new-address" => moved(&context, outcome),
        "killed-agent" => killed(&context, outcome),
        "lies" => lies(&context, outcome),
        _ => opened(&context, Protocol::Pcp, "port-restricted", outcome),
    }
}

/// Ada behind a router that takes any port and runs the daemon, Ben behind another one; both agents up at `since`.
struct Pair {
    router: RouterDaemon,
    mesh: Mesh,
    since: Instant,
}

impl Pair {
    fn start(
        context: &Context,
        protocol: Protocol,
        other: &str,
        lifetime_s: Option<u32>,
    ) -> Result<Self, LabError> {
        let topology = Topology::default().host("coordinator", 2);
        let topology = topology.site("home", "symmetric", &["ada"]).site("far", other, &["ben"]);
        let internet = Internet::build(&topology)?;
        let router = RouterDaemon::start(context, &internet, "home", protocol, lifetime_s)?;
        let coordinator = Coordinator::start(context, &internet, "coordinator")?;
        let nodes = up(context, &internet, &coordinator, &["ada", "ben"])?;
        let since = Instant::now();
        Ok(Self { router, mesh: Mesh { nodes, coordinator, internet, context: context.clone() }, since })
    }

    /// Waits until Ada has a port at her router's outside address; gives it.
    fn mapped(&self, protocol: Protocol) -> Result<String, LabError> {
        let outside = self.mesh.internet.router("home")?.1;
        let (external, _) = wait_for("a mapping that is offered", PATIENCE, || {
            let mapping = self.mesh.node("ada")?.status()?.own.port_mapping;
            let is_right = mapping.offered && mapping.protocol.as_deref() == Some(protocol.word());
            let external = mapping.external.clone().filter(|_| is_right);
            match external.filter(|external| external.starts_with(&format!("{outside}:"))) {
                Some(external) => Ok(Some(external)),
                None => Err(LabError::Unmet(format!("ada says {mapping:?}"))),
            }
        })?;
        Ok(external)
    }

    /// Waits until both are direct, Ben to the mapped port.
    fn direct_through(&self, external: &str, since: Instant) -> Result<Duration, LabError> {
        let (ada, ben) = (self.mesh.node("ada")?, self.mesh.node("ben")?);
        let opened = watch(ada, ben, since, Expected::Direct)?;
        wait_for("ben sending to the mapped port", PATIENCE, || {
            let remote = ben.status()?.path_to("ada").remote.unwrap_or_default();
            if remote == external {
                Ok(Some(()))
            } else {
                Err(LabError::Unmet(format!("ben sends to {remote}")))
            }
        })?;
        ping_all_ways(ada, ben, PATIENCE)?;
        Ok(opened.settled)
    }

    /// Stops Ada's agent; gives how long her port was open after that.
    fn released(&mut self) -> Result<Duration, LabError> {
        self.mesh.must_run()?;
        self.router.must_run()?;
        let at = self.mesh.nodes.iter().position(|node| node.name == "ada");
        let mut ada = self.mesh.nodes.remove(at.unwrap_or(0));
        ada.stop()?;
        let gone = || Ok((self.router.open_ports()? == 0).then_some(()));
        wait_for("the router without the port", PATIENCE, gone).map(|((), taken)| taken)
    }
}

fn opened(context: &Context, protocol: Protocol, other: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut pair = Pair::start(context, protocol, other, None)?;
    let external = pair.mapped(protocol)?;
    let direct = pair.direct_through(&external, pair.since)?;
    let entries = pair.mesh.internet.router("home")?.0.tracked_connections()?;
    let told = pair.mesh.node("ada")?.warren(&["netcheck"])?.stdout;
    let released = pair.released()?;
    let outcome = outcome
        .limited("direct_ms", ms(direct), DIRECT_MAX_MS)
        .limited("entries", f64::from(entries), ENTRIES_MAX)
        .limited("released_ms", ms(released), RELEASED_MAX_MS);
    let is_told = told.lines().any(|line| line.contains("port mapping") && line.contains(&external));
    Ok(outcome.judged(match is_told {
        true => Ok(format!("direct to {external}")),
        false => Err(format!("netcheck does not tell of {external}: {told}")),
    }))
}

fn renewed(context: &Context, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut pair = Pair::start(context, Protocol::Pcp, "port-restricted", Some(SHORT_LIFE_S))?;
    let external = pair.mapped(Protocol::Pcp)?;
    pair.direct_through(&external, pair.since)?;
    let start = Instant::now();
    while start.elapsed() < WATCHED {
        std::thread::sleep(Duration::from_millis(500));
        let status = pair.mesh.node("ada")?.status()?;
        let is_open =
            pair.router.open_ports()? == 1 && status.own.port_mapping.external.as_ref() == Some(&external);
        if !is_open || status.own.port_mapping.expires_s > Some(SHORT_LIFE_S.into()) {
            return Ok(outcome.judged(Err(format!(
                "after {} ms: {:?}, {} ports open",
                start.elapsed().as_millis(),
                status.own.port_mapping,
                pair.router.open_ports()?
            ))));
        }
    }
    pair.direct_through(&external, Instant::now())?;
    let released = pair.released()?;
    Ok(outcome.limited("released_ms", ms(released), RELEASED_MAX_MS).judged(Ok(format!("{external} held"))))
}

fn restarted(context: &Context, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut pair = Pair::start(context, Protocol::Pcp, "port-restricted", None)?;
    let external = pair.mapped(Protocol::Pcp)?;
    pair.direct_through(&external, pair.since)?;
    // A counter of seconds that begins anew right after it began looks like one that runs on.
    std::thread::sleep(UPTIME);
    let start = Instant::now();
    pair.router.restart()?;
    let open = || Ok((pair.router.open_ports()? == 1).then_some(()));
    wait_for("the port open again", Duration::from_secs(60), open)?;
    let again = start.elapsed();
    let external = pair.mapped(Protocol::Pcp)?;
    // Perhaps over another port: while the router forgot, so did its NAT, and what was found meanwhile serves as well.
    let (ada, ben) = (pair.mesh.node("ada")?, pair.mesh.node("ben")?);
    watch(ada, ben, Instant::now(), Expected::Direct)?;
    ping_all_ways(ada, ben, PATIENCE)?;
    let released = pair.released()?;
    Ok(outcome
        .limited("mapped_again_ms", ms(again), MAPPED_AGAIN_MAX_MS)
        .limited("released_ms", ms(released), RELEASED_MAX_MS)
        .judged(Ok(format!("open again at {external}"))))
}

fn moved(context: &Context, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut pair = Pair::start(context, Protocol::UpnpIgd, "port-restricted", None)?;
    let old = pair.mapped(Protocol::UpnpIgd)?;
    pair.direct_through(&old, pair.since)?;
    let start = Instant::now();
    pair.router.move_to_another_address(&pair.mesh.internet, "home")?;
    let external = pair.mapped(Protocol::UpnpIgd)?;
    let again = start.elapsed();
    let (ada, ben) = (pair.mesh.node("ada")?, pair.mesh.node("ben")?);
    watch(ada, ben, Instant::now(), Expected::Direct)?;
    let released = pair.released()?;
    Ok(outcome
        .limited("mapped_again_ms", ms(again), MAPPED_AGAIN_MAX_MS)
        .limited("released_ms", ms(released), RELEASED_MAX_MS)
        .judged(Ok(format!("from {old} to {external}"))))
}

fn killed(context: &Context, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut pair = Pair::start(context, Protocol::Pcp, "port-restricted", None)?;
    let external = pair.mapped(Protocol::Pcp)?;
    let ada = pair.mesh.nodes.iter_mut().find(|node| node.name == "ada");
    let ada = ada.ok_or_else(|| LabError::Unmet("ada is gone".to_owned()))?;
    ada.kill();
    ada.start()?;
    ada.wait_until_up(PATIENCE)?;
    let since = Instant::now();
    let again = pair.mapped(Protocol::Pcp)?;
    let direct = pair.direct_through(&again, since)?;
    let outcome = outcome.limited("direct_ms", ms(direct), DIRECT_MAX_MS);
    pair.released()?;
    Ok(outcome.judged(if again == external {
        Ok(format!("{external} again"))
    } else {
        Err(format!("{again} instead of {external}"))
    }))
}

fn lies(context: &Context, outcome: Outcome) -> Result<Outcome, LabError> {
    let told = |address: [u8; 4]| Lie::Address(address.into());
    let lies = [
        ("foreign", Lie::Address(FOREIGN)),
        ("multicast", told([239, 1, 2, 3])),
        ("loopback", told([127, 0, 0, 1])),
        ("private", told([192, 168, 77, 7])),
        ("cut", Lie::Cut),
        ("flood", Lie::Flood),
    ];
    let topology = lies.iter().fold(Topology::default().host("coordinator", 2), |topology, (name, _)| {
        topology.site(&format!("{name}-home"), "port-restricted", &[name])
    });
    let internet = Internet::build(&topology)?;
    let mut coordinator = Coordinator::start(context, &internet, "coordinator")?;
    let _liars = lies
        .iter()
        .map(|(name, lie)| LyingRouter::start(&internet, &format!("{name}-home"), *lie))
        .collect::<Result<Vec<_>, LabError>>()?;
    let (url, key) = (coordinator.url(), coordinator.enrollment_key(true, "1h")?);
    let judged = side_by_side(lies.to_vec(), 2, |(name, lie)| {
        let mut node = Node::on(context, &internet, name)?;
        node.join(&url, &key)?;
        node.start()?;
        node.wait_until_up(PATIENCE)?;
        // An answer, good or bad, and what servers see.
        let (status, _) = wait_for("the end of the router's lies", PATIENCE, || {
            let status = node.status()?;
            let is_judged = status.own.port_mapping.why.is_some() || status.own.port_mapping.offered;
            let is_seen = status.own.candidates.iter().any(|candidate| candidate.kind == "server-reflexive");
            Ok(Some(status).filter(|_| is_judged && is_seen))
        })?;
        std::thread::sleep(Duration::from_secs(1));
        let wrong = complaint(lie, &status).or_else(|| complaint(lie, &node.status().ok()?));
        node.must_run()?;
        node.stop()?;
        Ok(wrong.map(|wrong| format!("{name}: {wrong}")))
    });
    coordinator.must_run()?;
    let wrong: Vec<String> =
        judged.into_iter().collect::<Result<Vec<_>, LabError>>()?.into_iter().flatten().collect();
    Ok(outcome.judged(if wrong.is_empty() {
        Ok(format!("{} liars", lies.len()))
    } else {
        Err(wrong.join("; "))
    }))
}

/// What is wrong in what an agent makes of a lie. A private address may be the truth behind two routers: it is told to peers as what
/// it is, for those between the two.
fn complaint(lie: Lie, status: &Status) -> Option<String> {
    let allowed = match lie {
        Lie::Address(address) if address.is_private() => Some(address),
        Lie::Address(_) | Lie::Cut | Lie::Flood => None,
    };
    let is_wrong =
        |address: &str| !allowed.is_some_and(|allowed| address.starts_with(&format!("{allowed}:")));
    let mut mapped = status.own.candidates.iter().filter(|candidate| candidate.kind == "port-mapped");
    let wrong = mapped.find(|candidate| is_wrong(&candidate.address));
    match wrong {
        Some(wrong) => Some(format!("peers are told {}", wrong.address)),
        None if allowed.is_none() && status.own.port_mapping.why.is_none() => {
            Some(format!("nobody is told why: {:?}", status.own.port_mapping))
        }
        None => None,
    }
}
