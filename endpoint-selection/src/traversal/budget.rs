//! What an attempt may cost.

use serde::{Deserialize, Serialize};

/// The limits of one attempt. The defaults are what no router complains about: home routers hold 4,000 to 64,000
/// connections, some carriers give a subscriber 1,000, and a scanner is louder than 200 packets a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// New mappings that an attempt may make on the own NAT by opening sockets.
    pub sockets_max: u16,
    /// Probes per second.
    pub probes_per_s: u16,
    /// Probes in all.
    pub probes_max: u16,
    /// The pause after the first failed attempt, in seconds; each next one is twice as long…
    pub pause_min_s: u16,
    /// …up to this. It never ends.
    pub pause_max_s: u16,
}

impl Default for Budget {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Budget {
    /// What is shipped.
    pub const DEFAULT: Self = Self {
        sockets_max: 256,
        probes_per_s: 200,
        probes_max: 2_048,
        // Longer than a NAT's shortest usual timeout of 30 s, so that the entries of one attempt are gone at the next.
        pause_min_s: 35,
        pause_max_s: 600,
    };

    /// Microseconds between two probes.
    #[must_use]
    pub fn interval_us(&self) -> u64 {
        1_000_000 / u64::from(self.probes_per_s.max(1))
    }

    /// Seconds to pause after `failures` failed attempts in a row.
    #[must_use]
    pub fn pause_s(&self, failures: u32) -> u64 {
        let doubled = u64::from(self.pause_min_s) << failures.saturating_sub(1).min(16);
        doubled.min(u64::from(self.pause_max_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_ten_minutes_and_never_end() {
        let pauses: Vec<u64> = (1..=7).map(|failures| Budget::default().pause_s(failures)).collect();
        assert_eq!(pauses, [35, 70, 140, 280, 560, 600, 600]);
        assert_eq!(Budget::default().pause_s(u32::MAX), 600);
    }
}
