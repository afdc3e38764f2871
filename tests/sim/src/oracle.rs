//! Which pairs can be direct: found by playing plain opening over fresh copies of the boxes, never by asking an engine.
//!
//! What is played is what any pair can do that has a relay to talk over, without luck and without guessing:
//!
//! 1. Each side sends to every STUN server that it reaches. What that sees as the source, and the addresses of its own
//!    interfaces, are what it can name to the other.
//! 2. In rounds, both sides send to every address they know of the other. Who gets a packet learns its source, and
//!    answers to it. A side has a path to an address when an answer comes back from just that address.
//! 3. A pair is direct when both sides have a path. Nothing new is learnt after few rounds; where each round makes new
//!    mappings for ever (both sides map by address and port and filter by less), none of them is answered from where
//!    it was sent to, so more rounds change nothing.
//!
//! The copies take ports one after the other and never twice, so no address is right by chance; their tables are empty,
//! endless and forget nothing. So the result says what the boxes' rules allow. What is left out, because it is not a
//! property of the boxes: loss, partitions and who sleeps (a random world is judged when all that is over), and full
//! tables (they are emptied before).
//!
//! Where plain opening fails, it is played once more with one wonder: each side is told the outside addresses that the
//! other's packets got, as if it had guessed them. Where that helps, a pair is direct if somebody guesses right
//! ([`Outlook::Guess`]), by chance or on purpose. Where both map by destination, knowing afterwards is too late, so a last wonder
//! is tried: both sides are told before they send from where the other will. Where that does not help either, nothing does.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use endpoint_selection::Timestamp;
use endpoint_selection::simulation::{Nat, NatBehaviour, PortAllocation, Rng};

use crate::node::Node;
use crate::topology::{Attached, Gateway, Topology};

/// More than any chain of boxes needs for both sides to learn all that can be learnt.
const ROUNDS: usize = 6;

/// Longer than any way through boxes.
const HOPS_MAX: usize = 16;

/// What the boxes between two nodes allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Plain opening makes a direct path.
    Direct,
    /// A direct path needs a port that nobody can tell: a guess that comes true.
    Guess,
    /// There is none.
    Relayed,
}

/// What the boxes between nodes `a` and `b` allow.
pub(crate) fn outlook(
    topology: &Topology,
    nodes: &[Node],
    stun_servers: &[SocketAddr],
    (a, b): (usize, usize),
) -> Outlook {
    let opens = |is_told| {
        let mut play = Play::new(topology, nodes, stun_servers, is_told);
        play.opens(a, b)
    };
    let opens_at_once = || Play::new(topology, nodes, stun_servers, true).opens_at_once(a, b);
    if opens(false) {
        Outlook::Direct
    } else if opens(true) || opens_at_once() {
        Outlook::Guess
    } else {
        Outlook::Relayed
    }
}

struct Play<'w> {
    topology: &'w Topology,
    nodes: &'w [Node],
    stun_servers: &'w [SocketAddr],
    nats: Vec<Nat>,
    rng: Rng,
    /// Whether each side is told where the other's packets come from.
    is_told: bool,
    /// The outside address that the packet on its way has got last.
    outside: Option<SocketAddr>,
}

/// What one side knows of the other.
#[derive(Default)]
struct Side {
    node: usize,
    known: BTreeSet<SocketAddr>,
    has_path: bool,
}

impl<'w> Play<'w> {
    fn new(topology: &'w Topology, nodes: &'w [Node], stun_servers: &'w [SocketAddr], is_told: bool) -> Self {
        let fresh = |gateway: &Gateway| {
            let behaviour = NatBehaviour {
                allocation: PortAllocation::NEXT,
                mappings_max: None,
                ..*gateway.nat.behaviour()
            };
            let mut nat = Nat::new(behaviour, gateway.nat.external());
            stun_servers.iter().filter(|_| gateway.exempts_stun).for_each(|server| nat.exempt(*server));
            nat
        };
        let nats = topology.gateways.iter().map(fresh).collect();
        Self { topology, nodes, stun_servers, nats, rng: Rng::new(0), is_told, outside: None }
    }

    fn opens(&mut self, a: usize, b: usize) -> bool {
        let mut sides = [a, b].map(|node| Side { node, ..Side::default() });
        for (side, other) in [(0, 1), (1, 0)] {
            let known = self.names_of(sides[other].node);
            sides[side].known = known;
        }
        for _ in 0..ROUNDS {
            for (from, to) in [(0, 1), (1, 0)] {
                for address in sides[from].known.clone() {
                    self.ask(&mut sides, (from, to), address);
                }
            }
        }
        sides.iter().all(|side| side.has_path)
    }

    /// Each side sends to where the other's packet will come from.
    fn opens_at_once(&mut self, a: usize, b: usize) -> bool {
        let ips =
            |names: BTreeSet<SocketAddr>| names.into_iter().map(|name| name.ip()).collect::<BTreeSet<_>>();
        let (of_a, of_b) = (ips(self.names_of(a)), ips(self.names_of(b)));
        of_a.iter().any(|ip_a| of_b.iter().any(|ip_b| self.meet(a, b, (*ip_a, *ip_b))))
    }

    /// The same where the two are to be found at these addresses.
    fn meet(&mut self, a: usize, b: usize, (ip_a, ip_b): (IpAddr, IpAddr)) -> bool {
        let Some(from_a) = self.next_outside(a, ip_b).filter(|from| from.ip() == ip_a) else { return false };
        let Some(from_b) = self.next_outside(b, ip_a).filter(|from| from.ip() == ip_b) else { return false };
        self.send(a, from_b);
        self.send(b, from_a) == Some((End::Node(a), from_b))
            && self.send(a, from_b) == Some((End::Node(b), from_a))
    }

    /// From where a node's next packet to a new port of this address will come.
    fn next_outside(&mut self, node: usize, to: IpAddr) -> Option<SocketAddr> {
        let before = self.nats.clone();
        self.send(node, SocketAddr::new(to, 1));
        self.nats = before;
        self.outside
    }

    /// The addresses that a node can name.
    fn names_of(&mut self, node: usize) -> BTreeSet<SocketAddr> {
        let host = &self.nodes[node];
        let own = host.interfaces.iter().map(|interface| SocketAddr::new(interface.address, host.port));
        let mut names: BTreeSet<SocketAddr> = own.collect();
        for server in self.stun_servers {
            if let Some((End::Server, seen)) = self.send(node, *server) {
                names.insert(seen);
            }
        }
        names
    }

    /// One side sends to an address that may be the other's, and that answers.
    fn ask(&mut self, sides: &mut [Side; 2], (from, to): (usize, usize), address: SocketAddr) {
        let (sender, receiver) = (sides[from].node, sides[to].node);
        let arrived = self.send(sender, address);
        if let Some(outside) = self.outside.filter(|_| self.is_told) {
            sides[to].known.insert(outside);
        }
        if let Some((End::Node(node), seen)) = arrived
            && node == receiver
        {
            sides[to].known.insert(seen);
            sides[from].has_path |= self.send(receiver, seen) == Some((End::Node(sender), address));
        }
    }

    /// Where a packet of a node to `to` ends, and its source as seen there.
    fn send(&mut self, node: usize, to: SocketAddr) -> Option<(End, SocketAddr)> {
        const NOW: Timestamp = Timestamp::from_micros(0);
        self.outside = None;
        let interface = self.nodes[node].interface_to(to)?;
        let (mut segment, mut to) = (interface.segment, to);
        let mut from = SocketAddr::new(interface.address, self.nodes[node].port);
        for _ in 0..HOPS_MAX {
            let state = &self.topology.segments[segment.0];
            match (state.attached.get(&to.ip()), state.gateway) {
                (Some(Attached::Node(node)), _) => {
                    return (self.nodes[*node].port == to.port()).then_some((End::Node(*node), from));
                }
                (Some(Attached::Server(_)), _) => return Some((End::Server, from)),
                (Some(Attached::Gateway(index)), _) => {
                    to = self.nats[*index].inbound(NOW, from, to)?;
                    segment = self.topology.gateways[*index].inner;
                }
                (None, Some(index)) => {
                    let nat = &mut self.nats[index];
                    if nat.translates() && to.ip() == nat.external() {
                        (from, to) = nat.hairpin(NOW, from, to, &mut self.rng)?;
                        segment = self.topology.gateways[index].inner;
                    } else {
                        from = nat.outbound(NOW, from, to, &mut self.rng)?;
                        segment = self.topology.gateways[index].outer;
                    }
                    self.outside = Some(from);
                }
                (Some(Attached::Stranger), _) | (None, None) => return None,
            }
        }
        None
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Node(usize),
    Server,
}
