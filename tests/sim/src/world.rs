//! The world: everything that a test builds, and the clock that jumps from event to event.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::{SocketId, Timestamp};
use protocol::api::{MapEvent, Report, ReportResponse};
use protocol::key::{PrivateKey, PublicKey};
use protocol::probe::{Message, PairKeys, Probe, tag_of};
use relay::core::{RelayConfig, RelayCore};

use crate::control::{Control, PlannedRelay};
use crate::flow::Flow;
use crate::impairment::Impairments;
use crate::node::Node;
use crate::queue::Queue;
use crate::safety::Safety;
use crate::topology::{Attached, INTERNET, Link, Segment, Topology};
use crate::transcript::Transcript;
use endpoint_selection::simulation::Rng;

mod building;
mod clocks;
mod coordinator;
mod engines;
mod faults;
mod lying_relay;
mod relays;
mod route;
mod sockets;
mod stranger;
mod tunnel;
mod view;

pub use clocks::SleepClock;
pub use stranger::Haste;
use stranger::Stranger;

/// One way of a request or an event to or from the coordinator: TCP and TLS are set up already.
const HTTP_DELAY: Duration = Duration::from_millis(20);

/// How often a node tries to reach a coordinator that does not answer.
const RECONNECT: Duration = Duration::from_secs(1);

/// How often the tunnel tells the engine what it moved, as in the agent.
const TRAFFIC_INTERVAL: Duration = Duration::from_millis(250);

/// When a world begins: not at zero, so that nothing relies on it.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_000_000);

/// From how many ports sockets draw theirs.
const PORTS: u64 = 20_000;

/// The wall clock at the clock's zero: some day in January 2027, in Unix milliseconds.
const UNIX_ORIGIN_MS: i64 = 1_800_000_000_000;

/// The wall clock.
pub(crate) fn unix_ms(now: Timestamp) -> i64 {
    UNIX_ORIGIN_MS + i64::try_from(now.as_micros() / 1_000).unwrap_or(i64::MAX)
}

/// A node of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub(crate) usize);

/// A relay of the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayId(pub(crate) usize);

/// Nodes, networks, servers and a coordinator under one clock and one seed.
pub struct World {
    seed: u64,
    now: Timestamp,
    rng: Rng,
    queue: Queue<Event>,
    topology: Topology,
    nodes: Vec<Node>,
    node_of_key: BTreeMap<PublicKey, usize>,
    servers: Vec<Server>,
    control: Control,
    flows: Vec<Flow>,
    traffic_interval: Duration,
    /// From how many ports main sockets draw theirs.
    ports: u64,
    safety: Safety,
    transcript: Transcript,
    strangers: Vec<Stranger>,
    /// Pairs of nodes between which nothing passes directly.
    partitions: Vec<(usize, usize)>,
    /// Nodes and the servers that they do not reach.
    cuts: Vec<(usize, usize)>,
    lying_relays: BTreeSet<usize>,
    /// What every link that leads to the internet suffers, beside the links' own loss.
    impairments: Impairments,
    /// What waits for nodes that sleep.
    held: BTreeMap<usize, Vec<Event>>,
    coordinator_offset_ms: i64,
    pair_time: Duration,
}

struct Server {
    address: SocketAddr,
    segment: Segment,
    link: Link,
    kind: ServerKind,
}

enum ServerKind {
    Stun,
    Relay { core: Box<RelayCore>, config: RelayConfig, is_up: bool, wall_offset_ms: i64 },
}

/// A datagram on its way.
#[derive(Debug, Clone)]
struct Packet {
    from: SocketAddr,
    to: SocketAddr,
    payload: Vec<u8>,
    origin: Origin,
    /// Where its sender meant it to go, before any translation.
    sent_to: SocketAddr,
    /// Nobody may fragment it.
    is_whole: bool,
}

impl Packet {
    /// The length of the IP packet, in bytes.
    fn ip_len(&self) -> usize {
        self.payload.len() + if self.to.is_ipv4() { 28 } else { 48 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Node(usize, SocketId),
    Server(usize),
    Stranger,
}

enum Event {
    AtGateway(usize, Box<Packet>),
    AtNode(usize, Box<Packet>),
    AtServer(usize, Box<Packet>),
    AtStranger(usize, Box<Packet>),
    Wake(usize),
    Traffic(usize, u32),
    Tunnel(usize),
    ReportSent(usize, u32, Box<Report>),
    ReportAnswered(usize, u32, Option<Box<ReportResponse>>),
    /// With the revision that the node has, unless it wants everything.
    StreamWanted(usize, u32, Option<u64>),
    MapSent(usize, u32, Box<MapEvent>),
}

impl World {
    /// An internet with two STUN servers on two ports each, one relay, and a coordinator.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_relays(seed, 1)
    }

    /// The same with this many relays; the first is the one inside the coordinator.
    #[must_use]
    pub fn with_relays(seed: u64, relays: u8) -> Self {
        let mut rng = Rng::new(seed);
        let stun: Vec<SocketAddr> = [(1, 3478), (1, 3479), (2, 3478), (2, 3479)]
            .map(|(n, port)| ([203, 0, 113, n], port).into())
            .into();
        let relays = (0..relays).map(|number| PlannedRelay {
            name: format!("relay-{number}"),
            address: SocketAddr::from(([203, 0, 113, 100 + number], 3478)),
            private_key: (number > 0).then(|| PrivateKey::from_random(rng.bytes())),
        });
        let relays: Vec<PlannedRelay> = relays.collect();
        let addresses: Vec<SocketAddr> = relays.iter().map(|relay| relay.address).collect();
        let control = Control::new(rng.number(), unix_ms(START), relays, stun.clone());
        let mut world = Self {
            seed,
            now: START,
            rng,
            queue: Queue::new(),
            topology: Topology::new(),
            nodes: Vec::new(),
            node_of_key: BTreeMap::new(),
            servers: Vec::new(),
            control,
            flows: Vec::new(),
            traffic_interval: Duration::from_millis(100),
            ports: PORTS,
            safety: Safety::default(),
            transcript: Transcript::new(),
            strangers: Vec::new(),
            partitions: Vec::new(),
            cuts: Vec::new(),
            lying_relays: BTreeSet::new(),
            impairments: Impairments::default(),
            held: BTreeMap::new(),
            coordinator_offset_ms: 0,
            pair_time: Duration::ZERO,
        };
        for address in stun {
            world.add_server(INTERNET, address, ServerKind::Stun);
        }
        for (index, address) in addresses.into_iter().enumerate() {
            let private_key = world.control.relay_keys[index].clone();
            let config = RelayConfig::new(private_key, vec![world.control.verifying_key()]);
            let core = Box::new(RelayCore::new(config.clone(), world.rng.bytes()));
            world.add_server(
                INTERNET,
                address,
                ServerKind::Relay { core, config, is_up: true, wall_offset_ms: 0 },
            );
        }
        world
    }

    /// Keeps the run's events as text, for [`Self::transcript`].
    #[must_use]
    pub fn with_transcript(mut self) -> Self {
        self.transcript.keep_text();
        self
    }

    /// Sets how often each flow sends a tunnel packet (100 ms unless told otherwise), from the next one of each on.
    pub const fn set_traffic_interval(&mut self, interval: Duration) {
        self.traffic_interval = interval;
    }

    /// From how many ports nodes draw theirs (20,000 unless told otherwise): few make them clash on a NAT.
    pub const fn set_ports(&mut self, ports: u64) {
        self.ports = ports;
    }

    fn add_server(&mut self, segment: Segment, address: SocketAddr, kind: ServerKind) {
        let index = self.servers.len();
        self.servers.push(Server { address, segment, link: Link::new(2_000), kind });
        // Two servers on two ports of one address: the address leads to the first, which knows the others.
        let attached = self.topology.segments[segment.0].attached.entry(address.ip());
        attached.or_insert(Attached::Server(index));
        self.safety.add_infrastructure(address);
    }

    /// Lets `duration` pass.
    ///
    /// # Panics
    /// Where something unsafe happens; the message names the seed.
    pub fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        self.run_until(until, |_| false);
    }

    /// Lets time pass until `done`, asked after each event, or for `at_most`. Returns how long it took, if it came so far.
    pub fn run_until_done(
        &mut self,
        at_most: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Option<Duration> {
        let start = self.now;
        if done(self) {
            return Some(Duration::ZERO);
        }
        self.run_until(start + at_most, &mut done).then(|| self.now.since(start))
    }

    fn run_until(&mut self, until: Timestamp, mut done: impl FnMut(&Self) -> bool) -> bool {
        let start = self.now;
        let mut came = false;
        while let Some((at, event)) = self.queue.pop_until(until) {
            self.now = self.now.max(at);
            self.handle(event);
            if done(self) {
                came = true;
                break;
            }
        }
        if !came {
            self.now = until;
        }
        let n = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.pair_time += self.now.since(start) * (n * n.saturating_sub(1) / 2);
        came
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::AtGateway(index, packet) => self.at_gateway(index, packet),
            Event::AtNode(index, packet) => self.at_node(index, *packet),
            Event::AtServer(index, packet) => self.at_server(index, *packet),
            Event::AtStranger(index, packet) => self.at_stranger(index, &packet),
            Event::Wake(index) => self.wake(index),
            Event::Traffic(index, life) => self.tell_traffic(index, life),
            Event::Tunnel(index) => self.send_tunnel_packet(index),
            Event::ReportSent(index, life, report) => self.report_arrived(index, life, *report),
            Event::ReportAnswered(index, life, answer) => self.report_answered(index, life, answer),
            Event::StreamWanted(index, life, revision) => self.stream_wanted(index, life, revision),
            Event::MapSent(index, life, event) => self.map_arrived(index, life, event),
        }
    }

    fn judge(&self, verdict: Result<(), String>) {
        if let Err(what) = verdict {
            let (seed, at) = (self.seed, self.now.as_micros());
            panic!("unsafe at {at} us of seed {seed}: {what}\n{}", self.transcript.text());
        }
    }
}

/// The tag of our probes to the peer, read off one.
fn outgoing_tag(keys: &PairKeys) -> [u8; 8] {
    let message = Message::Request { transaction: 0, padding: 0 };
    let probe = Probe { sender_epoch: 0, receiver_epoch: 0, counter: 0, message };
    tag_of(&keys.seal(&probe, [0; 24])).unwrap_or_default()
}
