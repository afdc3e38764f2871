//! How well a path carries what it carries: RTT, loss, path MTU, and whether data arrives at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::observation::ObservationKind;
use crate::policy::Policy;
use crate::rtt::SmoothedRtt;
use crate::time::Timestamp;

/// What became of the last 32 probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct LossWindow {
    /// One bit per probe, the newest lowest; set where it was lost.
    lost: u32,
    /// Probes seen, at most 32.
    seen: u8,
    /// Whether the path counts as lossy; it takes more to become so than to stay so.
    is_lossy: bool,
}

impl LossWindow {
    const LEN: u8 = 32;

    const fn with(self, lost: bool, policy: &Policy) -> Self {
        let seen = if self.seen < Self::LEN { self.seen + 1 } else { Self::LEN };
        let next = Self { lost: (self.lost << 1) | lost as u32, seen, is_lossy: self.is_lossy };
        let is_lossy = if self.is_lossy {
            next.percent() > policy.lossy_until_percent
        } else {
            // A whole window: where losses come in bursts, fewer show no rate.
            seen >= Self::LEN && next.percent() >= policy.lossy_from_percent
        };
        Self { is_lossy, ..next }
    }

    /// Whether a full window shows hardly any loss.
    #[must_use]
    pub(crate) const fn is_clean(&self, policy: &Policy) -> bool {
        self.seen >= Self::LEN && self.percent() <= policy.clean_until_percent
    }

    /// The share of probes lost, in per cent; 0 where none was sent.
    #[must_use]
    pub const fn percent(&self) -> u8 {
        let seen = if self.seen == 0 { 1 } else { self.seen as u32 };
        let percent = self.lost.count_ones() * 100 / seen;
        // A hostile snapshot may say that 16 of 1 were lost.
        if percent > 100 { 100 } else { percent as u8 }
    }
}

/// How well a path serves; the first rank, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Sound,
    /// It loses a good part of the probes.
    Lossy,
    /// It answers small probes, but packets of the tunnel's full size do not come through.
    Narrow,
    /// It answers probes, but the peer hears nothing of the tunnel: a black hole.
    DataLost,
}

/// What was measured on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct PathQuality {
    /// Smoothed RTT; to the relay only, for a relayed path without an answered probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt: Option<SmoothedRtt>,
    /// What became of the last probes.
    pub loss: LossWindow,
    /// The largest UDP payload known to pass, in bytes, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload_max: Option<u16>,
    /// When data was last seen to be lost, though probes were answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_lost_at: Option<Timestamp>,
    /// How often in a row that was so when the path was given a chance.
    pub data_losses: u8,
}

impl PathQuality {
    /// The quality after one more observation. `counts` says whether a probe shows how much is lost: one that repeats an
    /// unanswered one does not, as losses come in bursts and it would count the burst twice.
    pub(crate) fn after(
        mut self,
        kind: ObservationKind,
        at: Timestamp,
        counts: bool,
        policy: &Policy,
    ) -> Self {
        match kind {
            ObservationKind::ProbeAnswered { rtt_us } => {
                self.rtt = Some(self.rtt.map_or(SmoothedRtt::first(rtt_us), |rtt| rtt.with(rtt_us)));
                self.count(false, counts, policy);
            }
            ObservationKind::RelayRegistered { rtt_us: Some(rtt_us) } => {
                self.rtt = self.rtt.or(Some(SmoothedRtt::first(rtt_us)));
            }
            ObservationKind::ProbeUnanswered | ObservationKind::ProbeLost => {
                self.count(true, counts, policy);
            }
            ObservationKind::PayloadMeasured { payload_max } => self.payload_max = Some(payload_max),
            ObservationKind::DataLost => {
                self.data_losses = self.data_losses_with_one_at(at, policy);
                self.data_lost_at = Some(at);
            }
            ObservationKind::ProbeSent
            | ObservationKind::RelayRegistered { rtt_us: None }
            | ObservationKind::RelayLost => {}
        }
        self
    }

    const fn count(&mut self, is_lost: bool, counts: bool, policy: &Policy) {
        if counts {
            self.loss = self.loss.with(is_lost, policy);
        }
    }

    /// The smoothed RTT in microseconds, where measured.
    #[must_use]
    pub fn rtt_us(&self) -> Option<u32> {
        self.rtt.map(SmoothedRtt::as_micros)
    }

    /// For how long a path is held back after it lost data.
    fn hold(&self, policy: &Policy) -> Duration {
        Duration::from_micros(policy.data_hold_us << u32::from(self.data_losses.saturating_sub(1)).min(6))
    }

    /// How often data will have been lost after one more loss at `at`. Only a chance that was missed makes the next one
    /// later: a path that is held back has none, and is used for want of another. One that served for as long as it was
    /// held back starts anew.
    fn data_losses_with_one_at(&self, at: Timestamp, policy: &Policy) -> u8 {
        let hold = self.hold(policy);
        match self.data_lost_at.map(|lost_at| at.since(lost_at)) {
            Some(since) if since < hold => self.data_losses,
            Some(since) if since < hold * 2 => self.data_losses.saturating_add(1),
            Some(_) | None => 1,
        }
    }

    /// How well the path serves at `now`. A path that lost data is given another chance after a minute, and after twice as
    /// long each time that it misses it.
    #[must_use]
    pub fn health(&self, now: Timestamp, policy: &Policy) -> Health {
        if self.data_lost_at.is_some_and(|at| now.since(at) < self.hold(policy)) {
            Health::DataLost
        } else if self.payload_max.is_some_and(|payload| payload < policy.payload_min) {
            Health::Narrow
        } else if self.loss.is_lossy {
            Health::Lossy
        } else {
            Health::Sound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kinds: &[ObservationKind]) -> PathQuality {
        let policy = Policy::default();
        kinds.iter().fold(PathQuality::default(), |quality, kind| {
            quality.after(*kind, Timestamp::default(), true, &policy)
        })
    }

    fn health(quality: &PathQuality, at_s: u64) -> Health {
        quality.health(Timestamp::from_micros(at_s * 1_000_000), &Policy::default())
    }

    const ANSWERED: ObservationKind = ObservationKind::ProbeAnswered { rtt_us: 1_000 };

    #[test]
    fn a_path_becomes_lossy_at_almost_a_third_and_sound_again_at_an_eighth() {
        let mut kinds = vec![ANSWERED; 23];
        kinds.extend([ObservationKind::ProbeLost; 9]);
        assert_eq!(health(&after(&kinds), 0), Health::Sound);
        kinds.push(ObservationKind::ProbeUnanswered);
        let lossy = after(&kinds);
        assert_eq!((health(&lossy, 0), lossy.loss.percent()), (Health::Lossy, 31));
        kinds.extend([ANSWERED; 27]);
        assert_eq!(health(&after(&kinds), 0), Health::Lossy, "five of 32 are still lost");
        kinds.push(ANSWERED);
        assert_eq!(health(&after(&kinds), 0), Health::Sound);
    }

    #[test]
    fn a_few_probes_show_no_loss_rate() {
        assert_eq!(health(&after(&[ObservationKind::ProbeLost; 31]), 0), Health::Sound);
    }

    /// What is left of the hold after data was lost at each of these times, in multiples of the first hold.
    fn held_until(losses: &[u64]) -> u64 {
        let (policy, hold_us) = (Policy::default(), Policy::default().data_hold_us);
        let at = |holds: u64| Timestamp::from_micros(holds * hold_us);
        let lose = |quality: PathQuality, holds: &u64| {
            quality.after(ObservationKind::DataLost, at(*holds), true, &policy)
        };
        let quality = losses.iter().fold(PathQuality::default(), lose);
        (losses[losses.len() - 1]..)
            .find(|holds| quality.health(at(*holds), &policy) == Health::Sound)
            .unwrap()
    }

    #[test]
    fn a_path_that_misses_its_chances_is_held_back_twice_as_long_each_time() {
        assert_eq!(held_until(&[0]), 1);
        assert_eq!(held_until(&[0, 1]), 1 + 2);
        assert_eq!(held_until(&[0, 1, 3, 7, 15, 31]), 31 + 32);
        assert_eq!(held_until(&[0, 1, 3, 7, 15, 31, 63, 127, 191]), 191 + 64, "no longer than that");
    }

    #[test]
    fn data_lost_on_a_path_that_is_held_back_anyway_makes_it_no_worse() {
        assert_eq!(held_until(&[5, 5, 5, 5]), 6);
        assert_eq!(held_until(&[0, 1, 2, 2, 2]), 2 + 2, "held from the last loss on");
    }

    #[test]
    fn a_path_that_served_for_as_long_as_it_was_held_back_starts_anew() {
        assert_eq!(held_until(&[0, 1, 4]), 4 + 4);
        assert_eq!(held_until(&[0, 1, 5]), 5 + 1);
    }

    #[test]
    fn a_path_too_narrow_for_the_tunnel_is_worse_than_a_lossy_one() {
        let payload_min = Policy::default().payload_min;
        for (payload_max, expected) in [(payload_min - 1, Health::Narrow), (payload_min, Health::Sound)] {
            assert_eq!(health(&after(&[ObservationKind::PayloadMeasured { payload_max }]), 0), expected);
        }
        assert!(Health::Lossy < Health::Narrow && Health::Narrow < Health::DataLost);
    }
}
