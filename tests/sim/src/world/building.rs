//! What a world is made of: networks, nodes, and the traffic between them.

use std::net::{IpAddr, SocketAddr};

use endpoint_selection::simulation::NatBehaviour;
use protocol::key::PrivateKey;
use protocol::probe::PairKeys;

use super::{Event, NodeId, World, outgoing_tag};
use crate::flow::Flow;
use crate::node::{Interface, Node};
use crate::topology::{Addresses, Attached, INTERNET, Link, Segment};

impl World {
    /// A network behind a new NAT or firewall, with private addresses of its own.
    pub fn network_behind(&mut self, outer: Segment, behaviour: NatBehaviour) -> Segment {
        let number = u8::try_from(self.topology.gateways.len()).unwrap_or(u8::MAX);
        self.network_with(outer, behaviour, Addresses::Home(number))
    }

    /// A network behind a new NAT, with addresses as asked.
    pub fn network_with(&mut self, outer: Segment, behaviour: NatBehaviour, addresses: Addresses) -> Segment {
        self.topology.add_gateway(outer, behaviour, addresses, Link::new(8_000))
    }

    /// A node in `segment`, enrolled and started at once.
    pub fn node(&mut self, segment: Segment) -> NodeId {
        let node = self.node_stopped(segment);
        self.start(node);
        node
    }

    /// A node in `segment`, enrolled but not started.
    pub fn node_stopped(&mut self, segment: Segment) -> NodeId {
        let index = self.nodes.len();
        let private_key = PrivateKey::from_random(self.rng.bytes());
        let port = self.random_port(self.ports);
        let node = Node::new(format!("n{index}"), private_key, port);
        self.control.enroll(self.coordinator_ms(), &node.name, &node.private_key);
        for (other, peer) in self.nodes.iter().enumerate() {
            if let Some(keys) = PairKeys::derive(&node.private_key, &peer.public_key) {
                self.safety.add_tag(keys.incoming_tag(), other, index);
                self.safety.add_tag(outgoing_tag(&keys), index, other);
            }
        }
        self.node_of_key.insert(node.public_key, index);
        self.nodes.push(node);
        let address = self.topology.give_address(segment);
        self.plug_in(NodeId(index), segment, address);
        self.deliver_map_events();
        NodeId(index)
    }

    /// A port for a node's socket, one of `among`: above all that NATs give out at random or one after the other.
    pub(super) fn random_port(&mut self, among: u64) -> u16 {
        40_000 + u16::try_from(self.rng.below(among)).unwrap_or(0)
    }

    /// Gives a node an IPv6 address of the internet, behind a firewall of its own where `firewalled`.
    pub fn add_ipv6(&mut self, node: NodeId, firewalled: bool) {
        let segment = if firewalled {
            let addresses = Addresses::Public;
            self.topology.add_gateway(INTERNET, NatBehaviour::firewall(), addresses, Link::new(8_000))
        } else {
            INTERNET
        };
        let address = self.topology.give_ipv6();
        self.plug_in(node, segment, address);
        self.tell_local_addresses(node);
    }

    /// Plugs a node into one more segment.
    pub(crate) fn plug_in(&mut self, node: NodeId, segment: Segment, address: IpAddr) {
        let link = Link::new(if segment == INTERNET { 8_000 } else { 400 });
        let host = &mut self.nodes[node.0];
        host.interfaces.push(Interface { segment, address, link });
        let side_ports = host.side_ports.values().copied().filter(|_| address.is_ipv4());
        for port in std::iter::once(host.port).chain(side_ports) {
            self.safety.add_address(node.0, SocketAddr::new(address, port));
        }
        self.topology.attach(segment, address, Attached::Node(node.0));
    }

    /// Sends tunnel packets between two nodes, both ways.
    pub fn connect(&mut self, a: NodeId, b: NodeId) {
        for (from, to) in [(a.0, b.0), (b.0, a.0)] {
            let index = self.flows.len();
            self.flows.push(Flow::new(self.now, from, to));
            let offset = self.rng.duration_below(self.traffic_interval);
            self.queue.push(self.now + offset, Event::Tunnel(index));
        }
    }

    /// Sends tunnel packets between all pairs.
    pub fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.connect(NodeId(b), NodeId(a));
            }
        }
    }
}
