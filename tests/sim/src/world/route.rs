//! How datagrams travel: out through the boxes, over the internet, in through the boxes.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::SocketId;
use protocol::frame::{DatagramClass, classify};
use protocol::relay::{Frame, decode};
use relay::core::Outcome;

use super::{Event, Origin, Packet, ServerKind, World, unix_ms};
use crate::topology::{Attached, INTERNET, Segment};

impl World {
    /// A node's socket sends.
    pub(super) fn send_from_node(
        &mut self,
        index: usize,
        socket: SocketId,
        to: SocketAddr,
        payload: Vec<u8>,
    ) {
        let node = &self.nodes[index];
        self.judge(node.judge_socket(socket, to));
        let (Some(port), Some(interface)) = (node.port_of(socket), node.interface_to(to)) else { return };
        let from = SocketAddr::new(interface.address, port);
        let packet = Packet { from, to, payload, origin: Origin::Node(index, socket), sent_to: to };
        if let Some(delay) = interface.link.pass(&mut self.rng)
            && !(interface.segment == INTERNET && self.rng.chance(self.loss_ppm))
        {
            self.queue.push(self.now + delay, Event::InSegment(interface.segment, packet));
        }
    }

    /// A packet is in a segment: on to whom it is for, or to the way out.
    pub(super) fn in_segment(&mut self, segment: Segment, packet: Packet) {
        self.sniff(segment, &packet);
        let state = &self.topology.segments[segment.0];
        match (state.attached.get(&packet.to.ip()).copied(), state.gateway) {
            (Some(Attached::Node(index)), _) => {
                let link = self.nodes[index].interface_to(packet.to).map(|interface| interface.link);
                let lost = segment == INTERNET && self.rng.chance(self.loss_ppm);
                if let Some(delay) = link.and_then(|link| link.pass(&mut self.rng)).filter(|_| !lost) {
                    self.queue.push(self.now + delay, Event::AtNode(index, packet));
                }
            }
            (Some(Attached::Gateway(index)), _) => {
                let link = self.topology.gateways[index].link;
                let lost = self.rng.chance(self.loss_ppm);
                if let Some(delay) = link.pass(&mut self.rng).filter(|_| !lost) {
                    self.queue.push(self.now + delay, Event::AtGateway(index, packet));
                }
            }
            (Some(Attached::Server(_)), _) => {
                let server = self.servers.iter().position(|server| server.address == packet.to);
                if let Some(index) = server
                    && let Some(delay) = self.servers[index].link.pass(&mut self.rng)
                {
                    self.queue.push(self.now + delay, Event::AtServer(index, packet));
                }
            }
            (Some(Attached::Stranger), _) => {
                if let Some(index) = self.stranger_at(segment, packet.to.ip()) {
                    self.queue.push(self.now + Duration::from_micros(400), Event::AtStranger(index, packet));
                }
            }
            (None, Some(gateway)) => self.leave(gateway, packet),
            (None, None) => {}
        }
    }

    /// Out through a box, or back in where it hairpins.
    fn leave(&mut self, index: usize, mut packet: Packet) {
        let gateway = &mut self.topology.gateways[index];
        let (link, inner, outer) = (gateway.link, gateway.inner, gateway.outer);
        if gateway.nat.translates() && packet.to.ip() == gateway.nat.external() {
            if let Some((from, to)) = gateway.nat.hairpin(self.now, packet.from, packet.to, &mut self.rng) {
                self.note_outside(&packet, from);
                self.in_segment(inner, Packet { from, to, ..packet });
            }
            return;
        }
        let Some(from) = gateway.nat.outbound(self.now, packet.from, packet.to, &mut self.rng) else {
            return;
        };
        self.note_outside(&packet, from);
        packet.from = from;
        if let Some(delay) = link.pass(&mut self.rng).filter(|_| !self.rng.chance(self.loss_ppm)) {
            self.queue.push(self.now + delay, Event::InSegment(outer, packet));
        }
    }

    /// A box made `from` the source of a node's packet: an address that leads to the node.
    fn note_outside(&mut self, packet: &Packet, from: SocketAddr) {
        if let Origin::Node(node, _) = packet.origin {
            self.safety.add_address(node, from);
        }
    }

    /// In through a box, if it lets the packet in.
    pub(super) fn at_gateway(&mut self, index: usize, mut packet: Packet) {
        let gateway = &mut self.topology.gateways[index];
        if let Some(inside) = gateway.nat.inbound(self.now, packet.from, packet.to) {
            packet.to = inside;
            let inner = gateway.inner;
            self.in_segment(inner, packet);
        }
    }

    /// A packet is at a host: the tunnel's, or the engine's.
    pub(super) fn at_node(&mut self, index: usize, packet: Packet) {
        let Packet { from, to, payload, origin, sent_to } = packet;
        let Some(socket) = self.nodes[index].socket_at(to.port()) else { return };
        if self.nodes[index].engine.is_none() {
            return;
        }
        if let Origin::Node(sender, sender_socket) = origin {
            if self.is_partitioned(sender, index) {
                return;
            }
            self.safety.on_delivered(self.now, (sender, sender_socket), sent_to, (index, socket), from);
        }
        self.transcript.note(self.now, 1, &payload, || {
            format!(
                "n{index} got {} bytes of {:?} on {socket} from {from}",
                payload.len(),
                classify(&payload)
            )
        });
        match (classify(&payload), decode(&payload)) {
            (DatagramClass::WireGuard, _) => self.take_tunnel_packet(index, socket, None, &payload),
            (_, Ok(Frame::Deliver { payload: inner, .. })) if classify(inner) == DatagramClass::WireGuard => {
                self.take_tunnel_packet(index, socket, Some((from, &payload)), inner);
            }
            (DatagramClass::Relay, _) => {
                if matches!(origin, Origin::Server(_)) {
                    self.safety.on_relay_datagram(index, from, &payload);
                }
                self.give_datagram(index, socket, from, &payload);
            }
            _ => self.give_datagram(index, socket, from, &payload),
        }
    }

    pub(super) fn at_server(&mut self, index: usize, packet: Packet) {
        let Packet { from, mut payload, .. } = packet;
        let unix_s = u64::try_from(unix_ms(self.now) / 1_000).unwrap_or_default();
        let (to, answer) = match &mut self.servers[index].kind {
            ServerKind::Stun => match protocol::stun::respond(&payload, from) {
                Ok(answer) => (from, answer),
                Err(_) => return,
            },
            ServerKind::Relay { is_up: false, .. } => return,
            ServerKind::Relay { core, .. } => {
                match core.handle_datagram(self.now, unix_s, from, &mut payload) {
                    Outcome::Reply(answer) => (from, answer),
                    Outcome::Forward { to, datagram } => (to, datagram.to_vec()),
                    Outcome::Drop(_) => return,
                }
            }
        };
        let server = &self.servers[index];
        let from = server.address;
        if let Some(delay) = server.link.pass(&mut self.rng) {
            let origin = Origin::Server(index);
            let packet = Packet { from, to, payload: answer, origin, sent_to: to };
            self.queue.push(self.now + delay, Event::InSegment(INTERNET, packet));
        }
    }
}
