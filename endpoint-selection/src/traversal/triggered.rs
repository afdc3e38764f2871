//! Checks that a peer's own requests trigger (RFC 8445 §7.3.1.4), and how many of them there may be.

/// The most addresses learnt from requests in one round and the pause after it. A peer shows one for each address of ours that
/// it reaches us at, which are a few.
const LEARNT_MAX: u8 = 16;

/// The most checks that requests trigger in that time: four addresses, of which each step of a round asks from each. Where both
/// NATs map more strictly than they filter, each check triggers another one on the other side, for ever.
const CHECKS_MAX: u8 = 64;

/// What requests made a node do since a round began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TriggeredChecks {
    checks: u8,
    learnt: u8,
}

impl TriggeredChecks {
    /// Takes one check out of the budget, of an address that `is_new` or known. Returns whether there was one left.
    pub fn take(&mut self, is_new: bool) -> bool {
        let has_room = self.checks < CHECKS_MAX && (!is_new || self.learnt < LEARNT_MAX);
        if has_room {
            self.checks += 1;
            self.learnt += u8::from(is_new);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_addresses_are_learnt_and_known_ones_checked_a_little_longer() {
        let mut checks = TriggeredChecks::default();
        assert_eq!((0..100).filter(|_| checks.take(true)).count(), 16);
        assert_eq!((0..100).filter(|_| checks.take(false)).count(), 48);
    }
}
