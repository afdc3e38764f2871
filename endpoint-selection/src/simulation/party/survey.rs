//! How a party learns what its NAT is like, with the times of the agent's engine, and what it tells the other side of itself.
//! First comes what STUN servers see of its main socket, then a closer look with side sockets.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Message, Note, PAUSE_MIN, Party, RELAY, Timer, Wish};
use crate::address::Realm;
use crate::candidate::{Candidate, CandidateKind, CandidateSource, PortMappingProtocol};
use crate::nat::{Binding, Evidence, Heard, Mapping, NatProfile, classify};
use crate::observation::ObservationKind;
use crate::socket::SocketId;
use crate::sorted::SortedMap;
use crate::time::Timestamp;
use crate::traversal::Side;

/// Side sockets that show the allocation where each destination gets a port of its own: with four servers, sixteen samples
/// beside the main socket's. Else one, for hairpinning.
const MEASURING_SOCKETS: u16 = 4;

/// Their names lie behind those of any attempt.
const MEASURING_FIRST: SocketId = SocketId(1_001);

/// How long such a measurement takes where answers are missing.
const MEASURING: Duration = Duration::from_millis(1_500);

/// How long it goes on after the last answer, for packets that the NAT turns round.
const MEASURED: Duration = Duration::from_millis(200);

/// When servers are asked: the first question may be lost.
const STUN_MS: [u64; 3] = [0, 200, 600];

/// How long the last answers are waited for before the evidence is judged without them.
const SETTLE: Duration = Duration::from_millis(1_000);

/// Changes within this time are told to the other as one.
const REPORTING: Duration = Duration::from_millis(60);

/// What is learnt.
pub(super) struct Survey {
    pub(super) evidence: Evidence,
    pub(super) profile: NatProfile,
    /// What the last judgement told.
    judged: NatProfile,
    /// When each server was first asked from each socket.
    asked: SortedMap<(SocketId, SocketAddr), Timestamp>,
    /// When the first request went where from each socket: who asks from elsewhere came through the filter unasked.
    pub(super) sent_to: SortedMap<(SocketId, SocketAddr), Timestamp>,
    /// Whether hairpinning was seen to work, once it is tried.
    hairpin: Option<bool>,
}

impl Survey {
    pub(super) fn new(hosts: &[SocketAddr]) -> Self {
        Self {
            evidence: Evidence { local: hosts.iter().map(SocketAddr::ip).collect(), ..Evidence::default() },
            profile: NatProfile::default(),
            judged: NatProfile::default(),
            asked: SortedMap::new(),
            sent_to: SortedMap::new(),
            hairpin: None,
        }
    }

    /// What the evidence says now. What a party collects is bounded by its own sockets and servers.
    pub(super) fn refresh(&mut self) {
        self.profile = classify(&self.evidence).unwrap_or_default();
    }
}

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
        let is_main = |binding: &&Binding| binding.socket == SocketId::MAIN;
        for binding in self.survey.evidence.bindings.iter().filter(is_main) {
            if !candidates.iter().any(|known| known.address == binding.reflexive) {
                let source = CandidateSource::StunServer(binding.server);
                candidates.push(candidate(CandidateKind::ServerReflexive, binding.reflexive, source));
            }
        }
        Side { candidates, nat: self.survey.profile }
    }

    /// Learns everything anew, without any of the side sockets.
    pub(super) fn learn_all(&mut self, now: Timestamp) {
        self.survey.evidence.forget();
        self.survey.asked.clear();
        self.survey.sent_to.clear();
        self.survey.hairpin = None;
        self.close_sockets_from(SocketId(1));
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
        self.survey.evidence.router_address = Some((outside.ip(), now));
        self.report(now);
    }

    /// Asks the servers that did not answer the main socket.
    pub(super) fn ask_servers(&mut self, now: Timestamp) {
        for server in self.servers.clone() {
            if !self.has_answered(server) {
                self.ask_server(now, SocketId::MAIN, server);
            }
        }
    }

    pub(in crate::simulation) fn on_opened_socket(&mut self, now: Timestamp, socket: SocketId, port: u16) {
        self.ports.insert(socket, port);
        if socket >= MEASURING_FIRST {
            self.servers.clone().into_iter().for_each(|server| self.ask_server(now, socket, server));
        }
    }

    pub(in crate::simulation) fn on_reflexive(
        &mut self,
        now: Timestamp,
        socket: SocketId,
        server: SocketAddr,
        reflexive: SocketAddr,
    ) {
        let Some(local_port) = self.ports.get(&socket).copied() else { return };
        self.observe(now, RELAY, ObservationKind::RelayRegistered { rtt_us: None });
        if socket == SocketId::MAIN || socket >= MEASURING_FIRST {
            let before = self.side().candidates;
            let at = self.survey.asked.get(&(socket, server)).copied().unwrap_or(now);
            self.survey.evidence.add_binding(Binding { socket, local_port, server, reflexive, at });
            if socket == MEASURING_FIRST && self.survey.hairpin.is_none() {
                self.test_hairpinning(reflexive);
            }
            if self.is_measuring() && self.has_measured() {
                let end = now + MEASURED;
                let planned = self.timers.get(&Timer::Judge).copied().unwrap_or(end);
                self.timers.insert(Timer::Judge, planned.min(end));
            }
            if self.side().candidates != before {
                self.report(now);
                if self.peer.is_some() && !self.is_direct() {
                    self.begin_round(now, PAUSE_MIN);
                }
            }
        }
        let is_complete = self.servers.iter().all(|server| self.has_answered(*server));
        if is_complete && !self.is_measuring() && self.timers.remove(&Timer::Judge).is_some() {
            self.judge(now);
        }
        self.run_attempt(now, |attempt| attempt.on_reflexive(now, socket, reflexive));
    }

    /// The first side socket and the main one send to each other's outside address, twice, because the first packet may come
    /// before the filter is open.
    fn test_hairpinning(&mut self, side: SocketAddr) {
        let mut seen = self.survey.evidence.bindings.iter();
        let main = seen.find(|binding| {
            binding.socket == SocketId::MAIN
                && binding.reflexive.ip() == side.ip()
                && Realm::of(side.ip()) == Realm::Global
        });
        let Some(main) = main.map(|binding| binding.reflexive) else { return };
        self.survey.hairpin = Some(false);
        for (socket, to) in [(MEASURING_FIRST, main), (SocketId::MAIN, side)].repeat(2) {
            self.wishes.push(Wish::Send { socket, to, message: Message::Hairpin });
        }
    }

    /// Our own packet came in, which the NAT turned round.
    pub(super) fn on_hairpinned(&mut self) {
        if let Some(is_seen) = &mut self.survey.hairpin {
            *is_seen = true;
        }
    }

    /// A request came: through a filter that lets in more than what was asked for, where nothing was sent there.
    pub(super) fn hear(&mut self, now: Timestamp, socket: SocketId, from: SocketAddr) {
        let Survey { evidence, sent_to, .. } = &mut self.survey;
        let is_own = |binding: &Binding| binding.reflexive.ip() == from.ip();
        let is_inside = Realm::of(from.ip()) != Realm::Global || evidence.bindings.iter().any(is_own);
        if is_inside || sent_to.contains_key(&(socket, from)) {
            return;
        }
        let is_address_known = sent_to.iter().any(|((by, to), _)| *by == socket && to.ip() == from.ip());
        evidence.add_heard(Heard { from, is_address_known, at: now });
        self.survey.refresh();
    }

    /// Judges the evidence; then a NAT is looked at more closely, once: whether it hairpins, and how it chooses ports where
    /// these differ per destination.
    pub(super) fn judge(&mut self, now: Timestamp) {
        let is_measured = self.is_measuring();
        self.close_sockets_from(MEASURING_FIRST);
        for server in self.servers.clone() {
            if !self.has_answered(server) {
                self.survey.evidence.add_unanswered(server);
            }
        }
        if let Some(is_seen) = self.survey.hairpin.take() {
            self.survey.evidence.hairpin = Some((is_seen, now));
        }
        self.survey.refresh();
        let profile = self.survey.profile;
        if profile != self.survey.judged || !is_measured {
            self.survey.judged = profile;
            self.wishes.push(Wish::Note(Note::Learnt(profile)));
            self.report(now);
        }
        let count = match profile.mapping.filter(|_| !is_measured && self.attempt.is_none()) {
            None | Some(Mapping::None) => return,
            Some(Mapping::EndpointIndependent) => 1,
            Some(_) => MEASURING_SOCKETS,
        };
        let names = (0..count).map(|number| SocketId(MEASURING_FIRST.0 + number));
        self.wishes.extend(names.map(Wish::Open));
        self.timers.insert(Timer::Judge, now + MEASURING);
    }

    fn report(&mut self, now: Timestamp) {
        self.timers.insert_new(Timer::Report, now + REPORTING);
    }

    fn ask_server(&mut self, now: Timestamp, socket: SocketId, server: SocketAddr) {
        self.survey.asked.insert_new((socket, server), now);
        self.wishes.push(Wish::Stun { socket, server });
    }

    /// Whether a server answered the main socket.
    fn has_answered(&self, server: SocketAddr) -> bool {
        let is_it = |binding: &Binding| binding.socket == SocketId::MAIN && binding.server == server;
        self.survey.evidence.bindings.iter().any(is_it)
    }

    pub(super) fn is_measuring(&self) -> bool {
        self.ports.contains_key(&MEASURING_FIRST)
    }

    /// Whether every server answered every socket of the measurement.
    fn has_measured(&self) -> bool {
        let of = |socket: &SocketId| *socket >= MEASURING_FIRST;
        let sockets = self.ports.iter().filter(|(socket, _)| of(socket)).count();
        let answers = self.survey.evidence.bindings.iter().filter(|binding| of(&binding.socket)).count();
        answers == sockets * self.servers.len()
    }

    fn close_sockets_from(&mut self, first: SocketId) {
        let closed: Vec<SocketId> =
            self.ports.iter().map(|(socket, _)| *socket).filter(|socket| *socket >= first).collect();
        self.ports.retain(|socket, _| *socket < first);
        self.wishes.extend(closed.into_iter().map(Wish::Close));
    }
}
