//! Networks that let no UDP out: nodes meet over the relay's WebSocket, also through a proxy, and go back when UDP is let out.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::coordinator::Coordinator;
use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::mesh::{folder, one_by_one};
use crate::node::{Node, UDP_BLOCKED};
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

mod proxy;
mod tls;

/// From both agents up to the first answered ping, as for any pair.
const FIRST_PING_MAX_MS: f64 = 1000.0;
/// From UDP let out until both ends show a direct path.
const DIRECT_AGAIN_MAX_MS: f64 = 10_000.0;
/// From UDP let out until the relay is used over it: the agent wants three answers, 5 s apart.
const UDP_AGAIN_MAX_MS: f64 = 20_000.0;
/// How long data is sent to measure what the connection carries.
const BLAST: Duration = Duration::from_secs(3);
/// Drops what UDP the hosts send, and nothing else.
const BLOCK: &str =
    "table inet blocked { chain forward { type filter hook forward priority -10; meta l4proto udp drop; }; }";
const UNBLOCK: &str = "delete table inet blocked";

/// One scenario.
struct Case {
    name: &'static str,
    about: &'static str,
    /// The recipes of both sites.
    recipes: [&'static str; 2],
    /// The sites that let no UDP out.
    blocked: &'static [usize],
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// They meet, and it is measured what they carry.
    Meet,
    /// UDP is let out later.
    OpenLater,
    /// Nothing but TCP to a proxy is let out.
    Proxy,
}

const CASES: [Case; 4] = [
    Case {
        name: "udp-blocked/public",
        about: "one network lets no UDP out, the other node is public: they meet over the relay's WebSocket",
        recipes: ["port-restricted", "public"],
        blocked: &[0],
        what: What::Meet,
    },
    Case {
        name: "udp-blocked/itself",
        about: "both networks let no UDP out: they meet over the relay's WebSocket",
        recipes: ["port-restricted", "port-restricted"],
        blocked: &[0, 1],
        what: What::Meet,
    },
    Case {
        name: "udp-blocked/opened-later",
        about: "a network lets UDP out again: relay over UDP, then a direct path",
        recipes: ["port-restricted", "public"],
        blocked: &[0],
        what: What::OpenLater,
    },
    Case {
        name: "udp-blocked/proxy",
        about: "nothing but TCP to an HTTP proxy gets out: they meet through CONNECT and TLS",
        recipes: ["port-restricted", "public"],
        blocked: &[0],
        what: What::Proxy,
    },
];

/// The group `udp-blocked/…`.
pub(crate) fn group() -> Group {
    let members = CASES.iter().map(|case| (case.name.to_owned(), case.about.to_owned())).collect();
    let run = |context: &Context, wanted: &[String]| {
        Ok(one_by_one(context, wanted, |name, outcome| match CASES.iter().find(|case| case.name == name) {
            Some(case) => scenario(&context.within(&folder(name))?, case, outcome),
            None => Err(LabError::Description(format!("there is no scenario `{name}`"))),
        }))
    };
    Group { members, run }
}

fn scenario(context: &Context, case: &Case, outcome: Outcome) -> Result<Outcome, LabError> {
    let topology = Topology::default().host("coordinator", 2).host("proxy", 1);
    let topology = topology.site("one", case.recipes[0], &["ada"]).site("two", case.recipes[1], &["ben"]);
    let internet = Internet::build(&topology)?;
    let mut nodes = [Node::on(context, &internet, "ada")?, Node::on(context, &internet, "ben")?];
    let mut coordinator = if case.what == What::Proxy {
        behind_proxy(context, &internet, &mut nodes)?
    } else {
        Coordinator::start(context, &internet, "coordinator")?
    };
    for site in case.blocked.iter().map(|index| ["one", "two"][*index]) {
        if case.what != What::Proxy {
            internet.router(site)?.0.load_rules(BLOCK)?;
        }
    }
    let (url, key) = (coordinator.url(), coordinator.enrollment_key(true, "1h")?);
    nodes.iter().try_for_each(|node| node.join(&url, &key))?;
    std::thread::scope(|scope| {
        let start = |node: &mut Node| node.start().and_then(|()| node.wait_until_up(PATIENCE));
        let starts: Vec<_> = nodes.iter_mut().map(|node| scope.spawn(move || start(node))).collect();
        let panicked = |_| Err(LabError::Unmet("the start of an agent panicked".to_owned()));
        starts.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(panicked).map(|_| ()))
    })?;
    let [ada, ben] = &nodes;
    let opened = watch(ada, ben, Instant::now(), Expected::Relay)?;
    ping_all_ways(ada, ben, PATIENCE)?;
    for index in case.blocked {
        let (node, peer) = (&nodes[*index], &nodes[1 - index]);
        let path = node.status()?.path_to(&peer.name);
        if path.relay_transport.as_deref() != Some("web-socket") {
            return Err(LabError::Unmet(format!(
                "{} is not at the relay over WebSocket: {path:?}",
                node.name
            )));
        }
    }
    let mut outcome = outcome.limited("first_ping_ms", ms(opened.first_ping), FIRST_PING_MAX_MS);
    if case.what == What::OpenLater {
        let (direct, udp) = open(&internet, ada, ben)?;
        outcome = outcome.limited("direct_again_ms", ms(direct), DIRECT_AGAIN_MAX_MS);
        outcome = outcome.limited("relay_over_udp_again_ms", ms(udp), UDP_AGAIN_MAX_MS);
    } else {
        check_verdict(ada)?;
        outcome = outcome.figure("mbit_s", throughput(ada, ben)?);
        outcome = outcome.figure("mbit_s_back", throughput(ben, ada)?);
    }
    coordinator.must_run()?;
    nodes.iter_mut().try_for_each(Node::must_run)?;
    Ok(outcome.judged(Ok("relay over WebSocket".to_owned())))
}

/// A coordinator behind TLS, and a first node whose network lets nothing but TCP to the proxy out.
fn behind_proxy(
    context: &Context,
    internet: &Internet,
    nodes: &mut [Node; 2],
) -> Result<Coordinator, LabError> {
    let address = internet.addresses("coordinator")?[0];
    let certificate = tls::Certificate::of(&context.run_dir, address)?;
    let url = format!("https://{address}");
    let coordinator = Coordinator::start_as(context, internet, "coordinator", Some(&url))?;
    tls::serve(&coordinator.namespace, (address, 443).into(), coordinator.http_address(), &certificate)?;
    let proxy = SocketAddr::from((internet.addresses("proxy")?[0], 3128));
    proxy::serve(&internet.host("proxy")?, proxy)?;
    for node in nodes.iter_mut() {
        node.set("SSL_CERT_FILE", &certificate.file.display().to_string());
    }
    nodes[0].set("HTTPS_PROXY", &format!("http://{proxy}"));
    let (ip, port) = (proxy.ip(), proxy.port());
    internet.router("one")?.0.load_rules(&format!(
        "table inet blocked {{ chain forward {{ type filter hook forward priority -10; policy drop;
         ip daddr {ip} tcp dport {port} accept; ip saddr {ip} tcp sport {port} accept; }}; }}"
    ))?;
    Ok(coordinator)
}

/// Lets UDP out; gives how long it took until both ends show a direct path, and until the relay is used over UDP.
fn open(internet: &Internet, ada: &Node, ben: &Node) -> Result<(Duration, Duration), LabError> {
    internet.router("one")?.0.load_rules(UNBLOCK)?;
    let start = Instant::now();
    let (_, taken) = wait_for("the direct path after UDP was let out", Duration::from_secs(60), || {
        for (node, peer) in [(ada, ben), (ben, ada)] {
            if let Some(complaint) = Expected::Direct.complaint(&node.status()?.path_to(&peer.name)) {
                return Err(LabError::Unmet(complaint));
            }
        }
        Ok(Some(()))
    })?;
    ping_all_ways(ada, ben, PATIENCE)?;
    wait_for("the relay over UDP after UDP was let out", Duration::from_secs(60), || {
        let relays = ada.status()?.relays;
        Ok(relays.iter().all(|relay| relay.registered && relay.transport == "udp").then_some(()))
    })?;
    Ok((taken, start.elapsed()))
}

/// `warren netcheck` must say what is the matter.
fn check_verdict(node: &Node) -> Result<(), LabError> {
    if node.netcheck_says(UDP_BLOCKED)? {
        return Ok(());
    }
    Err(LabError::Unmet(format!("netcheck of {} does not say `{UDP_BLOCKED}`", node.name)))
}

/// What a TCP connection through the mesh carries, in Mbit/s.
fn throughput(from: &Node, to: &Node) -> Result<f64, LabError> {
    let IpAddr::V4(ip) = to.mesh_address(false)? else {
        return Err(LabError::Unmet("a mesh address of the wrong family".to_owned()));
    };
    let listener = to.namespace.within(|| TcpListener::bind((ip, 0)).trying("listen in the mesh"))?;
    let address = listener.local_addr().trying("read an address")?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            from.namespace.within(|| {
                let mut stream = TcpStream::connect(address).trying("connect through the mesh")?;
                let start = Instant::now();
                while start.elapsed() < BLAST {
                    stream.write_all(&[7; 16 << 10]).trying("send through the mesh")?;
                }
                Ok(())
            })
        });
        let (mut stream, _) = listener.accept().trying("accept through the mesh")?;
        stream.set_read_timeout(Some(PATIENCE)).trying("set a time limit")?;
        let (start, mut bytes, mut buffer) = (Instant::now(), 0_u32, vec![0; 64 << 10]);
        loop {
            match stream.read(&mut buffer).trying("receive through the mesh")? {
                0 => break,
                len => bytes = bytes.saturating_add(u32::try_from(len).unwrap_or(u32::MAX)),
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let panicked = |_| Err(LabError::Unmet("the sender panicked".to_owned()));
        sender.join().unwrap_or_else(panicked)?;
        Ok(f64::from(bytes) * 8.0 / 1e6 / seconds)
    })
}
