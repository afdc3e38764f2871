//! Which outside port comes next (RFC 4787 §4.2).

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::behaviour::PortAllocation;
use crate::simulation::rng::Rng;
use crate::sorted::SortedMap;

/// The ports that mappings take: all but the well-known ones.
const FIRST: u16 = 1_024;
pub(super) const COUNT: u16 = u16::MAX - FIRST + 1;

/// How often a random port is drawn before the first free one behind it is taken: too few only where nearly all are in
/// use.
const DRAWS: u32 = 32;

/// The ports of one NAT.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    used: Numbers,
    /// What the counter gives next; `None` before its first port.
    next: Option<u16>,
    /// With so many ports in use the counter found none that it comes to: by steps of two it comes to half of them.
    full_at: usize,
    blocks: SortedMap<IpAddr, Block>,
    used_blocks: Numbers,
    next_block: u16,
}

/// A set of numbers, one bit for each.
#[derive(Debug, Clone)]
struct Numbers {
    bits: Vec<u64>,
    count: usize,
}

impl Numbers {
    const fn new() -> Self {
        Self { bits: Vec::new(), count: 0 }
    }

    fn bit_of(number: u16) -> (usize, u64) {
        (usize::from(number / 64), 1 << (number % 64))
    }

    fn contains(&self, number: u16) -> bool {
        let (word, bit) = Self::bit_of(number);
        self.bits.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn set(&mut self, number: u16, is_in: bool) {
        if self.contains(number) == is_in {
            return;
        }
        let (word, bit) = Self::bit_of(number);
        if self.bits.is_empty() {
            self.bits.resize(Self::bit_of(u16::MAX).0 + 1, 0);
        }
        self.bits[word] ^= bit;
        self.count = if is_in { self.count + 1 } else { self.count - 1 };
    }

    /// The first number of a range that is not in, found by words: where nearly all are in, one by one would take long.
    fn first_missing(&self, range: RangeInclusive<u16>) -> Option<u16> {
        let mut number = u32::from(*range.start());
        while number <= u32::from(*range.end()) {
            let word = self.bits.get(usize::try_from(number / 64).ok()?).copied().unwrap_or(0);
            let present = (word >> (number % 64)).trailing_ones();
            if present < 64 - number % 64 {
                return u16::try_from(number + present).ok().filter(|number| range.contains(number));
            }
            number += 64 - number % 64;
        }
        None
    }
}

/// The ports of one inside host, while it uses any.
#[derive(Debug, Clone)]
struct Block {
    number: u16,
    used: u16,
}

impl Ports {
    pub(super) const fn new() -> Self {
        Self {
            used: Numbers::new(),
            next: None,
            full_at: COUNT as usize,
            blocks: SortedMap::new(),
            used_blocks: Numbers::new(),
            next_block: 0,
        }
    }

    /// Everything is free again; the counters stay where they are.
    pub(super) fn clear(&mut self) {
        self.used = Numbers::new();
        self.full_at = usize::from(COUNT);
        self.blocks.clear();
        self.used_blocks = Numbers::new();
    }

    /// A port for a mapping of `inside`; `None` where there is none left.
    pub(super) fn take(
        &mut self,
        allocation: PortAllocation,
        inside: SocketAddr,
        rng: &mut Rng,
    ) -> Option<u16> {
        if self.used.count >= usize::from(COUNT) {
            return None;
        }
        let port = match allocation {
            PortAllocation::Preserving if inside.port() >= FIRST && !self.used.contains(inside.port()) => {
                inside.port()
            }
            PortAllocation::Preserving => self.count_on(1)?,
            PortAllocation::Sequential { step } => self.count_on(step.get())?,
            PortAllocation::PortBlock { size } => self.take_of_block(inside.ip(), size.get(), rng)?,
            PortAllocation::Random => self.any_of(FIRST, COUNT, rng)?,
        };
        self.used.set(port, true);
        Some(port)
    }

    /// The mapping of `inside` with this port is gone.
    pub(super) fn release(&mut self, inside: IpAddr, port: u16) {
        self.used.set(port, false);
        if let Some(block) = self.blocks.get_mut(&inside) {
            block.used = block.used.saturating_sub(1);
            if block.used == 0 {
                self.used_blocks.set(block.number, false);
                self.blocks.remove(&inside);
            }
        }
    }

    /// The counter's next free port; ports in use are passed over. It begins at the end from which it has the longest way to
    /// go: one that wrapped round at its second port would look random to whoever measures it.
    fn count_on(&mut self, step: i16) -> Option<u16> {
        if self.used.count >= self.full_at {
            return None;
        }
        for _ in 0..COUNT {
            let mut port = self.next.unwrap_or(if step < 0 { u16::MAX } else { FIRST });
            if step == 1 {
                let ahead = self.used.first_missing(port..=u16::MAX);
                port = ahead.or_else(|| self.used.first_missing(FIRST..=port))?;
            }
            let place = i32::from(port - FIRST) + i32::from(step);
            self.next = Some(FIRST + u16::try_from(place.rem_euclid(i32::from(COUNT))).unwrap_or(0));
            if !self.used.contains(port) {
                return Some(port);
            }
        }
        self.full_at = self.used.count;
        None
    }

    fn take_of_block(&mut self, host: IpAddr, size: u16, rng: &mut Rng) -> Option<u16> {
        let size = size.min(COUNT);
        if self.blocks.get(&host).is_some_and(|block| block.used >= size) {
            return None;
        }
        let number = match self.blocks.get(&host) {
            Some(block) => block.number,
            None => self.free_block(COUNT / size)?,
        };
        let port = self.any_of(FIRST + number * size, size, rng)?;
        self.used_blocks.set(number, true);
        self.blocks.insert_new(host, Block { number, used: 0 });
        self.blocks.get_mut(&host)?.used += 1;
        Some(port)
    }

    /// The next block of `count` that no host holds.
    fn free_block(&mut self, count: u16) -> Option<u16> {
        if self.used_blocks.count >= usize::from(count) {
            return None;
        }
        for _ in 0..count {
            let number = self.next_block % count;
            self.next_block = (number + 1) % count;
            if !self.used_blocks.contains(number) {
                return Some(number);
            }
        }
        None
    }

    /// Any free port of `count` from `first` on.
    fn any_of(&self, first: u16, count: u16, rng: &mut Rng) -> Option<u16> {
        let draw = |rng: &mut Rng| u16::try_from(rng.below(u64::from(count))).unwrap_or(0);
        let is_free = |port: &u16| !self.used.contains(*port);
        let drawn = (0..DRAWS).map(|_| first + draw(rng)).find(is_free);
        drawn.or_else(|| {
            let (start, last) = (first + draw(rng), first + (count - 1));
            self.used.first_missing(start..=last).or_else(|| self.used.first_missing(first..=start))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::num::NonZeroI16;

    use super::*;

    #[test]
    fn a_free_port_is_found_as_if_each_one_was_looked_at() {
        let mut rng = Rng::new(1);
        for _ in 0..200 {
            let mut numbers = Numbers::new();
            (FIRST..=u16::MAX).for_each(|port| numbers.set(port, true));
            let mut draw = || FIRST + u16::try_from(rng.below(u64::from(COUNT))).unwrap();
            (0..5).for_each(|_| numbers.set(draw(), false));
            for range in [FIRST..=u16::MAX, draw()..=u16::MAX, FIRST..=draw(), draw()..=draw()] {
                let one_by_one = range.clone().find(|port| !numbers.contains(*port));
                assert_eq!(numbers.first_missing(range.clone()), one_by_one, "{range:?}");
            }
        }
        assert_eq!(Numbers::new().first_missing(7..=7), Some(7));
    }

    #[test]
    fn a_counter_that_comes_to_half_of_the_ports_goes_on_where_one_of_these_is_free_again() {
        let (mut ports, mut rng) = (Ports::new(), Rng::new(1));
        let inside = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 1);
        let by_two = PortAllocation::Sequential { step: NonZeroI16::new(2).unwrap() };
        let all = std::iter::from_fn(|| ports.take(by_two, inside, &mut rng)).count();
        assert_eq!(all, usize::from(COUNT / 2));
        assert_eq!(ports.take(by_two, inside, &mut rng), None);
        ports.release(inside.ip(), 2_000);
        assert_eq!(ports.take(by_two, inside, &mut rng), Some(2_000));
        assert_eq!(ports.take(by_two, inside, &mut rng), None);
        ports.clear();
        assert!(ports.take(by_two, inside, &mut rng).is_some());
    }
}
