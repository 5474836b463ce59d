//! The sink of grouping: the values of a task in their order, each with the number of its key.

use std::iter;

use super::{
    Chunks, Entry, KeyHasher, Table,
    key_cache::{KeyCache, LOOKUP_BATCH},
    key_hasher::bucket,
};
use crate::{Key, Record, inline_key::InlineKey, record::Portable, table::HasLen};

/// Numbers the keys of a task, and stores its values in their order.
///
/// Only as many keys are looked up as fit into the `KeyCache`. A key that is not found gets a new number;
/// equal keys with several numbers are unified when the tasks are merged.
#[derive(Debug)]
pub struct GroupSink<K, V> {
    hasher: KeyHasher,
    /// The numbers of the cached short keys; `None` once the cache did not pay off.
    cache: Option<KeyCache<u32>>,
    /// Long keys with their buckets.
    long: Table<K, u32>,
    /// Pairs that are to be looked up together. A long key is represented by its index in `long`.
    pending: Vec<(InlineKey, V)>,
    buckets: Vec<GroupPartial<K, V>>,
}

/// The values that one task has for one bucket.
#[derive(Debug)]
pub struct GroupPartial<K, V> {
    /// The short keys by their numbers. A key may occur several times.
    pub(super) short: Vec<InlineKey>,
    /// The long keys, whose numbers follow those of the short ones.
    pub(super) long: Vec<(InlineKey, K)>,
    /// The values, each with the number of its key.
    pub(super) records: Chunks<u32, V>,
}

impl<K, V> HasLen for GroupPartial<K, V> {
    /// The number of values.
    fn len(&self) -> usize {
        self.records.len()
    }
}

impl<K, V> GroupPartial<K, V> {
    /// The number of keys, counting a key as often as it occurs.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<K, V> GroupSink<K, V> {
    /// An empty sink over `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        let empty = || GroupPartial { short: Vec::new(), long: Vec::new(), records: Chunks::default() };
        let hasher = KeyHasher::new(seed);
        GroupSink {
            cache: Some(KeyCache::new(hasher.clone())),
            hasher,
            long: Table::new(seed),
            pending: Vec::with_capacity(LOOKUP_BATCH),
            buckets: iter::repeat_with(empty).take(buckets).collect(),
        }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W))
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        let id = match key.inline_key() {
            Some(id) => id,
            None => self.intern_long(key),
        };
        self.pending.push((id, value.own()));
        if self.pending.len() == LOOKUP_BATCH {
            self.flush();
        }
    }

    /// Stores a long key, and returns what represents it in `pending`.
    fn intern_long<Q: Key<Owned = K>>(&mut self, key: Q) -> InlineKey {
        let (id, buckets) = (self.hasher.id(&key), self.buckets.len());
        let at = self.long.intern_with(id, key, || bucket(self.hasher.hash(id), buckets) as u32);
        InlineKey::hash_of_long(at as u64)
    }

    /// Looks up the pending pairs.
    #[inline]
    fn flush(&mut self) {
        let GroupSink { hasher, cache, long, pending, buckets } = self;
        let (lookups, mut rejected) = (pending.len(), 0);
        let room = cache.as_mut().is_some_and(|cache| cache.reserve(pending.len()));
        for (id, value) in pending.drain(..) {
            if !id.is_whole() {
                let at = id.to_number();
                let bucket = long.at(at as usize).map_or(0, |(_, bucket)| *bucket);
                // The final number is known only when all short keys are.
                buckets[bucket as usize].records.push((!(at as u32), value), None);
                continue;
            }
            let at = bucket(hasher.hash(id), buckets.len());
            let GroupPartial { short, records, .. } = &mut buckets[at];
            let found = cache.as_ref().map(|cache| cache.find(id));
            if let (Some(Ok(slot)), Some(cache)) = (found, &mut *cache)
                && let Some(number) = *cache.value_mut(slot)
            {
                records.push((number, value), None);
                continue;
            }
            let number = short.len() as u32;
            short.push(id);
            records.push((number, value), None);
            match (found, &mut *cache) {
                (Some(Err(slot)), Some(cache)) if room => cache.insert(slot, id, number),
                _ => rejected += 1,
            }
        }
        if cache.as_mut().is_some_and(|cache| !cache.pays_off(lookups, rejected)) {
            *cache = None;
        }
    }

    /// Returns the task's values by bucket.
    pub fn finish(mut self) -> Vec<GroupPartial<K, V>> {
        self.flush();
        // Long keys move from the table, where they could be compared, to the bucket of their values.
        let mut numbers = Vec::with_capacity(self.long.len());
        for (id, key, bucket) in self.long.into_entries().filter_map(Entry::into_parts) {
            let GroupPartial { short, long, .. } = &mut self.buckets[bucket as usize];
            numbers.push((short.len() + long.len()) as u32);
            long.push((id, key));
        }
        for GroupPartial { short, long, records, .. } in &mut self.buckets {
            if !long.is_empty() {
                let numbered = records.iter_mut().flatten().map(|(number, _)| number);
                numbered
                    .filter(|number| **number as usize >= short.len())
                    .for_each(|number| *number = numbers[!*number as usize]);
            }
        }
        self.buckets
    }
}
