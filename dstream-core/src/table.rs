//! The keyed table of shuffles: borrowed look-up, owned insert, the hash carried along.
//!
//! Entries stand in a `Vec` in the order of their first insert, so a batch that is run again gives the same
//! order. Beside it an open-addressed array of slots holds, for each entry, 32 bits of its hash and its index: a
//! probe touches an entry only when those bits agree, and growing never hashes a key again.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use crate::{Key, Record, record::Portable};

/// One key with its value and its hash.
#[derive(Debug, Clone)]
pub struct Entry<K, V> {
    hash: u64,
    key: K,
    // Empty only while a combiner has the value.
    value: Option<V>,
}

impl<K, V> Entry<K, V> {
    /// Key and value.
    pub(crate) fn into_pair(self) -> Option<(K, V)> {
        self.value.map(|value| (self.key, value))
    }

    /// Hash, key and value.
    pub(crate) fn into_parts(self) -> Option<(u64, K, V)> {
        self.value.map(|value| (self.hash, self.key, value))
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    hasher: FixedState,
    entries: Vec<Entry<K, V>>,
    /// 0 for a free slot; else the upper half of the hash over the entry's index plus one.
    slots: Vec<u64>,
}

const TAG: u64 = 0xffff_ffff_0000_0000;
const FEWEST_SLOTS: usize = 16;

impl<K, V> Table<K, V> {
    /// An empty table; it allocates at its first insert. `seed` decides where keys go.
    pub(crate) fn new(seed: u64) -> Self {
        Table { hasher: FixedState::with_seed(seed), entries: Vec::new(), slots: Vec::new() }
    }

    /// A table with room for `n` keys.
    pub(crate) fn with_capacity(seed: u64, n: usize) -> Self {
        let mut table = Table::new(seed);
        table.entries.reserve(n);
        table.resize((n * 2).next_power_of_two().max(FEWEST_SLOTS));
        table
    }

    /// The entries, in the order of first insert.
    pub(crate) fn into_entries(self) -> Vec<Entry<K, V>> {
        self.entries
    }

    /// Adds `value` to what `key` has; the key is owned only when it is new.
    #[inline]
    pub(crate) fn combine<Q, W>(
        &mut self,
        key: Q,
        value: W,
        create: impl FnOnce(W::Owned) -> V,
        f: impl FnOnce(V, W::Owned) -> V,
    ) where
        Q: Key<Owned = K>,
        W: Record,
    {
        let hash = self.hasher.hash_one(&key);
        match self.find(hash, |owned| key.same_key(owned)) {
            Ok(at) => {
                let held = &mut self.entries[at].value;
                *held = Some(match held.take() {
                    Some(old) => f(old, value.own()),
                    None => create(value.own()),
                });
            }
            Err(slot) => {
                let value = Some(create(value.own()));
                self.insert(slot, Entry { hash, key: key.own(), value });
            }
        }
    }

    /// The index of an owned key, which is inserted without a value if it is new. Indices count up from 0.
    pub(crate) fn intern(&mut self, hash: u64, key: K) -> usize
    where
        K: Key<Owned = K>,
    {
        match self.find(hash, |owned| key.same_key(owned)) {
            Ok(at) => at,
            Err(slot) => {
                self.insert(slot, Entry { hash, key, value: None });
                self.entries.len() - 1
            }
        }
    }

    /// The index of an owned key.
    pub(crate) fn get(&mut self, hash: u64, key: &K) -> Option<usize>
    where
        K: Key<Owned = K>,
    {
        self.find(hash, |owned| key.same_key(owned)).ok()
    }

    /// Whether the key of an entry of another table with the same seed is here.
    pub(crate) fn holds<W>(&mut self, entry: &Entry<K, W>) -> bool
    where
        K: Key<Owned = K>,
    {
        self.get(entry.hash, &entry.key).is_some()
    }

    /// The value of the key with this index.
    pub(crate) fn value_mut(&mut self, index: usize) -> &mut Option<V> {
        &mut self.entries[index].value
    }

    /// Adds an entry of another table with the same seed.
    #[inline]
    pub(crate) fn merge(&mut self, entry: Entry<K, V>, f: impl FnOnce(V, V) -> V)
    where
        K: Key<Owned = K>,
    {
        match self.find(entry.hash, |owned| entry.key.same_key(owned)) {
            Ok(at) => {
                let held = &mut self.entries[at].value;
                *held = match (held.take(), entry.value) {
                    (Some(old), Some(new)) => Some(f(old, new)),
                    (old, new) => old.or(new),
                };
            }
            Err(slot) => self.insert(slot, entry),
        }
    }

    /// The index of the key's entry, or the slot where it would go.
    #[inline]
    fn find(&mut self, hash: u64, same: impl Fn(&K) -> bool) -> Result<usize, usize> {
        if self.entries.len() * 2 >= self.slots.len() {
            self.resize((self.slots.len() * 2).max(FEWEST_SLOTS));
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            if (slot ^ hash) & TAG == 0 {
                let index = (slot & !TAG) as usize - 1;
                let entry = &self.entries[index];
                if entry.hash == hash && same(&entry.key) {
                    return Ok(index);
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, slot: usize, entry: Entry<K, V>) {
        self.slots[slot] = entry.hash & TAG | (self.entries.len() as u64 + 1);
        self.entries.push(entry);
    }

    #[cold]
    fn resize(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots, 0);
        let mask = slots - 1;
        for (index, entry) in self.entries.iter().enumerate() {
            let mut at = entry.hash as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = entry.hash & TAG | (index as u64 + 1);
        }
    }
}

/// Shares entries out by the upper bits of their hash, keeping their order. The lower bits place them in a table.
pub(crate) fn split<K, V>(entries: Vec<Entry<K, V>>, buckets: usize) -> Vec<Vec<Entry<K, V>>> {
    let mut out: Vec<Vec<Entry<K, V>>> = Vec::new();
    let each = entries.len() / buckets;
    // A little more than the mean, so that most buckets never grow.
    out.resize_with(buckets, || Vec::with_capacity(if each > 8 { each + each / 4 } else { 0 }));
    for entry in entries {
        out[bucket(entry.hash, buckets)].push(entry);
    }
    out
}

/// Shares pairs out without combining them, for operators that need every one.
#[derive(Debug)]
pub struct Scatter<K, V> {
    hasher: FixedState,
    buckets: Vec<Vec<Entry<K, V>>>,
}

impl<K, V> Scatter<K, V> {
    /// Nothing in any of `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        Scatter { hasher: FixedState::with_seed(seed), buckets: (0..buckets).map(|_| Vec::new()).collect() }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W))
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        let hash = self.hasher.hash_one(&key);
        let at = bucket(hash, self.buckets.len());
        self.buckets[at].push(Entry { hash, key: key.own(), value: Some(value.own()) });
    }

    /// The task's entries, by bucket.
    pub fn done(self) -> Vec<Vec<Entry<K, V>>> {
        self.buckets
    }
}

/// The bucket of a hash: its upper half scaled to `buckets`.
fn bucket(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, hash::Hash};

    use proptest::prelude::*;

    use super::*;

    /// Keys whose hashes collide in every bit: all of them in one probe chain.
    #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    struct Colliding(u8);

    impl Hash for Colliding {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            0u8.hash(state);
        }
    }

    impl Record for Colliding {
        type Owned = Colliding;

        fn own(self) -> Colliding {
            self
        }
    }

    impl Key for Colliding {
        fn same_key(&self, owned: &Colliding) -> bool {
            self == owned
        }
    }

    proptest! {
        #[test]
        fn counts_like_a_hash_map(words in proptest::collection::vec("[a-d]{0,3}", 0..400), buckets in 1usize..40) {
            let mut table = Table::new(7);
            let mut naive: HashMap<&str, u64> = HashMap::new();
            for word in &words {
                table.combine(word.as_str(), 1u64, |n| n, |a, b| a + b);
                *naive.entry(word).or_default() += 1;
            }
            let mut seen = 0;
            for part in split(table.into_entries(), buckets) {
                for (word, n) in part.into_iter().filter_map(Entry::into_pair) {
                    prop_assert_eq!(naive[word.as_str()], n);
                    seen += 1;
                }
            }
            prop_assert_eq!(seen, naive.len());
        }

        #[test]
        fn keys_that_collide_stay_apart(keys in proptest::collection::vec(0u8..20, 0..200)) {
            let (left, right) = keys.split_at(keys.len() / 2);
            let mut table = Table::with_capacity(1, 4);
            left.iter().for_each(|k| table.combine(Colliding(*k), 1u64, |n| n, |a, b| a + b));
            let mut other = Table::new(1);
            right.iter().for_each(|k| other.combine(Colliding(*k), 1u64, |n| n, |a, b| a + b));
            for entry in other.into_entries() {
                table.merge(entry, |a, b| a + b);
            }
            for (key, n) in table.into_entries().into_iter().filter_map(Entry::into_pair) {
                prop_assert_eq!(keys.iter().filter(|k| **k == key.0).count() as u64, n);
            }
        }
    }

    #[test]
    fn keeps_the_order_of_first_insert() {
        let mut table = Table::new(0);
        for word in ["b", "a", "c", "a", "b"] {
            table.combine(word, 1u64, |n| n, |a, b| a + b);
        }
        let words: Vec<_> = table.into_entries().into_iter().filter_map(Entry::into_pair).collect();
        assert_eq!(words, [("b".into(), 2), ("a".into(), 2), ("c".into(), 1)]);
    }

    #[test]
    fn a_borrowed_key_hashes_like_its_owned_form() {
        let state = FixedState::with_seed(3);
        assert_eq!(state.hash_one(("a", 1u8)), state.hash_one(("a".own(), 1u8)));
        assert_eq!(state.hash_one([1u8, 2].as_slice()), state.hash_one(vec![1u8, 2]));
    }
}
