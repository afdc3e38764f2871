//! How a NAT chooses ports, from the ports that it chose.

use std::time::Duration;

use super::profile::Allocation;
use crate::time::Timestamp;

/// One mapping: when it was made, the socket's own port, and the outside one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) local: u16,
    pub(super) outside: u16,
}

/// The farthest that two mappings made after one another may lie apart and still count as sequential: at 100 foreign flows a
/// second, 600 ms between two requests.
const GAP_MAX: i32 = 64;

/// Mappings made farther apart in time say nothing about the step: others took ports meanwhile.
const PAUSE_MAX: Duration = Duration::from_millis(300);

/// The fewest gaps that show a sequence: three in one direction and each at most 64 wide come about by chance once in
/// two million times.
const GAPS_MIN: usize = 3;

/// The fewest samples that show a block: eight of 64,512 ports lie within 4,096 of one another by chance once in 10^7 times.
const BLOCK_SAMPLES_MIN: usize = 8;

/// The widest block worth knowing (RFC 7422 has examples of 512 to 4,000): a wider one cannot be searched within the budget.
const BLOCK_MAX: u16 = 4_096;

/// Four random ports lie within this of one another once in a hundred times; then more samples are needed.
const SPREAD_MIN: u16 = 8_192;

/// The rule behind the ports, given in the order in which they were taken; `None` where there are too few to say.
pub(super) fn allocation_of(samples: &[Sample]) -> Option<Allocation> {
    let (first, rest) = samples.split_first()?;
    if samples.iter().all(|sample| sample.outside == sample.local) {
        return Some(Allocation::Preserving);
    }
    if let Some(step) = sequence_step(samples) {
        return Some(Allocation::Sequential { step });
    }
    let (low, high) = rest.iter().fold((first.outside, first.outside), |(low, high), sample| {
        (low.min(sample.outside), high.max(sample.outside))
    });
    if samples.len() >= BLOCK_SAMPLES_MIN && high - low < BLOCK_MAX {
        let (first, last) = block_around(low, high, samples.len());
        return Some(Allocation::PortBlock { first, last });
    }
    let is_spread = samples.len() > GAPS_MIN && high - low >= SPREAD_MIN;
    (is_spread || samples.len() >= BLOCK_SAMPLES_MIN).then_some(Allocation::Random)
}

/// The step of a sequence; foreign flows may have taken ports between two samples, so it is the greatest common divisor of
/// the gaps.
fn sequence_step(samples: &[Sample]) -> Option<i16> {
    let gaps: Vec<i32> = samples
        .windows(2)
        .filter(|pair| pair[1].at.since(pair[0].at) <= PAUSE_MAX)
        .map(|pair| i32::from(pair[1].outside) - i32::from(pair[0].outside))
        .collect();
    if gaps.len() < GAPS_MIN {
        return None;
    }
    let is_up = gaps[0] > 0;
    if gaps.iter().any(|gap| *gap == 0 || (*gap > 0) != is_up || gap.abs() > GAP_MAX) {
        return None;
    }
    let step = gaps.iter().fold(0, |divisor, gap| greatest_common_divisor(divisor, gap.abs()));
    i16::try_from(if is_up { step } else { -step }).ok()
}

fn greatest_common_divisor(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The block that ports from `low` to `high` were taken from. Blocks are mostly powers of two at multiples of themselves: where
/// one holds all samples and is not far wider than they are, it is taken. Else the ends lie about one mean distance between
/// samples beyond them; two, to be safe.
fn block_around(low: u16, high: u16, samples: usize) -> (u16, u16) {
    let width = high - low + 1;
    for bits in 6..=12 {
        let size = 1_u16 << bits;
        let first = low & !(size - 1);
        if size >= width && high - first < size && u32::from(size) <= 2 * u32::from(width) {
            // There is no port 0.
            return (first.max(1), first + (size - 1));
        }
    }
    let margin = u16::try_from(2 * usize::from(width) / samples.max(1)).unwrap_or(u16::MAX);
    (low.saturating_sub(margin).max(1), high.saturating_add(margin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocation(outside: &[u16]) -> Option<Allocation> {
        let samples: Vec<Sample> = outside
            .iter()
            .map(|port| Sample { at: Timestamp::default(), local: 40_000, outside: *port })
            .collect();
        allocation_of(&samples)
    }

    #[test]
    fn the_own_port_outside_is_preservation() {
        assert_eq!(allocation(&[40_000]), Some(Allocation::Preserving));
        assert_eq!(allocation(&[40_001]), None);
    }

    #[test]
    fn equal_gaps_are_a_sequence_and_foreign_flows_only_widen_them() {
        assert_eq!(allocation(&[100, 101, 102, 103]), Some(Allocation::Sequential { step: 1 }));
        assert_eq!(allocation(&[100, 103, 104, 109]), Some(Allocation::Sequential { step: 1 }));
        assert_eq!(allocation(&[900, 898, 894, 892]), Some(Allocation::Sequential { step: -2 }));
        assert_eq!(allocation(&[100, 101, 102]), None, "three samples may be chance");
        assert_eq!(allocation(&[100, 101, 101, 102]), None, "no progress is no sequence");
    }

    #[test]
    fn a_pause_between_two_bursts_does_not_hide_the_sequence() {
        let at = |ms: u64, outside| Sample { at: Timestamp::from_micros(ms * 1_000), local: 40_000, outside };
        let bursts = [at(0, 100), at(0, 101), at(1_000, 900), at(1_000, 901), at(1_001, 903)];
        assert_eq!(allocation_of(&bursts), Some(Allocation::Sequential { step: 1 }));
    }

    #[test]
    fn ports_close_together_in_no_order_are_a_block() {
        let ports = [2_060, 2_500, 2_101, 2_300, 2_049, 2_555, 2_222, 2_410];
        assert_eq!(allocation(&ports), Some(Allocation::PortBlock { first: 2_048, last: 2_559 }));
        assert_eq!(allocation(&ports[..7]), None, "seven samples may be chance");
    }

    #[test]
    fn a_block_at_odd_bounds_is_widened_by_twice_the_mean_gap() {
        let ports = [5_000, 5_900, 5_100, 5_400, 5_800, 5_200, 5_650, 5_999];
        assert_eq!(allocation(&ports), Some(Allocation::PortBlock { first: 4_750, last: 6_249 }));
    }

    #[test]
    fn no_block_begins_at_port_0() {
        let ports = [40, 3_900, 2_000, 90, 3_000, 1_000, 700, 2_500];
        assert_eq!(allocation(&ports), Some(Allocation::PortBlock { first: 1, last: 4_095 }));
    }

    #[test]
    fn ports_all_over_the_place_are_random() {
        assert_eq!(allocation(&[1_100, 60_000, 33_000, 20_000]), Some(Allocation::Random));
        assert_eq!(allocation(&[1_100, 1_900, 1_300, 1_700]), None, "four close ones may be a block");
    }
}
