//! A table that forgets what was not used for a while, at a cost that does not grow with what it holds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// Entries by key; each lives for a given time after its last use.
#[derive(Debug, Clone)]
pub(super) struct Table<K, V> {
    slots: Vec<Option<Entry<K, V>>>,
    free: Vec<usize>,
    /// The slot of each key.
    by_key: SortedMap<K, usize>,
    /// One item for each slot in use, at a time when its entry may be over. The real end may be later: a use does not touch
    /// this, so an entry costs one look for each lifetime and not for each packet.
    looks: BinaryHeap<Reverse<(Timestamp, usize)>>,
    lifetime: Duration,
}

#[derive(Debug, Clone)]
struct Entry<K, V> {
    key: K,
    used_at: Timestamp,
    value: V,
}

impl<K: Ord + Copy, V> Table<K, V> {
    pub(super) const fn new(lifetime: Duration) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_key: SortedMap::new(),
            looks: BinaryHeap::new(),
            lifetime,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.lifetime);
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let slot = *self.by_key.get(key)?;
        self.slots.get(slot)?.as_ref().map(|entry| &entry.value)
    }

    /// The entry, which lives from `now` on.
    pub(super) fn refresh(&mut self, now: Timestamp, key: &K) -> Option<&V> {
        let slot = *self.by_key.get(key)?;
        let entry = self.slots.get_mut(slot)?.as_mut()?;
        entry.used_at = now;
        Some(&entry.value)
    }

    /// Sets an entry that was not there; it lives from `now` on.
    pub(super) fn insert(&mut self, now: Timestamp, key: K, value: V) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[slot] = Some(Entry { key, used_at: now, value });
        self.by_key.insert(key, slot);
        self.looks.push(Reverse((now + self.lifetime, slot)));
    }

    /// Takes out one entry that is over at `now`. Until this gives `None`, others may still be there that are over too.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Option<V> {
        while let Some(Reverse((at, slot))) = self.looks.peek().copied()
            && at < now
        {
            self.looks.pop();
            let end = self.slots.get(slot)?.as_ref()?.used_at + self.lifetime;
            if end < now {
                let entry = self.slots[slot].take()?;
                self.by_key.remove(&entry.key);
                self.free.push(slot);
                return Some(entry.value);
            }
            self.looks.push(Reverse((end, slot)));
        }
        None
    }
}
