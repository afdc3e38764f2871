//! One node of a simulated pair: the agent's decisions without its keys. It learns what its NAT is like, opens plainly,
//! attempts what the plan says, and looks after its path.

mod survey;
mod techniques;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use self::survey::Survey;
use crate::candidate::{Candidate, CandidateKind, CandidateSource};
use crate::nat::{NatProfile, PeerView};
use crate::observation::{Observation, ObservationKind};
use crate::selector::Selector;
use crate::socket::SocketId;
use crate::sorted::SortedMap;
use crate::time::Timestamp;
use crate::traversal::{Attempt, Outcome, Punch, PunchKind, Side, Technique, TriggeredChecks, plan};

/// The relay's address, as in relayed candidates.
pub(super) const RELAY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 10)), 3478);

/// Rounds of plain opening start no closer than this: what changes meanwhile is part of the next step.
const SPACING: Duration = Duration::from_millis(250);

/// After a round of plain opening without success, its last answers are waited for this long.
const ROUND_PATIENCE: Duration = Duration::from_millis(500);

/// Where plain opening is known to be in vain, so long after its round began more is tried.
const VAIN_PATIENCE: Duration = Duration::from_millis(200);

/// Upkeep of a direct path, and when a question counts as unanswered.
const UPKEEP: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(1);

/// Answers come within this; older questions are forgotten.
const ANSWERS: Duration = Duration::from_secs(3);

/// The most requests that may be unanswered at once, as in the agent: between two NATs that take a port per destination and let
/// anyone in, each request comes from a new address, which is asked in turn.
const ASKED_MAX: usize = 1_024;

/// The first pause between rounds of plain opening; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// What travels between the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    Request(u64),
    Reply {
        id: u64,
        observed: SocketAddr,
    },
    /// From one's own socket to one's own outside address (RFC 5780 §4.5).
    Hairpin,
}

/// What a party wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Open(SocketId),
    Close(SocketId),
    MapPort,
    Stun { socket: SocketId, server: SocketAddr },
    Send { socket: SocketId, to: SocketAddr, message: Message },
    Tell(Told),
    Note(Note),
}

/// What one tells the other over the relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    Call(Side),
    Punch(Punch),
}

/// What people who watch want to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    Learnt(NatProfile),
    RoundBegins,
    AttemptBegins(Technique),
    AttemptEnds(Outcome),
    Path(Option<SocketAddr>),
}

/// A request that may still be answered.
struct Asked {
    id: u64,
    remote: SocketAddr,
    socket: SocketId,
    at: Timestamp,
}

pub(super) struct Party {
    is_first: bool,
    hosts: Vec<SocketAddr>,
    servers: Vec<SocketAddr>,
    /// What the router opened on request.
    mapped: Option<SocketAddr>,
    ports: SortedMap<SocketId, u16>,
    survey: Survey,
    peer: Option<Side>,
    pub(super) selector: Selector,
    path: Option<SocketAddr>,
    /// The socket that a path goes through, where that is not the main one.
    socket_of: SortedMap<SocketAddr, SocketId>,
    /// Requests without an answer, in the order of their numbers.
    asked: VecDeque<Asked>,
    upkeep: Option<(u64, Timestamp)>,
    next_id: u64,
    attempt: Option<Attempt>,
    failures: u32,
    timers: SortedMap<Timer, Timestamp>,
    round: (Timestamp, usize, Duration),
    /// A new round is wanted as soon as the spacing allows; the present one goes on until then.
    is_round_wanted: bool,
    triggered: TriggeredChecks,
    pub(super) wishes: Vec<Wish>,
    pub(super) probes: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Stun(usize),
    Judge,
    Report,
    Round,
    Upkeep,
    Technique,
}

impl Party {
    /// A party with one port on each of its addresses.
    pub(super) fn new(
        now: Timestamp,
        hosts: Vec<SocketAddr>,
        servers: Vec<SocketAddr>,
        is_first: bool,
    ) -> Self {
        let mut selector = Selector::default();
        let source = CandidateSource::Relay(RELAY);
        selector.add_candidate(Candidate {
            kind: CandidateKind::Relayed,
            address: RELAY,
            base: None,
            source,
        });
        let mut party = Self {
            is_first,
            ports: SortedMap::new(),
            survey: Survey::new(&hosts),
            hosts,
            servers,
            mapped: None,
            peer: None,
            selector,
            path: None,
            socket_of: SortedMap::new(),
            asked: VecDeque::new(),
            upkeep: None,
            next_id: 0,
            attempt: None,
            failures: 0,
            timers: SortedMap::new(),
            round: (now, 0, PAUSE_MIN),
            is_round_wanted: false,
            triggered: TriggeredChecks::default(),
            wishes: Vec::new(),
            probes: 0,
        };
        for host in &party.hosts {
            party.ports.insert(SocketId::MAIN, host.port());
        }
        party.learn_all(now);
        party
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let attempt = self.attempt.as_ref().and_then(Attempt::poll_timeout);
        self.timers.values().copied().chain(attempt).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Timestamp) {
        let due: Vec<Timer> =
            self.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            self.timers.remove(&timer);
            match timer {
                Timer::Stun(_) => self.ask_servers(now),
                Timer::Judge => self.judge(now),
                Timer::Report => self.wishes.push(Wish::Tell(Told::Call(self.side()))),
                Timer::Round => self.probe(now),
                Timer::Upkeep => self.keep_up(now),
                Timer::Technique => self.begin_technique(now),
            }
        }
        self.run_attempt(now, |attempt| attempt.handle_timeout(now));
    }

    pub(super) fn on_told(&mut self, now: Timestamp, told: &Told, seed: u64) {
        match told {
            Told::Call(side) => {
                let known = self.peer.as_ref().map(|peer| &peer.candidates);
                let is_new = known != Some(&side.candidates);
                self.selector.set_candidates(&side.candidates, now);
                self.peer = Some(side.clone());
                if is_new && !self.is_direct() {
                    self.begin_round(now, PAUSE_MIN);
                }
            }
            Told::Punch(punch) if self.attempt.is_some() => {
                self.run_attempt(now, |attempt| attempt.on_punch(now, punch));
            }
            Told::Punch(_) if self.is_direct() => {}
            Told::Punch(Punch { kind: PunchKind::MutualPrediction { window, .. }, .. }) => {
                self.begin_attempt(now, Technique::MutualPrediction { window: *window });
                if let Told::Punch(punch) = told {
                    self.run_attempt(now, |attempt| attempt.on_punch(now, punch));
                }
            }
            Told::Punch(punch) => {
                self.attempt = Some(Attempt::prober(now, punch, seed));
                self.follow_attempt(now);
            }
        }
    }

    pub(super) fn on_message(
        &mut self,
        now: Timestamp,
        socket: SocketId,
        from: SocketAddr,
        message: &Message,
    ) {
        match message {
            Message::Hairpin => self.on_hairpinned(),
            Message::Request(id) => {
                self.hear(now, socket, from);
                let reply = Message::Reply { id: *id, observed: from };
                self.wishes.push(Wish::Send { socket, to: from, message: reply });
                let is_new = self.selector.status(from).is_none();
                if !self.selector.may_carry(from, now) && self.triggered.take(is_new) {
                    self.learn(from);
                    self.request(now, socket, from);
                }
            }
            Message::Reply { id, observed } => {
                let asked = self.asked.binary_search_by_key(id, |asked| asked.id).ok();
                let is_answer = |asked: &Asked| asked.remote == from && asked.socket == socket;
                let place = asked.filter(|place| self.asked.get(*place).is_some_and(is_answer));
                let Some(Asked { remote, at, .. }) = place.and_then(|place| self.asked.remove(place)) else {
                    return;
                };
                let view = PeerView { socket, remote, observed: *observed, at: now };
                self.survey.evidence.add_peer_view(view);
                self.survey.refresh();
                if self.upkeep.is_some_and(|(asked, _)| asked == *id) {
                    self.upkeep = None;
                }
                if !self.selector.may_carry(from, now) {
                    self.socket_of.insert(from, socket);
                }
                self.learn(from);
                let rtt_us = u32::try_from(now.since(at).as_micros()).unwrap_or(u32::MAX);
                self.observe(now, from, ObservationKind::ProbeAnswered { rtt_us });
                self.run_attempt(now, |attempt| attempt.on_opened(socket));
            }
        }
    }

    fn is_direct(&self) -> bool {
        self.path.is_some_and(|path| path != RELAY)
    }

    fn learn(&mut self, address: SocketAddr) {
        let (kind, source) = (CandidateKind::PeerReflexive, CandidateSource::Peer);
        self.selector.add_candidate(Candidate { kind, address, base: None, source });
    }

    fn begin_round(&mut self, now: Timestamp, pause: Duration) {
        let (start, step, _) = self.round;
        if step > 0 && now < start + SPACING {
            self.is_round_wanted = true;
            self.round.2 = pause;
            return;
        }
        self.round = (now, 0, pause);
        self.wishes.push(Wish::Note(Note::RoundBegins));
        self.probe(now);
    }

    fn probe(&mut self, now: Timestamp) {
        if self.is_direct() {
            return;
        }
        if std::mem::take(&mut self.is_round_wanted) {
            match now < self.round.0 + SPACING {
                true => self.is_round_wanted = true,
                false => self.round.1 = 0,
            }
        }
        let (start, step, pause) = self.round;
        let rhythm = self.peer.as_ref().map(|peer| plan(&self.side(), peer, self.failures).opening.rhythm_ms);
        let Some(rhythm) = rhythm else { return };
        if step == 0 {
            self.triggered = TriggeredChecks::default();
            self.selector.forget_learnt(u32::try_from(rhythm.len()).unwrap_or(u32::MAX), now);
            self.timers.insert_new(Timer::Technique, now + VAIN_PATIENCE);
            if start != now {
                self.round = (now, 0, pause);
                self.wishes.push(Wish::Tell(Told::Call(self.side())));
            }
        }
        let (start, step, pause) = self.round;
        let targets: Vec<SocketAddr> = self.selector.probe_targets().collect();
        for target in targets {
            self.request(now, SocketId::MAIN, target);
        }
        self.round.1 = step + 1;
        if let Some(ms) = rhythm.get(step + 1) {
            self.timers.insert(Timer::Round, start + Duration::from_millis(u64::from(*ms)));
        } else {
            self.round = (start, 0, (pause * 2).min(PAUSE_MAX));
            self.timers.insert(Timer::Round, now + pause);
            self.timers.insert_new(Timer::Technique, now + ROUND_PATIENCE);
        }
    }

    fn request(&mut self, now: Timestamp, socket: SocketId, to: SocketAddr) {
        while self.asked.front().is_some_and(|oldest| now.since(oldest.at) >= ANSWERS) {
            self.asked.pop_front();
        }
        if self.asked.len() >= ASKED_MAX {
            return;
        }
        self.next_id += 1;
        self.probes += 1;
        self.survey.sent_to.insert_new((socket, to), now);
        self.asked.push_back(Asked { id: self.next_id, remote: to, socket, at: now });
        self.wishes.push(Wish::Send { socket, to, message: Message::Request(self.next_id) });
        self.observe(now, to, ObservationKind::ProbeSent);
    }

    fn keep_up(&mut self, now: Timestamp) {
        let Some(path) = self.path.filter(|path| *path != RELAY) else { return };
        if self.upkeep.take().is_some() {
            self.observe(now, path, ObservationKind::ProbeUnanswered);
        }
        if self.path != Some(path) {
            return;
        }
        let socket = self.socket_of.get(&path).copied().unwrap_or(SocketId::MAIN);
        self.request(now, socket, path);
        self.upkeep = Some((self.next_id, now));
        let unanswered = self.selector.status(path).is_some_and(
            |status| matches!(status, crate::PathStatus::Answered { unanswered, .. } if *unanswered > 0),
        );
        self.timers.insert(Timer::Upkeep, now + if unanswered { PATIENCE } else { UPKEEP });
    }

    fn observe(&mut self, now: Timestamp, remote: SocketAddr, kind: ObservationKind) {
        self.selector.observe(Observation { remote, at: now, kind });
        if kind == ObservationKind::ProbeSent {
            return;
        }
        let path = self.selector.select(now).chosen.map(|candidate| candidate.address);
        if path == self.path {
            return;
        }
        let was_direct = self.is_direct();
        self.path = path;
        self.wishes.push(Wish::Note(Note::Path(path)));
        if self.is_direct() {
            self.failures = 0;
            self.upkeep = None;
            self.timers.remove(&Timer::Round);
            self.timers.remove(&Timer::Technique);
            self.timers.insert(Timer::Upkeep, now + UPKEEP);
        } else if was_direct {
            self.timers.remove(&Timer::Upkeep);
            // Something changed, so everything is learnt anew.
            self.socket_of.clear();
            self.learn_all(now);
            self.begin_round(now, PAUSE_MIN);
        }
    }
}
