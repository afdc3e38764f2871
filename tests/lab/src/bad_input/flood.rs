//! A peer that floods: replays of what the real one sent from its own address and port, noise, and what looks like STUN and relay
//! frames. The node stays small, its other pair goes on, and nothing is amplified.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::recording::Recording;
use crate::error::{LabError, Trying};
use crate::mesh::Mesh;
use crate::namespace::Namespace;
use crate::node::Node;
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::ping::ping;
use crate::random::Random;
use crate::scenario::Outcome;

/// Datagrams in each second, in bursts of one millisecond.
const PER_S: u32 = 5_000;
/// How long each kind of the flood lasts; together ten seconds.
const PHASE: Duration = Duration::from_millis(3_400);
/// A sender that does not get its time from this machine floods nobody: fewer than these make no test.
const PER_S_MIN: f64 = 4_000.0;
/// Fewer recorded probes make no test of replays.
const PROBES_MIN: usize = 5;
/// Where noise begins; told when the scenario fails.
const SEED: u64 = 20_260_103;
/// Memory that the agent may take while it is flooded.
const GROWTH_MAX_KIB: f64 = 8.0 * 1024.0;
/// Pings of the other pair without a reply.
const LOST_MAX_PERCENT: f64 = 2.0;
/// A reply is never longer than its request.
const REPLIED_MAX_PERCENT: f64 = 100.0;
/// From the flood's end, when the real peer starts again, until both are direct.
const BACK_MAX_MS: f64 = 5_000.0;
/// How a probe, a relay frame and STUN begin.
const PROBE: [u8; 4] = [0x57, 1, 1, 0];
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// Counts both ways between a host and one address.
const COUNTERS: &str = "
table inet flood {
	counter requests { }
	counter replies { }
	chain arriving { type filter hook input priority filter; ip saddr $peer meta l4proto udp counter name requests; }
	chain leaving { type filter hook output priority filter; ip daddr $peer meta l4proto udp counter name replies; }
}
";

/// What the real peer sent, and between which endpoints.
struct Recorded {
    datagrams: Vec<Vec<u8>>,
    probes: usize,
    from: SocketAddr,
    to: SocketAddr,
}

pub(super) fn flood(mesh: &mut Mesh, outcome: Outcome) -> Result<Outcome, LabError> {
    let (ada, ben) = (mesh.node("ada")?, mesh.node("ben")?);
    watch(ada, ben, Instant::now(), Expected::Direct)?;
    let mut mallory = Node::on(&mesh.context, &mesh.internet, "mallory")?;
    let recorded = record(mesh, &mut mallory)?;
    mallory.kill();
    let before_kib = ada.agent()?.resident_kib()?;
    let socket =
        mallory.namespace.within(|| UdpSocket::bind(recorded.from).trying("open the peer's port"))?;
    let phases =
        [("replays", Kind::Replays(&recorded.datagrams)), ("noise", Kind::Noise), ("frames", Kind::Frames)];
    let (mut outcome, mut most_kib, mut slowest) = (outcome, before_kib, f64::INFINITY);
    for (name, kind) in phases {
        let phase = Phase::play(ada, ben, &socket, recorded.to, kind)?;
        most_kib = most_kib.max(ada.agent()?.resident_kib()?);
        slowest = slowest.min(phase.per_s);
        outcome = outcome
            .limited(&format!("replied_{name}_percent"), phase.replied_percent, REPLIED_MAX_PERCENT)
            .limited(&format!("lost_{name}_percent"), phase.lost_percent, LOST_MAX_PERCENT);
    }
    drop(socket);
    let since = Instant::now();
    mallory.start()?;
    mallory.wait_until_up(PATIENCE)?;
    // It speaks first: its new life has no session, and the node's old one is no business of this scenario.
    let back = watch(&mallory, ada, since, Expected::Direct)?;
    ping_all_ways(ada, ben, PATIENCE)?;
    mallory.must_run()?;
    mallory.stop()?;
    mesh.must_run()?;
    let outcome = outcome
        .limited("memory_growth_kib", most_kib - before_kib, GROWTH_MAX_KIB)
        .limited("peer_back_ms", ms(back.settled), BACK_MAX_MS)
        .figure("datagrams_per_s", slowest);
    Ok(outcome.judged(if slowest < PER_S_MIN {
        Err(format!("only {slowest:.0} datagrams a second were sent, which floods nobody"))
    } else {
        Ok(format!("{} probes replayed, noise of seed {SEED}", recorded.probes))
    }))
}

/// Starts the real peer, lets it meet the node, and keeps all that it sends there.
fn record(mesh: &Mesh, mallory: &mut Node) -> Result<Recorded, LabError> {
    let ada = mesh.node("ada")?;
    let (victim, peer) = (mesh.internet.addresses("ada")?[0], mesh.internet.addresses("mallory")?[0]);
    let recording = Recording::start(&ada.namespace, peer)?;
    mallory.join(&mesh.coordinator.url(), &mesh.coordinator.enrollment_key(false, "1h")?)?;
    mallory.start()?;
    mallory.wait_until_up(PATIENCE)?;
    watch(ada, mallory, Instant::now(), Expected::Direct)?;
    ping_all_ways(ada, mallory, PATIENCE)?;
    let (to, from) = (endpoint_of(mallory, "ada", victim)?, endpoint_of(ada, "mallory", peer)?);
    ping(&mallory.namespace, ada.mesh_address(false)?, 30, Duration::from_millis(50))?;
    let datagrams = recording.finish()?;
    ada.namespace.load_rules(&COUNTERS.replace("$peer", &peer.to_string()))?;
    let probes = datagrams.iter().filter(|datagram| datagram.starts_with(&PROBE)).count();
    if probes < PROBES_MIN {
        return Err(LabError::Unmet(format!("only {probes} of {} datagrams are probes", datagrams.len())));
    }
    Ok(Recorded { datagrams, probes, from, to })
}

/// What one kind of flood did.
struct Phase {
    /// Datagrams sent in a second.
    per_s: f64,
    /// Bytes that the node sent back, of those that came.
    replied_percent: f64,
    /// Pings of the other pair without a reply.
    lost_percent: f64,
}

impl Phase {
    fn play(
        ada: &Node,
        ben: &Node,
        socket: &UdpSocket,
        target: SocketAddr,
        kind: Kind<'_>,
    ) -> Result<Self, LabError> {
        let before = counted(&ada.namespace)?;
        let far = ben.mesh_address(false)?;
        let (pinged, per_s) = std::thread::scope(|scope| {
            let pings = u32::try_from(PHASE.as_millis() / 50).unwrap_or(u32::MAX);
            let pinged = scope.spawn(move || ping(&ada.namespace, far, pings, Duration::from_millis(50)));
            let per_s = throw(socket, target, kind);
            let panicked = |_| Err(LabError::Unmet("the pings panicked".to_owned()));
            (pinged.join().unwrap_or_else(panicked), per_s)
        });
        let (pinged, after) = (pinged?, counted(&ada.namespace)?);
        Ok(Self {
            per_s,
            replied_percent: 100.0 * (after.1 - before.1) / (after.0 - before.0).max(1.0),
            lost_percent: 100.0 * f64::from(pinged.sent - pinged.received) / f64::from(pinged.sent.max(1)),
        })
    }
}

/// Where a node sends to reach another one, which must be at this address.
fn endpoint_of(from: &Node, to: &str, address: Ipv4Addr) -> Result<SocketAddr, LabError> {
    let remote = from.status()?.path_to(to).remote.unwrap_or_default();
    match remote.parse::<SocketAddr>() {
        Ok(endpoint) if endpoint.ip() == address => Ok(endpoint),
        _ => Err(LabError::Unmet(format!("{} sends to {remote}, and {to} is at {address}", from.name))),
    }
}

/// What is thrown.
#[derive(Debug, Clone, Copy)]
enum Kind<'a> {
    /// What the real peer sent, again and again.
    Replays(&'a [Vec<u8>]),
    /// Bytes of no protocol.
    Noise,
    /// The first bytes of STUN, of relay frames and of probes, and noise behind them.
    Frames,
}

/// Throws for one phase; gives how many datagrams left in a second.
fn throw(socket: &UdpSocket, target: SocketAddr, kind: Kind<'_>) -> f64 {
    let (mut random, start, mut sent) = (Random::of(SEED), Instant::now(), 0_u32);
    while start.elapsed() < PHASE {
        let due = u32::try_from(start.elapsed().as_millis()).unwrap_or(u32::MAX).saturating_mul(PER_S) / 1000;
        while sent < due {
            // A refusal or a full queue is no reason to end.
            let _ = socket.send_to(&datagram(kind, sent, &mut random), target);
            sent += 1;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    f64::from(sent) / start.elapsed().as_secs_f64()
}

/// The datagram with this number.
fn datagram(kind: Kind<'_>, number: u32, random: &mut Random) -> Vec<u8> {
    let length = random.below(1_200);
    match kind {
        Kind::Replays(recorded) => {
            let at = usize::try_from(number).unwrap_or_default() % recorded.len().max(1);
            recorded.get(at).cloned().unwrap_or_default()
        }
        Kind::Noise => random.bytes(length),
        Kind::Frames => {
            let [low, ..] = number.to_le_bytes();
            let frame = [0x57, 1, 0x10 | (low >> 3), 0];
            match low % 4 {
                // A binding request and a success response, whole ones, of transactions that nobody began.
                0 => [&[0, 1, 0, 0][..], &STUN_COOKIE, &random.bytes(12)].concat(),
                1 => [
                    &[1, 1, 0, 12][..],
                    &STUN_COOKIE,
                    &random.bytes(12),
                    &[0, 0x20, 0, 8, 0, 1],
                    &random.bytes(6),
                ]
                .concat(),
                2 => [&PROBE[..], &random.bytes(length)].concat(),
                _ => [&frame[..], &random.bytes(length)].concat(),
            }
        }
    }
}

/// Bytes of requests and of replies so far, IP headers included.
fn counted(namespace: &Namespace) -> Result<(f64, f64), LabError> {
    let output = namespace.command("nft").args(["list", "counters", "table", "inet", "flood"]).output();
    let text = output.trying("run nft")?.stdout;
    let text = String::from_utf8_lossy(&text).into_owned();
    let missing = || LabError::Unmet(format!("no counters in {text}"));
    Ok((bytes_of(&text, "requests").ok_or_else(missing)?, bytes_of(&text, "replies").ok_or_else(missing)?))
}

fn bytes_of(text: &str, counter: &str) -> Option<f64> {
    let rest = text.split_once(&format!("counter {counter} {{"))?.1;
    rest.split_once("bytes ")?.1.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Kind, bytes_of, datagram};
    use crate::random::Random;

    #[test]
    fn counters_are_read_by_their_names() {
        let text = "table inet flood {\n\tcounter requests {\n\t\tpackets 2 bytes 300\n\t}\n\
            \tcounter replies {\n\t\tpackets 1 bytes 20\n\t}\n}";
        assert_eq!((bytes_of(text, "requests"), bytes_of(text, "replies")), (Some(300.0), Some(20.0)));
        assert_eq!(bytes_of(text, "others"), None);
    }

    #[test]
    fn a_flood_has_all_kinds_of_frames_and_replays_in_turn() {
        let mut random = Random::of(1);
        let frames: Vec<Vec<u8>> =
            (0..256).map(|number| datagram(Kind::Frames, number, &mut random)).collect();
        for kind in 0x10..=0x1f {
            assert!(frames.iter().any(|frame| frame.starts_with(&[0x57, 1, kind, 0])), "{kind:x}");
        }
        assert!(frames.iter().any(|frame| frame.starts_with(&[0, 1, 0, 0, 0x21]) && frame.len() == 20));
        assert!(frames.iter().any(|frame| frame.starts_with(&[1, 1, 0, 12, 0x21]) && frame.len() == 32));
        let recorded = [vec![1], vec![2, 2]];
        assert_eq!(datagram(Kind::Replays(&recorded), 3, &mut random), [2, 2]);
    }
}
