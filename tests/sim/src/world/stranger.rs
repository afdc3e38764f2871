//! A hostile neighbour: it holds an address that a peer's candidate names, hears the whole segment, and replays.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::frame::{DatagramClass, classify};

use super::{Event, NodeId, Origin, Packet, World};
use crate::topology::{Attached, Segment};

/// When each recorded datagram is sent once more.
const REPLAYS: [Duration; 2] = [Duration::from_millis(700), Duration::from_secs(20)];

/// When a stranger's first copy arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Behind the original.
    Late,
    /// Before the original, each time.
    Racing,
}

impl Haste {
    fn delays(self) -> impl Iterator<Item = Duration> {
        let first = match self {
            Self::Late => Duration::from_millis(2),
            Self::Racing => Duration::ZERO,
        };
        std::iter::once(first).chain(REPLAYS)
    }
}

pub(super) struct Stranger {
    segment: Segment,
    address: SocketAddr,
    haste: Haste,
    replayed: u64,
}

impl World {
    /// Puts a stranger into `segment` under the very address and port that `peer` has in its own network.
    pub fn add_stranger(&mut self, segment: Segment, peer: NodeId, haste: Haste) {
        let node = &self.nodes[peer.0];
        let address = SocketAddr::new(node.interfaces[0].address, node.port);
        self.strangers.push(Stranger { segment, address, haste, replayed: 0 });
        self.topology.attach(segment, address.ip(), Attached::Stranger);
    }

    /// How many datagrams strangers have sent so far.
    #[must_use]
    pub fn replayed(&self) -> u64 {
        self.strangers.iter().map(|stranger| stranger.replayed).sum()
    }

    pub(super) fn stranger_at(&self, segment: Segment, ip: IpAddr) -> Option<usize> {
        let is_it = |stranger: &Stranger| stranger.segment == segment && stranger.address.ip() == ip;
        self.strangers.iter().position(is_it)
    }

    /// Every datagram to a node of the segment is recorded and replayed to it, with the stranger as its source.
    pub(super) fn sniff(&mut self, at: Timestamp, segment: Segment, packet: &Packet) {
        if self.strangers.is_empty() || classify(&packet.payload) == DatagramClass::WireGuard {
            return;
        }
        let victim = match self.topology.segments[segment.0].attached.get(&packet.to.ip()) {
            Some(Attached::Node(index)) => *index,
            Some(Attached::Gateway(_) | Attached::Server(_) | Attached::Stranger) | None => return,
        };
        for stranger in self.strangers.iter_mut().filter(|stranger| stranger.segment == segment) {
            for delay in stranger.haste.delays() {
                stranger.replayed += 1;
                let copy = Packet { from: stranger.address, origin: Origin::Stranger, ..packet.clone() };
                self.queue.push(at + delay, Event::AtNode(victim, Box::new(copy)));
            }
        }
    }

    /// What a node sends to the stranger comes back, at once and later.
    pub(super) fn at_stranger(&mut self, index: usize, packet: &Packet) {
        let stranger = &mut self.strangers[index];
        let victim = self.topology.segments[stranger.segment.0].attached.get(&packet.from.ip());
        if let Some(Attached::Node(victim)) = victim {
            for delay in stranger.haste.delays() {
                stranger.replayed += 1;
                let (from, to) = (packet.to, packet.from);
                let copy = Packet { from, to, origin: Origin::Stranger, ..packet.clone() };
                self.queue.push(self.now + delay, Event::AtNode(*victim, Box::new(copy)));
            }
        }
    }
}
