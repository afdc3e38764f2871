//! Random numbers that begin at a seed: the same seed gives the same row again.

use std::time::Duration;

use crate::error::LabError;

/// Sets the seed of a run that draws one of its own, to repeat it.
const SEED_VARIABLE: &str = "WARREN_LAB_SEED";

/// A row of random numbers (SplitMix64).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The row of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Any of 2⁶⁴ numbers.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// So many random bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.next().to_le_bytes()[3]).take(count).collect()
    }

    /// A pause of a Poisson process with this mean; never longer than ten of them.
    pub(crate) fn pause(&mut self, mean: Duration) -> Duration {
        // 53 bits are what the fraction of an `f64` holds; a half more, so that it is never 0.
        let even = ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        mean.mul_f64((-even.ln()).min(10.0))
    }
}

/// The seed of this run: another one each time, unless the environment repeats one.
pub(crate) fn seed() -> Result<u64, LabError> {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => text
            .parse()
            .map_err(|_| LabError::Description(format!("{SEED_VARIABLE} must be a number, not `{text}`"))),
        Err(_) => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            // Nanoseconds alone: short enough to type.
            Ok(now.subsec_nanos().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Random;

    #[test]
    fn a_row_is_the_same_for_the_same_seed() {
        let (mut one, mut other) = (Random::of(5), Random::of(5));
        assert_eq!(one.bytes(40), other.bytes(40));
        assert_ne!(one.next(), Random::of(6).next());
    }

    #[test]
    fn pauses_are_as_long_as_asked_for_on_average_and_never_endless() {
        let (mut random, mean) = (Random::of(1), Duration::from_millis(50));
        let pauses: Vec<Duration> = std::iter::repeat_with(|| random.pause(mean)).take(4_000).collect();
        let average = pauses.iter().sum::<Duration>() / 4_000;
        assert!(average.abs_diff(mean) < Duration::from_millis(3), "{average:?}");
        assert!(pauses.iter().all(|pause| *pause <= mean * 10));
    }
}
