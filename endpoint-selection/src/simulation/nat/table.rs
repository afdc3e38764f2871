//! A table that forgets what was not used for a while, at a cost that does not grow with what it holds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::time::Timestamp;

/// Entries by key; each lives for a given time after its last use.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    entries: BTreeMap<K, (Timestamp, V)>,
    /// One item for each entry, at a time when it may be over. Its real end may be later: a use does not touch this,
    /// so an entry costs one look for each lifetime and not for each packet.
    looks: BinaryHeap<Reverse<(Timestamp, K)>>,
    lifetime: Duration,
}

impl<K: Ord + Copy, V> Table<K, V> {
    pub(super) const fn new(lifetime: Duration) -> Self {
        Self { entries: BTreeMap::new(), looks: BinaryHeap::new(), lifetime }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.looks.clear();
    }

    /// The entry, which lives from `now` on.
    pub(super) fn refresh(&mut self, now: Timestamp, key: &K) -> Option<&V> {
        let (used_at, value) = self.entries.get_mut(key)?;
        *used_at = now;
        Some(value)
    }

    /// Sets an entry, which lives from `now` on.
    pub(super) fn insert(&mut self, now: Timestamp, key: K, value: V) {
        if self.entries.insert(key, (now, value)).is_none() {
            self.looks.push(Reverse((now + self.lifetime, key)));
        }
    }

    /// Takes out one entry that is over at `now`. Until this gives `None`, others may still be there that are over too.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Option<(K, V)> {
        while self.looks.peek().is_some_and(|Reverse((at, _))| *at < now) {
            let Reverse((_, key)) = self.looks.pop()?;
            let Some((used_at, _)) = self.entries.get(&key) else { continue };
            let end = *used_at + self.lifetime;
            if end < now {
                return self.entries.remove(&key).map(|(_, value)| (key, value));
            }
            self.looks.push(Reverse((end, key)));
        }
        None
    }
}
