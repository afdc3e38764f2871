//! Every tunable of the selection.

use serde::{Deserialize, Serialize};

/// The tunables; [`Policy::default`] is what Warren ships.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A path of the same health and tier replaces the current one only if its RTT is lower by at least this many
    /// microseconds…
    pub switch_margin_us: u32,
    /// …and by at least this share of the current RTT, in per cent (and by the jitter of both).
    pub switch_margin_percent: u32,
    /// Unanswered probes in a row after which a path that worked counts as silent.
    pub unanswered_max: u8,
    /// A path that is not in use is chosen only if it answered within this many microseconds: older evidence says that
    /// it worked once, not that it works.
    pub evidence_age_us_max: u64,
    /// This share of the last 32 probes lost, in per cent, makes a path lossy…
    pub lossy_from_percent: u8,
    /// …and it stays so while more than this share is lost.
    pub lossy_until_percent: u8,
    /// A relay replaces a lossy direct path only if it lost no more than this share.
    pub clean_until_percent: u8,
    /// The UDP payload in bytes that the tunnel's longest packet needs.
    pub payload_min: u16,
    /// For how many microseconds a path that loses data is ranked last; doubles each time.
    pub data_hold_us: u64,
    /// The most candidates kept per peer; further ones are refused, so that a hostile map cannot grow us.
    pub candidates_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            // Jitter on a wired path is well below a millisecond; on Wi-Fi some milliseconds. Two stops flapping
            // between equals, and the percentage does for slow paths.
            switch_margin_us: 2_000,
            switch_margin_percent: 10,
            // One loss is common, two in a row are not rare at 10 % loss (1 %), three are (0.1 %).
            unanswered_max: 3,
            // The path in use is asked every 5 s, so evidence on it is hardly older; another one deserves no more trust.
            evidence_age_us_max: 10_000_000,
            // Almost a third of the round trips: at that TCP hardly moves.
            lossy_from_percent: 31,
            lossy_until_percent: 12,
            // Two of 32. A relay that loses a third as well shows so little once in three thousand windows.
            clean_until_percent: 6,
            // The tunnel's MTU of 1280 and WireGuard's 32 bytes (header 16, tag 16).
            payload_min: 1_312,
            // Long enough that a firewall which drops the tunnel costs a second of traffic per minute at worst.
            data_hold_us: 60_000_000,
            candidates_max: 64,
        }
    }
}
