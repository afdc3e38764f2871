//! How a party carries out what the plan says.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Note, Party, Timer, Told, Wish};
use crate::candidate::{Candidate, CandidateKind};
use crate::nat::Allocation;
use crate::socket::SocketId;
use crate::time::Timestamp;
use crate::traversal::{Attempt, AttemptOutput, Budget, Outcome, Party as Who, Side, Technique, plan};

impl Party {
    /// Begins what the plan says, where this side is the one that begins.
    pub(super) fn begin_technique(&mut self, now: Timestamp) {
        let Some(peer) = self.peer.clone().filter(|_| !self.is_direct()) else { return };
        // A measurement and an attempt would disturb each other.
        if let Some(at) = self.timers.get(&Timer::Judge).copied().filter(|_| self.is_measuring()) {
            self.timers.insert(Timer::Technique, at);
            return;
        }
        let own = self.side();
        let plan = plan(&own, &peer, self.failures);
        // Plain opening has its turn first, unless it is known to be in vain.
        if self.round.1 > 0 && plan.opening.chance_ppm != Some(0) {
            return;
        }
        let Some(planned) = plan.techniques.first().copied() else { return };
        let is_mapper = match planned.technique {
            Technique::Prediction { mapper, .. }
            | Technique::PortBlock { mapper, .. }
            | Technique::Birthday { mapper, .. } => mapper == Who::Own,
            Technique::MutualPrediction { .. } => true,
        };
        if is_mapper {
            self.begin_attempt(now, planned.technique);
        }
    }

    pub(super) fn begin_attempt(&mut self, now: Timestamp, technique: Technique) {
        let Some(peer) = self.peer.as_ref().filter(|_| self.attempt.is_none()) else { return };
        let own = self.side();
        let reflexive = |side: &Side| -> Vec<SocketAddr> {
            let is_seen = |c: &&Candidate| c.kind == CandidateKind::ServerReflexive;
            let seen: Vec<SocketAddr> = side.candidates.iter().filter(is_seen).map(|c| c.address).collect();
            if seen.is_empty() { side.candidates.iter().map(|c| c.address).collect() } else { seen }
        };
        let free: Vec<SocketId> = (1..=Budget::default().sockets_max).map(SocketId).collect();
        let Some(outside) = reflexive(&own).first().copied() else { return };
        let step = match own.nat.allocation {
            Some(Allocation::Sequential { step }) => step,
            _ => 0,
        };
        let attempt = Attempt::mapper(now, technique, outside, &reflexive(peer), &free, self.is_first);
        if let Some(attempt) = attempt {
            self.attempt = Some(attempt.with_step(step));
            self.wishes.push(Wish::Note(Note::AttemptBegins(technique)));
            self.follow_attempt(now);
        }
    }

    /// Lets the attempt do something, and does what it asks for.
    pub(super) fn run_attempt(&mut self, now: Timestamp, step: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = &mut self.attempt {
            step(attempt);
            self.follow_attempt(now);
        }
    }

    pub(super) fn follow_attempt(&mut self, now: Timestamp) {
        let (Some(mut attempt), Some(server)) = (self.attempt.take(), self.servers.first().copied()) else {
            return;
        };
        while let Some(output) = attempt.poll_output() {
            match output {
                AttemptOutput::Open { socket } => self.wishes.push(Wish::Open(socket)),
                AttemptOutput::Close { socket } => {
                    self.ports.remove(&socket);
                    self.wishes.push(Wish::Close(socket));
                }
                AttemptOutput::Stun { socket } => {
                    self.wishes.push(Wish::Stun { socket, server });
                }
                AttemptOutput::Signal { punch } => self.wishes.push(Wish::Tell(Told::Punch(punch))),
                AttemptOutput::Probe { socket, remote } => self.request(now, socket, remote),
            }
        }
        let Some(outcome) = attempt.outcome() else {
            self.attempt = Some(attempt);
            return;
        };
        self.wishes.push(Wish::Note(Note::AttemptEnds(outcome)));
        if outcome == Outcome::Failed {
            self.failures += 1;
            let pause = Duration::from_secs(Budget::default().pause_s(self.failures));
            self.timers.insert(Timer::Technique, now + pause);
        }
    }
}
