//! The profile over time: each fact with its age, and no flapping.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::profile::{Allocation, Filtering, Lifetime, Mapping, NatProfile, UdpReach};
use crate::time::Timestamp;

/// A fact that nothing confirmed for this long is not known any more: networks change without telling.
const AGE_MAX: Duration = Duration::from_secs(600);

/// A value and when it was last seen to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Fact<T> {
    /// The value.
    pub value: T,
    /// When it was last seen to hold.
    pub at: Timestamp,
}

/// What is known of one behaviour, and what was seen once to speak against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tracked<T> {
    fact: Option<Fact<T>>,
    doubt: Option<T>,
}

// Derived `Default` would ask the value for one.
impl<T> Default for Tracked<T> {
    fn default() -> Self {
        Self { fact: None, doubt: None }
    }
}

impl<T: Copy + PartialEq> Tracked<T> {
    /// Takes in what one evaluation saw. What was not known is believed at once, what was known changes only when
    /// another value is seen twice in a row, and what is not seen stays until it is too old. Returns whether it wants to be
    /// asked again soon.
    fn see(&mut self, seen: Option<T>, now: Timestamp) -> bool {
        let known = self.fact.filter(|fact| now.since(fact.at) <= AGE_MAX);
        let is_agreed =
            known.is_none_or(|fact| Some(fact.value) == seen) || (self.doubt.is_some() && self.doubt == seen);
        match seen {
            None => {
                self.fact = known;
                self.doubt = None;
                false
            }
            Some(value) if is_agreed => {
                self.fact = Some(Fact { value, at: now });
                self.doubt = None;
                false
            }
            Some(value) => {
                self.doubt = Some(value);
                true
            }
        }
    }

    fn value(&self) -> Option<T> {
        self.fact.map(|fact| fact.value)
    }
}

/// What is known about the NAT over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NatFacts {
    mapping: Tracked<Mapping>,
    filtering: Tracked<Filtering>,
    allocation: Tracked<Allocation>,
    hairpin: Tracked<bool>,
    lifetime: Option<Lifetime>,
    inner_address: Tracked<std::net::IpAddr>,
    udp: Tracked<UdpReach>,
    is_contradicted: Tracked<bool>,
}

impl NatFacts {
    /// Takes in what the evidence says at `now`. Returns whether something known was contradicted for the first time:
    /// then measure again soon, for the second time decides.
    pub fn see(&mut self, profile: &NatProfile, now: Timestamp) -> bool {
        // A lifetime is a pair of bounds that only ever come closer, and so needs no second look.
        self.lifetime = profile.lifetime.or(self.lifetime);
        // UDP that works was seen to work: no doubt about that. That it is blocked may be one bad minute.
        if profile.udp == Some(UdpReach::Open) {
            self.udp = Tracked { fact: Some(Fact { value: UdpReach::Open, at: now }), doubt: None };
        }
        let doubts = [
            self.mapping.see(profile.mapping, now),
            self.filtering.see(profile.filtering, now),
            self.allocation.see(settled_block(self.allocation.value(), profile.allocation), now),
            self.hairpin.see(profile.hairpin, now),
            self.inner_address.see(profile.inner_address, now),
            self.udp.see(profile.udp, now),
            self.is_contradicted.see(profile.is_contradicted, now),
        ];
        doubts.contains(&true)
    }

    /// What is known now.
    #[must_use]
    pub fn profile(&self) -> NatProfile {
        NatProfile {
            mapping: self.mapping.value(),
            filtering: self.filtering.value(),
            allocation: self.allocation.value(),
            hairpin: self.hairpin.value(),
            lifetime: self.lifetime,
            inner_address: self.inner_address.value(),
            udp: self.udp.value(),
            is_contradicted: self.is_contradicted.value(),
        }
    }

    /// The mapping with its age.
    #[must_use]
    pub const fn mapping(&self) -> Option<Fact<Mapping>> {
        self.mapping.fact
    }

    /// The allocation with its age.
    #[must_use]
    pub const fn allocation(&self) -> Option<Fact<Allocation>> {
        self.allocation.fact
    }
}

/// New samples move the guessed ends of a block a little; that is no other block as long as the two overlap.
fn settled_block(known: Option<Allocation>, seen: Option<Allocation>) -> Option<Allocation> {
    let (
        Some(Allocation::PortBlock { first, last }),
        Some(Allocation::PortBlock { first: seen_first, last: seen_last }),
    ) = (known, seen)
    else {
        return seen;
    };
    if seen_first <= last && first <= seen_last { known } else { seen }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(s: u64) -> Timestamp {
        Timestamp::from_micros(s * 1_000_000)
    }

    fn seen(mapping: Option<Mapping>) -> NatProfile {
        NatProfile { mapping, ..NatProfile::default() }
    }

    const KEPT: Option<Mapping> = Some(Mapping::EndpointIndependent);
    const OTHER: Option<Mapping> = Some(Mapping::AddressAndPortDependent);

    #[test]
    fn what_was_not_known_is_believed_at_once() {
        let mut facts = NatFacts::default();
        assert!(!facts.see(&seen(KEPT), second(1)));
        assert_eq!(facts.profile().mapping, KEPT);
        assert_eq!(facts.mapping().map(|fact| fact.at), Some(second(1)));
    }

    #[test]
    fn one_odd_answer_changes_nothing_and_two_in_a_row_do() {
        let mut facts = NatFacts::default();
        facts.see(&seen(KEPT), second(1));
        assert!(facts.see(&seen(OTHER), second(2)), "ask again soon");
        assert_eq!(facts.profile().mapping, KEPT);
        facts.see(&seen(KEPT), second(3));
        assert!(facts.see(&seen(OTHER), second(4)));
        assert_eq!(facts.profile().mapping, KEPT, "the two were not in a row");
        assert!(!facts.see(&seen(OTHER), second(5)));
        assert_eq!(facts.profile().mapping, OTHER);
    }

    #[test]
    fn a_fact_that_nothing_confirms_is_unknown_after_ten_minutes() {
        let mut facts = NatFacts::default();
        facts.see(&seen(KEPT), second(1));
        facts.see(&seen(None), second(601));
        assert_eq!(facts.profile().mapping, KEPT);
        facts.see(&seen(None), second(602));
        assert_eq!(facts.profile().mapping, None);
    }

    #[test]
    fn blocks_that_overlap_are_one_block() {
        let block = |first, last| NatProfile {
            allocation: Some(Allocation::PortBlock { first, last }),
            ..NatProfile::default()
        };
        let mut facts = NatFacts::default();
        facts.see(&block(2_000, 2_500), second(1));
        assert!(!facts.see(&block(2_010, 2_560), second(2)));
        assert_eq!(facts.profile().allocation, block(2_000, 2_500).allocation);
    }

    #[test]
    fn udp_that_works_is_believed_at_once_and_udp_that_fails_only_twice() {
        let udp = |udp| NatProfile { udp: Some(udp), ..NatProfile::default() };
        let mut facts = NatFacts::default();
        facts.see(&udp(UdpReach::Open), second(1));
        facts.see(&udp(UdpReach::Blocked), second(2));
        assert_eq!(facts.profile().udp, Some(UdpReach::Open));
        facts.see(&udp(UdpReach::Blocked), second(3));
        assert_eq!(facts.profile().udp, Some(UdpReach::Blocked));
        facts.see(&udp(UdpReach::Open), second(4));
        assert_eq!(facts.profile().udp, Some(UdpReach::Open));
    }
}
