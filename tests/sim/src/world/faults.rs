//! What can go wrong, as a test's verbs.

use std::net::SocketAddr;

use endpoint_selection::SocketId;
use endpoint_selection::simulation::NatBehaviour;

use super::{Event, HTTP_DELAY, NodeId, ServerKind, World};
use crate::impairment::Impairments;
use crate::topology::{Attached, Segment};

impl World {
    /// Loses this many packets in a million on each crossing of a link to the internet.
    pub const fn set_loss(&mut self, ppm: u32) {
        self.impairments = Impairments::loss(ppm);
    }

    /// What each crossing of a link to the internet suffers from now on.
    pub const fn set_impairments(&mut self, impairments: Impairments) {
        self.impairments = impairments;
    }

    /// The agent's process ends; the coordinator sees its connection close.
    pub fn stop(&mut self, node: NodeId) {
        self.nodes[node.0].wake_up(self.now);
        self.held.remove(&node.0);
        self.nodes[node.0].stop();
        self.safety.forget_sessions(node.0);
        self.safety.forget_sockets(|(of, socket)| of == node.0 && socket != SocketId::MAIN);
        self.close_stream(node.0);
        self.deliver_map_events();
    }

    /// The agent's process ends and starts again: same keys and files, new life.
    pub fn restart(&mut self, node: NodeId) {
        self.stop(node);
        self.start(node);
    }

    /// The box in front of `segment` loses power: empty tables, and a new address from its provider.
    pub fn reboot_nat(&mut self, segment: Segment) {
        let Some(index) = self.topology.segments[segment.0].gateway else { return };
        let outer = self.topology.gateways[index].outer;
        let before = self.topology.gateways[index].nat.external();
        self.topology.detach(outer, before);
        let external = self.topology.give_address(outer);
        self.topology.gateways[index].nat.reboot(external);
        self.topology.attach(outer, external, Attached::Gateway(index));
    }

    /// The box in front of `segment` forgets its table and keeps its address.
    pub fn flush_nat(&mut self, segment: Segment) {
        if let Some(index) = self.topology.segments[segment.0].gateway {
            self.topology.gateways[index].nat.flush();
        }
    }

    /// The box in front of `segment` behaves otherwise from now on and keeps its address: new settings empty its table.
    pub fn change_nat(&mut self, segment: Segment, behaviour: NatBehaviour) {
        if let Some(index) = self.topology.segments[segment.0].gateway {
            self.topology.gateways[index].nat.set_behaviour(behaviour);
        }
    }

    /// How the box in front of `segment` behaves, if there is one.
    #[must_use]
    pub fn nat_behaviour(&self, segment: Segment) -> Option<NatBehaviour> {
        let index = self.topology.segments[segment.0].gateway?;
        Some(*self.topology.gateways[index].nat.behaviour())
    }

    /// Other hosts behind the box in front of `segment` open `n` mappings; how many there was room for.
    pub fn foreign_flows(&mut self, segment: Segment, n: u32) -> u32 {
        let Some(index) = self.topology.segments[segment.0].gateway else { return 0 };
        self.topology.gateways[index].nat.foreign_flows(self.now, n, &mut self.rng)
    }

    /// The box in front of `segment` maps what goes to STUN servers endpoint-independently, whatever it does else: STUN
    /// reports an address that no peer sees.
    pub fn exempt_stun(&mut self, segment: Segment) {
        let Some(index) = self.topology.segments[segment.0].gateway else { return };
        let gateway = &mut self.topology.gateways[index];
        gateway.exempts_stun = true;
        for server in &self.servers {
            if matches!(server.kind, ServerKind::Stun) {
                gateway.nat.exempt(server.address);
            }
        }
    }

    /// One more STUN server, in `segment`; the coordinator starts anew to announce it.
    pub fn add_stun_server(&mut self, segment: Segment) {
        let address = SocketAddr::new(self.topology.give_address(segment), 3478);
        self.add_server(segment, address, ServerKind::Stun);
        for gateway in self.topology.gateways.iter_mut().filter(|gateway| gateway.exempts_stun) {
            gateway.nat.exempt(address);
        }
        self.stop_coordinator();
        self.control.announce_stun_server(address);
        self.start_coordinator();
    }

    /// The box in front of `segment` behaves otherwise from now on, as after a change of provider.
    pub fn replace_nat(&mut self, segment: Segment, behaviour: NatBehaviour) {
        if let Some(index) = self.topology.segments[segment.0].gateway {
            self.topology.gateways[index].nat.set_behaviour(behaviour);
            self.reboot_nat(segment);
        }
    }

    /// The coordinator's process ends; nodes see their streams break and try again.
    pub fn stop_coordinator(&mut self) {
        self.control.stop();
        for index in 0..self.nodes.len() {
            if std::mem::take(&mut self.nodes[index].is_stream_open) {
                let (life, revision) = (self.nodes[index].life, self.revision_of(index));
                self.queue.push(self.now + HTTP_DELAY, Event::StreamWanted(index, life, revision));
            }
        }
    }

    /// The coordinator's process starts again on its database.
    pub fn start_coordinator(&mut self) {
        self.control.start(self.coordinator_ms());
    }

    /// Nothing passes directly between two nodes from now on.
    pub fn partition(&mut self, a: NodeId, b: NodeId) {
        self.partitions.push((a.0, b.0));
    }

    /// All partitions end.
    pub fn heal(&mut self) {
        self.partitions.clear();
    }

    /// How many side sockets the node's machine gives from now on, as where open files are scarce.
    pub fn set_side_sockets_max(&mut self, node: NodeId, max: usize) {
        self.nodes[node.0].side_sockets_max = max;
    }

    pub(super) fn is_partitioned(&self, a: usize, b: usize) -> bool {
        self.partitions.iter().any(|pair| *pair == (a, b) || *pair == (b, a))
    }

    /// The node's machine moves to another segment: another address, told to the engine as the kernel would.
    pub fn move_to(&mut self, node: NodeId, segment: Segment) {
        for interface in std::mem::take(&mut self.nodes[node.0].interfaces) {
            self.topology.detach(interface.segment, interface.address);
        }
        let address = self.topology.give_address(segment);
        self.plug_in(node, segment, address);
        self.tell_local_addresses(node);
    }
}
