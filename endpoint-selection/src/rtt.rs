//! Smoothed round-trip time in integer microseconds (the estimator of RFC 6298 §2, gain 1/8).

use serde::{Deserialize, Serialize};

/// A smoothed RTT; starts with its first sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SmoothedRtt {
    micros: u32,
}

impl SmoothedRtt {
    /// The estimate after one sample.
    #[must_use]
    pub const fn first(sample_us: u32) -> Self {
        Self { micros: sample_us }
    }

    /// The estimate after one more sample.
    #[must_use]
    pub const fn with(self, sample_us: u32) -> Self {
        let sum = 7 * self.micros as u64 + sample_us as u64;
        // An eighth of eight u32 values fits a u32.
        #[expect(clippy::cast_possible_truncation, reason = "the mean of u32 values is a u32")]
        Self { micros: (sum / 8) as u32 }
    }

    /// Microseconds.
    #[must_use]
    pub const fn as_micros(self) -> u32 {
        self.micros
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_answer_moves_the_estimate_by_an_eighth() {
        assert_eq!(SmoothedRtt::first(8_000).with(16_000).as_micros(), 9_000);
        assert_eq!(SmoothedRtt::first(u32::MAX).with(u32::MAX).as_micros(), u32::MAX);
    }
}
