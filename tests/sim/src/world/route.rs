//! How datagrams travel: out through the boxes, over the internet, in through the boxes.
//!
//! A packet's way is worked out from one place that remembers to the next, in one go: only arrivals at a box that must
//! let it in, at a host or at a server are events of their own. Boxes on the way out therefore translate a few
//! milliseconds early; nothing can tell.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::{SocketId, Timestamp};
use protocol::frame::{DatagramClass, classify};
use protocol::relay::{Frame, decode};
use relay::core::Outcome;

use super::{Event, Origin, Packet, ServerKind, World, unix_ms};
use crate::impairment::Copies;
use crate::topology::{Attached, INTERNET, Link, Segment};

/// Whose link a packet crosses.
#[derive(Debug, Clone, Copy)]
enum End {
    Node(usize),
    Gateway(usize),
}

impl World {
    /// A node's socket sends.
    pub(super) fn send_from_node(
        &mut self,
        index: usize,
        socket: SocketId,
        to: SocketAddr,
        payload: Vec<u8>,
    ) {
        self.send_as(index, socket, to, payload, false);
    }

    /// The same, of a datagram that nobody may fragment where `is_whole`.
    pub(super) fn send_as(
        &mut self,
        index: usize,
        socket: SocketId,
        to: SocketAddr,
        payload: Vec<u8>,
        is_whole: bool,
    ) {
        let node = &self.nodes[index];
        self.judge(node.judge_socket(socket, to));
        let (Some(port), Some(interface)) = (node.port_of(socket), node.interface_to(to)) else { return };
        let from = SocketAddr::new(interface.address, port);
        let origin = Origin::Node(index, socket);
        let packet = Box::new(Packet { from, to, payload, origin, sent_to: to, is_whole });
        let (segment, now) = (interface.segment, self.now);
        let end = (segment == INTERNET).then_some(End::Node(index));
        let copies = self.cross(interface.link, end, &packet);
        self.each_copy(copies, packet, |world, delay, packet| world.in_segment(now + delay, segment, packet));
    }

    /// What becomes of a packet on a link, which leads to the internet where `impaired` says whose it is.
    fn cross(&mut self, link: Link, impaired: Option<End>, packet: &Packet) -> Copies {
        let Some(delay) = link.pass(&mut self.rng) else { return [None, None] };
        let in_burst = match impaired {
            None => return [Some(delay), None],
            Some(End::Node(index)) => &mut self.nodes[index].in_burst,
            Some(End::Gateway(index)) => &mut self.topology.gateways[index].in_burst,
        };
        if !self.impairments.is_short_enough(packet.ip_len(), packet.is_whole) {
            return [None, None];
        }
        self.impairments.cross(in_burst, &mut self.rng).map(|copy| copy.map(|extra| delay + extra))
    }

    fn each_copy(
        &mut self,
        copies: Copies,
        packet: Box<Packet>,
        then: impl Fn(&mut Self, Duration, Box<Packet>),
    ) {
        let [first, second] = copies;
        if let Some(delay) = second {
            then(self, delay, packet.clone());
        }
        if let Some(delay) = first {
            then(self, delay, packet);
        }
    }

    /// A packet is in a segment at `at`: on to whom it is for, or to the way out.
    fn in_segment(&mut self, at: Timestamp, segment: Segment, packet: Box<Packet>) {
        self.sniff(at, segment, &packet);
        let state = &self.topology.segments[segment.0];
        match (state.attached.get(&packet.to.ip()).copied(), state.gateway) {
            (Some(Attached::Node(index)), _) => {
                let Some(interface) = self.nodes[index].interface_to(packet.to) else { return };
                let end = (segment == INTERNET).then_some(End::Node(index));
                let copies = self.cross(interface.link, end, &packet);
                self.each_copy(copies, packet, |world, delay, packet| {
                    world.queue.push(at + delay, Event::AtNode(index, packet));
                });
            }
            (Some(Attached::Gateway(index)), _) => {
                let link = self.topology.gateways[index].link;
                let copies = self.cross(link, Some(End::Gateway(index)), &packet);
                self.each_copy(copies, packet, |world, delay, packet| {
                    world.queue.push(at + delay, Event::AtGateway(index, packet));
                });
            }
            (Some(Attached::Server(_)), _) => {
                let server = self.servers.iter().position(|server| server.address == packet.to);
                if let Some(index) = server
                    && let Some(delay) = self.servers[index].link.pass(&mut self.rng)
                {
                    self.queue.push(at + delay, Event::AtServer(index, packet));
                }
            }
            (Some(Attached::Stranger), _) => {
                if let Some(index) = self.stranger_at(segment, packet.to.ip()) {
                    self.queue.push(at + Duration::from_micros(400), Event::AtStranger(index, packet));
                }
            }
            (None, Some(gateway)) => self.leave(at, gateway, packet),
            (None, None) => {}
        }
    }

    /// Out through a box, or back in where it hairpins.
    fn leave(&mut self, at: Timestamp, index: usize, mut packet: Box<Packet>) {
        let gateway = &mut self.topology.gateways[index];
        let (link, inner, outer) = (gateway.link, gateway.inner, gateway.outer);
        if gateway.nat.translates() && packet.to.ip() == gateway.nat.external() {
            if let Some((from, to)) = gateway.nat.hairpin(at, packet.from, packet.to, &mut self.rng) {
                self.note_outside(&packet, from);
                (packet.from, packet.to) = (from, to);
                self.in_segment(at, inner, packet);
            }
            return;
        }
        let Some(from) = gateway.nat.outbound(at, packet.from, packet.to, &mut self.rng) else { return };
        self.note_outside(&packet, from);
        packet.from = from;
        let copies = self.cross(link, Some(End::Gateway(index)), &packet);
        self.each_copy(copies, packet, |world, delay, packet| world.in_segment(at + delay, outer, packet));
    }

    /// A box made `from` the source of a node's packet: an address that leads to the node.
    fn note_outside(&mut self, packet: &Packet, from: SocketAddr) {
        if let Origin::Node(node, _) = packet.origin {
            self.safety.add_address(node, from);
        }
    }

    /// In through a box, if it lets the packet in.
    pub(super) fn at_gateway(&mut self, index: usize, mut packet: Box<Packet>) {
        let gateway = &mut self.topology.gateways[index];
        if let Some(inside) = gateway.nat.inbound(self.now, packet.from, packet.to) {
            packet.to = inside;
            let inner = gateway.inner;
            self.in_segment(self.now, inner, packet);
        }
    }

    /// A packet is at a host: the tunnel's, or the engine's.
    pub(super) fn at_node(&mut self, index: usize, packet: Packet) {
        let Packet { from, to, payload, origin, sent_to, .. } = packet;
        let node = &self.nodes[index];
        let Some(socket) = node.socket_at(to.port()) else { return };
        if node.engine.is_none() || node.is_asleep() {
            return;
        }
        if matches!(origin, Origin::Server(server) if self.is_cut_off(index, server)) {
            return;
        }
        if let Origin::Node(sender, sender_socket) = origin {
            if self.is_partitioned(sender, index) {
                return;
            }
            let clocks = (self.nodes[sender].clock(self.now), self.nodes[index].clock(self.now));
            self.safety.on_delivered(clocks, ((sender, sender_socket), sent_to), ((index, socket), from));
        }
        let class = classify(&payload);
        self.transcript.note(self.now, 1, &payload, || {
            format!("n{index} got {} bytes of {class:?} on {socket} from {from}", payload.len())
        });
        match class {
            DatagramClass::WireGuard => self.take_tunnel_packet(index, socket, None, &payload),
            DatagramClass::Relay => match decode(&payload) {
                Ok(Frame::Deliver { payload: inner, .. }) if classify(inner) == DatagramClass::WireGuard => {
                    self.take_tunnel_packet(index, socket, Some((from, &payload)), inner);
                }
                _ => {
                    if matches!(origin, Origin::Server(_)) {
                        self.safety.on_relay_datagram(index, from, &payload);
                    }
                    self.give_datagram(index, socket, from, &payload);
                }
            },
            DatagramClass::Probe
            | DatagramClass::Stun
            | DatagramClass::OtherVersion(_)
            | DatagramClass::Unknown => self.give_datagram(index, socket, from, &payload),
        }
    }

    pub(super) fn at_server(&mut self, index: usize, packet: Packet) {
        let Packet { from, mut payload, origin, .. } = packet;
        if matches!(origin, Origin::Node(node, _) if self.is_cut_off(node, index)) {
            return;
        }
        let asked = payload.clone();
        let honest = match &mut self.servers[index].kind {
            ServerKind::Stun => match protocol::stun::respond(&payload, from) {
                Ok(answer) => (from, answer),
                Err(_) => return,
            },
            ServerKind::Relay { is_up: false, .. } => return,
            ServerKind::Relay { core, wall_offset_ms, .. } => {
                let unix_s = unix_ms(self.now).saturating_add(*wall_offset_ms) / 1_000;
                let unix_s = u64::try_from(unix_s).unwrap_or_default();
                match core.handle_datagram(self.now, unix_s, from, &mut payload) {
                    Outcome::Reply(answer) => (from, answer),
                    Outcome::Forward { to, datagram } => (to, datagram.to_vec()),
                    Outcome::Drop(_) => return,
                }
            }
        };
        let (address, segment) = (self.servers[index].address, self.servers[index].segment);
        for (to, payload) in self.lies(index, (from, &asked), honest) {
            if let Some(delay) = self.servers[index].link.pass(&mut self.rng) {
                let (origin, is_whole) = (Origin::Server(index), false);
                let packet = Box::new(Packet { from: address, to, payload, origin, sent_to: to, is_whole });
                self.in_segment(self.now + delay, segment, packet);
            }
        }
    }
}
