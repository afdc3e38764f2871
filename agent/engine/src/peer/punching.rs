//! When more than plain opening is tried with a peer, and with what.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::traversal::{Budget, Party, Plan, Punch, Side, Technique, plan};
use endpoint_selection::{CandidateKind, SocketId, Timestamp};
use protocol::probe::Message;

use super::{Peer, Route};
use crate::context::{Context, Notice};
use crate::output::TunnelPath;

/// After a round of plain opening without success, its last answers are waited for this long.
const ROUND_PATIENCE: Duration = Duration::from_millis(500);

/// Where plain opening is known to be in vain, so long after its round began more is tried: the peer's first answer is out by
/// then, and a wrong guess about the NATs costs no more than an attempt.
const VAIN_PATIENCE: Duration = Duration::from_millis(200);

/// A peer's wish to be probed by a technique is followed no more often than this, whatever it asks for.
const PUNCH_SPACING: Duration = Duration::from_secs(20);

/// How long a filter remembers whom we sent to: the five minutes that RFC 4787 REQ-5 recommends for mappings.
const FILTER_MEMORY: Duration = Duration::from_secs(300);

/// The most learnt addresses remembered as probed.
const CHECKED_MAX: usize = 128;

#[derive(Debug, Clone, Default)]
pub(super) struct Punching {
    /// When the next attempt may begin.
    at: Option<Timestamp>,
    failures: u32,
    /// When the peer's last wish was followed.
    followed_at: Option<Timestamp>,
    /// When an attempt probed last.
    probed_at: Option<Timestamp>,
    /// Learnt addresses that were probed, the newest last. The selector forgets them, filters in front of us do not.
    checked: VecDeque<SocketAddr>,
}

impl Punching {
    /// A round of plain opening begins; where it is in vain, an attempt need not wait for its end.
    pub(super) fn on_round_begun(&mut self, now: Timestamp) {
        self.at.get_or_insert(now + VAIN_PATIENCE);
    }

    /// A round of plain opening opened nothing; where no attempt is planned yet, one is.
    pub(super) fn on_round_over(&mut self, now: Timestamp) {
        self.at.get_or_insert(now + ROUND_PATIENCE);
    }

    /// A learnt address is probed.
    pub(super) fn note_checked(&mut self, address: SocketAddr) {
        self.checked.push_back(address);
        if self.checked.len() > CHECKED_MAX {
            self.checked.pop_front();
        }
    }

    /// Whether we may have made filters in front of us let in this address: an attempt may have probed any of late.
    pub(super) fn may_have_opened(&self, now: Timestamp, address: SocketAddr) -> bool {
        self.checked.contains(&address) || self.probed_at.is_some_and(|at| now.since(at) < FILTER_MEMORY)
    }

    /// There is a direct path. Where it is lost, the peer's next wish is about a new one, and need not wait.
    pub(super) const fn on_direct(&mut self) {
        self.at = None;
        self.failures = 0;
        self.followed_at = None;
    }
}

/// What an attempt needs.
pub(crate) struct Wanted {
    pub(crate) technique: Technique,
    /// The peer's addresses to send to.
    pub(crate) remotes: Vec<SocketAddr>,
}

impl Peer {
    /// When an attempt is wanted next.
    pub(crate) const fn punch_at(&self) -> Option<Timestamp> {
        self.punching.at
    }

    /// The other node as plans see it.
    pub(crate) fn side(&self) -> Side {
        Side { candidates: self.info.candidates.clone(), nat: self.info.nat }
    }

    /// What may open a direct path.
    pub(crate) fn plan(&self, own: &Side) -> Plan {
        plan(own, &self.side(), self.punching.failures)
    }

    /// The attempt that is due, where this node is the one to begin it and plain opening has had its turn. The next round, or
    /// the end of the attempt, makes another one due.
    pub(crate) fn take_attempt(&mut self, now: Timestamp, own: &Side) -> Option<Wanted> {
        self.punching.at.take_if(|at| *at <= now)?;
        let is_plain = self.info.plain_endpoint.is_some();
        // Where an address answers, though badly, the boxes let us through: what is lost on the way behind them, another mapping
        // would lose as well.
        let answers = self.selector.probe_targets().any(|target| self.selector.may_carry(target, now));
        if self.is_direct() || answers || is_plain || self.is_idle(now) || !self.selector.has_relay() {
            return None;
        }
        let plan = self.plan(own);
        if !self.schedule.is_between_rounds() && plan.opening.chance_ppm != Some(0) {
            return None;
        }
        let technique = plan.techniques.first()?.technique;
        let is_ours = match technique {
            Technique::Prediction { mapper, .. }
            | Technique::PortBlock { mapper, .. }
            | Technique::Birthday { mapper, .. } => mapper == Party::Own,
            Technique::MutualPrediction { .. } => true,
        };
        is_ours.then(|| Wanted { technique, remotes: self.punch_remotes() })
    }

    /// The IPv4 addresses that the peer is known by from outside; its own ones where there are no others.
    pub(crate) fn punch_remotes(&self) -> Vec<SocketAddr> {
        let of = |kinds: &[CandidateKind]| -> Vec<SocketAddr> {
            let wanted = self.info.candidates.iter().filter(|candidate| kinds.contains(&candidate.kind));
            wanted.map(|candidate| candidate.address).filter(SocketAddr::is_ipv4).collect()
        };
        let outside = of(&[CandidateKind::PortMapped, CandidateKind::ServerReflexive, CandidateKind::Static]);
        if outside.is_empty() { of(&[CandidateKind::Host]) } else { outside }
    }

    /// An attempt ended without a path.
    pub(crate) fn on_attempt_failed(&mut self, now: Timestamp) {
        self.punching.failures = self.punching.failures.saturating_add(1);
        let pause = Budget::default().pause_s(self.punching.failures);
        self.punching.at = Some(now + Duration::from_secs(pause));
    }

    /// Tells the peer where our mappings are.
    pub(crate) fn send_punch(&mut self, context: &mut Context<'_>, punch: Punch) {
        let relays: Vec<SocketAddr> = context.sessions.keys().copied().collect();
        for relay in relays {
            self.send(context, Route::Relay(relay), Message::Punch(punch));
        }
    }

    /// The peer tells where its mappings are. Only addresses that it is known by are sent to: nobody can make us probe a
    /// third party. A copy that came over a second relay is one wish.
    pub(super) fn on_punch(&mut self, context: &mut Context<'_>, punch: Punch) {
        let now = context.now;
        let outside = punch.outside.ip().to_canonical();
        let is_known = self.selector.probe_targets().any(|target| target.ip() == outside);
        let is_soon = self.punching.followed_at.is_some_and(|at| now.since(at) < PUNCH_SPACING);
        if is_known && !is_soon && !self.is_direct() {
            self.punching.followed_at = Some(now);
            context.notices.push(Notice::Punch(self.info.public_key, punch));
        }
    }

    /// Probes one address from one socket, for an attempt.
    pub(crate) fn probe_from(&mut self, context: &mut Context<'_>, socket: SocketId, remote: SocketAddr) {
        self.punching.probed_at = Some(context.now);
        self.send_request(context, Route::Direct(socket, remote));
    }

    /// A side socket whose path is neither in use nor trusted any more is closed.
    pub(super) fn let_go_of_side_socket(&mut self, context: &mut Context<'_>) {
        let Some((remote, socket)) = self.side else { return };
        let is_used = matches!(self.path, Some(TunnelPath::Direct { socket: used, .. }) if used == socket);
        if !is_used && !self.selector.may_carry(remote, context.now) {
            self.side = None;
            context.notices.push(Notice::Idle(socket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 1], port))
    }

    #[test]
    fn what_comes_in_may_be_an_attempts_doing_for_as_long_as_filters_remember() {
        let at = |s: u64| Timestamp::from_micros(s * 1_000_000);
        assert!(!Punching::default().may_have_opened(at(1), address(1)), "nothing was probed");
        let punching = Punching { probed_at: Some(at(10)), ..Punching::default() };
        assert!(
            punching.may_have_opened(at(10), address(1)) && punching.may_have_opened(at(309), address(1))
        );
        assert!(!punching.may_have_opened(at(310), address(1)));
    }

    #[test]
    fn what_comes_from_where_it_was_checked_before_shows_nothing_of_the_filter() {
        let now = Timestamp::from_micros(1_000_000_000);
        let mut punching = Punching::default();
        (1..=129).for_each(|port| punching.note_checked(address(port)));
        assert!(punching.may_have_opened(now, address(2)) && punching.may_have_opened(now, address(129)));
        assert!(!punching.may_have_opened(now, address(1)) && !punching.may_have_opened(now, address(130)));
    }
}
