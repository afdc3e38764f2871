//! The demonstration: five nodes behind different routers join one mesh, and every pair connects.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use comfy_table::{Table, presets::NOTHING};

use crate::classifier::classify;
use crate::coordinator::{Coordinator, HTTP_PORT, text};
use crate::daemon::tail;
use crate::deadline::{side_by_side, wait_for};
use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::namespace::Namespace;
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, ping_all_ways};
use crate::output::{complain, say};
use crate::ping::ping;
use crate::recipe::recipe;
use crate::sandbox;
use crate::scenario::Context;
use crate::status::Path;
use crate::stun_server::StunServer;
use crate::topology::Topology;

/// The nodes, each with the site and the recipe it is behind.
const NODES: [(&str, &str, &str); 5] = [
    ("alpha", "home", "port-restricted"),
    ("bravo", "home", "port-restricted"),
    ("charlie", "cafe", "port-restricted"),
    ("delta", "office", "symmetric"),
    ("echo", "hosting", "public"),
];

/// How long everything stays up after the pairs are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Until Ctrl-C, with the dashboard's address told to a person.
    UntilInterrupted,
    /// Until standard input ends, with the dashboard's address told to a program. So it cannot outlive that program.
    UntilInputEnds,
}

/// One pair's result.
struct Connected {
    names: [String; 2],
    path: Path,
    rtt_ms: f64,
}

/// How often pairs talk while the lab is held: well before they count as idle.
const TALK: Duration = Duration::from_secs(20);

/// Runs the demonstration; true if every pair connects in the way it must.
///
/// # Errors
/// When the internet, the coordinator or an agent cannot be started.
pub fn run(context: &Context, hold: Option<Hold>) -> Result<bool, LabError> {
    let start = Instant::now();
    let mut topology = Topology::default().host("coordinator", 2).host("stun", 2);
    for site in ["home", "cafe", "office", "hosting"] {
        let here = NODES.iter().filter(|node| node.1 == site);
        let hosts: Vec<&str> = here.clone().map(|node| node.0).collect();
        topology = here.take(1).fold(topology, |topology, node| topology.site(site, node.2, &hosts));
    }
    let internet = Internet::build(&topology)?;
    say("built an internet with three NATs and three public hosts");
    let coordinator = Coordinator::start(context, &internet, "coordinator")?;
    say(format!("started the coordinator at {}", coordinator.url()));
    let result = connect(context, &internet, &coordinator, start);
    if result.is_err() {
        for log in
            NODES.map(|node| context.run_dir.join(format!("{}.log", node.0))).iter().chain([&coordinator.log])
        {
            complain(format!("end of {}:\n{}", log.display(), tail(log)));
        }
    }
    let (nodes, good) = result?;
    if let Some(hold) = hold {
        keep_talking(&nodes)?;
        self::hold(hold, &internet, &coordinator)?;
    }
    drop(nodes);
    Ok(good)
}

/// Enrolls and starts every node, and connects all pairs.
fn connect(
    context: &Context,
    internet: &Internet,
    coordinator: &Coordinator,
    start: Instant,
) -> Result<(Vec<Node>, bool), LabError> {
    let (url, key) = (coordinator.url(), coordinator.enrollment_key(true, "1h")?);
    let checked = std::thread::scope(|scope| {
        let check = scope.spawn(|| check_routers(internet));
        let started = side_by_side(NODES.to_vec(), NODES.len(), |(name, site, recipe)| {
            let mut node = Node::on(context, internet, name)?;
            node.join(&url, &key)?;
            node.start()?;
            node.wait_until_up(PATIENCE)?;
            say(format!("{name} joined from {site} ({recipe})"));
            Ok(node)
        });
        let panicked = |_| Err(LabError::Unmet("the check of the routers panicked".to_owned()));
        check
            .join()
            .unwrap_or_else(panicked)
            .and_then(|()| started.into_iter().collect::<Result<Vec<Node>, LabError>>())
    });
    let nodes = checked?;
    say("every router is the NAT it claims to be");
    let mut pairs = Vec::new();
    for (index, one) in nodes.iter().enumerate() {
        pairs.extend(nodes[index + 1..].iter().map(|other| (one, other)));
    }
    let count = pairs.len();
    let results = side_by_side(pairs, 4, |(one, other)| connect_pair(one, other));
    let mut connected = Vec::new();
    let mut complaints = Vec::new();
    for result in results {
        match result {
            Ok(pair) => connected.push(pair),
            Err(error) => complaints.push(error.to_string()),
        }
    }
    say(table(&connected));
    complaints.iter().for_each(complain);
    if !complaints.is_empty() {
        complain(format!("the logs are in {}", context.run_dir.display()));
    }
    let relayed = connected.iter().filter(|pair| pair.path.kind == "relay").count();
    say(format!(
        "demo: {} nodes, {}/{count} pairs connected, {} direct, {relayed} relayed, {:.1} s",
        nodes.len(),
        connected.len(),
        connected.len() - relayed,
        start.elapsed().as_secs_f64()
    ));
    Ok((nodes, complaints.is_empty() && connected.len() == count))
}

/// Classifies the very routers of this demonstration before they judge anything.
fn check_routers(internet: &Internet) -> Result<(), LabError> {
    let server = StunServer::start(internet, "stun")?;
    let wrong = side_by_side(NODES.to_vec(), NODES.len(), |(host, site, name)| {
        let (claim, found) = (recipe(name)?.claim, classify(internet, host, &server)?);
        if found == claim {
            Ok(())
        } else {
            Err(LabError::Unmet(format!("the router of {site} is {found}, not {claim}")))
        }
    });
    wrong.into_iter().collect()
}

fn expected(one: &str, other: &str) -> Result<Expected, LabError> {
    let find = |name: &str| NODES.iter().find(|node| node.0 == name);
    let (Some(one), Some(other)) = (find(one), find(other)) else {
        return Err(LabError::Description(format!("`{one}` or `{other}` is no node of the demonstration")));
    };
    if one.1 == other.1 {
        return Ok(Expected::Lan);
    }
    Ok(Expected::between(recipe(one.2)?.claim, recipe(other.2)?.claim))
}

fn connect_pair(one: &Node, other: &Node) -> Result<Connected, LabError> {
    let expected = expected(&one.name, &other.name)?;
    let label = format!("{} - {}", one.name, other.name);
    let named = |error: LabError| LabError::Unmet(format!("{label}: {error}"));
    ping_all_ways(one, other, PATIENCE).map_err(named)?;
    let (path, _) = wait_for(&label, PATIENCE, || {
        let path = one.status()?.path_to(&other.name);
        let back = other.status()?.path_to(&one.name);
        match expected.complaint(&path).or_else(|| expected.complaint(&back)) {
            Some(complaint) => Err(LabError::Unmet(complaint)),
            None => Ok(Some(path)),
        }
    })?;
    let pinged =
        ping(&one.namespace, other.mesh_address(false)?, 3, Duration::from_millis(20)).map_err(named)?;
    if pinged.received == 0 {
        return Err(LabError::Unmet(format!("{label}: no reply on the path that was chosen")));
    }
    Ok(Connected { names: [one.name.clone(), other.name.clone()], path, rtt_ms: pinged.rtt_ms })
}

fn table(pairs: &[Connected]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["pair", "path", "local endpoint", "remote endpoint", "RTT"]);
    for Connected { names: [one, other], path, rtt_ms } in pairs {
        let shown = |endpoint: &Option<String>| endpoint.clone().unwrap_or_else(|| "-".to_owned());
        let rtt = format!("{rtt_ms:.2} ms");
        table.add_row([
            format!("{one} - {other}"),
            path.kind.clone(),
            shown(&path.local),
            shown(&path.remote),
            rtt,
        ]);
    }
    table.to_string()
}

/// Opens the dashboard to the machine's own browser, says where, and waits.
fn hold(hold: Hold, internet: &Internet, coordinator: &Coordinator) -> Result<(), LabError> {
    let mut link = text(&coordinator.admin(&["sign-in-link", "--json"])?, "link")?;
    let mut here = None;
    if let Some(listener) = sandbox::outside_listener() {
        let url = format!("http://{}", listener.local_addr().trying("read a listener's address")?);
        link = link.replacen(&coordinator.url(), &url, 1);
        let (namespace, to) = (internet.host("coordinator")?, (coordinator.addresses[0], HTTP_PORT));
        std::thread::spawn(move || forward(&listener, &namespace, to.into()));
        here = Some(url);
    }
    match hold {
        Hold::UntilInputEnds => {
            say(serde_json::json!({ "url": here, "sign_in_link": link }));
            io::copy(&mut io::stdin().lock(), &mut io::sink()).trying("wait for the end of the input")?;
            Ok(())
        }
        Hold::UntilInterrupted => {
            say(format!("dashboard inside the lab: {}", coordinator.url()));
            if let Some(here) = here {
                say(format!("dashboard for a browser on this machine: {here}"));
            }
            say(format!("sign in: {link}"));
            say("Ctrl-C ends it all");
            sandbox::expect_interrupt();
            loop {
                std::thread::sleep(Duration::from_secs(3600));
            }
        }
    }
}

/// Lets all pairs talk until the lab ends: those that do not are left alone, and show nothing.
fn keep_talking(nodes: &[Node]) -> Result<(), LabError> {
    let mut ways = Vec::new();
    for (number, one) in nodes.iter().enumerate() {
        for other in &nodes[number + 1..] {
            ways.push((one.namespace.clone(), other.mesh_address(false)?));
        }
    }
    std::thread::spawn(move || {
        loop {
            for (from, to) in &ways {
                // Whether it is answered is what people look at, not this.
                let _pinged = ping(from, *to, 1, TALK);
            }
            std::thread::sleep(TALK);
        }
    });
    Ok(())
}

/// Carries every connection to a host of the lab, until the lab ends.
fn forward(listener: &TcpListener, namespace: &Namespace, to: std::net::SocketAddr) {
    for outside in listener.incoming().flatten() {
        let namespace = namespace.clone();
        std::thread::spawn(move || {
            let inside = namespace.within(|| TcpStream::connect(to).trying("reach the coordinator"))?;
            let (mut up_from, mut up_to) =
                (outside.try_clone().trying("forward")?, inside.try_clone().trying("forward")?);
            let up = std::thread::spawn(move || {
                let _ = io::copy(&mut up_from, &mut up_to);
                let _ = up_to.shutdown(std::net::Shutdown::Write);
            });
            let (mut down_from, mut down_to) = (inside, outside);
            let _ = io::copy(&mut down_from, &mut down_to);
            let _ = down_to.shutdown(std::net::Shutdown::Write);
            let _ = up.join();
            Ok::<(), LabError>(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, expected};

    #[test]
    fn the_demonstration_shows_lan_direct_and_relayed_pairs() {
        assert_eq!(expected("alpha", "bravo").unwrap(), Expected::Lan);
        assert_eq!(expected("alpha", "charlie").unwrap(), Expected::Direct);
        assert_eq!(expected("charlie", "delta").unwrap(), Expected::RelayFirst);
        assert_eq!(expected("delta", "echo").unwrap(), Expected::Direct);
        assert!(expected("alpha", "zulu").is_err());
    }
}
