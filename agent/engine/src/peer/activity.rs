//! Whether anybody talks with the peer. Direct paths are opened and kept open for those who do; for the others a relay that
//! holds both sides' sessions is enough, and costs nothing.

use std::time::Duration;

use endpoint_selection::Timestamp;

use super::Peer;
use crate::context::Context;
use crate::input::PeerTraffic;
use crate::output::Output;

/// A pair is idle when the tunnel has carried nothing for so long: one keepalive of a patient application (SSH, MQTT and TCP
/// proxies ask every minute) may be lost, and WireGuard's own session ends after three minutes.
const IDLE_AFTER: Duration = Duration::from_secs(130);

/// When somebody last used the tunnel to the peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity {
    used_at: Option<Timestamp>,
    /// Nothing is asked and no direct path kept open.
    pub(super) is_resting: bool,
}

/// What a look at the tunnel's counters shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// The tunnel is used again after a while.
    pub(crate) is_woken: bool,
    /// Something was sent and nothing came back.
    pub(crate) is_doubtful: bool,
}

impl Activity {
    /// Nobody has talked yet.
    pub(super) const fn new() -> Self {
        Self { used_at: None, is_resting: true }
    }

    /// The tunnel is used. Returns whether it was idle before.
    const fn note(&mut self, now: Timestamp) -> bool {
        let was_idle = !self.is_active(now);
        self.used_at = Some(now);
        self.is_resting = false;
        was_idle
    }

    /// Whether the tunnel was used of late.
    pub(super) const fn is_active(self, now: Timestamp) -> bool {
        match self.used_at {
            Some(at) => now.since(at).as_micros() < IDLE_AFTER.as_micros(),
            None => false,
        }
    }
}

impl Peer {
    /// Somebody wants to talk with the peer. Returns whether nobody did before.
    pub(super) fn note_use(&mut self, now: Timestamp) -> bool {
        let is_woken = self.activity.note(now);
        if is_woken {
            self.upkeep.resume(now);
            self.search(now);
        }
        is_woken
    }

    /// What the tunnel moved: sending without receiving is a reason to ask whether the path still works.
    pub(crate) fn on_traffic(&mut self, now: Timestamp, traffic: PeerTraffic) -> Look {
        let before =
            self.traffic.replace(traffic).unwrap_or(PeerTraffic { rx_bytes: 0, tx_bytes: 0, ..traffic });
        let (is_sent, is_received) = (traffic.tx_bytes > before.tx_bytes, traffic.rx_bytes > before.rx_bytes);
        if is_received {
            self.reach.note_heard(now);
        }
        let is_woken = (is_sent || is_received) && self.note_use(now);
        if is_sent {
            self.data.on_sent(now);
        }
        let is_doubtful = is_sent && !is_received;
        if is_doubtful {
            self.upkeep.ask_now(now);
        }
        Look { is_woken, is_doubtful }
    }

    /// Nobody talks with the peer: nothing is asked, and a direct path is let go where a relay stands in. Traffic that comes
    /// later begins on the relay and searches anew, so it never meets a mapping that the NAT has forgotten.
    pub(super) fn rest(&mut self, context: &mut Context<'_>) {
        if self.is_direct() && !self.selector.has_relay() {
            return;
        }
        *context.is_path_changed |= !std::mem::replace(&mut self.activity.is_resting, true);
        if self.is_direct() {
            self.selector.forget_direct_evidence();
            self.apply_selection(context);
        }
        self.upkeep.stop();
        context.outputs.push_back(Output::AwaitPacket { peer: self.info.public_key });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_idle_from_the_start_and_again_some_time_after_its_last_use() {
        let at = |s: u64| Timestamp::from_micros(s * 1_000_000);
        let mut activity = Activity::new();
        assert!(!activity.is_active(at(0)));
        assert!(activity.note(at(10)), "it was idle");
        assert!(!activity.note(at(60)), "it was not");
        assert!(activity.is_active(at(189)) && !activity.is_active(at(190)));
    }
}
