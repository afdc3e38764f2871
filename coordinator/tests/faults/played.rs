//! What a run plays: long or short, and its randomness.

use std::time::{SystemTime, UNIX_EPOCH};

/// Whether the long form runs.
pub(crate) fn is_long() -> bool {
    std::env::var("WARREN_FAULTS").is_ok_and(|form| form == "long")
}

/// One of two numbers, by the form of the run.
pub(crate) fn short_or_long(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Random numbers of a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// By the seed of the environment, or a new one; it is printed, and shown where the test fails.
    pub(crate) fn new(test: &str) -> Self {
        let given = std::env::var("WARREN_FAULTS_SEED").ok().and_then(|seed| seed.parse().ok());
        let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        let seed = given.unwrap_or_else(|| u64::try_from(fresh()).unwrap());
        println!("{test}: WARREN_FAULTS_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
