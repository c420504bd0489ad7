//! What this instance saw lately: a fixed number of small entries, the oldest forgotten first. For speed only: whatever is
//! forgotten costs a call or a message more, never an event.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A text's number. Texts come from input, so the host's random seed goes into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(u64);

impl Key {
    pub fn new(seed: u64, texts: impl Hash) -> Key {
        let mut hasher = DefaultHasher::new();
        (seed, texts).hash(&mut hasher);
        Key(hasher.finish())
    }
}

/// The entries used last.
pub struct Recent<V> {
    most: usize,
    clock: u64,
    entries: BTreeMap<Key, (u64, V)>,
    by_age: BTreeMap<u64, Key>,
}

impl<V> Recent<V> {
    pub fn new(most: usize) -> Recent<V> {
        Recent { most, clock: 0, entries: BTreeMap::new(), by_age: BTreeMap::new() }
    }

    pub fn get(&self, key: Key) -> Option<&V> {
        self.entries.get(&key).map(|(_, value)| value)
    }

    /// Sets what is known of the key; returns what was.
    pub fn set(&mut self, key: Key, value: V) -> Option<V> {
        self.clock += 1;
        let before = self.entries.insert(key, (self.clock, value));
        if let Some((age, _)) = &before {
            self.by_age.remove(age);
        }
        self.by_age.insert(self.clock, key);
        if self.entries.len() > self.most
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.entries.remove(&oldest);
        }
        before.map(|(_, value)| value)
    }

    pub fn remove(&mut self, key: Key) {
        if let Some((age, _)) = self.entries.remove(&key) {
            self.by_age.remove(&age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let key = |n: u32| Key::new(1, n);
        let mut recent = Recent::new(2);
        assert_eq!(recent.set(key(1), "a"), None);
        recent.set(key(2), "b");
        assert_eq!(recent.set(key(1), "c"), Some("a"));
        recent.set(key(3), "d");
        assert_eq!([1, 2, 3].map(|n| recent.get(key(n)).copied()), [Some("c"), None, Some("d")]);
        recent.remove(key(1));
        assert_eq!((recent.get(key(1)), recent.entries.len(), recent.by_age.len()), (None, 1, 1));
        assert_ne!(Key::new(1, "x"), Key::new(2, "x"));
    }
}
