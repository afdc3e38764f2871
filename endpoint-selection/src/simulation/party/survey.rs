//! How a party learns what its NAT is like, and what it tells the other side of itself.

use std::net::SocketAddr;
use std::time::Duration;

use super::{
    MEASURING_FIRST, MEASURING_SOCKETS, Message, Note, PAUSE_MIN, Party, RELAY, SETTLE, STUN_MS, Timer, Told,
    Wish,
};
use crate::address::Realm;
use crate::candidate::{Candidate, CandidateKind, CandidateSource, PortMappingProtocol};
use crate::nat::{Binding, Heard, Mapping, classify};
use crate::observation::ObservationKind;
use crate::socket::SocketId;
use crate::time::Timestamp;
use crate::traversal::Side;

impl Party {
    /// What the other side is told.
    pub(in crate::simulation) fn side(&self) -> Side {
        let candidate = |kind, address, source| Candidate { kind, address, base: None, source };
        let on_interface = CandidateSource::Interface("eth0".into());
        let mut candidates: Vec<Candidate> = self
            .hosts
            .iter()
            .map(|host| Candidate {
                base: Some(*host),
                ..candidate(CandidateKind::Host, *host, on_interface.clone())
            })
            .collect();
        let source = CandidateSource::Router(PortMappingProtocol::Pcp);
        candidates.extend(self.mapped.map(|outside| candidate(CandidateKind::PortMapped, outside, source)));
        for binding in self.evidence.bindings.iter().filter(|binding| binding.socket == SocketId::MAIN) {
            if !candidates.iter().any(|known| known.address == binding.reflexive) {
                let source = CandidateSource::StunServer(binding.server);
                candidates.push(candidate(CandidateKind::ServerReflexive, binding.reflexive, source));
            }
        }
        Side { candidates, nat: self.profile }
    }

    pub(super) fn begin_survey(&mut self, now: Timestamp) {
        self.mapped = None;
        self.wishes.push(Wish::MapPort);
        for (index, ms) in STUN_MS.iter().enumerate() {
            self.timers.insert(Timer::Stun(index), now + Duration::from_millis(*ms));
        }
        self.timers.insert(Timer::Judge, now + SETTLE);
    }

    /// The router opened this address for the main socket.
    pub(in crate::simulation) fn on_port_mapped(&mut self, now: Timestamp, outside: SocketAddr) {
        self.mapped = Some(outside);
        self.evidence.router_address = Some((outside.ip(), now));
    }

    pub(in crate::simulation) fn on_opened_socket(&mut self, now: Timestamp, socket: SocketId, port: u16) {
        self.ports.insert(socket, port);
        if socket >= MEASURING_FIRST {
            // To see it turned round, one server's word is enough; to see how ports are chosen, all are asked.
            let count = if self.is_dependent() { self.servers.len() } else { 1 };
            let servers: Vec<SocketAddr> = self.servers.iter().copied().take(count).collect();
            servers.into_iter().for_each(|server| self.ask_server(now, socket, server));
        }
    }

    fn is_measuring(&self) -> bool {
        self.ports.contains_key(&MEASURING_FIRST)
    }

    fn is_dependent(&self) -> bool {
        self.profile.mapping.is_some_and(Mapping::is_dependent)
    }

    fn ask_server(&mut self, now: Timestamp, socket: SocketId, server: SocketAddr) {
        self.servers_asked.insert_new((socket, server), now);
        self.wishes.push(Wish::Stun { socket, server });
    }

    pub(in crate::simulation) fn on_reflexive(
        &mut self,
        now: Timestamp,
        socket: SocketId,
        server: SocketAddr,
        reflexive: SocketAddr,
    ) {
        let Some(local_port) = self.ports.get(&socket).copied() else { return };
        if socket == SocketId::MAIN || socket >= MEASURING_FIRST {
            let at = self.servers_asked.get(&(socket, server)).copied().unwrap_or(now);
            self.evidence.add_binding(Binding { socket, local_port, server, reflexive, at });
            if socket == MEASURING_FIRST {
                self.send_to_oneself(reflexive);
            }
        }
        self.observe(now, RELAY, ObservationKind::RelayRegistered { rtt_us: None });
        self.run_attempt(now, |attempt| attempt.on_reflexive(now, socket, reflexive));
    }

    /// Both sockets send to each other's outside address, so that a filter lets at least the second packet in.
    fn send_to_oneself(&mut self, side: SocketAddr) {
        let is_main = |binding: &&Binding| {
            binding.socket == SocketId::MAIN && Realm::of(binding.reflexive.ip()) == Realm::Global
        };
        let Some(main) = self.evidence.bindings.iter().find(is_main).map(|binding| binding.reflexive) else {
            return;
        };
        for (socket, to) in [(MEASURING_FIRST, main), (SocketId::MAIN, side)] {
            self.wishes.push(Wish::Send { socket, to, message: Message::Hairpin });
        }
    }

    /// A request came: through a filter that lets in more than what was asked for, where nothing was sent there.
    pub(super) fn hear(&mut self, now: Timestamp, socket: SocketId, from: SocketAddr) {
        let is_own = |binding: &Binding| binding.reflexive.ip() == from.ip();
        let is_inside = Realm::of(from.ip()) != Realm::Global || self.evidence.bindings.iter().any(is_own);
        if is_inside || self.sent_to.contains_key(&(socket, from)) {
            return;
        }
        let is_address_known = self.sent_to.iter().any(|((by, to), _)| *by == socket && to.ip() == from.ip());
        self.evidence.add_heard(Heard { from, is_address_known, at: now });
        self.refresh();
    }

    /// What the evidence says now. What this collects is bounded by its own sockets and servers.
    pub(super) fn refresh(&mut self) {
        self.profile = classify(&self.evidence).unwrap_or_default();
    }

    pub(super) fn ask_servers(&mut self, now: Timestamp) {
        let answered: Vec<SocketAddr> = self.evidence.bindings.iter().map(|binding| binding.server).collect();
        let servers = self.servers.clone();
        let unanswered = servers.into_iter().filter(|server| !answered.contains(server));
        unanswered.for_each(|server| self.ask_server(now, SocketId::MAIN, server));
    }

    /// Judges the evidence, and then looks at a NAT more closely: whether it hairpins, and how it chooses ports where these
    /// differ per destination. The other side is told of the latter only when all is known.
    pub(super) fn judge(&mut self, now: Timestamp) {
        for server in self.servers.clone() {
            if !self.evidence.bindings.iter().any(|binding| binding.server == server) {
                self.evidence.add_unanswered(server);
            }
        }
        let (before, is_measured) = (self.profile, self.is_measuring());
        if self.evidence.bindings.iter().any(|binding| binding.socket == MEASURING_FIRST) {
            self.evidence.hairpin.get_or_insert((false, now));
        }
        self.refresh();
        let is_translated = self.profile.mapping.is_some_and(|mapping| mapping != Mapping::None);
        if is_measured {
            self.close_sockets_from(MEASURING_FIRST);
        } else if is_translated {
            let count = if self.is_dependent() { MEASURING_SOCKETS } else { 1 };
            let names = (0..count).map(|number| SocketId(MEASURING_FIRST.0 + number));
            self.wishes.extend(names.map(Wish::Open));
            self.timers.insert(Timer::Judge, now + SETTLE);
            if self.is_dependent() {
                return;
            }
        }
        if is_measured && before == self.profile && !self.is_dependent() {
            return;
        }
        self.wishes.push(Wish::Note(Note::Learnt(self.profile)));
        self.wishes.push(Wish::Tell(Told::Call(self.side())));
        if self.peer.is_some() && !self.is_direct() {
            self.begin_round(now, PAUSE_MIN);
        }
    }

    pub(super) fn close_sockets_from(&mut self, first: SocketId) {
        let closed: Vec<SocketId> =
            self.ports.iter().map(|(socket, _)| *socket).filter(|socket| *socket >= first).collect();
        self.ports.retain(|socket, _| *socket < first);
        self.wishes.extend(closed.into_iter().map(Wish::Close));
    }
}
