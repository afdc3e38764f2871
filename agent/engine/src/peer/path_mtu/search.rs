//! The search for the longest packet that passes: the usual length first, then by halves over the lengths that links have.

use crate::wanted_tunnel::{TUNNEL_MTU_BASE, TUNNEL_MTU_MAX};

/// Path MTUs that links have, in bytes (as the table of RFC 1191 §7.1): Ethernet 1500 less what PPPoE (8), tunnels and
/// encapsulations of providers take, down to what each link must carry (RFC 8200 §5). Between two of them a packet is at
/// most 20 bytes shorter than it could be.
const PATH_MTUS: [u16; 17] = [
    1_280, 1_300, 1_320, 1_340, 1_360, 1_380, 1_400, 1_412, 1_420, 1_430, 1_440, 1_450, 1_460, 1_472, 1_480,
    1_492, 1_500,
];

/// Requests of a new length that are lost before it counts as too long (RFC 8899 §5.1.2, `MAX_PROBES`).
const TRIES_NEW: u8 = 3;

/// Requests of the length in use that are lost before it counts as too long now. More, because a wrong answer costs something:
/// a link that loses a tenth each way loses five in a row once in four thousand times.
const TRIES_KNOWN: u8 = 5;

/// What a request asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Does a tunnel packet of so many bytes pass?
    Passes(u16),
    /// Does a short one? Asked after long ones were lost: a path that is dead or very lossy is not narrow.
    Alive,
}

/// What passed and what did not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Search {
    /// Bytes that the path adds to a tunnel packet; 0 until the first question.
    overhead: u16,
    /// The longest that passed, by its place in [`PATH_MTUS`]; the first is taken for granted.
    passed: usize,
    /// The shortest that did not pass.
    failed: Option<usize>,
    unanswered: u8,
}

impl Search {
    pub(super) const fn set_overhead(&mut self, overhead: u16) {
        self.overhead = overhead;
    }

    /// Whether there is nothing left to find out.
    pub(super) fn is_over(&self) -> bool {
        self.wanted().is_none()
    }

    /// Looks for more again than was found.
    pub(super) const fn reopen(&mut self) {
        self.failed = None;
        self.unanswered = 0;
    }

    /// What to ask next; the length in use, where the search is over.
    pub(super) fn question(&self) -> Question {
        let place = self.wanted().unwrap_or(self.passed);
        let tries = if place == self.passed { TRIES_KNOWN } else { TRIES_NEW };
        if self.unanswered >= tries { Question::Alive } else { Question::Passes(self.tunnel_mtu_at(place)) }
    }

    pub(super) fn on_answered(&mut self, question: Question) {
        self.unanswered = 0;
        let place = self.wanted().unwrap_or(self.passed);
        match question {
            Question::Passes(_) => self.passed = place,
            // A length that passed before and no longer does says nothing of those between it and the shortest.
            Question::Alive if place == self.passed => (self.passed, self.failed) = (0, Some(place)),
            Question::Alive => self.failed = Some(place),
        }
    }

    pub(super) const fn on_unanswered(&mut self, question: Question) {
        self.unanswered = match question {
            Question::Passes(_) => self.unanswered.saturating_add(1),
            Question::Alive => 0,
        };
    }

    /// The longest tunnel packet that passes in one piece, in bytes. [`TUNNEL_MTU_BASE`] is believed until a packet of that
    /// length, or a shorter one, failed.
    pub(super) fn tunnel_mtu(&self) -> u16 {
        let known = self.tunnel_mtu_at(self.passed);
        let is_base_believed = match self.failed {
            None => true,
            Some(failed) => !self.is_over() && self.tunnel_mtu_at(failed) > TUNNEL_MTU_BASE,
        };
        if is_base_believed { known.max(TUNNEL_MTU_BASE) } else { known }
    }

    /// The place of the length to ask for.
    fn wanted(&self) -> Option<usize> {
        let top = PATH_MTUS.iter().position(|mtu| mtu.saturating_sub(self.overhead) >= TUNNEL_MTU_MAX);
        let top = top.unwrap_or(PATH_MTUS.len() - 1);
        match self.failed {
            None => (self.passed < top).then_some(top),
            Some(failed) => (failed > self.passed + 1).then_some(usize::midpoint(self.passed, failed)),
        }
    }

    fn tunnel_mtu_at(&self, place: usize) -> u16 {
        let path_mtu = PATH_MTUS.get(place).copied().unwrap_or_default();
        // Before the first question nothing is known, and the base is the answer.
        if self.overhead == 0 {
            TUNNEL_MTU_BASE
        } else {
            path_mtu.saturating_sub(self.overhead).min(TUNNEL_MTU_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECT_IPV4: u16 = 60;
    const DIRECT_IPV6: u16 = 80;
    const RELAY: u16 = 124;

    /// Asks until the search is over, on a path of this MTU; gives what was found, and how many requests it took.
    fn found(search: &mut Search, overhead: u16, path_mtu: u16) -> (u16, u32) {
        search.set_overhead(overhead);
        let mut requests = 0;
        while !search.is_over() {
            assert!(requests < 100, "it never ends");
            requests += 1;
            let question = search.question();
            if matches!(question, Question::Passes(tunnel_mtu) if tunnel_mtu + overhead > path_mtu) {
                search.on_unanswered(question);
            } else {
                search.on_answered(question);
            }
        }
        (search.tunnel_mtu(), requests)
    }

    #[test]
    fn the_usual_path_takes_one_request() {
        assert_eq!(found(&mut Search::default(), DIRECT_IPV4, 1_500), (1_420, 1));
        assert_eq!(found(&mut Search::default(), DIRECT_IPV6, 1_500), (1_420, 1));
        assert_eq!(found(&mut Search::default(), RELAY, 1_500), (1_376, 1));
    }

    #[test]
    fn every_path_mtu_of_the_table_is_found_exactly_with_few_requests() {
        for overhead in [DIRECT_IPV4, DIRECT_IPV6, RELAY] {
            for path_mtu in PATH_MTUS {
                let (tunnel_mtu, requests) = found(&mut Search::default(), overhead, path_mtu);
                assert_eq!(
                    tunnel_mtu,
                    (path_mtu - overhead).min(TUNNEL_MTU_MAX),
                    "{path_mtu} less {overhead}"
                );
                assert!(requests <= 20, "{requests} for {path_mtu}");
            }
        }
    }

    #[test]
    fn nothing_is_ever_found_that_does_not_pass() {
        for path_mtu in 1_280..=1_500 {
            let (tunnel_mtu, _) = found(&mut Search::default(), DIRECT_IPV4, path_mtu);
            assert!(
                tunnel_mtu + DIRECT_IPV4 <= path_mtu && tunnel_mtu + DIRECT_IPV4 + 20 > path_mtu.min(1_480)
            );
        }
    }

    #[test]
    fn the_base_is_believed_until_it_or_a_shorter_one_fails() {
        let mut search = Search::default();
        assert_eq!(search.tunnel_mtu(), TUNNEL_MTU_BASE);
        search.set_overhead(DIRECT_IPV4);
        assert_eq!(search.tunnel_mtu(), TUNNEL_MTU_BASE);
        let mut seen = vec![search.tunnel_mtu()];
        while !search.is_over() {
            let question = search.question();
            if question == Question::Alive {
                search.on_answered(question);
            } else {
                search.on_unanswered(question);
            }
            seen.push(search.tunnel_mtu());
        }
        seen.dedup();
        assert_eq!(seen, [TUNNEL_MTU_BASE, 1_220]);
    }

    #[test]
    fn a_length_that_passes_no_longer_falls_back_to_the_base_at_once() {
        let mut search = Search::default();
        found(&mut search, DIRECT_IPV4, 1_500);
        for _ in 0..TRIES_KNOWN {
            assert_eq!(search.question(), Question::Passes(1_420));
            search.on_unanswered(Question::Passes(1_420));
        }
        assert_eq!(search.tunnel_mtu(), 1_420, "it may be the path that is dead");
        assert_eq!(search.question(), Question::Alive);
        search.on_answered(Question::Alive);
        assert_eq!(search.tunnel_mtu(), TUNNEL_MTU_BASE);
        assert_eq!(found(&mut search, DIRECT_IPV4, 1_400).0, 1_340);
        search.reopen();
        assert_eq!(search.tunnel_mtu(), 1_340, "looking for more changes nothing yet");
        assert_eq!(found(&mut search, DIRECT_IPV4, 1_500).0, 1_420);
    }

    #[test]
    fn a_path_that_is_dead_is_not_narrow() {
        let mut search = Search::default();
        found(&mut search, DIRECT_IPV4, 1_500);
        for _ in 0..100 {
            search.on_unanswered(search.question());
        }
        assert_eq!(search.tunnel_mtu(), 1_420);
    }
}
