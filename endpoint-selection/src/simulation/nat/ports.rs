//! Which outside port comes next (RFC 4787 §4.2).

use std::net::{IpAddr, SocketAddr};

use super::behaviour::PortAllocation;
use crate::simulation::rng::Rng;
use crate::sorted::SortedMap;

/// The ports that mappings take: all but the well-known ones.
const FIRST: u16 = 1_024;
const COUNT: u16 = u16::MAX - FIRST + 1;

/// How often a random port is drawn before the first free one behind it is taken: too few only where nearly all are in
/// use.
const DRAWS: u32 = 32;

/// The ports of one NAT.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    used: Numbers,
    /// What the counter gives next; `None` before its first port.
    next: Option<u16>,
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
            blocks: SortedMap::new(),
            used_blocks: Numbers::new(),
            next_block: 0,
        }
    }

    /// Everything is free again; the counters stay where they are.
    pub(super) fn clear(&mut self) {
        self.used = Numbers::new();
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
        for _ in 0..COUNT {
            let port = self.next.unwrap_or(if step < 0 { u16::MAX } else { FIRST });
            let place = i32::from(port - FIRST) + i32::from(step);
            self.next = Some(FIRST + u16::try_from(place.rem_euclid(i32::from(COUNT))).unwrap_or(0));
            if !self.used.contains(port) {
                return Some(port);
            }
        }
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
            let start = draw(rng);
            (start..count).chain(0..start).map(|place| first + place).find(is_free)
        })
    }
}
