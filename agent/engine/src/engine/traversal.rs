//! The engine beyond plain opening: one attempt at a time, so that the budget of an attempt is the budget of the node; and the
//! side sockets of attempts, measurements and paths.

use std::time::Duration;

use endpoint_selection::nat::Allocation;
use endpoint_selection::traversal::{
    Attempt, AttemptOutput, Budget, Outcome, Punch, PunchKind, Side, Technique,
};
use endpoint_selection::{SocketId, Timestamp};
use protocol::key::PublicKey;

use super::Engine;
use crate::context::{Context, Notice};
use crate::output::Output;
use crate::peer::Peer;

/// The attempt that is under way.
pub(super) struct Underway {
    peer: PublicKey,
    attempt: Attempt,
    /// Names of side sockets for it; most are opened only when their turn comes.
    names: Vec<SocketId>,
    /// What waits for its socket to be open.
    waiting: Vec<(SocketId, AttemptOutput)>,
}

impl Underway {
    const fn new(peer: PublicKey, attempt: Attempt, names: Vec<SocketId>) -> Self {
        Self { peer, attempt, names, waiting: Vec::new() }
    }
}

impl Engine {
    /// This node as plans see it.
    pub(super) fn side(&self) -> Side {
        Side { candidates: self.discovery.candidates(), nat: self.discovery.nat() }
    }

    /// Deals with what peers noticed, until nothing is left to deal with.
    pub(super) fn take_notices(&mut self, now: Timestamp) {
        while !self.notices.is_empty() {
            for notice in std::mem::take(&mut self.notices) {
                self.discovery.on_notice(&notice);
                match notice {
                    Notice::Punch(peer, punch) => self.on_punch(now, peer, punch),
                    Notice::Opened(peer, socket) => {
                        self.step_attempt(now, Some(peer), |attempt| attempt.on_opened(socket));
                    }
                    Notice::Idle(socket) => self.close_socket(now, socket),
                    Notice::Lost => self.discovery.ask_soon(now),
                    Notice::Seen(_) | Notice::Heard(_) => {}
                }
            }
        }
    }

    /// Begins a measurement of the NAT, where one is due; not beside an attempt, whose mappings it would disturb.
    pub(super) fn begin_measuring(&mut self, now: Timestamp) {
        let wanted = self.discovery.wanted_sockets(now);
        if wanted > 0 && self.underway.is_none() {
            let sockets = self.sockets.take(wanted);
            self.discovery.begin_measuring(&mut context!(self, now), sockets);
        }
        if self.underway.is_none()
            && self.discovery.wants_watch(now)
            && let Some(socket) = self.sockets.take(1).first()
            && !self.discovery.begin_watching(&mut context!(self, now), *socket)
        {
            self.sockets.release(*socket);
        }
    }

    /// Begins the attempt that is due, where none is under way and no measurement either: they would disturb each other.
    pub(super) fn begin_attempt_that_is_due(&mut self, now: Timestamp) {
        if self.underway.is_some() || self.discovery.is_measuring() {
            return;
        }
        let due: Vec<PublicKey> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.punch_at().is_some_and(|at| at <= now))
            .map(|(key, _)| *key)
            .collect();
        if due.is_empty() {
            return;
        }
        let own = self.side();
        for key in due {
            let wanted = self.peers.get_mut(&key).and_then(|peer| peer.take_attempt(now, &own));
            if let Some(wanted) = wanted
                && self.begin_attempt(now, key, wanted.technique, &wanted.remotes)
            {
                return;
            }
        }
    }

    /// When something of the above is due. An attempt that waits for another one, or for a measurement, to end is not.
    pub(super) fn traversal_at(&self) -> Option<Timestamp> {
        let attempt = match &self.underway {
            Some(underway) => underway.attempt.poll_timeout(),
            None if self.discovery.is_measuring() => None,
            None => self.peers.values().filter_map(Peer::punch_at).min(),
        };
        attempt.into_iter().chain(self.sockets.next_at()).min()
    }

    /// Moves the attempt on.
    pub(super) fn handle_attempt_timeout(&mut self, now: Timestamp) {
        self.step_attempt(now, None, |attempt| attempt.handle_timeout(now));
    }

    /// The answer to [`Output::OpenSocket`].
    pub(super) fn on_socket_opened(&mut self, now: Timestamp, socket: SocketId, port: Option<u16>) {
        if port.is_some() {
            self.sockets.set_open(socket);
        } else {
            self.sockets.release(socket);
        }
        if self.discovery.on_socket_opened(&mut context!(self, now), socket, port) {
            return;
        }
        let is_wanted = |underway: &&mut Underway| underway.attempt.open_sockets().contains(&socket);
        let Some(underway) = self.underway.as_mut().filter(is_wanted) else {
            // Whoever wanted it has given up meanwhile.
            self.close_socket(now, socket);
            return;
        };
        let (ready, waiting) = std::mem::take(&mut underway.waiting)
            .into_iter()
            .partition(|(waits_for, _)| *waits_for == socket);
        underway.waiting = waiting;
        if port.is_some() {
            let (peer, ready): (_, Vec<(SocketId, AttemptOutput)>) = (underway.peer, ready);
            for (_, output) in ready {
                self.do_for_attempt(now, peer, output);
            }
        } else {
            self.step_attempt(now, None, |attempt| attempt.on_no_socket(socket));
        }
    }

    /// A STUN server told what it sees a side socket as.
    pub(super) fn on_side_reflexive(
        &mut self,
        now: Timestamp,
        socket: SocketId,
        reflexive: std::net::SocketAddr,
    ) {
        self.discovery.test_hairpinning(&mut context!(self, now), socket, reflexive);
        self.step_attempt(now, None, |attempt| attempt.on_reflexive(now, socket, reflexive));
    }

    /// A peer is gone: so is the attempt at it.
    pub(super) fn forget_attempt(&mut self, now: Timestamp, peer: &PublicKey) {
        if let Some(underway) = self.underway.take_if(|underway| underway.peer == *peer) {
            for socket in underway.attempt.open_sockets() {
                self.close_socket(now, *socket);
            }
            self.release_unopened(&underway);
        }
    }

    /// An attempt is over: others may use the names that it never needed.
    fn release_unopened(&mut self, over: &Underway) {
        for name in over.names.iter().filter(|name| !over.attempt.open_sockets().contains(name)) {
            self.sockets.release(*name);
        }
    }

    /// Closes what lingered long enough.
    pub(super) fn close_silent_sockets(&mut self, now: Timestamp) {
        for socket in self.sockets.take_silent(now) {
            if !self.is_side_socket(socket) {
                self.close_socket(now, socket);
            }
        }
    }

    /// Whether a peer is reached through this socket.
    fn is_side_socket(&self, socket: SocketId) -> bool {
        self.peers.values().any(|peer| peer.side_socket() == Some(socket))
    }

    /// Closes a socket, now or once no peer speaks there any more. One that is still being opened is closed when the answer
    /// comes and nobody wants it any more.
    pub(super) fn close_socket(&mut self, now: Timestamp, socket: SocketId) {
        self.discovery.forget_socket(socket);
        if !self.sockets.let_go(now, socket) {
            return;
        }
        if self.sockets.is_open(socket) && self.sockets.release(socket) {
            self.outputs.push_back(Output::CloseSocket(socket));
        }
    }

    /// Returns whether it began.
    fn begin_attempt(
        &mut self,
        now: Timestamp,
        key: PublicKey,
        technique: Technique,
        remotes: &[std::net::SocketAddr],
    ) -> bool {
        let Some(outside) = self.discovery.outside() else { return false };
        let wanted = match technique {
            Technique::Prediction { .. } | Technique::MutualPrediction { .. } => 1,
            Technique::PortBlock { sockets, .. } | Technique::Birthday { sockets, .. } => {
                usize::from(sockets)
            }
        };
        let free = self.sockets.take(wanted);
        let is_first = self.config.private_key.public_key() < key;
        let start = now.max(self.attempts_from);
        let attempt = Attempt::mapper(start, technique, outside, remotes, &free, is_first);
        let Some(attempt) = attempt else {
            for socket in free {
                self.sockets.release(socket);
            }
            return false;
        };
        let step = match self.discovery.nat().allocation {
            Some(Allocation::Sequential { step }) => step,
            Some(Allocation::Preserving | Allocation::PortBlock { .. } | Allocation::Random) | None => 0,
        };
        self.underway = Some(Underway::new(key, attempt.with_step(step), free));
        self.step_attempt(now, None, |_| ());
        true
    }

    fn on_punch(&mut self, now: Timestamp, key: PublicKey, punch: Punch) {
        if let Some(underway) = &self.underway {
            // Another peer's wish comes again, after its pause.
            if underway.peer == key {
                self.step_attempt(now, Some(key), |attempt| attempt.on_punch(now, &punch));
            }
            return;
        }
        if let PunchKind::MutualPrediction { window, .. } = punch.kind {
            let remotes = self.peers.get(&key).map(Peer::punch_remotes).unwrap_or_default();
            let technique = Technique::MutualPrediction { window };
            if self.begin_attempt(now, key, technique, &remotes) {
                self.step_attempt(now, Some(key), |attempt| attempt.on_punch(now, &punch));
                return;
            }
        }
        let start = now.max(self.attempts_from);
        let attempt = Attempt::prober(start, &punch, self.entropy.number());
        self.underway = Some(Underway::new(key, attempt, Vec::new()));
        self.step_attempt(now, None, |_| ());
    }

    /// Lets the attempt (of `peer`, where one is named) do something, and does what it asks for.
    fn step_attempt(&mut self, now: Timestamp, peer: Option<PublicKey>, step: impl FnOnce(&mut Attempt)) {
        let is_meant = |underway: &mut Underway| peer.is_none_or(|peer| underway.peer == peer);
        let Some(mut underway) = self.underway.take_if(is_meant) else { return };
        step(&mut underway.attempt);
        while let Some(output) = underway.attempt.poll_output() {
            let waits_for = match output {
                AttemptOutput::Stun { socket } | AttemptOutput::Probe { socket, .. } => Some(socket),
                AttemptOutput::Signal { .. } => underway.attempt.open_sockets().first().copied(),
                AttemptOutput::Open { .. } | AttemptOutput::Close { .. } => None,
            };
            match waits_for.filter(|socket| *socket != SocketId::MAIN && !self.sockets.is_open(*socket)) {
                Some(socket) => underway.waiting.push((socket, output)),
                None => self.do_for_attempt(now, underway.peer, output),
            }
        }
        let Some(outcome) = underway.attempt.outcome() else {
            self.underway = Some(underway);
            return;
        };
        self.release_unopened(&underway);
        // The next one's first probe keeps its distance from this one's last: the rate is the node's.
        self.attempts_from = now + Duration::from_micros(Budget::default().interval_us());
        if outcome == Outcome::Failed
            && let Some(peer) = self.peers.get_mut(&underway.peer)
        {
            peer.on_attempt_failed(now);
        }
    }

    fn do_for_attempt(&mut self, now: Timestamp, key: PublicKey, output: AttemptOutput) {
        // A peer that was reached through a socket keeps it, whatever became of the attempt. It may be another one behind the same
        // NAT.
        if matches!(output, AttemptOutput::Close { socket } if self.is_side_socket(socket)) {
            return;
        }
        let Some(peer) = self.peers.get_mut(&key) else { return };
        match output {
            AttemptOutput::Open { socket } => self.outputs.push_back(Output::OpenSocket(socket)),
            AttemptOutput::Close { socket } => self.close_socket(now, socket),
            AttemptOutput::Stun { socket } => self.discovery.ask_one(&mut context!(self, now), socket),
            AttemptOutput::Signal { punch } => peer.send_punch(&mut context!(self, now), punch),
            AttemptOutput::Probe { socket, remote } => {
                peer.probe_from(&mut context!(self, now), socket, remote);
            }
        }
    }
}
