//! Links that carry no long packets: TCP through the mesh arrives whole, hardly a packet is fragmented on the way, and a path
//! that narrows during a transfer does not stop it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::mesh::{Mesh, folder, one_by_one};
use crate::namespace::Namespace;
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

/// Says how many megabytes each transfer has.
const TRANSFER_VARIABLE: &str = "WARREN_LAB_TRANSFER_MB";
/// Unless that says otherwise: programs without optimisation carry so much within a few seconds.
const TRANSFER_MB: usize = 10;
/// From both agents up until both know what the path carries: a wide one takes one request, a narrow one some lost ones.
const MEASURED_MAX: Duration = Duration::from_secs(20);
/// The agents' own long questions, one each half minute and end, are fragmented on a link of 1280; a transfer that was would
/// make ten thousands of fragments.
const FRAGMENTS_MAX: f64 = 40.0;
/// The longest pause of a transfer whose path became a black hole: doubt, five requests, and TCP's own pauses.
const STALL_MAX_MS: f64 = 15_000.0;

/// One scenario.
struct Case {
    name: &'static str,
    about: &'static str,
    /// The recipe of both sites.
    recipe: &'static str,
    /// What the links of the internet carry.
    mtu: u16,
    /// What each path must end at.
    tunnel_mtu: u16,
    /// What they carry, without a word to anybody, from the middle of the transfer on.
    narrows_to: Option<u16>,
}

const fn direct(name: &'static str, about: &'static str, mtu: u16, tunnel_mtu: u16) -> Case {
    Case { name, about, recipe: "port-restricted", mtu, tunnel_mtu, narrows_to: None }
}

const fn relayed(name: &'static str, about: &'static str, mtu: u16, tunnel_mtu: u16) -> Case {
    Case { name, about, recipe: "symmetric", mtu, tunnel_mtu, narrows_to: None }
}

const CASES: [Case; 7] = [
    direct(
        "mtu/1280",
        "direct over links of 1280 bytes: no packet of a transfer is fragmented",
        1_280,
        1_220,
    ),
    direct(
        "mtu/1400",
        "direct over links of 1400 bytes: no packet of a transfer is fragmented",
        1_400,
        1_340,
    ),
    direct("mtu/1492", "direct over links of 1492 bytes (PPPoE): the usual tunnel MTU", 1_492, 1_420),
    direct("mtu/1500", "direct over links of 1500 bytes: the usual tunnel MTU", 1_500, 1_420),
    relayed("mtu/relay-1400", "through a relay over links of 1400 bytes: its frame finds room", 1_400, 1_296),
    relayed("mtu/relay-1500", "through a relay over links of 1500 bytes: its frame finds room", 1_500, 1_376),
    Case {
        name: "mtu/black-hole",
        about: "long packets vanish from the middle of a transfer on: it goes on with shorter ones",
        recipe: "port-restricted",
        mtu: 1_500,
        tunnel_mtu: 1_420,
        narrows_to: Some(1_400),
    },
];

/// The group `mtu/…`.
pub(crate) fn group() -> Group {
    let members = CASES.iter().map(|case| (case.name.to_owned(), case.about.to_owned())).collect();
    let run = |context: &Context, wanted: &[String]| {
        Ok(one_by_one(context, wanted, |name, outcome| match CASES.iter().find(|case| case.name == name) {
            Some(case) => scenario(context, case, outcome),
            None => Err(LabError::Description(format!("there is no scenario `{name}`"))),
        }))
    };
    Group { members, run }
}

fn scenario(context: &Context, case: &Case, outcome: Outcome) -> Result<Outcome, LabError> {
    let topology = Topology::default().site("one", case.recipe, &["ada"]).site("two", case.recipe, &["ben"]);
    let mut mesh = Mesh::start(context, &folder(case.name), topology, &["ada", "ben"])?;
    narrow(&mesh, case.mtu)?;
    let (ada, ben) = (mesh.node("ada")?, mesh.node("ben")?);
    let expected = if case.recipe == "symmetric" { Expected::Relay } else { Expected::Direct };
    watch(ada, ben, Instant::now(), expected)?;
    ping_all_ways(ada, ben, PATIENCE)?;
    let (_, measured) = wait_for("the tunnel MTU of both ends", MEASURED_MAX, || {
        let mtus = [ada.status()?.path_to("ben").tunnel_mtu, ben.status()?.path_to("ada").tunnel_mtu];
        match mtus {
            [Some(there), Some(back)] if there == case.tunnel_mtu && back == there => Ok(Some(())),
            _ => Err(LabError::Unmet(format!("{mtus:?} and not {}", case.tunnel_mtu))),
        }
    })?;
    let mut outcome = outcome.figure("measured_ms", ms(measured));
    let before = fragments(&mesh)?;
    let there = transfer(ada, ben, false, || case.narrows_to.map_or(Ok(()), |mtu| swallow(&mesh, mtu)))?;
    outcome = outcome.figure("mbit_s", there.mbit_s);
    if case.narrows_to.is_some() {
        outcome = outcome.limited("stall_ms", ms(there.pause_max), STALL_MAX_MS);
    }
    let back = transfer(ben, ada, true, || Ok(()))?;
    outcome = outcome.figure("mbit_s_back_ipv6", back.mbit_s);
    let made = f64::from(fragments(&mesh)?.saturating_sub(before));
    mesh.must_run()?;
    let outcome = outcome.limited("fragments", made, FRAGMENTS_MAX);
    let told = mesh.node("ada")?.warren(&["netcheck"])?.stdout;
    let mtu = case.narrows_to.unwrap_or(case.mtu);
    let is_told = |line: &str| line.contains("path MTU") && line.contains(&format!(" {mtu} bytes to"));
    if !told.lines().any(is_told) {
        return Ok(outcome.judged(Err(format!("netcheck does not tell of {mtu} bytes: {told}"))));
    }
    Ok(outcome.judged(Ok(format!("packets of up to {} bytes", case.tunnel_mtu))))
}

/// The links of the internet carry so much: routers on both of their ends know it.
fn narrow(mesh: &Mesh, mtu: u16) -> Result<(), LabError> {
    let core = mesh.internet.core();
    let every = format!("for up in /sys/class/net/up*; do ip link set ${{up##*/}} mtu {mtu}; done");
    crate::namespace::run(core.command("sh").args(["-c", &every]))?;
    for site in ["one", "two"] {
        mesh.internet.router(site)?.0.configure(&[format!("link set wan mtu {mtu}")])?;
    }
    mesh.internet.host("coordinator")?.configure(&[format!("link set eth0 mtu {mtu}")])
}

/// From now on longer packets vanish on their way between the sites. Hosts hand over each datagram by itself, because a batch
/// of them is one long packet to a filter.
fn swallow(mesh: &Mesh, mtu: u16) -> Result<(), LabError> {
    for host in ["ada", "ben"] {
        mesh.internet.host(host)?.configure(&["link set eth0 gso_max_segs 1".to_owned()])?;
    }
    mesh.internet.core().load_rules(&format!(
        "table ip swallow {{ chain forward {{ type filter hook forward priority 0; ip length > {mtu} drop; }}; }}"
    ))
}

/// Fragments that anybody on the way made so far, of IPv4 and IPv6.
fn fragments(mesh: &Mesh) -> Result<u32, LabError> {
    let mut places = vec![mesh.internet.core()];
    for site in ["one", "two"] {
        places.push(mesh.internet.router(site)?.0);
    }
    for host in ["ada", "ben", "coordinator"] {
        places.push(mesh.internet.host(host)?);
    }
    places.iter().map(fragments_of).sum()
}

fn fragments_of(place: &Namespace) -> Result<u32, LabError> {
    place.within(|| {
        // Of this thread, as the process as a whole lives in another namespace.
        let ipv4 = std::fs::read_to_string("/proc/thread-self/net/snmp").trying("read what IP counted")?;
        let mut rows = ipv4.lines().filter(|line| line.starts_with("Ip:")).map(str::split_whitespace);
        let (names, mut values) = (rows.next(), rows.next());
        let at = names.and_then(|mut names| names.position(|name| name == "FragCreates"));
        let ipv4 = at.and_then(|at| values.as_mut()?.nth(at)?.parse::<u32>().ok());
        let ipv6 = std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
        let ipv6 =
            ipv6.lines().find_map(|line| line.strip_prefix("Ip6FragCreates")?.trim().parse::<u32>().ok());
        let missing = || LabError::Unmet("the kernel does not count fragments".to_owned());
        Ok(ipv4.ok_or_else(missing)?.saturating_add(ipv6.unwrap_or(0)))
    })
}

struct Transfer {
    mbit_s: f64,
    /// The longest time in which nothing arrived.
    pause_max: Duration,
}

/// Sends through TCP over the mesh; `halfway` happens when half of it has arrived.
fn transfer(
    from: &Node,
    to: &Node,
    ipv6: bool,
    halfway: impl FnOnce() -> Result<(), LabError>,
) -> Result<Transfer, LabError> {
    let megabytes = std::env::var(TRANSFER_VARIABLE).ok().and_then(|text| text.parse().ok());
    let len = megabytes.unwrap_or(TRANSFER_MB) * 1_000_000;
    let ip = to.mesh_address(ipv6)?;
    let listener = to.namespace.within(|| TcpListener::bind((ip, 0)).trying("listen in the mesh"))?;
    let address = listener.local_addr().trying("read an address")?;
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            from.namespace.within(|| {
                let mut stream = TcpStream::connect(address).trying("connect through the mesh")?;
                stream.set_write_timeout(Some(PATIENCE)).trying("set a time limit")?;
                let all: Vec<u8> = (0..len).map(pattern).collect();
                stream.write_all(&all).trying("send through the mesh")
            })
        });
        let received = receive(&listener, len, halfway);
        let panicked = |_| Err(LabError::Unmet("the sender panicked".to_owned()));
        let sent = sender.join().unwrap_or_else(panicked);
        received.and_then(|transfer| sent.map(|()| transfer))
    })
}

/// Takes what comes in until its end and looks at every byte.
fn receive(
    listener: &TcpListener,
    len: usize,
    halfway: impl FnOnce() -> Result<(), LabError>,
) -> Result<Transfer, LabError> {
    let (mut stream, _) = listener.accept().trying("accept through the mesh")?;
    stream.set_read_timeout(Some(PATIENCE)).trying("set a time limit")?;
    let (start, mut last) = (Instant::now(), Instant::now());
    let (mut at, mut pause_max, mut buffer) = (0, Duration::ZERO, vec![0; 64 << 10]);
    let mut halfway = Some(halfway);
    loop {
        let count = stream.read(&mut buffer).trying("receive through the mesh")?;
        pause_max = pause_max.max(last.elapsed());
        last = Instant::now();
        if count == 0 {
            break;
        }
        if buffer[..count].iter().enumerate().any(|(index, byte)| *byte != pattern(at + index)) {
            return Err(LabError::Unmet(format!("what arrived after {at} bytes is not what was sent")));
        }
        at += count;
        if at >= len / 2
            && let Some(halfway) = halfway.take()
        {
            halfway()?;
            last = Instant::now();
        }
    }
    if at != len {
        return Err(LabError::Unmet(format!("{at} bytes of {len} arrived")));
    }
    let bits = f64::from(u32::try_from(len).unwrap_or(u32::MAX)) * 8.0;
    Ok(Transfer { mbit_s: bits / 1e6 / start.elapsed().as_secs_f64(), pause_max })
}

/// A byte that repeats at no power of two, so that a lost or repeated piece is seen.
fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).unwrap_or_default()
}
