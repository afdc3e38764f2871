//! One pair of nodes in simulated time: what would happen if the routers were like this?
//!
//! [`simulate`] plays the real decisions (classification, plan, attempt, selection) against simulated boxes, and tells what
//! happened when. Chance comes from one seed, so a scenario is a whole run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use super::network::{Arrival, CARRIER_SERVER, Network, SERVERS, Turned};
use super::party::{Message, Note, Party, RELAY, Told, Wish};
use super::rng::Rng;
use super::run::{Run, RunEvent, RunEventKind};
use super::scenario::{Scenario, ScenarioError};
use crate::explain::{NodeView, Pair, RelayName, explain};
use crate::socket::SocketId;
use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// The most events that are told; a run that goes on for an hour repeats itself.
const EVENTS_MAX: usize = 500;

/// Plays a scenario.
///
/// # Errors
/// Names the field that is beyond its bound.
pub fn simulate(scenario: &Scenario) -> Result<Run, ScenarioError> {
    scenario.validate()?;
    let mut play = Play::new(scenario);
    play.run();
    Ok(play.finish())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Start(usize),
    Wake(usize),
    Arrive(Turned, Content),
    Told(usize, Told),
    ForeignFlows(usize),
    Change(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    StunRequest,
    StunResponse { server: SocketAddr, reflexive: SocketAddr },
    Probe(Message),
}

struct Play<'a> {
    scenario: &'a Scenario,
    now: Timestamp,
    rng: Rng,
    network: Network,
    parties: [Option<Party>; 2],
    /// The local port of each open socket, by node.
    sockets: [Vec<(SocketId, u16)>; 2],
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    due: SortedMap<usize, Due>,
    pushed: usize,
    /// When each party is woken next.
    wake_at: [Option<Timestamp>; 2],
    events: Vec<RunEvent>,
    direct: [bool; 2],
    direct_after: Option<Timestamp>,
    mappings_max: [u32; 2],
}

/// Foreign flows come in portions of this length.
const FOREIGN_INTERVAL: Duration = Duration::from_millis(50);

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let mut play = Self {
            scenario,
            now: Timestamp::default(),
            rng: Rng::new(scenario.seed),
            network: Network::new(scenario),
            parties: [None, None],
            sockets: [Vec::new(), Vec::new()],
            queue: BinaryHeap::new(),
            due: SortedMap::new(),
            pushed: 0,
            wake_at: [None; 2],
            events: Vec::new(),
            direct: [false; 2],
            direct_after: None,
            mappings_max: [0; 2],
        };
        for (host, node) in scenario.nodes.iter().enumerate() {
            play.push(ms(node.starts_at_ms), Due::Start(host));
            if node.foreign_flows_per_s > 0 {
                play.push(Timestamp::default(), Due::ForeignFlows(host));
            }
        }
        for (index, change) in scenario.changes.iter().enumerate() {
            play.push(ms(change.at_ms), Due::Change(index));
        }
        play
    }

    fn run(&mut self) {
        let end = ms(self.scenario.duration_ms);
        while let Some(Reverse((at, number))) = self.queue.pop()
            && at <= end
        {
            self.now = at;
            if let Some(due) = self.due.remove(&number) {
                self.handle(due);
            }
        }
        self.now = end;
    }

    fn push(&mut self, at: Timestamp, due: Due) {
        self.pushed += 1;
        self.queue.push(Reverse((at, self.pushed)));
        self.due.insert(self.pushed, due);
    }

    fn handle(&mut self, due: Due) {
        match due {
            Due::Start(host) => {
                let port = self.port();
                self.sockets[host].push((SocketId::MAIN, port));
                let hosts = self.network.addresses(host).map(|ip| SocketAddr::new(ip, port)).collect();
                let mut servers = SERVERS.to_vec();
                servers.extend(self.scenario.carrier_server.then_some(CARRIER_SERVER));
                self.parties[host] = Some(Party::new(self.now, hosts, servers, host == 0));
                self.settle(host);
            }
            // An earlier one came between, and did what was due.
            Due::Wake(host) if self.wake_at[host] != Some(self.now) => {}
            Due::Wake(host) => {
                self.wake_at[host] = None;
                self.with(host, |party, now| party.handle_timeout(now));
            }
            Due::Told(host, told) => {
                let seed = self.rng.number();
                self.with(host, |party, now| party.on_told(now, &told, seed));
            }
            Due::Arrive(turned, content) => self.arrive(turned, content),
            Due::ForeignFlows(host) => {
                let per_s = u32::from(self.scenario.nodes[host].foreign_flows_per_s);
                // A mean of so many, without a rhythm that a prediction could lean on.
                let mean_milli = per_s * 50;
                let flows = mean_milli / 1_000 + u32::from(self.rng.chance(mean_milli % 1_000 * 1_000));
                self.network.foreign_flows(self.now, host, flows, &mut self.rng);
                self.push(self.now + FOREIGN_INTERVAL, Due::ForeignFlows(host));
            }
            Due::Change(index) => {
                let change = &self.scenario.changes[index];
                self.network.set_behaviour(usize::from(change.node), change.behaviour);
            }
        }
    }

    fn with(&mut self, host: usize, act: impl FnOnce(&mut Party, Timestamp)) {
        let now = self.now;
        if let Some(party) = &mut self.parties[host] {
            act(party, now);
            self.settle(host);
        }
    }

    /// Does what a party wishes, until it wishes nothing more.
    fn settle(&mut self, host: usize) {
        loop {
            let Some(party) = &mut self.parties[host] else { return };
            let wishes = std::mem::take(&mut party.wishes);
            if wishes.is_empty() {
                break;
            }
            for wish in wishes {
                self.grant(host, wish);
            }
        }
        let mappings = u32::try_from(self.network.mappings(host)).unwrap_or(u32::MAX);
        self.mappings_max[host] = self.mappings_max[host].max(mappings);
        let next = self.parties[host].as_ref().and_then(Party::next_at);
        // A deadline in the past would stop the clock.
        let next = next.map(|at| at.max(self.now + Duration::from_micros(1)));
        if let Some(at) = next.filter(|_| next != self.wake_at[host]) {
            self.wake_at[host] = Some(at);
            self.push(at, Due::Wake(host));
        }
    }

    fn grant(&mut self, host: usize, wish: Wish) {
        match wish {
            Wish::Open(socket) => {
                let port = self.port();
                self.sockets[host].push((socket, port));
                if let Some(party) = &mut self.parties[host] {
                    party.on_opened_socket(self.now, socket, port);
                }
            }
            Wish::MapPort => {
                let port = self.sockets[host].iter().find(|(socket, _)| *socket == SocketId::MAIN);
                if let (true, Some((_, port))) = (self.scenario.nodes[host].has_port_mapping, port)
                    && let Some(outside) = self.network.open_port(host, *port, &mut self.rng)
                    && let Some(party) = &mut self.parties[host]
                {
                    party.on_port_mapped(self.now, outside);
                }
            }
            Wish::Close(socket) => self.sockets[host].retain(|(open, _)| *open != socket),
            Wish::Stun { socket, server } => self.send(host, socket, server, Content::StunRequest),
            Wish::Send { socket, to, message } => self.send(host, socket, to, Content::Probe(message)),
            Wish::Tell(told) => {
                let other = 1 - host;
                let reaches = !self.scenario.nodes.iter().any(|node| node.is_udp_blocked);
                if reaches && self.parties[other].is_some() {
                    self.push(self.now + self.distance(), Due::Told(other, told));
                } else if let (Told::Call(_), false) = (&told, self.parties[other].is_some()) {
                    // The map tells it as soon as the other is there.
                    let at = ms(self.scenario.nodes[other].starts_at_ms) + self.distance();
                    self.push(at.max(self.now + Duration::from_micros(1)), Due::Told(other, told));
                }
            }
            Wish::Note(note) => self.note(host, note),
        }
    }

    fn note(&mut self, host: usize, note: Note) {
        let what = match note {
            Note::Learnt(nat) => RunEventKind::Learnt { nat },
            Note::RoundBegins => RunEventKind::RoundBegan,
            Note::AttemptBegins(technique) => RunEventKind::AttemptBegan { technique },
            Note::AttemptEnds(outcome) => RunEventKind::AttemptEnded { outcome },
            Note::Path(remote) => {
                self.direct[host] = remote.is_some_and(|remote| remote != RELAY);
                if self.direct == [true; 2] {
                    self.direct_after.get_or_insert(self.now);
                }
                RunEventKind::PathChanged { remote, is_relay: remote == Some(RELAY) }
            }
        };
        if self.events.len() < EVENTS_MAX {
            let at_ms = u32::try_from(self.now.as_micros() / 1_000).unwrap_or(u32::MAX);
            self.events.push(RunEvent { at_ms, node: u8::from(host == 1), what });
        }
    }

    fn send(&mut self, host: usize, socket: SocketId, to: SocketAddr, content: Content) {
        let Some((_, port)) = self.sockets[host].iter().find(|(open, _)| *open == socket).copied() else {
            return;
        };
        let Some(turned) = self.network.send(self.now, (host, port), to, &mut self.rng) else { return };
        let stays = self.scenario.same_network && self.network.addresses(1 - host).next() == Some(to.ip());
        if stays {
            self.push(self.now + Duration::from_micros(300), Due::Arrive(turned, content));
            return;
        }
        if self.scenario.nodes[host].is_udp_blocked || self.rng.chance(self.scenario.loss_ppm) {
            return;
        }
        let jitter = self.rng.duration_below(Duration::from_millis(1));
        self.push(self.now + self.delay(host) + jitter, Due::Arrive(turned, content));
    }

    fn arrive(&mut self, turned: Turned, content: Content) {
        match (self.network.arrive(self.now, turned), content) {
            (Some(Arrival::Server { server, from }), Content::StunRequest) => {
                let back = self.network.answer(server, from);
                let answer = Content::StunResponse { server, reflexive: from };
                // The way back takes as long as the way there; whose it is, is known on arrival.
                self.push(self.now + self.distance() / 2, Due::Arrive(back, answer));
            }
            (Some(Arrival::Host { host, from, to }), content) => {
                let socket = self.sockets[host].iter().find(|(_, port)| *port == to.port());
                let Some((socket, _)) = socket.copied() else { return };
                match content {
                    Content::StunResponse { server, reflexive } if from == server => {
                        self.with(host, |party, now| party.on_reflexive(now, socket, server, reflexive));
                    }
                    Content::Probe(message) => {
                        self.with(host, |party, now| party.on_message(now, socket, from, &message));
                    }
                    Content::StunRequest | Content::StunResponse { .. } => {}
                }
            }
            (Some(Arrival::Server { .. }) | None, _) => {}
        }
    }

    fn delay(&self, host: usize) -> Duration {
        Duration::from_millis(u64::from(self.scenario.nodes[host].delay_ms).max(1))
    }

    /// From one node to the other.
    fn distance(&self) -> Duration {
        self.delay(0) + self.delay(1)
    }

    /// A free local port, from Linux' ephemeral range.
    fn port(&mut self) -> u16 {
        loop {
            let port = 32_768 + u16::try_from(self.rng.below(28_000)).unwrap_or(0);
            if !self.sockets.iter().flatten().any(|(_, taken)| *taken == port) {
                return port;
            }
        }
    }

    fn finish(self) -> Run {
        let view = |host: usize| {
            let name = self.scenario.nodes[host].name.clone();
            let Some(party) = &self.parties[host] else {
                return NodeView { name, ..NodeView::default() };
            };
            let side = party.side();
            let paths = Some(party.selector.snapshot(self.now));
            NodeView { name, candidates: side.candidates, nat: side.nat, paths }
        };
        let relays = vec![RelayName { name: "r1".into(), address: RELAY }];
        let explanation = explain(&Pair { own: view(0), peer: view(1), mesh: Vec::new(), relays });
        let started = self.scenario.nodes.iter().map(|node| node.starts_at_ms).max().unwrap_or(0);
        let after = |at: Timestamp| u32::try_from(at.since(ms(started)).as_millis()).unwrap_or(u32::MAX);
        let probes = |host: usize| self.parties[host].as_ref().map_or(0, |party| party.probes);
        Run {
            direct_after_ms: self.direct_after.map(after),
            is_direct: self.direct == [true; 2],
            probes: [probes(0), probes(1)],
            mappings_max: self.mappings_max,
            events: self.events,
            explanation,
        }
    }
}

fn ms(ms: u32) -> Timestamp {
    Timestamp::from_micros(u64::from(ms) * 1_000)
}

#[cfg(test)]
mod tests;
