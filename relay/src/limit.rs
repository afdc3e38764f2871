//! Rate limits of constant size: one for a session, and a fixed table of them for source addresses.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use endpoint_selection::Timestamp;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MICRO: u64 = 1_000;

/// How much may pass: on average and at once. The unit (packets, bytes, answers) is the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Units a second in the long run; 0 lets nothing pass.
    pub per_second: u64,
    /// Units that may pass at once after a pause; an amount above it never passes.
    pub burst: u64,
}

impl Rate {
    fn nanos(self, units: u64) -> u64 {
        let nanos = u128::from(units) * u128::from(NANOS_PER_SECOND);
        let nanos = nanos.checked_div(u128::from(self.per_second)).unwrap_or(u128::MAX);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

/// A token bucket in eight bytes: the time at which it is full again (the generic cell rate algorithm, ITU-T I.371).
/// Starts full.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    full_at_ns: u64,
}

impl Bucket {
    /// Whether `amount` may pass at `now`. Takes nothing.
    #[must_use]
    pub fn allows(&self, rate: Rate, amount: u64, now: Timestamp) -> bool {
        self.full_at_after(rate, amount, now).is_some()
    }

    /// Takes `amount` if it may pass at `now`; says whether it did.
    pub fn take(&mut self, rate: Rate, amount: u64, now: Timestamp) -> bool {
        let after = self.full_at_after(rate, amount, now);
        self.full_at_ns = after.unwrap_or(self.full_at_ns);
        after.is_some()
    }

    fn full_at_after(self, rate: Rate, amount: u64, now: Timestamp) -> Option<u64> {
        if rate.per_second == 0 {
            return None;
        }
        let now_ns = now.as_micros().saturating_mul(NANOS_PER_MICRO);
        let after = self.full_at_ns.max(now_ns).saturating_add(rate.nanos(amount));
        (after - now_ns <= rate.nanos(rate.burst)).then_some(after)
    }
}

/// Buckets in a [`SourceLimits`]: 512 KiB in all. To exhaust them all, a flood from forged addresses must bring
/// this many times [`Rate::per_second`] packets a second.
const SOURCE_BUCKETS: usize = 1 << 16;

/// One rate for each source address, in memory of constant size whatever arrives: an address is hashed with a
/// secret to one of a fixed number of buckets, and addresses that meet in one share it. An IPv6 source counts as its
/// /64, because a single host may use all of that.
pub struct SourceLimits {
    rate: Rate,
    secret: [u8; 16],
    buckets: Box<[Bucket]>,
}

impl SourceLimits {
    /// `secret`: random, so that nobody can choose addresses that share a bucket with a victim's.
    #[must_use]
    pub fn new(rate: Rate, secret: [u8; 16]) -> Self {
        Self { rate, secret, buckets: vec![Bucket::default(); SOURCE_BUCKETS].into_boxed_slice() }
    }

    /// Takes one unit of the budget of `source`; says whether there was one.
    pub fn take(&mut self, source: IpAddr, now: Timestamp) -> bool {
        let mut hasher = DefaultHasher::new();
        (self.secret, limit_key(source)).hash(&mut hasher);
        let hash = hasher.finish().to_le_bytes();
        let index = usize::from(u16::from_le_bytes([hash[0], hash[1]]));
        self.buckets[index].take(self.rate, 1, now)
    }
}

/// Whose traffic counts together: an IPv4 address, or an IPv6 /64, because a single host may use all of that. Loopback stays
/// what it is.
#[must_use]
pub fn limit_key(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into()
        }
        other @ (IpAddr::V4(_) | IpAddr::V6(_)) => other,
    }
}

// An index is made of two bytes of a hash, so the table must hold every value of them.
const _: () = assert!(SOURCE_BUCKETS == u16::MAX as usize + 1);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_micros(1_000_000);

    #[test]
    fn a_burst_passes_and_the_next_packet_waits_for_its_turn() {
        let rate = Rate { per_second: 10, burst: 3 };
        let mut bucket = Bucket::default();
        for _ in 0..3 {
            assert!(bucket.take(rate, 1, START));
        }
        assert!(!bucket.take(rate, 1, START));
        assert!(!bucket.take(rate, 1, START + Duration::from_millis(99)));
        assert!(bucket.take(rate, 1, START + Duration::from_millis(100)));
    }

    #[test]
    fn an_amount_above_the_burst_never_passes() {
        let rate = Rate { per_second: 10, burst: 3 };
        assert!(!Bucket::default().take(rate, 4, START + Duration::from_secs(3600)));
    }

    #[test]
    fn a_rate_of_zero_lets_nothing_pass() {
        assert!(!Bucket::default().take(Rate { per_second: 0, burst: 3 }, 1, START));
    }

    #[test]
    fn sources_do_not_share_a_budget_but_the_addresses_of_one_ipv6_subnet_do() {
        let mut limits = SourceLimits::new(Rate { per_second: 1, burst: 1 }, [3; 16]);
        assert!(limits.take("203.0.113.1".parse().unwrap(), START));
        assert!(!limits.take("::ffff:203.0.113.1".parse().unwrap(), START));
        assert!(limits.take("203.0.113.2".parse().unwrap(), START));
        assert!(limits.take("2001:db8::1".parse().unwrap(), START));
        assert!(!limits.take("2001:db8::2".parse().unwrap(), START));
        assert!(limits.take("2001:db8:0:1::1".parse().unwrap(), START));
    }

    proptest! {
        #[test]
        fn no_more_than_burst_and_rate_allow_passes_in_any_second(
            per_second in 1_u64..1000, burst in 1_u64..1000, gaps_us in proptest::collection::vec(0_u64..3000, 1..400),
        ) {
            let rate = Rate { per_second, burst };
            let (mut bucket, mut now, mut passed) = (Bucket::default(), START, 0);
            for gap_us in gaps_us {
                now = now + Duration::from_micros(gap_us);
                passed += u64::from(bucket.take(rate, 1, now));
            }
            let earned = u128::from(per_second) * now.since(START).as_micros() / 1_000_000;
            prop_assert!(u128::from(passed) <= u128::from(burst) + earned + 1);
        }

        #[test]
        fn any_rate_and_time_are_computed_without_overflow(
            per_second in any::<u64>(), burst in any::<u64>(), amount in any::<u64>(), micros in any::<u64>(),
        ) {
            let mut bucket = Bucket::default();
            for _ in 0..3 {
                let _ = bucket.take(Rate { per_second, burst }, amount, Timestamp::from_micros(micros));
            }
        }
    }
}
