//! One attempt at one pair: asks for sockets, STUN answers, signals and probes, each in its time and within the budget.
//!
//! The loop around it is the engine's: feed what happened, do what [`Attempt::poll_output`] says, come back at
//! [`Attempt::poll_timeout`]. It ends by itself.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::cost::{LEAD_MS, TAIL_MS, sending_ms};
use super::technique::{Punch, PunchKind, Technique};
use super::volley::Volley;
use crate::address::check_address;
use crate::socket::SocketId;
use crate::time::Timestamp;

/// For how long a mapper waits for a STUN server's answer to a new socket, before it counts as lost.
const STUN_PATIENCE: Duration = Duration::from_millis(500);

/// How often a socket asks.
const STUN_TRIES: u8 = 3;

/// So many of the prober's addresses are sent to that a mapper's rounds over its sockets stay within the budget of probes.
pub(super) const REMOTES_MAX: usize = 2;

/// Probes that are sent at once at the most. A loop that comes late sends the rest later, not faster.
const BURST_MAX: usize = 16;

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum AttemptOutput {
    /// Open this socket.
    Open {
        /// Its name.
        socket: SocketId,
    },
    /// Close it.
    Close {
        /// Its name.
        socket: SocketId,
    },
    /// Ask a STUN server from this socket what it sees.
    Stun {
        /// Which socket.
        socket: SocketId,
    },
    /// Tell the peer over a relay.
    Signal {
        /// What.
        punch: Punch,
    },
    /// Probe this address from this socket.
    Probe {
        /// Which socket.
        socket: SocketId,
        /// Where to.
        remote: SocketAddr,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// A probe came back on this socket; it stays open.
    Opened {
        /// Which socket.
        socket: SocketId,
    },
    /// Nothing came back in time.
    Failed,
}

/// What this party is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    /// Waits for a STUN server's word on its newest mapping.
    Asking { kind: PunchKind, asked_at: Timestamp, tries: u8 },
    /// Knows its own newest mapping, and waits for the other's.
    Waiting,
    /// Sends.
    Sending,
}

/// One attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    budget: Budget,
    role: Role,
    is_first: bool,
    remotes: Vec<SocketAddr>,
    sockets: Vec<SocketId>,
    opened: Vec<SocketId>,
    theirs: Option<Punch>,
    volley: Option<(Volley, Timestamp)>,
    /// Round and shot that come next.
    next: (u16, u32),
    /// For how long the party that takes longer sends.
    sending: Duration,
    /// After this it has failed.
    deadline: Timestamp,
    outputs: VecDeque<AttemptOutput>,
    outcome: Option<Outcome>,
}

impl Attempt {
    /// The mapper's part. It sends to `remotes`, the prober's known addresses, from new sockets; `free` are names for these.
    /// `outside` is its own address as the internet sees it, for techniques in which the newest port does not matter.
    /// `is_first` must differ between the two parties; any order of the two will do. `None` where there is no socket, or no
    /// address that may be sent to.
    #[must_use]
    pub fn mapper(
        now: Timestamp,
        technique: Technique,
        outside: SocketAddr,
        remotes: &[SocketAddr],
        free: &[SocketId],
        is_first: bool,
    ) -> Option<Self> {
        let budget = Budget::default();
        let (kind, wanted) = technique.orders(&budget);
        let sockets: Vec<SocketId> = free.iter().copied().take(usize::from(wanted)).collect();
        let is_usable = |remote: &SocketAddr| check_address(*remote, &[]).is_ok();
        let remotes: Vec<SocketAddr> = remotes.iter().copied().filter(is_usable).take(REMOTES_MAX).collect();
        if sockets.is_empty() || remotes.is_empty() {
            return None;
        }
        let mut attempt = Self::new(now, budget, is_first);
        attempt.sending = Duration::from_millis(u64::from(sending_ms(kind, wanted, &budget)));
        attempt.remotes = remotes;
        attempt.sockets = sockets;
        if kind.needs_newest() {
            attempt.sockets.clone().into_iter().for_each(|socket| attempt.open(socket));
            attempt.role = Role::Asking { kind, asked_at: now, tries: 0 };
            attempt.ask(now);
        } else {
            // The first socket is opened first: without one there is nothing to be found.
            attempt.send(now, Volley::map(attempt.sockets.clone(), attempt.remotes.clone(), &budget));
            attempt.outputs.push_back(AttemptOutput::Signal { punch: Punch { outside, kind } });
        }
        Some(attempt)
    }

    /// The step of the own NAT, for a mutual prediction: part of what the other is told.
    #[must_use]
    pub fn with_step(mut self, own_step: i16) -> Self {
        if let Role::Asking { kind: PunchKind::MutualPrediction { step, .. }, .. } = &mut self.role {
            *step = own_step;
        }
        self
    }

    /// The prober's part: does what the mapper's signal asks for, within the own budget. `seed` scatters the ports. A signal
    /// that asks for probes to nowhere, or to an address that is no peer's, has failed from the start.
    #[must_use]
    pub fn prober(now: Timestamp, punch: &Punch, seed: u64) -> Self {
        let budget = Budget::default();
        let mut attempt = Self::new(now, budget, false);
        if punch.is_sound() {
            let volley = Volley::answering(punch, seed, &budget);
            attempt.sending = Duration::from_micros(volley.duration_us(&budget));
            attempt.send(now, volley);
        } else {
            attempt.finish(Outcome::Failed);
        }
        attempt
    }

    fn new(now: Timestamp, budget: Budget, is_first: bool) -> Self {
        Self {
            budget,
            role: Role::Waiting,
            is_first,
            remotes: Vec::new(),
            sockets: Vec::new(),
            opened: Vec::new(),
            theirs: None,
            volley: None,
            next: (0, 0),
            sending: Duration::ZERO,
            deadline: now + Duration::from_millis(u64::from(LEAD_MS)),
            outputs: VecDeque::new(),
            outcome: None,
        }
    }

    /// A STUN server told the newest mapping of `socket`.
    pub fn on_reflexive(&mut self, now: Timestamp, socket: SocketId, outside: SocketAddr) {
        let Role::Asking { kind, .. } = self.role else { return };
        let is_usable = check_address(outside, &[]).is_ok();
        if !self.sockets.contains(&socket) || !is_usable || self.outcome.is_some() {
            return;
        }
        self.outputs.push_back(AttemptOutput::Signal { punch: Punch { outside, kind } });
        match kind {
            PunchKind::MutualPrediction { .. } => {
                self.role = Role::Waiting;
                self.walk(now);
            }
            PunchKind::Prediction { .. } | PunchKind::Range { .. } => {
                self.send(now, Volley::map(self.sockets.clone(), self.remotes.clone(), &self.budget));
            }
        }
    }

    /// The other party of a mutual prediction told its newest mapping.
    pub fn on_punch(&mut self, now: Timestamp, punch: &Punch) {
        let is_mutual = matches!(punch.kind, PunchKind::MutualPrediction { .. });
        if is_mutual && punch.is_sound() && self.theirs.is_none() && self.outcome.is_none() {
            self.theirs = Some(*punch);
            self.walk(now);
        }
    }

    /// A probe came back on `socket`: the attempt is over, and every other socket of it is closed.
    pub fn on_opened(&mut self, socket: SocketId) {
        self.finish(Outcome::Opened { socket });
    }

    /// The host gave no such socket. An attempt without any has failed.
    pub fn on_no_socket(&mut self, socket: SocketId) {
        let had_any = !self.sockets.is_empty();
        self.sockets.retain(|ours| *ours != socket);
        self.opened.retain(|ours| *ours != socket);
        if had_any && self.sockets.is_empty() {
            self.finish(Outcome::Failed);
        }
    }

    /// When [`Self::handle_timeout`] is wanted next; `None` once it is over.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.outcome.is_some() {
            return None;
        }
        let asked = match self.role {
            Role::Asking { asked_at, .. } => Some(asked_at + STUN_PATIENCE),
            Role::Waiting | Role::Sending => None,
        };
        [asked, self.shot_at(), Some(self.deadline)].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        if self.outcome.is_some() {
            return;
        }
        if now >= self.deadline {
            self.finish(Outcome::Failed);
            return;
        }
        if let Role::Asking { asked_at, .. } = self.role
            && now >= asked_at + STUN_PATIENCE
        {
            self.ask(now);
        }
        for _ in 0..BURST_MAX {
            if self.shot_at().is_none_or(|at| at > now) {
                return;
            }
            self.shoot();
        }
        self.delay(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<AttemptOutput> {
        self.outputs.pop_front()
    }

    /// The sockets that it has opened so far, for whoever ends it before its time.
    #[must_use]
    pub fn open_sockets(&self) -> &[SocketId] {
        &self.opened
    }

    /// How it ended, once it has.
    #[must_use]
    pub const fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Opens a socket of ours the first time that it is needed: many at once would be a burst of system calls.
    fn open(&mut self, socket: SocketId) {
        if self.sockets.contains(&socket) && !self.opened.contains(&socket) {
            self.opened.push(socket);
            self.outputs.push_back(AttemptOutput::Open { socket });
        }
    }

    fn ask(&mut self, now: Timestamp) {
        let Role::Asking { asked_at, tries, .. } = &mut self.role else { return };
        if *tries == STUN_TRIES {
            self.finish(Outcome::Failed);
            return;
        }
        (*asked_at, *tries) = (now, *tries + 1);
        self.outputs.extend(self.sockets.iter().map(|socket| AttemptOutput::Stun { socket: *socket }));
    }

    fn walk(&mut self, now: Timestamp) {
        let (Role::Waiting, Some(Punch { outside, kind }), Some(socket)) =
            (&self.role, self.theirs, self.sockets.first())
        else {
            return;
        };
        if let PunchKind::MutualPrediction { step, window } = kind {
            // The window is the other's. Where it is not the own one, because the two have failed a different number of times,
            // the narrower of the two still is where they meet.
            self.send(now, Volley::walk(*socket, outside, (step, window), self.is_first, &self.budget));
        }
    }

    fn send(&mut self, now: Timestamp, volley: Volley) {
        self.role = Role::Sending;
        self.deadline = now + self.sending + Duration::from_millis(u64::from(TAIL_MS));
        self.volley = Some((volley, now));
        self.handle_timeout(now);
    }

    fn shot_at(&self) -> Option<Timestamp> {
        let (volley, start) = self.volley.as_ref()?;
        let (round, index) = self.next;
        volley.time_us(round, index, &self.budget).map(|us| *start + Duration::from_micros(us))
    }

    fn shoot(&mut self) {
        let Some((volley, _)) = &self.volley else { return };
        let (round, index) = self.next;
        let is_ours = |socket: SocketId| socket == SocketId::MAIN || self.sockets.contains(&socket);
        let (shot, len) = (volley.shot(index).filter(|(socket, _)| is_ours(*socket)), volley.len());
        if let Some((socket, remote)) = shot {
            self.open(socket);
            self.outputs.push_back(AttemptOutput::Probe { socket, remote });
        }
        self.next = if index + 1 < len { (round, index + 1) } else { (round + 1, 0) };
    }

    /// Moves what is overdue behind `now`.
    fn delay(&mut self, now: Timestamp) {
        let interval = Duration::from_micros(self.budget.interval_us());
        let late = self.shot_at().filter(|at| *at <= now).map(|at| now.since(at) + interval);
        if let (Some(late), Some((_, start))) = (late, &mut self.volley) {
            *start = *start + late;
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        if self.outcome.is_some() {
            return;
        }
        self.outcome = Some(outcome);
        let kept = match outcome {
            Outcome::Opened { socket } => Some(socket),
            Outcome::Failed => None,
        };
        let closed = self.opened.iter().filter(|socket| Some(**socket) != kept);
        self.outputs.extend(closed.map(|socket| AttemptOutput::Close { socket: *socket }));
    }
}

#[cfg(test)]
mod tests;
