//! When candidates are probed: dense rounds, then ever longer pauses, for ever.

use std::time::Duration;

use endpoint_selection::Timestamp;

/// Times of a round's probes after its start, in milliseconds. Both sides start within one relay round trip of each
/// other; RFC 8445 §14.2 paces checks at 50 ms, and nine tries over 1.7 s get through 30 % loss with 99.99 %.
const STEPS_MS: [u64; 9] = [0, 50, 100, 200, 300, 500, 800, 1_200, 1_700];

/// How often a round probes an address that does not answer.
pub(crate) const ROUND_PROBES: u32 = STEPS_MS.len() as u32;

/// The first pause after a round that opened nothing.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// The longest pause: a round costs nine datagrams per candidate, so five minutes keep it below any notice.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Rounds start no closer than this, however often they are asked for.
const SPACING: Duration = Duration::from_millis(250);

/// The probe rounds to one peer.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    next_at: Option<Timestamp>,
    started_at: Option<Timestamp>,
    step: usize,
    pause: Duration,
    /// A new round is wanted as soon as the spacing allows; the present one goes on until then.
    is_wanted: bool,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// A new round begins: tell the peer, then probe.
    RoundStart,
    /// The round goes on.
    Step,
}

impl Schedule {
    /// Nothing is planned until [`Self::start`].
    pub(crate) const fn idle() -> Self {
        Self { next_at: None, started_at: None, step: 0, pause: PAUSE_MIN, is_wanted: false }
    }

    /// Starts a round as soon as the spacing allows, and forgets how long the pauses had become: something changed.
    pub(crate) fn start(&mut self, now: Timestamp) {
        self.join(now);
        self.pause = PAUSE_MIN;
    }

    /// Starts a round as soon as the spacing allows because the peer starts one. The pauses go on growing: two nodes
    /// that call each other must not keep each other at the shortest one.
    pub(crate) fn join(&mut self, now: Timestamp) {
        let earliest = self.started_at.map_or(now, |started| (started + SPACING).max(now));
        if self.step > 0 && earliest > now {
            self.is_wanted = true;
        } else {
            self.step = 0;
            self.next_at = Some(earliest);
        }
    }

    /// Nothing is planned any more until [`Self::start`] or [`Self::join`].
    pub(crate) const fn stop(&mut self) {
        *self = Self { started_at: self.started_at, ..Self::idle() };
    }

    /// The round had nothing to send: it does not hold up the next one.
    pub(crate) const fn forget_start(&mut self) {
        self.started_at = None;
    }

    /// Whether a round is over and the next one has not begun.
    pub(crate) const fn is_between_rounds(&self) -> bool {
        self.step == 0
    }

    pub(crate) const fn next_at(&self) -> Option<Timestamp> {
        self.next_at
    }

    /// What is due at `now`, if anything; `jitter` (any number) spreads the pauses of many peers. Once `settled` on a
    /// direct path, rounds only look for a better one, at the longest pause.
    pub(crate) fn take_due(&mut self, now: Timestamp, jitter: u64, settled: bool) -> Option<Due> {
        if self.next_at.is_none_or(|at| now < at) {
            return None;
        }
        let may_restart = self.started_at.is_none_or(|started| now.since(started) >= SPACING);
        if self.is_wanted && may_restart {
            self.step = 0;
        }
        let due = if self.step == 0 { Due::RoundStart } else { Due::Step };
        if self.step == 0 {
            self.started_at = Some(now);
            self.is_wanted = false;
        }
        let started = self.started_at.unwrap_or(now);
        self.step += 1;
        if let Some(step_ms) = STEPS_MS.get(self.step) {
            self.next_at = Some(started + Duration::from_millis(*step_ms));
        } else {
            if settled {
                self.pause = PAUSE_MAX;
            }
            let jitter = self.pause * u32::try_from(jitter % 256).unwrap_or(0) / 1024;
            self.next_at = Some(now + self.pause + jitter);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            self.step = 0;
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(schedule: &mut Schedule, until: Timestamp) -> Vec<(u64, Due)> {
        let mut seen = Vec::new();
        while let Some(at) = schedule.next_at().filter(|at| *at <= until) {
            let due = schedule.take_due(at, 0, false).unwrap();
            seen.push((at.as_micros() / 1_000, due));
        }
        seen
    }

    fn seconds(s: u64) -> Timestamp {
        Timestamp::from_micros(s * 1_000_000)
    }

    #[test]
    fn a_round_probes_nine_times_within_two_seconds() {
        let mut schedule = Schedule::idle();
        schedule.start(seconds(0));
        let seen = run(&mut schedule, seconds(2));
        assert_eq!(seen.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), STEPS_MS);
        assert_eq!(seen[0].1, Due::RoundStart);
    }

    #[test]
    fn pauses_double_to_five_minutes_and_never_end() {
        let mut schedule = Schedule::idle();
        schedule.start(seconds(0));
        let starts: Vec<u64> = run(&mut schedule, seconds(3600))
            .into_iter()
            .filter(|(_, due)| *due == Due::RoundStart)
            .map(|(ms, _)| ms / 1_000)
            .collect();
        assert_eq!(&starts[..5], &[0, 6, 18, 40, 81]);
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] <= 302));
        assert!(starts.len() > 12);
    }

    #[test]
    fn two_sides_that_call_each_other_still_grow_their_pauses() {
        let mut sides = [Schedule::idle(), Schedule::idle()];
        let mut is_called = [false, false];
        sides[0].start(seconds(0));
        let mut starts = 0;
        for ms in 0..600_000 {
            let now = Timestamp::from_micros(ms * 1_000);
            for side in 0..2 {
                if sides[side].take_due(now, 0, false) != Some(Due::RoundStart) {
                    continue;
                }
                starts += 1;
                if !std::mem::take(&mut is_called[side]) {
                    is_called[1 - side] = true;
                    sides[1 - side].join(now);
                }
            }
        }
        assert!((8..=40).contains(&starts), "{starts} rounds in ten minutes");
    }

    #[test]
    fn a_new_reason_restarts_the_round_but_not_more_often_than_the_spacing() {
        let mut schedule = Schedule::idle();
        for ms in 0..1_000 {
            let now = Timestamp::from_micros(ms * 1_000);
            schedule.start(now);
            schedule.take_due(now, 0, false);
        }
        let mut starts = 0;
        for ms in 1_000..2_000 {
            let now = Timestamp::from_micros(ms * 1_000);
            schedule.start(now);
            starts += u32::from(schedule.take_due(now, 0, false) == Some(Due::RoundStart));
        }
        assert!((3..=5).contains(&starts), "{starts}");
    }
}
