//! The STUN server's decision: which binding requests are answered.

use std::net::SocketAddr;

use endpoint_selection::Timestamp;
use protocol::stun;

use crate::limit::{Rate, SourceLimits};

/// Answers a second to one source address (an IPv6 source counts as its /64).
///
/// Serves 750 nodes behind one NAT that each ask twice every half minute, and some dozens that start at once.
/// The answer is larger than the request by 12 bytes (IPv4) or 24 (IPv6): who forges a source makes us send it at
/// most 50 × 44 bytes a second in the long run, less than the forger could send itself.
pub const ANSWERS: Rate = Rate { per_second: 50, burst: 200 };

/// What became of the STUN messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StunCounters {
    /// Binding requests that were answered.
    pub answered: u64,
    /// Messages that are no sound binding request; nothing is answered to them.
    pub dropped_malformed: u64,
    /// Requests above [`ANSWERS`].
    pub dropped_source_rate: u64,
}

/// Answers sound binding requests (RFC 8489) at a limited rate, and nothing else.
pub struct StunResponder {
    limits: SourceLimits,
    counters: StunCounters,
}

impl StunResponder {
    /// `secret`: random; see [`SourceLimits::new`].
    #[must_use]
    pub fn new(secret: [u8; 16]) -> Self {
        Self { limits: SourceLimits::new(ANSWERS, secret), counters: StunCounters::default() }
    }

    /// The answer to `datagram`, to be sent back to `from`; `None` where there is none.
    pub fn respond(&mut self, now: Timestamp, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let Ok(answer) = stun::respond(datagram, from) else {
            self.counters.dropped_malformed += 1;
            return None;
        };
        if !self.limits.take(from.ip(), now) {
            self.counters.dropped_source_rate += 1;
            return None;
        }
        self.counters.answered += 1;
        Some(answer)
    }

    /// What became of the messages so far.
    #[must_use]
    pub fn counters(&self) -> StunCounters {
        self.counters
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn a_flood_from_one_address_is_answered_at_the_limit_while_others_are_served() {
        let mut responder = StunResponder::new([1; 16]);
        let request = stun::encode_request([7; 12]);
        let victim = "203.0.113.7:53".parse().unwrap();
        let answered = (0..10_000).filter(|_| responder.respond(START, victim, &request).is_some()).count();
        assert_eq!(answered as u64, ANSWERS.burst);
        assert!(responder.respond(START, "203.0.113.8:53".parse().unwrap(), &request).is_some());
        let later = START + Duration::from_secs(1);
        let answered = (0..10_000).filter(|_| responder.respond(later, victim, &request).is_some()).count();
        assert_eq!(answered as u64, ANSWERS.per_second);
        assert_eq!(responder.counters().dropped_source_rate, 20_000 - ANSWERS.burst - ANSWERS.per_second);
    }

    #[test]
    fn an_answer_is_larger_than_its_request_by_no_more_than_documented() {
        let mut responder = StunResponder::new([1; 16]);
        let request = stun::encode_request([7; 12]);
        for (source, growth) in [("203.0.113.7:9", 12), ("[2001:db8::7]:9", 24)] {
            let answer = responder.respond(START, source.parse().unwrap(), &request).unwrap();
            assert_eq!(answer.len(), request.len() + growth);
        }
    }

    #[test]
    fn a_malformed_message_is_counted_and_costs_its_source_no_budget() {
        let mut responder = StunResponder::new([1; 16]);
        let source = "203.0.113.7:9".parse().unwrap();
        let answer = stun::respond(&stun::encode_request([7; 12]), source).unwrap();
        for _ in 0..1000 {
            assert_eq!(responder.respond(START, source, &answer), None);
        }
        assert_eq!(responder.counters().dropped_malformed, 1000);
        assert!(responder.respond(START, source, &stun::encode_request([7; 12])).is_some());
    }
}
