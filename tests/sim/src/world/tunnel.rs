//! The tunnel's packets, from one node's path layer to the other's.

use std::net::SocketAddr;

use endpoint_selection::SocketId;
use engine::TunnelPath;

use super::{Event, TRAFFIC_INTERVAL, World};
use crate::flow::flow_of;

impl World {
    pub(super) fn send_tunnel_packet(&mut self, index: usize) {
        let (from, to) = (self.flows[index].from, self.flows[index].to);
        self.queue.push(self.now + self.traffic_interval, Event::Tunnel(index));
        if self.nodes[from].engine.is_none()
            || self.nodes[from].is_asleep()
            || self.nodes[to].engine.is_none()
        {
            return;
        }
        let packet = self.flows[index].packet(index);
        let peer = self.nodes[to].public_key;
        let path = self.nodes[from].paths.get(&peer).copied();
        self.nodes[from].traffic.entry(peer).or_default().1 += packet.len() as u64;
        self.plan_look(from);
        if self.nodes[from].awaited.remove(&peer) {
            self.queue.push(self.now, Event::Traffic(from, self.nodes[from].life));
        }
        match path {
            None => self.flows[index].on_no_path(),
            Some(TunnelPath::Direct { socket, remote }) => self.send_from_node(from, socket, remote, packet),
            Some(TunnelPath::Relay { server, prefix }) => {
                self.send_from_node(from, SocketId::MAIN, server, [&prefix[..], &packet].concat());
            }
        }
    }

    /// The tunnel moved something, which the next look shows; looks that show nothing new are left out.
    fn plan_look(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if !std::mem::replace(&mut node.is_look_planned, true) {
            self.queue.push(self.now + TRAFFIC_INTERVAL, Event::Traffic(index, node.life));
        }
    }

    /// A packet for the tunnel: WireGuard would know its sender whatever way it came, but only a believed relay's
    /// deliveries get so far. `delivery` is the relay and its frame.
    pub(super) fn take_tunnel_packet(
        &mut self,
        node: usize,
        socket: SocketId,
        delivery: Option<(SocketAddr, &[u8])>,
        packet: &[u8],
    ) {
        if delivery.is_some_and(|(relay, _)| !self.nodes[node].relays.contains(&relay)) {
            return;
        }
        let now = self.now;
        let Some(flow) = flow_of(packet).and_then(|index| self.flows.get_mut(index)) else { return };
        if flow.to != node {
            return;
        }
        flow.on_received(now, packet);
        let peer = self.nodes[flow.from].public_key;
        self.nodes[node].traffic.entry(peer).or_default().0 += packet.len() as u64;
        self.plan_look(node);
        if let Some((relay, frame)) = delivery.filter(|_| !self.nodes[node].paths.contains_key(&peer)) {
            // The tunnel has no path for its answer: the engine learns where the peer is.
            self.give_datagram(node, socket, relay, frame);
        }
    }
}
