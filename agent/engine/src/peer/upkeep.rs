//! Asking again and again whether the path in use still works; this also keeps NAT mappings open. Some questions are as
//! long as the tunnel's longest packet.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::{Health, ObservationKind, Timestamp};
use protocol::probe::REQUEST_LEN;

use super::path_mtu::{PathMtu, WIREGUARD_LEN};
use super::{Peer, REPLY_TIMEOUT, Route, Sent};
use crate::context::Context;
use crate::wanted_tunnel::TUNNEL_MTU_BASE;

/// How often a path in use is asked. Some NATs forget a mapping after 15 s, so every third question may be lost.
const INTERVAL: Duration = Duration::from_secs(5);

/// Bounds of the time that an answer may take: four RTTs, but never so short that jitter looks like silence.
const TIMEOUT_MIN: Duration = Duration::from_millis(300);
const TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// Doubt asks no more often than this: traffic that only ever goes one way is no reason to ask all the time.
const DOUBT_SPACING: Duration = Duration::from_secs(1);

/// How often a direct path that serves badly is asked, while a relay carries the traffic: half a minute without loss then
/// shows that it is well again.
const AILING_INTERVAL: Duration = Duration::from_secs(1);

/// How often, and for how many questions, a path is asked that left one unanswered, and the relays with it: a loss rate takes 32
/// that are no repetitions. Users feel a path that loses a third for no longer than that.
const SCRUTINY_INTERVAL: Duration = Duration::from_millis(500);
const SCRUTINY_QUESTIONS: u8 = 48;

/// No two scrutinies begin closer together: a path that loses little, but always, is not worth more.
const SCRUTINY_SPACING: Duration = Duration::from_secs(120);

/// A node begins no more than one each so often: what many peers miss at once is lost on the own link, and questions by the
/// thousand would make that worse. With this, eight are under way at most.
const SCRUTINY_SPACING_OF_NODE: Duration = Duration::from_secs(3);

/// Relays asked beside a path in use: the nearest ones, as only they may replace it.
const RIVALS_MAX: usize = 2;

/// How often a question is a long one; the first on a new path is.
const LONG_EVERY: u32 = 6;

/// Long questions in a row without an answer that show a narrow path, while short ones are answered.
const LONG_UNANSWERED_MAX: u8 = 3;

/// The UDP payload of the longest packet that the tunnel sends on any path, whether or not it takes fragments.
pub(super) const LONG_LEN: u16 = TUNNEL_MTU_BASE + WIREGUARD_LEN;

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Upkeep {
    at: Option<Timestamp>,
    doubted_at: Option<Timestamp>,
    asked: Option<Asked>,
    /// When a direct path that serves badly is asked next, while a relay carries the traffic.
    ailing_at: Option<Timestamp>,
    /// Short questions since the last long one; none has been asked on a new path.
    short_questions: Option<u32>,
    long_unanswered: u8,
    /// Questions that are left of a scrutiny, and when it began.
    scrutiny: u8,
    scrutinized_at: Option<Timestamp>,
    pub(super) path_mtu: PathMtu,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    transaction: u64,
    route: Route,
    deadline: Timestamp,
    is_long: bool,
}

impl Upkeep {
    pub(super) fn ask_now(&mut self, now: Timestamp) {
        self.path_mtu.doubt(now);
        let earliest = self.doubted_at.map_or(now, |at| (at + DOUBT_SPACING).max(now));
        if self.asked.is_none() && self.at.is_some_and(|at| at > earliest) {
            self.at = Some(earliest);
            self.doubted_at = Some(earliest);
        }
    }

    /// There is a new path: the question on the old one counts no more. Where the tunnel is used, the first one on it goes at
    /// once: it shows the peer which path we use, which may be news.
    pub(super) fn restart(&mut self, now: Timestamp, is_used: bool) {
        let path_mtu = PathMtu::begin(now);
        let at = if is_used { now } else { now + INTERVAL };
        let Self { doubted_at, scrutiny, scrutinized_at, .. } = *self;
        *self = Self { at: Some(at), doubted_at, scrutiny, scrutinized_at, path_mtu, ..Self::default() };
    }

    /// A question was not answered.
    fn begin_scrutiny(&mut self, now: Timestamp, of_node: &mut Option<Timestamp>) {
        let is_rested = |last: Option<Timestamp>, spacing| last.is_none_or(|at| now.since(at) >= spacing);
        if is_rested(self.scrutinized_at, SCRUTINY_SPACING) && is_rested(*of_node, SCRUTINY_SPACING_OF_NODE) {
            self.scrutiny = SCRUTINY_QUESTIONS;
            (self.scrutinized_at, *of_node) = (Some(now), Some(now));
        }
    }

    /// How long after a question the next one is due. A relay that stands in for an ailing path is asked as often as that one:
    /// it may lose as much.
    const fn interval(&self) -> Duration {
        match () {
            () if self.scrutiny > 0 => SCRUTINY_INTERVAL,
            () if self.ailing_at.is_some() => AILING_INTERVAL,
            () => INTERVAL,
        }
    }

    /// Nothing is asked any more until [`Self::restart`] or [`Self::resume`].
    pub(super) fn stop(&mut self) {
        self.path_mtu.stop();
        *self = Self { doubted_at: self.doubted_at, path_mtu: self.path_mtu, ..Self::default() };
    }

    /// The pair talks again, over the path that it had.
    pub(super) fn resume(&mut self, now: Timestamp) {
        let mut path_mtu = self.path_mtu;
        path_mtu.resume(now);
        self.restart(now, false);
        self.path_mtu = path_mtu;
    }

    /// A datagram as long as a long question, or longer, was answered.
    pub(super) const fn on_long_answered(&mut self) {
        self.short_questions = Some(0);
        self.long_unanswered = 0;
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let question = self.asked.map(|asked| asked.deadline).or(self.at);
        [question, self.ailing_at, self.path_mtu.next_at()].into_iter().flatten().min()
    }

    /// Whether the next question is a long one. After one that was not answered, a short one shows first that the path
    /// works at all.
    const fn wants_long(&self) -> bool {
        match self.short_questions {
            None => true,
            Some(questions) => questions >= if self.long_unanswered > 0 { 1 } else { LONG_EVERY },
        }
    }
}

impl Peer {
    /// The answer to the question that was out: the path works, and if the question was long, for long packets too.
    pub(super) fn on_upkeep_reply(&mut self, now: Timestamp, transaction: u64) {
        let Some(asked) = self.upkeep.asked.take_if(|asked| asked.transaction == transaction) else {
            return;
        };
        // What was not answered when it was long is asked again soon, and so is a peer that hears nothing.
        let is_narrow = self.upkeep.long_unanswered > 0 && !asked.is_long;
        let is_urgent = is_narrow || self.data.is_suspicious();
        let pause = if is_urgent { TIMEOUT_MIN } else { self.upkeep.interval() };
        self.upkeep.at = Some(now + pause);
        if asked.is_long {
            self.upkeep.long_unanswered = 0;
        }
    }

    /// Judges the question that is out, and asks the next one when its time has come. A question that is left unanswered is
    /// repeated at once where another path would do; the last relay is never given up because the peer does not answer.
    pub(super) fn keep_up(&mut self, context: &mut Context<'_>) {
        if let Some(asked) = self.upkeep.asked.take_if(|asked| asked.deadline <= context.now) {
            self.on_unanswered(context, asked);
        }
        if self.is_idle(context.now) && self.upkeep.at.is_some_and(|at| at <= context.now) {
            self.rest(context);
        }
        self.ask_ailing(context);
        self.measure_path_mtu(context);
        let due = self.upkeep.asked.is_none() && self.upkeep.at.is_some_and(|at| at <= context.now);
        if !due {
            return;
        }
        self.upkeep.scrutiny = self.upkeep.scrutiny.saturating_sub(1);
        self.upkeep.at = Some(context.now + self.upkeep.interval());
        self.judge_late_replies(context);
        let Some(route) = self.route().filter(|_| self.info.plain_endpoint.is_none()) else { return };
        let is_long = matches!(route, Route::Direct(..)) && self.upkeep.wants_long();
        let padding = if is_long { LONG_LEN - REQUEST_LEN } else { 0 };
        let Some(transaction) = self.send_padded_request(context, route, padding) else { return };
        let (Route::Direct(_, remote) | Route::Relay(remote)) = route;
        let deadline = context.now + self.patience(remote);
        self.upkeep.asked = Some(Asked { transaction, route, deadline, is_long });
        self.upkeep.short_questions = Some(match self.upkeep.short_questions {
            _ if is_long => 0,
            before => before.unwrap_or(0).saturating_add(1),
        });
        self.ask_rivals(context);
    }

    /// How long an answer may take on the path to `remote`.
    pub(super) fn patience(&self, remote: SocketAddr) -> Duration {
        self.selector.rtt_us(remote).map_or(TIMEOUT_MAX, |rtt_us| {
            Duration::from_micros(u64::from(rtt_us) * 4).clamp(TIMEOUT_MIN, TIMEOUT_MAX)
        })
    }

    /// A direct path that answers but loses too much, or lets no long packets through, is asked on while a relay carries the
    /// traffic: once it serves well again it is used again.
    fn ask_ailing(&mut self, context: &mut Context<'_>) {
        let ailing = self
            .selector
            .ailing_direct(context.now)
            .filter(|_| !self.is_direct() && !self.is_idle(context.now));
        let Some((remote, health)) = ailing else {
            self.upkeep.ailing_at = None;
            return;
        };
        if self.upkeep.ailing_at.is_none_or(|at| at <= context.now) {
            self.upkeep.ailing_at = Some(context.now + AILING_INTERVAL);
            let padding = if health == Health::Narrow { LONG_LEN - REQUEST_LEN } else { 0 };
            self.send_padded_request(context, Route::Direct(self.socket_for(remote), remote), padding);
            self.judge_late_replies(context);
        }
    }

    fn on_unanswered(&mut self, context: &mut Context<'_>, asked: Asked) {
        self.upkeep.at = Some(context.now + INTERVAL);
        let (Route::Direct(_, remote) | Route::Relay(remote)) = asked.route;
        let is_relayed = matches!(asked.route, Route::Relay(_));
        if !asked.is_long {
            self.reach.note_unanswered();
        }
        if is_relayed && !self.selector.has_relay_beside(remote) {
            if self.is_router() && self.reach.is_in_doubt() {
                // Another node may have the networks behind it.
                self.upkeep.at = Some(context.now);
            }
            return;
        }
        // It is judged now, and not again with those of rounds.
        self.outstanding.remove(&asked.transaction);
        self.upkeep.at = Some(context.now);
        if !asked.is_long {
            self.upkeep.begin_scrutiny(context.now, context.scrutinized_at);
            self.observe(context, remote, ObservationKind::ProbeUnanswered);
            return;
        }
        self.upkeep.long_unanswered = self.upkeep.long_unanswered.saturating_add(1);
        if self.upkeep.long_unanswered >= LONG_UNANSWERED_MAX {
            self.upkeep.long_unanswered = 0;
            self.observe(context, remote, ObservationKind::PayloadMeasured { payload_max: REQUEST_LEN });
        }
    }

    /// Asks the relays that may serve better than the path in use: only what was seen to lose little replaces it. While a direct
    /// path is scrutinized, any may.
    fn ask_rivals(&mut self, context: &mut Context<'_>) {
        let is_scrutinized = self.upkeep.scrutiny > 0 && self.is_direct();
        let mut relays: Vec<SocketAddr> = match is_scrutinized {
            true => context.sessions.keys().copied().collect(),
            false => self.selector.rival_relays(context.now).collect(),
        };
        relays.sort_by_key(|relay| self.selector.rtt_us(*relay).unwrap_or(u32::MAX));
        for relay in relays.into_iter().take(RIVALS_MAX) {
            self.send_request(context, Route::Relay(relay));
        }
    }

    /// Requests of rounds that a path which works left unanswered show how much it loses.
    fn judge_late_replies(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let is_late = |sent: &Sent| now.since(sent.at) >= REPLY_TIMEOUT;
        let late: Vec<u64> =
            self.outstanding.iter().filter(|(_, sent)| is_late(sent)).map(|(key, _)| *key).collect();
        for transaction in late {
            let Some(sent) = self.outstanding.remove(&transaction) else { continue };
            let (Route::Direct(_, remote) | Route::Relay(remote)) = sent.route;
            // An attempt asks one address from many sockets; only those from the path's own say how much it loses.
            if matches!(sent.route, Route::Direct(socket, _) if socket != self.socket_for(remote)) {
                continue;
            }
            if self.selector.status(remote).is_some_and(|status| status.is_usable()) {
                self.observe(context, remote, ObservationKind::ProbeLost);
            }
        }
    }
}
