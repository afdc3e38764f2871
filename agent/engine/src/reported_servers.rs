//! What a report says of relays and STUN servers: who answers and how fast, where the coordinator knows it otherwise.

use std::time::Duration;

use endpoint_selection::{SmoothedRtt, Timestamp};
use protocol::api::ServersSeen;

/// A relay without a session of ours for this long counts as not reached: one that restarts is back sooner, and a first
/// registration takes two round trips.
pub(crate) const UNREACHED_AFTER: Duration = Duration::from_secs(5);

/// An RTT is another one only where it moved by more than this, and by more than half: an operator looks for the relay that is on
/// the wrong continent. Finer steps would make jitter news, and each of ten thousand nodes' reports larger.
const RTT_MOVE_US: u32 = 2_000;

/// RTTs are told in these steps, rounded up.
const RTT_STEP_US: u32 = 100;

/// What the coordinator knows of the servers as this node sees them.
#[derive(Default)]
pub(crate) struct ReportedServers {
    known: Option<ServersSeen>,
    in_flight: Option<ServersSeen>,
    /// Whether the coordinator may know it otherwise.
    is_doubtful: bool,
    /// When a relay that has no session will count as not reached.
    pub(crate) check_at: Option<Timestamp>,
}

impl ReportedServers {
    /// What to report now: nothing where it is as last reported, unless everything is told again.
    pub(crate) fn take(&mut self, mut seen: ServersSeen, is_all: bool) -> Option<ServersSeen> {
        self.settle(&mut seen);
        if self.known.as_ref() == Some(&seen) && !is_all && !self.is_doubtful {
            return None;
        }
        self.in_flight = Some(seen.clone());
        Some(seen)
    }

    /// The report came in; `wants_all` where the coordinator does not know what came before it.
    pub(crate) fn on_accepted(&mut self, wants_all: bool) {
        if let Some(told) = self.in_flight.take() {
            self.known = Some(told);
            self.is_doubtful = false;
        }
        self.is_doubtful |= wants_all;
    }

    /// Nobody knows whether the report came in: what it said is said again.
    pub(crate) fn on_failed(&mut self) {
        if let Some(told) = self.in_flight.take() {
            self.known = Some(told);
            self.is_doubtful = true;
        }
    }

    /// Whether a server is reached that the coordinator thinks is not, or the other way round.
    pub(crate) fn is_news(&self, seen: &ServersSeen) -> bool {
        let latest = self.in_flight.as_ref().or(self.known.as_ref());
        let relays = latest.map_or(&[][..], |told| &told.relays);
        let stun_servers = latest.map_or(&[][..], |told| &told.stun_servers);
        let is_new_relay = seen.relays.iter().any(|relay| {
            let told = relays.iter().find(|told| told.public_key == relay.public_key);
            told.is_none_or(|told| told.reached != relay.reached)
        });
        is_new_relay
            || seen.stun_servers.iter().any(|server| {
                let told = stun_servers.iter().find(|told| told.address == server.address);
                told.is_none_or(|told| told.reached != server.reached)
            })
    }

    /// Puts RTTs in their steps; one that did not move stays as it was told.
    fn settle(&self, seen: &mut ServersSeen) {
        let known = self.known.as_ref();
        for relay in &mut seen.relays {
            let told =
                known.and_then(|known| known.relays.iter().find(|it| it.public_key == relay.public_key));
            relay.rtt_us = settled(told.and_then(|told| told.rtt_us), relay.rtt_us);
        }
        for server in &mut seen.stun_servers {
            let told =
                known.and_then(|known| known.stun_servers.iter().find(|it| it.address == server.address));
            server.rtt_us = settled(told.and_then(|told| told.rtt_us), server.rtt_us);
        }
    }
}

/// The RTT to a server after one more sample. What is lower is nearer to the way's own delay and counts at once: STUN servers are asked
/// once a minute only, and the first answers come while a node starts. What is higher is smoothed.
pub(crate) fn rtt_with(before: Option<SmoothedRtt>, sample_us: u32) -> SmoothedRtt {
    match before {
        Some(before) if before.as_micros() <= sample_us => before.with(sample_us),
        _ => SmoothedRtt::first(sample_us),
    }
}

fn settled(told: Option<u32>, now: Option<u32>) -> Option<u32> {
    let now = now?;
    match told {
        Some(told) if told.abs_diff(now) <= RTT_MOVE_US.max(told / 2) => Some(told),
        _ => Some(now.div_ceil(RTT_STEP_US).saturating_mul(RTT_STEP_US)),
    }
}

#[cfg(test)]
mod tests {
    use protocol::api::StunServerSeen;

    use super::*;

    fn seen(reached: bool, rtt_us: Option<u32>) -> ServersSeen {
        let address = "192.0.2.1:3478".parse().unwrap();
        ServersSeen { relays: Vec::new(), stun_servers: vec![StunServerSeen { address, reached, rtt_us }] }
    }

    fn rtt(told: &Option<ServersSeen>) -> Option<u32> {
        told.as_ref()?.stun_servers[0].rtt_us
    }

    #[test]
    fn a_lower_rtt_counts_at_once_and_a_higher_one_slowly() {
        let rtt = rtt_with(Some(SmoothedRtt::first(80_000)), 8_000);
        assert_eq!(rtt.as_micros(), 8_000);
        assert_eq!(rtt_with(Some(rtt), 80_000).as_micros(), 17_000);
    }

    #[test]
    fn jitter_is_no_news_and_another_continent_is() {
        let mut reported = ReportedServers::default();
        let first = reported.take(seen(true, Some(20_050)), false);
        assert_eq!(rtt(&first), Some(20_100));
        reported.on_accepted(false);
        for jitter in [12_000, 20_100, 30_100] {
            assert_eq!(reported.take(seen(true, Some(jitter)), false), None, "{jitter}");
        }
        assert_eq!(rtt(&reported.take(seen(true, Some(90_000)), false)), Some(90_000));
    }

    #[test]
    fn what_a_lost_report_said_is_said_again() {
        let mut reported = ReportedServers::default();
        reported.take(seen(true, None), false);
        reported.on_accepted(false);
        assert!(reported.take(seen(false, None), false).is_some());
        reported.on_failed();
        assert!(reported.take(seen(true, None), false).is_some(), "it may have come in");
    }

    #[test]
    fn all_is_told_again_where_the_coordinator_forgot_and_with_all_paths() {
        let mut reported = ReportedServers::default();
        reported.take(seen(true, None), false);
        reported.on_accepted(true);
        assert!(reported.take(seen(true, None), false).is_some());
        reported.on_accepted(false);
        assert_eq!(reported.take(seen(true, None), false), None);
        assert!(reported.take(seen(true, None), true).is_some());
    }

    #[test]
    fn only_who_answers_is_urgent() {
        let mut reported = ReportedServers::default();
        assert!(reported.is_news(&seen(true, None)));
        reported.take(seen(true, None), false);
        assert!(!reported.is_news(&seen(true, Some(9_000_000))));
        assert!(reported.is_news(&seen(false, None)));
    }
}
