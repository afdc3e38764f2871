//! Whether the tunnel's packets arrive, and not only probes: something on the way may drop WireGuard.

use std::time::Duration;

use endpoint_selection::Timestamp;

/// For how long the peer may say that it heard nothing new, though we send: its count is a traffic look old (250 ms), and
/// the packets may have left just before it answered.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Looks at the traffic that must have shown packets sent meanwhile: a few lost ones are no black hole.
const LOOKS_MIN: u8 = 4;

/// Answers that must say so: one may have been on its way already.
const ANSWERS_MIN: u8 = 3;

/// What we sent since the peer last heard something new.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct DataCheck {
    heard_bytes: Option<u64>,
    unheard: Option<Unheard>,
}

#[derive(Debug, Clone, Copy)]
struct Unheard {
    since: Timestamp,
    looks: u8,
    answers: u8,
}

impl DataCheck {
    /// There is a new path: what was lost on the old one says nothing about it.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }

    /// A look at the traffic showed that tunnel packets were sent.
    pub(super) fn on_sent(&mut self, now: Timestamp) {
        let unheard = self.unheard.get_or_insert(Unheard { since: now, looks: 0, answers: 0 });
        unheard.looks = unheard.looks.saturating_add(1);
    }

    /// Whether the last answer said that nothing new was heard, though we sent: the next one shows more.
    pub(super) const fn is_suspicious(&self) -> bool {
        matches!(self.unheard, Some(Unheard { answers: 1.., .. }))
    }

    /// The peer answered over the path in use and said how much it has heard. Returns whether data is lost.
    pub(super) fn on_answer(&mut self, now: Timestamp, heard_bytes: u64) -> bool {
        if self.heard_bytes.replace(heard_bytes) != Some(heard_bytes) {
            self.unheard = None;
            return false;
        }
        let Some(unheard) = &mut self.unheard else { return false };
        unheard.answers = unheard.answers.saturating_add(1);
        let is_lost = unheard.answers >= ANSWERS_MIN
            && unheard.looks >= LOOKS_MIN
            && now.since(unheard.since) >= PATIENCE;
        if is_lost {
            self.unheard = None;
        }
        is_lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Timestamp {
        Timestamp::from_micros(ms * 1_000)
    }

    #[test]
    fn data_is_lost_when_three_answers_over_a_while_say_that_nothing_new_was_heard() {
        let mut check = DataCheck::default();
        assert!(!check.on_answer(ms(0), 100));
        for look in 0..4 {
            check.on_sent(ms(100 + look * 250));
        }
        assert!(!check.on_answer(ms(500), 100));
        assert!(!check.on_answer(ms(1_000), 100));
        assert!(!check.on_answer(ms(1_500), 100), "1.4 s after it was sent");
        assert!(check.on_answer(ms(1_700), 100));
    }

    #[test]
    fn anything_new_that_was_heard_ends_the_suspicion() {
        let mut check = DataCheck::default();
        check.on_answer(ms(0), 100);
        check.on_sent(ms(100));
        assert!(!check.on_answer(ms(500), 100));
        assert!(!check.on_answer(ms(5_000), 101));
        assert!(!check.on_answer(ms(9_000), 101), "nothing was sent since");
    }
}
