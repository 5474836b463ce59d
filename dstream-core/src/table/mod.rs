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

    /// An entry of a table with this seed.
    pub(crate) fn new(seed: u64, key: K, value: V) -> Self
    where
        K: std::hash::Hash,
    {
        Entry { hash: Table::<K, V>::hash(seed, &key), key, value: Some(value) }
    }

    /// Hash, key and value.
    pub(crate) fn into_parts(self) -> Option<(u64, K, V)> {
        self.value.map(|value| (self.hash, self.key, value))
    }
}

/// See the module's documentation.
///
/// Keys of a table that lives longer than a batch can be [removed](Table::remove). The index of a removed key is given to
/// a later one, and until then its entry has no value; so such a table must have a value for every key that is in it.
#[derive(Debug, Clone)]
pub(crate) struct Table<K, V> {
    hasher: FixedState,
    entries: Vec<Entry<K, V>>,
    /// The indices of removed keys.
    free: Vec<u32>,
    /// 0 for a free slot; else the upper half of the hash over the entry's index plus one.
    slots: Vec<u64>,
}

const TAG: u64 = 0xffff_ffff_0000_0000;
const FEWEST_SLOTS: usize = 16;

impl<K, V> Table<K, V> {
    /// An empty table; it allocates at its first insert. `seed` decides where keys go.
    pub(crate) fn new(seed: u64) -> Self {
        Table {
            hasher: FixedState::with_seed(seed),
            entries: Vec::new(),
            free: Vec::new(),
            slots: Vec::new(),
        }
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
            Err(slot) => self.insert(slot, Entry { hash, key, value: None }),
        }
    }

    /// The index of an owned key, which is inserted with what `create` gives if it is new.
    pub(crate) fn intern_with(&mut self, hash: u64, key: K, create: impl FnOnce() -> V) -> usize
    where
        K: Key<Owned = K>,
    {
        match self.find(hash, |owned| key.same_key(owned)) {
            Ok(at) => at,
            Err(slot) => self.insert(slot, Entry { hash, key, value: Some(create()) }),
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

    /// How many entries there are, those without a value included: indices are below this.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many keys are in the table.
    pub(crate) fn live(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Key and value at this index.
    pub(crate) fn at(&self, index: usize) -> Option<(&K, &V)> {
        let Entry { key, value, .. } = self.entries.get(index)?;
        value.as_ref().map(|value| (key, value))
    }

    /// Key and value at this index, to change the value.
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<(&K, &mut V)> {
        let Entry { key, value, .. } = self.entries.get_mut(index)?;
        value.as_mut().map(|value| (&*key, value))
    }

    /// Keys and values, in the order of their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().filter_map(|entry| entry.value.as_ref().map(|value| (&entry.key, value)))
    }

    /// The values, in the same order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().filter_map(|entry| entry.value.as_mut())
    }

    /// Takes a key out of the table; the other keys keep their indices.
    pub(crate) fn remove(&mut self, index: usize) -> Option<V> {
        let Entry { hash, value, .. } = self.entries.get_mut(index)?;
        let value = value.take()?;
        let mask = self.slots.len() - 1;
        let mut gap = *hash as usize & mask;
        while self.slots[gap] & !TAG != index as u64 + 1 {
            gap = (gap + 1) & mask;
        }
        self.free.push(index as u32);
        // What stands behind the gap moves up, so that no probe ends too early: all but what is nearer to its own place.
        let mut at = gap;
        loop {
            self.slots[gap] = 0;
            loop {
                at = (at + 1) & mask;
                let slot = self.slots[at];
                if slot == 0 {
                    return Some(value);
                }
                let home = self.entries[(slot & !TAG) as usize - 1].hash as usize & mask;
                if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                    self.slots[gap] = slot;
                    gap = at;
                    break;
                }
            }
        }
    }

    /// Gives up the room of removed keys if they are many: returns the new index of each old one, if they changed.
    pub(crate) fn compact(&mut self) -> Option<Vec<u32>> {
        if self.free.len() <= (self.entries.len() / 2).max(512) {
            return None;
        }
        let mut next = 0;
        let moved = self.entries.iter().map(|entry| {
            let index = next;
            next += u32::from(entry.value.is_some());
            index
        });
        let moved = moved.collect();
        self.free = Vec::new();
        self.entries.retain(|entry| entry.value.is_some());
        self.entries.shrink_to_fit();
        self.slots = Vec::new();
        self.resize((self.entries.len() * 4).next_power_of_two().max(FEWEST_SLOTS));
        Some(moved)
    }

    /// The hash of a key, as this table and all others with its seed have it.
    pub(crate) fn hash(seed: u64, key: &K) -> u64
    where
        K: std::hash::Hash,
    {
        FixedState::with_seed(seed).hash_one(key)
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
            Err(slot) => {
                self.insert(slot, entry);
            }
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

    fn insert(&mut self, slot: usize, entry: Entry<K, V>) -> usize {
        let at = match self.free.pop() {
            Some(at) => at as usize,
            None => self.entries.len(),
        };
        self.slots[slot] = entry.hash & TAG | (at as u64 + 1);
        match self.entries.get_mut(at) {
            Some(freed) => *freed = entry,
            None => self.entries.push(entry),
        }
        at
    }

    #[cold]
    fn resize(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots, 0);
        let mask = slots - 1;
        let holes = !self.free.is_empty();
        for (index, entry) in self.entries.iter().enumerate() {
            if holes && entry.value.is_none() {
                continue;
            }
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

/// The bucket of a key of any table with this seed.
pub(crate) fn bucket_of<K: std::hash::Hash, V>(entry: &Entry<K, V>, buckets: usize) -> usize {
    bucket(entry.hash, buckets)
}

/// The bucket of a hash: its upper half scaled to `buckets`.
fn bucket(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}

#[cfg(test)]
mod tests;
