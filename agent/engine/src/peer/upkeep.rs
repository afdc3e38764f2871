//! Asking again and again whether the path in use still works; this also keeps NAT mappings open.

use std::time::Duration;

use endpoint_selection::{ObservationKind, Timestamp};

use super::{Peer, Route};
use crate::context::Context;

/// How often a path in use is asked. Some NATs forget a mapping after 15 s, so every third question may be lost.
const INTERVAL: Duration = Duration::from_secs(5);

/// Bounds of the time that an answer may take: four RTTs, but never so short that jitter looks like silence.
const TIMEOUT_MIN: Duration = Duration::from_millis(300);
const TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// Doubt asks no more often than this: traffic that only ever goes one way is no reason to ask all the time.
const DOUBT_SPACING: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Upkeep {
    at: Option<Timestamp>,
    doubted_at: Option<Timestamp>,
    asked: Option<Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    transaction: u64,
    route: Route,
    deadline: Timestamp,
}

impl Upkeep {
    pub(super) fn ask_now(&mut self, now: Timestamp) {
        let earliest = self.doubted_at.map_or(now, |at| (at + DOUBT_SPACING).max(now));
        if self.asked.is_none() && self.at.is_some_and(|at| at > earliest) {
            self.at = Some(earliest);
            self.doubted_at = Some(earliest);
        }
    }

    /// There is a new path: the question on the old one counts no more.
    pub(super) fn restart(&mut self, now: Timestamp) {
        self.asked = None;
        self.at = Some(now + INTERVAL);
    }

    pub(super) fn on_reply(&mut self, now: Timestamp, transaction: u64) {
        if self.asked.is_some_and(|asked| asked.transaction == transaction) {
            self.restart(now);
        }
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.asked.map(|asked| asked.deadline).or(self.at)
    }
}

impl Peer {
    /// Judges the question that is out, and asks the next one when its time has come. A question that a direct path
    /// leaves unanswered is repeated at once; a relay is never given up because the peer does not answer.
    pub(super) fn keep_up(&mut self, context: &mut Context<'_>) {
        if let Some(asked) = self.upkeep.asked.filter(|asked| asked.deadline <= context.now) {
            self.upkeep.asked = None;
            self.upkeep.at = Some(context.now + INTERVAL);
            if let Route::Direct(remote) = asked.route {
                self.upkeep.at = Some(context.now);
                self.observe(context, remote, ObservationKind::ProbeUnanswered);
            }
        }
        let due = self.upkeep.asked.is_none() && self.upkeep.at.is_some_and(|at| at <= context.now);
        if !due {
            return;
        }
        self.upkeep.at = Some(context.now + INTERVAL);
        let route = self.route().filter(|_| self.info.plain_endpoint.is_none());
        let sent = route.and_then(|route| Some((route, self.send_request(context, route)?)));
        if let Some((route, transaction)) = sent {
            let (Route::Direct(remote) | Route::Relay(remote)) = route;
            let rtt = self.selector.rtt_us(remote);
            let patience = rtt.map_or(TIMEOUT_MAX, |rtt_us| Duration::from_micros(u64::from(rtt_us) * 4));
            let deadline = context.now + patience.clamp(TIMEOUT_MIN, TIMEOUT_MAX);
            self.upkeep.asked = Some(Asked { transaction, route, deadline });
        }
    }
}
