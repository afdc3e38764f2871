//! How a party learns what its NAT is like, and what it tells the other side of itself.

use std::net::SocketAddr;

use super::{MEASURING_SOCKETS, Note, PAUSE_MIN, Party, RELAY, SERVERS, SETTLE, Timer, Told, Wish};
use crate::candidate::{Candidate, CandidateKind, CandidateSource};
use crate::nat::{Binding, Mapping, classify};
use crate::observation::ObservationKind;
use crate::socket::SocketId;
use crate::time::Timestamp;
use crate::traversal::Side;

impl Party {
    /// What the other side is told.
    pub(in crate::simulation) fn side(&self) -> Side {
        let host = Candidate {
            kind: CandidateKind::Host,
            address: self.host,
            base: Some(self.host),
            source: CandidateSource::Interface("eth0".into()),
        };
        let seen = self.evidence.bindings.iter().filter(|binding| binding.socket == SocketId::MAIN);
        let mut candidates = vec![host];
        for binding in seen {
            if !candidates.iter().any(|known: &Candidate| known.address == binding.reflexive) {
                candidates.push(Candidate {
                    kind: CandidateKind::ServerReflexive,
                    address: binding.reflexive,
                    base: None,
                    source: CandidateSource::StunServer(binding.server),
                });
            }
        }
        Side { candidates, nat: self.profile }
    }

    pub(in crate::simulation) fn on_opened_socket(&mut self, now: Timestamp, socket: SocketId, port: u16) {
        self.ports.insert(socket, port);
        if self.attempt.is_none() {
            SERVERS.into_iter().for_each(|server| self.ask_server(now, socket, server));
        }
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
        if self.attempt.is_none() || socket == SocketId::MAIN {
            let at = self.servers_asked.get(&(socket, server)).copied().unwrap_or(now);
            self.evidence.add_binding(Binding { socket, local_port, server, reflexive, at });
        }
        self.observe(now, RELAY, ObservationKind::RelayRegistered { rtt_us: None });
        self.run_attempt(now, |attempt| attempt.on_reflexive(now, socket, reflexive));
    }

    pub(super) fn ask_servers(&mut self, now: Timestamp) {
        let answered: Vec<SocketAddr> = self.evidence.bindings.iter().map(|binding| binding.server).collect();
        let unanswered = SERVERS.into_iter().filter(|server| !answered.contains(server));
        unanswered.for_each(|server| self.ask_server(now, SocketId::MAIN, server));
    }

    /// Judges the evidence; a NAT whose ports differ per destination is looked at more closely first.
    pub(super) fn judge(&mut self, now: Timestamp) {
        for server in SERVERS {
            if !self.evidence.bindings.iter().any(|binding| binding.server == server) {
                self.evidence.add_unanswered(server);
            }
        }
        // What this collects is bounded by its own sockets and servers.
        self.profile = classify(&self.evidence).unwrap_or_default();
        let is_dependent = self.profile.mapping.is_some_and(Mapping::is_dependent);
        if is_dependent && self.ports.len() == 1 {
            self.wishes.extend((1..=MEASURING_SOCKETS).map(|number| Wish::Open(SocketId(number))));
            self.timers.insert(Timer::Judge, now + SETTLE);
            return;
        }
        for number in 1..=MEASURING_SOCKETS {
            if self.ports.remove(&SocketId(number)).is_some() {
                self.wishes.push(Wish::Close(SocketId(number)));
            }
        }
        self.wishes.push(Wish::Note(Note::Learnt(self.profile)));
        self.wishes.push(Wish::Tell(Told::Call(self.side())));
        if self.peer.is_some() && !self.is_direct() {
            self.begin_round(now, PAUSE_MIN);
        }
    }
}
