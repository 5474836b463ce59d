//! Map-side combining: each task aggregates its own pairs before the shuffle.

use std::{iter, mem};

use super::{
    KeyHasher, Table, add,
    key_cache::{KeyCache, LOOKUP_BATCH},
    key_hasher::{bucket, part},
    partial_bucket::{InlinePartials, PARTS, PartialBucket},
    scatter::{Chunks, split},
};
use crate::{Key, inline_key::InlineKey};

/// An aggregator: how values of type `V` are folded into an accumulator of type `C`.
pub trait Combine<V, C> {
    /// The accumulator of a key's first value.
    fn create(&self, value: V) -> C;
    /// Adds one more value to an accumulator.
    fn add(&self, accumulator: C, value: V) -> C;
}

/// The partial aggregates of one task, which are split into buckets when the task ends.
///
/// Short keys stay inline until the tasks are merged, so each is owned once in a batch. Pairs that the
/// [`KeyCache`] rejects are passed on without being combined, and are combined by the merge. A key that was
/// passed on is never cached before its passed-on values, so its values stay in order.
#[derive(Debug)]
pub(crate) struct MapSideCombiner<K, V, C> {
    hasher: KeyHasher,
    /// `None` once it did not pay off: hardly any key came twice.
    cache: Option<KeyCache<C>>,
    long: Table<K, C>,
    buckets: usize,
    /// Pairs with short keys that are to be looked up together.
    pending: Vec<(InlineKey, V)>,
    /// Accumulators that are not combined, for each part of each bucket; empty until there is one.
    uncombined: Vec<Chunks<InlineKey, C>>,
}

impl<K, V, C> MapSideCombiner<K, V, C> {
    pub(crate) fn new(seed: u64, buckets: usize) -> Self {
        let hasher = KeyHasher::new(seed);
        MapSideCombiner {
            cache: Some(KeyCache::new(hasher.clone())),
            hasher,
            long: Table::new(seed),
            buckets,
            pending: Vec::with_capacity(LOOKUP_BATCH),
            uncombined: Vec::new(),
        }
    }

    /// Adds `value` to the accumulator of `key`. `f` must be the same in all calls.
    #[inline]
    pub(crate) fn combine<Q: Key<Owned = K>>(&mut self, key: Q, value: V, f: &impl Combine<V, C>) {
        match key.inline_key() {
            Some(id) => {
                self.pending.push((id, value));
                if self.pending.len() == LOOKUP_BATCH {
                    self.flush(f);
                }
            }
            None => self.long.combine(key, value, f),
        }
    }

    /// Combines the pending pairs.
    pub(crate) fn flush(&mut self, f: &impl Combine<V, C>) {
        let mut pending = mem::take(&mut self.pending);
        match self.cache.take() {
            Some(mut cache) => {
                let room = cache.reserve(pending.len());
                let (lookups, mut rejected) = (pending.len(), 0);
                for (id, value) in pending.drain(..) {
                    match cache.find(id) {
                        Ok(slot) => add(cache.value_mut(slot), value, f),
                        Err(slot) if room => cache.insert(slot, id, f.create(value)),
                        Err(_) => {
                            rejected += 1;
                            self.pass_on(id, f.create(value));
                        }
                    }
                }
                let pays_off = cache.pays_off(lookups, rejected);
                self.cache = Some(cache);
                if !pays_off {
                    self.drop_cache();
                }
            }
            None => pending.drain(..).for_each(|(id, value)| self.pass_on(id, f.create(value))),
        }
        self.pending = pending;
    }

    #[inline]
    fn pass_on(&mut self, id: InlineKey, value: C) {
        if self.uncombined.is_empty() {
            self.uncombined.resize_with(self.buckets * PARTS, Chunks::default);
        }
        let hash = self.hasher.hash(id);
        self.uncombined[bucket(hash, self.buckets) * PARTS + part(hash, PARTS)].push((id, value), None);
    }

    /// Passes on what the cache holds, and works without it from now on.
    fn drop_cache(&mut self) {
        for (id, value) in self.cache.take().into_iter().flat_map(KeyCache::into_entries) {
            self.pass_on(id, value);
        }
    }

    /// Returns the task's partial aggregates by bucket.
    pub(crate) fn finish(mut self) -> Vec<PartialBucket<K, C>> {
        if !self.uncombined.is_empty() {
            self.drop_cache();
        }
        let MapSideCombiner { hasher, cache, long, buckets, uncombined, .. } = self;
        let bucket_of = |id: InlineKey| bucket(hasher.hash(id), buckets);
        let short: Vec<InlinePartials<C>> = if uncombined.is_empty() {
            let entries = cache.into_iter().flat_map(KeyCache::into_entries);
            let entries = entries.map(|(id, value)| (id, Some(value))).collect();
            split(entries, buckets, |(id, _)| bucket_of(*id))
                .into_iter()
                .map(InlinePartials::Distinct)
                .collect()
        } else {
            let mut uncombined = uncombined.into_iter();
            let parts = || InlinePartials::Parts(uncombined.by_ref().take(PARTS).collect());
            iter::repeat_with(parts).take(buckets).collect()
        };
        let long = split(long.into_entries().collect(), buckets, |entry| bucket_of(entry.id));
        iter::zip(short, long).map(|(short, long)| PartialBucket { short, long }).collect()
    }
}
