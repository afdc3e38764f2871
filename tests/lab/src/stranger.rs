//! A machine on one's own LAN that owns exactly the private address of a peer elsewhere, and answers there: it is asked by probes,
//! and never taken for the peer (N8 of what earlier meshes warn of).

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::mesh::{Mesh, folder, one_by_one};
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::ping::ping;
use crate::random::Random;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::{Site, Topology};

/// The inside network of both sites.
const LAN: u8 = 77;
/// The one port that a stranger listens on; what comes to any other is turned to it.
const PORT: u16 = 7;
/// How every probe begins: `W`, the version, the kind, a zero byte.
const PROBE: [u8; 4] = [0x57, 1, 1, 0];
/// The probe's header and the pair tag behind it, which a stranger's answer may copy.
const TAG_END: usize = 12;
/// Where the noise begins; told when the scenario fails.
const SEED: u64 = 20_260_102;
/// From both agents up to the first answered ping.
const FIRST_PING_MAX_MS: f64 = 1_000.0;
/// From both agents up to the expected path on both ends.
const SETTLED_MAX_MS: f64 = 2_000.0;
/// Echo requests while the path is watched, one each 50 ms.
const PINGS: u32 = 60;

/// What a stranger answers to a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The same.
    Echo,
    /// As many bytes of noise behind the header and tag of the request.
    Noise,
}

/// One scenario.
struct Case {
    name: &'static str,
    about: &'static str,
    recipe: &'static str,
    answer: Answer,
    expected: Expected,
}

const CASES: [Case; 3] = [
    Case {
        name: "stranger/same-private-address",
        about: "strangers with the peers' private addresses echo every datagram: direct, and never to them",
        recipe: "port-restricted",
        answer: Answer::Echo,
        expected: Expected::Direct,
    },
    Case {
        name: "stranger/same-private-address-noise",
        about: "strangers with the peers' private addresses answer with noise: direct, and never to them",
        recipe: "port-restricted",
        answer: Answer::Noise,
        expected: Expected::Direct,
    },
    Case {
        name: "stranger/same-private-address-relay",
        about: "the strangers are all that would answer directly: through the relay",
        recipe: "symmetric",
        answer: Answer::Echo,
        expected: Expected::Relay,
    },
];

/// The group `stranger/…`.
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

/// Hosts get their addresses in the order of a site: `ada` has that of `her-double` in the other one, and `ben` that of `his-double`.
fn topology(recipe: &str) -> Topology {
    let site = |name: &str, hosts: [&str; 2]| Site {
        name: name.to_owned(),
        recipe: recipe.to_owned(),
        lan: Some(LAN),
        hosts: hosts.map(str::to_owned).to_vec(),
        ..Site::default()
    };
    let mut topology = Topology::default().host("coordinator", 2);
    topology.sites.extend([site("one", ["ada", "his-double"]), site("two", ["her-double", "ben"])]);
    topology
}

fn scenario(context: &Context, case: &Case, outcome: Outcome) -> Result<Outcome, LabError> {
    let internet = Internet::build(&topology(case.recipe))?;
    let strangers = [
        Stranger::start(&internet, "his-double", "ben", case.answer)?,
        Stranger::start(&internet, "her-double", "ada", case.answer)?,
    ];
    let mut mesh = Mesh::start_on(context, &folder(case.name), internet, &["ada", "ben"])?;
    let (ada, ben) = (mesh.node("ada")?, mesh.node("ben")?);
    let opened = watch(ada, ben, Instant::now(), case.expected)?;
    ping_all_ways(ada, ben, PATIENCE)?;
    let far = ben.mesh_address(false)?;
    let is_over = AtomicBool::new(false);
    let (pinged, wrong) = std::thread::scope(|scope| {
        let looks = scope.spawn(|| looks_at_strangers(&mesh, &strangers, &is_over));
        let pinged = ping(&ada.namespace, far, PINGS, Duration::from_millis(50));
        is_over.store(true, Ordering::SeqCst);
        let panicked = |_| Err(LabError::Unmet("the watch over the paths panicked".to_owned()));
        (pinged, looks.join().unwrap_or_else(panicked))
    });
    let (pinged, wrong) = (pinged?, wrong?);
    for (node, peer) in [(ada, ben), (ben, ada)] {
        if let Some(complaint) = case.expected.complaint(&node.status()?.path_to(&peer.name)) {
            return Err(LabError::Unmet(format!("{}: {complaint} at the end", node.name)));
        }
    }
    mesh.must_run()?;
    let probes: u32 = strangers.iter().map(|stranger| stranger.heard.probes.load(Ordering::SeqCst)).sum();
    let others: u32 = strangers.iter().map(|stranger| stranger.heard.others.load(Ordering::SeqCst)).sum();
    let outcome = outcome
        .limited("first_ping_ms", ms(opened.first_ping), FIRST_PING_MAX_MS)
        .limited("settled_ms", ms(opened.settled), SETTLED_MAX_MS)
        .limited("pings_lost", f64::from(pinged.sent - pinged.received), 1.0)
        .figure("probes_to_strangers", f64::from(probes))
        .limited("other_datagrams_to_strangers", f64::from(others), 0.0)
        .limited("looks_at_a_path_to_a_stranger", f64::from(wrong), 0.0);
    Ok(outcome.judged(match probes {
        0 => Err(format!("nobody asked the strangers, so nothing was tried (noise of seed {SEED})")),
        _ => Ok(format!("{} (noise of seed {SEED})", case.expected.kind())),
    }))
}

/// How often a path was seen to lead to a stranger.
fn looks_at_strangers(mesh: &Mesh, strangers: &[Stranger], is_over: &AtomicBool) -> Result<u32, LabError> {
    let mut wrong = 0;
    while !is_over.load(Ordering::SeqCst) {
        for (node, peer) in [("ada", "ben"), ("ben", "ada")] {
            let remote = mesh.node(node)?.status()?.path_to(peer).remote.unwrap_or_default();
            let leads_to = |stranger: &Stranger| remote.starts_with(&format!("{}:", stranger.address));
            wrong += u32::from(strangers.iter().any(leads_to));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(wrong)
}

/// What came to a stranger.
#[derive(Debug, Default)]
struct Heard {
    probes: AtomicU32,
    others: AtomicU32,
}

/// A machine that answers every datagram to any of its ports; it ends when dropped.
#[derive(Debug)]
struct Stranger {
    address: Ipv4Addr,
    heard: Arc<Heard>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Starts it on a host that has the same address as another one.
    fn start(internet: &Internet, host: &str, same_as: &str, answer: Answer) -> Result<Self, LabError> {
        let (own, other) = (internet.addresses(host)?, internet.addresses(same_as)?);
        let address = match (&own[..], &other[..]) {
            ([own], [other]) if own == other => *own,
            _ => {
                return Err(LabError::Description(format!(
                    "`{host}` has {own:?}, and `{same_as}` has {other:?}"
                )));
            }
        };
        let namespace = internet.host(host)?;
        // The peer's port is not known before it starts. An answer leaves from the port that was asked.
        namespace.load_rules(&format!(
            "table ip stranger {{ chain any {{ type nat hook prerouting priority dstnat; \
             ip daddr {address} udp dport 1-65535 redirect to :{PORT}; }}; }}"
        ))?;
        let socket = namespace.within(|| {
            let socket = UdpSocket::bind((address, PORT)).trying("open a stranger's port")?;
            socket.set_read_timeout(Some(Duration::from_millis(50))).trying("limit a wait")?;
            Ok(socket)
        })?;
        let (heard, stop) = (Arc::new(Heard::default()), Arc::new(AtomicBool::new(false)));
        let (counted, seen) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || serve(&socket, answer, &counted, &seen));
        Ok(Self { address, heard, stop, thread: Some(thread) })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, answer: Answer, heard: &Heard, stop: &AtomicBool) {
    let (mut random, mut bytes) = (Random::of(SEED), [0_u8; 2048]);
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let datagram = &bytes[..length];
        let count = if datagram.starts_with(&PROBE) { &heard.probes } else { &heard.others };
        count.fetch_add(1, Ordering::SeqCst);
        send(socket, &reply(datagram, answer, &mut random), from);
    }
}

/// A stranger's answer to a datagram.
fn reply(datagram: &[u8], answer: Answer, random: &mut Random) -> Vec<u8> {
    match answer {
        Answer::Echo => datagram.to_vec(),
        Answer::Noise => {
            let kept = datagram.len().min(TAG_END);
            [&datagram[..kept], &random.bytes(datagram.len() - kept)].concat()
        }
    }
}

fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    // A lost answer is the stranger's loss.
    let _ = socket.send_to(answer, to);
}

#[cfg(test)]
mod tests {
    use super::{Answer, reply, topology};
    use crate::plan::Plan;
    use crate::random::Random;

    #[test]
    fn each_stranger_has_the_address_of_the_peer_elsewhere() {
        let plan = Plan::of(&topology("port-restricted")).unwrap();
        assert_eq!(plan.hosts["his-double"].addresses, plan.hosts["ben"].addresses);
        assert_eq!(plan.hosts["her-double"].addresses, plan.hosts["ada"].addresses);
        assert_ne!(plan.hosts["his-double"].site, plan.hosts["ben"].site);
    }

    #[test]
    fn noise_is_as_long_as_the_request_and_begins_like_it() {
        let request: Vec<u8> = (0..40).collect();
        let answer = reply(&request, Answer::Noise, &mut Random::of(1));
        assert_eq!((answer.len(), &answer[..12]), (40, &request[..12]));
        assert_ne!(answer, request);
        assert_eq!(reply(&[1, 2], Answer::Noise, &mut Random::of(1)), [1, 2]);
    }
}
