//! The odds of the techniques, in parts per million and integers only, so that all machines agree.

/// Certain.
pub const CERTAIN_PPM: u32 = 1_000_000;

/// The ports that a NAT may choose from (RFC 4787 REQ-3 leaves out those below 1024).
pub const PORTS: u32 = 64_512;

/// Fixed-point one: 32 bits behind the point.
const ONE: u64 = 1 << 32;

/// Another one, for a series whose sum is up to e²⁰: its largest term, times twenty thousand, just fits.
const SERIES_ONE: u64 = 1 << 24;

/// The chance that `probes` different ones of `ports` ports hit one of `open` ports, drawn without repetition:
/// 1 − ∏ (1 − open / (ports − i)). With 256 open of 64,512 a half takes 175 probes, 99 % take 1,150.
#[must_use]
pub const fn hit_ppm(open: u32, ports: u32, probes: u32) -> u32 {
    if open == 0 || ports == 0 {
        return 0;
    }
    if probes as u64 + open as u64 > ports as u64 {
        return CERTAIN_PPM;
    }
    let (mut miss, mut taken) = (ONE, 0);
    while taken < probes {
        let left = (ports - taken) as u64;
        miss = miss * (left - open as u64) / left;
        taken += 1;
    }
    // At most a million.
    ((ONE - miss) * CERTAIN_PPM as u64 / ONE) as u32
}

/// The chance that at most `slack` foreign flows take ports while a signal is on its way, where `expected_milli`
/// thousandths are expected: the Poisson distribution as ∑ xⁱ/i! up to `slack`, over the whole series.
#[must_use]
pub fn poisson_ppm(expected_milli: u32, slack: u32) -> u32 {
    // Beyond twenty flows a window is no help any more, and the series would not fit.
    let x = u64::from(expected_milli.min(20_000));
    let (mut term, mut sum, mut head, mut i) = (SERIES_ONE, 0, 0, 0);
    while term > 0 {
        sum += term;
        if i <= u64::from(slack) {
            head += term;
        }
        i += 1;
        term = term * x / 1_000 / i;
    }
    // So that the product fits.
    let scale = (sum >> 30).max(1);
    u32::try_from(head / scale * u64::from(CERTAIN_PPM) / (sum / scale)).unwrap_or(CERTAIN_PPM)
}

/// The packets that each side has to send for an even chance that two flows meet, where one side's flows come from any of
/// `own` ports and the other's of `peer` ports: K²/(own · peer) = ln 2.
#[must_use]
pub fn even_packets(own: u32, peer: u32) -> u32 {
    let product = u64::from(own) * u64::from(peer);
    // ln 2 = 0.693147.
    let packets = (product / 1_000_000 * 693_147 + product % 1_000_000 * 693_147 / 1_000_000).isqrt();
    u32::try_from(packets).unwrap_or(u32::MAX)
}

/// The chance that at least one of two independent things happens.
#[must_use]
pub fn either_ppm(a: u32, b: u32) -> u32 {
    let miss = |ppm: u32| u64::from(CERTAIN_PPM - ppm.min(CERTAIN_PPM));
    let both_miss = miss(a) * miss(b) / u64::from(CERTAIN_PPM);
    CERTAIN_PPM - u32::try_from(both_miss).unwrap_or(CERTAIN_PPM)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether two chances agree within half a percent.
    fn is_close(ppm: u32, percent: u32) -> bool {
        ppm.abs_diff(percent * 10_000) < 5_000
    }

    #[test]
    fn the_birthday_odds_are_those_of_the_formula() {
        for (probes, percent) in [(175, 50), (580, 90), (1_024, 98), (1_159, 99)] {
            assert!(
                is_close(hit_ppm(256, PORTS, probes), percent),
                "{probes}: {}",
                hit_ppm(256, PORTS, probes)
            );
        }
        assert!(hit_ppm(256, PORTS, 2_048) > 999_600);
        assert!(is_close(hit_ppm(64, PORTS, 699), 50));
    }

    #[test]
    fn a_block_that_is_searched_to_its_end_is_hit() {
        assert_eq!(hit_ppm(1, 512, 512), CERTAIN_PPM);
        assert!(is_close(hit_ppm(1, 512, 256), 50));
        assert_eq!((hit_ppm(0, 512, 512), hit_ppm(1, 0, 5)), (0, 0));
    }

    #[test]
    fn foreign_flows_beyond_the_window_spoil_a_prediction() {
        assert_eq!(poisson_ppm(0, 0), CERTAIN_PPM);
        // e^-2 = 13.5 %.
        assert!(poisson_ppm(2_000, 0).abs_diff(135_335) < 10);
        assert!(poisson_ppm(2_000, 7) > 998_900);
        assert!(poisson_ppm(20_000, 7) < 1_000);
        assert!(poisson_ppm(u32::MAX, 300) > 999_000);
    }

    #[test]
    fn two_random_sides_need_more_packets_than_any_router_bears() {
        assert_eq!(even_packets(PORTS, PORTS), 53_709);
        assert_eq!(even_packets(512, 512), 426);
        assert!(even_packets(u32::MAX, u32::MAX) > 3_000_000_000);
    }

    #[test]
    fn independent_chances_add_up_and_never_exceed_certainty() {
        assert_eq!(either_ppm(500_000, 500_000), 750_000);
        assert_eq!(either_ppm(u32::MAX, 5), CERTAIN_PPM);
        assert_eq!(either_ppm(0, 0), 0);
    }
}
