//! A map for few entries: a vector in order of key. It iterates as a `BTreeMap` does, whose code, once per type of key, made up
//! a quarter of the module for browsers.

/// Entries in order of key. A lookup takes logarithmic time; an insertion moves what lies behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SortedMap<K, V>(Vec<(K, V)>);

// Derived `Default` would ask key and value for one.
impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> SortedMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keeps(key, value));
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    fn place_of(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.place_of(key).is_ok()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(self.place_of(key).ok()?).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place_of(key).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// Sets an entry; a value that was there is replaced.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.place_of(&key) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (key, value)),
        }
    }

    /// Sets an entry where there is none yet.
    pub(crate) fn insert_new(&mut self, key: K, value: V) {
        if let Err(place) = self.place_of(&key) {
            self.0.insert(place, (key, value));
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.place_of(key).ok().map(|place| self.0.remove(place).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_order_of_key_however_they_came() {
        let mut map = SortedMap::new();
        for key in [5, 1, 9, 3, 5] {
            map.insert(key, key * 10);
        }
        map.insert_new(1, 0);
        map.insert_new(7, 70);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&1, &10), (&3, &30), (&5, &50), (&7, &70), (&9, &90)]);
        assert_eq!((map.remove(&3), map.remove(&3), map.len()), (Some(30), None, 4));
        assert_eq!((map.get(&9), map.get(&3), map.contains_key(&5)), (Some(&90), None, true));
    }
}
