//! When to ask the router, renew, doubt and try again. Pure: time, answers and jitter come in, wishes come out.

use std::time::Duration;

use endpoint_selection::Timestamp;

use super::epoch::Epoch;
use super::grant::Grant;
use super::place::Place;

/// A mapping is renewed after half of its life (RFC 6887 §11.2.1), but no later than this: a router that restarts forgets what it
/// granted for hours, and not every one announces that.
const CHECK_INTERVAL: Duration = Duration::from_secs(900);

/// The first pause after a renewal that failed; it doubles, and at most half of what is left of the mapping's life passes.
const RENEWAL_PAUSE: Duration = Duration::from_secs(10);

/// No two renewals lie closer together (RFC 6887 §11.2.1).
const RENEWAL_PAUSE_MIN: Duration = Duration::from_secs(4);

/// After so many failed renewals the router is asked as if it were a new one: it may have learnt another protocol.
const RENEWALS_MAX: u32 = 2;

/// The first pause after a router granted nothing: after a power cut it starts together with the machines behind it, and what
/// opens ports is the last thing that it starts.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// Each further pause is so many times as long: most routers never will, and asking costs a home network some packets.
const PAUSE_GROWTH: u32 = 4;

/// The longest pause before jitter; with it an hour.
const PAUSE_MAX: Duration = Duration::from_secs(2_400);

/// Announcements and doubts make us ask no more often than this, however many there are.
const SPACING: Duration = Duration::from_secs(10);

/// An announcement reaches all nodes of a house at once: each waits for a part of this.
const ANNOUNCED_WAIT: Duration = Duration::from_secs(2);

/// A mapping, as its router granted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held<T> {
    pub(super) grant: Grant<T>,
    pub(super) place: Place,
    pub(super) expires_at: Timestamp,
}

/// A question to put now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish<T> {
    /// Whom to ask, and for which address.
    pub(super) place: Place,
    /// The mapping to renew; `None`: any.
    pub(super) renew: Option<Grant<T>>,
}

/// Keeps one mapping at the router of one place. `T` is what renewing takes, of no meaning here.
#[derive(Debug)]
pub(super) struct Keeper<T> {
    place: Result<Place, String>,
    held: Option<Held<T>>,
    /// Why there is no mapping, once the router was asked.
    why: Option<String>,
    /// When to ask next; nothing is due while an answer is awaited.
    due: Option<Timestamp>,
    asked_at: Option<Timestamp>,
    is_asking: bool,
    failures: u32,
    /// Doubts in a row that brought the same answer.
    doubts: u32,
    epoch: Option<Epoch>,
}

impl<T: Clone> Keeper<T> {
    /// A keeper that knows no router yet.
    pub(super) const fn new() -> Self {
        Self {
            place: Err(String::new()),
            held: None,
            why: None,
            due: None,
            asked_at: None,
            is_asking: false,
            failures: 0,
            doubts: 0,
            epoch: None,
        }
    }

    /// The machine is here now, or nowhere that a router could be asked, for this reason. Gives a mapping that is of no use any
    /// more; an answer that is awaited no longer counts.
    pub(super) fn set_place(&mut self, now: Timestamp, place: Result<Place, String>) -> Option<Held<T>> {
        if self.place == place {
            return None;
        }
        let held = self.held.take();
        let due = place.is_ok().then_some(now);
        *self = Self { place, due, ..Self::new() };
        held
    }

    /// Whom to ask.
    pub(super) fn place(&self) -> Option<Place> {
        self.place.as_ref().ok().copied()
    }

    /// The mapping.
    pub(super) const fn held(&self) -> Option<&Held<T>> {
        self.held.as_ref()
    }

    /// Why there is no mapping; `None` where there is one, or where the first answer is awaited.
    pub(super) fn why(&self) -> Option<&str> {
        let nowhere = self.place.as_ref().err().filter(|why| !why.is_empty());
        let why = nowhere.or(self.why.as_ref()).map(String::as_str);
        why.filter(|_| self.held.is_none())
    }

    /// When [`Self::handle_timeout`] is wanted next.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let expiry = self.held.as_ref().map(|held| held.expires_at);
        let due = self.due.filter(|_| !self.is_asking);
        due.into_iter().chain(expiry).min()
    }

    /// Does what is due at `now`: a mapping that nobody renewed is gone, and the router is asked.
    pub(super) fn handle_timeout(&mut self, now: Timestamp) -> Option<Wish<T>> {
        if self.held.take_if(|held| held.expires_at <= now).is_some() {
            self.failures = 0;
            self.due = Some(now);
        }
        let place = self.place()?;
        if self.is_asking || self.due.is_none_or(|due| due > now) {
            return None;
        }
        self.is_asking = true;
        self.asked_at = Some(now);
        self.due = None;
        let renew =
            self.held.as_ref().filter(|_| self.failures < RENEWALS_MAX).map(|held| held.grant.clone());
        Some(Wish { place, renew })
    }

    /// The router granted, or not, for this reason. `fraction` is a random number from 0 to 1. Returns whether the router was
    /// seen to have started anew.
    pub(super) fn on_answer(
        &mut self,
        now: Timestamp,
        answer: Result<Grant<T>, String>,
        fraction: f64,
    ) -> bool {
        self.is_asking = false;
        let Some(place) = self.place() else { return false };
        let grant = match answer {
            Ok(grant) => grant,
            Err(why) => {
                self.fail(now, why, fraction);
                return false;
            }
        };
        let seen = grant.epoch.map(|seconds| Epoch::new(seconds, now));
        let is_restarted = self.note_epoch(seen);
        let is_same = self.held.as_ref().is_some_and(|held| held.grant.external == grant.external);
        self.doubts = if is_same { self.doubts.saturating_add(1) } else { 0 };
        self.failures = 0;
        self.why = None;
        // Up to a tenth sooner, so that the nodes of a house do not ask all at once.
        let half = (grant.lifetime / 2).min(CHECK_INTERVAL);
        self.due = Some(now + half.mul_f64(1.0 - fraction.clamp(0.0, 1.0) / 10.0).max(RENEWAL_PAUSE_MIN));
        self.held = Some(Held { expires_at: now + grant.lifetime, grant, place });
        is_restarted
    }

    /// The router announced itself with this counter: one that started anew, or that we know nothing of, is asked.
    pub(super) fn on_announcement(&mut self, now: Timestamp, counter: u32, fraction: f64) {
        let is_known = self.epoch.is_some();
        let is_restarted = self.note_epoch(Some(Epoch::new(counter, now)));
        if is_restarted || !is_known {
            self.failures = 0;
            self.ask_by(now, ANNOUNCED_WAIT.mul_f64(fraction.clamp(0.0, 1.0)), SPACING);
        }
    }

    /// What the router said cannot be right any more. Asked again, it may say the same: then the next doubt has to wait longer.
    pub(super) fn on_doubt(&mut self, now: Timestamp) {
        let spacing = SPACING.saturating_mul(1 << self.doubts.min(7)).min(CHECK_INTERVAL);
        self.ask_by(now, Duration::ZERO, spacing);
    }

    /// A user, or a machine that slept, wants everything learnt anew.
    pub(super) fn refresh(&mut self, now: Timestamp) {
        self.failures = 0;
        self.ask_by(now, Duration::ZERO, SPACING);
    }

    fn ask_by(&mut self, now: Timestamp, wait: Duration, spacing: Duration) {
        let allowed = self.asked_at.map_or(now, |asked| asked + spacing);
        let at = allowed.max(now + wait);
        if self.place.is_ok() {
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    fn note_epoch(&mut self, seen: Option<Epoch>) -> bool {
        let Some(seen) = seen else { return false };
        self.epoch.replace(seen).is_some_and(|before| before.is_restarted(seen))
    }

    fn fail(&mut self, now: Timestamp, why: String, fraction: f64) {
        let grown = |pause: Duration, growth: u32| pause.saturating_mul(growth.saturating_pow(self.failures));
        let pause = match &self.held {
            Some(held) => {
                let half = held.expires_at.since(now) / 2;
                grown(RENEWAL_PAUSE, 2).min(half).max(RENEWAL_PAUSE_MIN)
            }
            None => {
                let jitter = 1.0 + fraction.clamp(0.0, 1.0) / 2.0;
                grown(FIRST_PAUSE, PAUSE_GROWTH).min(PAUSE_MAX).mul_f64(jitter)
            }
        };
        self.failures = self.failures.saturating_add(1);
        self.why = Some(why);
        self.due = Some(now + pause);
    }
}

#[cfg(test)]
mod tests;
