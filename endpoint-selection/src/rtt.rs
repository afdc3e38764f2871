//! Smoothed round-trip time and its variation in integer microseconds (the estimators of RFC 6298 §2).

use serde::{Deserialize, Serialize};

/// A smoothed RTT; starts with its first sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct SmoothedRtt {
    rtt_us: u32,
    variation_us: u32,
}

impl SmoothedRtt {
    /// The estimate after one sample. RFC 6298 takes half of it for the variation, because its timer must not fire too
    /// early; nothing here fires, so nothing is known of the variation yet.
    #[must_use]
    pub const fn first(sample_us: u32) -> Self {
        Self { rtt_us: sample_us, variation_us: 0 }
    }

    /// The estimate after one more sample: gains 1/8 for the RTT, 1/4 for its variation.
    #[must_use]
    pub const fn with(self, sample_us: u32) -> Self {
        Self {
            rtt_us: mean(self.rtt_us, 7, sample_us),
            variation_us: mean(self.variation_us, 3, self.rtt_us.abs_diff(sample_us)),
        }
    }

    /// The smoothed RTT in microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u32 {
        self.rtt_us
    }

    /// How far samples lie from it, smoothed, in microseconds: the jitter.
    #[must_use]
    pub const fn variation_micros(self) -> u32 {
        self.variation_us
    }
}

/// The mean of `weight` old values and one new one.
const fn mean(old: u32, weight: u32, new: u32) -> u32 {
    let sum = weight as u64 * old as u64 + new as u64;
    #[expect(clippy::cast_possible_truncation, reason = "the mean of u32 values is a u32")]
    {
        (sum / (weight as u64 + 1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_answer_moves_the_estimate_by_an_eighth_and_the_variation_by_a_quarter() {
        let rtt = SmoothedRtt::first(8_000).with(16_000);
        assert_eq!((rtt.as_micros(), rtt.variation_micros()), (9_000, 2_000));
        assert_eq!(SmoothedRtt::first(u32::MAX).with(u32::MAX).as_micros(), u32::MAX);
    }
}
