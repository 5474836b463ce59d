//! One bucket of a keyed window: its partial aggregates, and what is derived from them.

use std::{collections::VecDeque, iter, mem, sync::Arc};

use crate::{
    Key, Time,
    checkpoint::estimate::spaced,
    record::Data,
    table::{DenseTable, MergedBucket},
};

/// The partial aggregates of the batches in the window, and what is *derived* from them: the aggregate of
/// each key over the window, and the auxiliary state to update it.
///
/// The partial aggregates are authoritative. What is derived is computed by the user's functions, which may
/// panic. It is marked as *stale* before they are called and as fresh when they have returned, and is
/// recomputed from the partial aggregates if it is stale when it is needed.
#[derive(Debug)]
pub(super) struct WindowBucket<K, V, D> {
    /// The aggregates over the window, which are shared with the result.
    keys: DenseTable<K, V, KeyState<D>>,
    /// Oldest first, without batches that have no key in this bucket.
    batches: VecDeque<BatchPartials<V>>,
    /// The keys whose aggregates are deferred; indices of removed keys may be among them.
    deferred: Vec<u32>,
    /// Whether the last result was filtered, and so copied.
    filtered: bool,
    pub(super) stale: bool,
    /// The newest batch at the last refresh.
    refreshed: Time,
    /// The last batch that was inserted as a whole.
    inserted: Time,
}

/// The partial aggregates of a batch, by the indices of their keys.
#[derive(Debug)]
struct BatchPartials<V> {
    time: Time,
    indices: Vec<u32>,
    values: Vec<V>,
}

impl<V> BatchPartials<V> {
    fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        iter::zip(self.indices.iter().copied(), &self.values)
    }
}

#[derive(Debug, Default)]
struct KeyState<D> {
    /// The number of batches with the key. The key is removed with the last one, whatever its aggregate is.
    batches: u32,
    derived: D,
}

/// The auxiliary state of a key, from which its aggregate is updated.
pub trait Derived: Default + Send {
    /// Whether everything is recomputed when all batches of the last refresh have left.
    const FLIPS: bool = false;

    /// Called after a change: returns whether the aggregate becomes deferred, that is, must be computed
    /// before it is read.
    fn defer(&mut self) -> bool {
        false
    }
}

impl<K: Key<Owned = K> + Data, V: Data, D: Derived> WindowBucket<K, V, D> {
    pub(super) fn new(seed: u64) -> Self {
        WindowBucket {
            keys: DenseTable::new(seed),
            batches: VecDeque::new(),
            deferred: Vec::new(),
            filtered: false,
            stale: false,
            refreshed: Time::default(),
            inserted: Time::default(),
        }
    }

    /// The number of keys.
    pub(super) fn len(&self) -> usize {
        self.keys.pairs().len()
    }

    /// How many bytes of memory it takes, without what keys and values have outside of it.
    pub(super) fn bytes(&self) -> usize {
        let one = size_of::<u32>() + size_of::<V>();
        let batches = self.batches.iter().map(|batch| size_of_val(batch) + batch.indices.capacity() * one);
        self.keys.bytes() + batches.sum::<usize>()
    }

    /// How many values it has, and some of them with their keys.
    pub(super) fn values(&self) -> (usize, impl Iterator<Item = &(K, V)>) {
        let pairs = self.keys.pairs();
        let partials = self.batches.iter().map(|batch| batch.values.len()).sum::<usize>();
        (pairs.len() + partials, spaced(pairs.len()).filter_map(|at| pairs.get(at)).take(4))
    }

    #[cfg(test)]
    pub(super) fn index_bound(&self) -> usize {
        self.keys.index_bound()
    }

    /// Whether a batch was inserted as a whole.
    pub(super) fn has(&self, time: Time) -> bool {
        self.inserted == time
    }

    /// The number of values that the eviction of the batches up to `cutoff` touches.
    pub(super) fn work(&self, cutoff: Time) -> usize {
        let stay = self.batches.partition_point(|batch| batch.time <= cutoff);
        let touched = if self.stale || stay > 0 && self.must_flip(stay) { self.batches.len() } else { stay };
        let copied = if self.filtered { self.keys.pairs().len() } else { 0 };
        self.batches.iter().take(touched).map(|batch| batch.indices.len()).sum::<usize>() + copied
    }

    /// Whether no batch from index `oldest` on was part of the last refresh.
    fn must_flip(&self, oldest: usize) -> bool {
        D::FLIPS && self.batches.get(oldest).is_none_or(|batch| batch.time > self.refreshed)
    }

    /// Evicts the batches up to `cutoff`. Calls `subtract` for each value that leaves of a key that stays.
    pub(super) fn evict(&mut self, cutoff: Time, mut subtract: impl FnMut(&mut V, &mut D, V)) {
        if self.batches.front().is_none_or(|batch| batch.time > cutoff) {
            return;
        }
        let mut keys = self.keys.make_mut();
        while let Some(BatchPartials { indices, values, .. }) =
            self.batches.pop_front_if(|batch| batch.time <= cutoff)
        {
            for index in &indices {
                if let Some(held) = keys.aux_mut(*index) {
                    held.batches -= 1;
                    if held.batches == 0 {
                        keys.remove(*index);
                    }
                }
            }
            if !self.stale {
                self.stale = true;
                for (index, left) in iter::zip(indices, values) {
                    if let Some((value, held)) = keys.get(index) {
                        subtract(value, &mut held.derived, left);
                        if held.derived.defer() {
                            self.deferred.push(index);
                        }
                    }
                }
                self.stale = false;
            }
        }
        if let Some(moved) = keys.compact() {
            let known = self.batches.iter_mut().flat_map(|batch| &mut batch.indices);
            // The index of a removed key may now be that of another key, which knows whether it is deferred.
            known.chain(&mut self.deferred).for_each(|index| *index = moved[*index as usize]);
        }
        self.stale |= self.must_flip(0);
    }

    /// Inserts a batch. Calls `add` for each of its keys with the aggregate over the window, the auxiliary
    /// state, the value of the batch, and whether the key is new: then the aggregate is a clone of the value.
    pub(super) fn insert(
        &mut self,
        time: Time,
        bucket: MergedBucket<K, V>,
        mut add: impl FnMut(&mut V, &mut D, &V, bool),
    ) {
        if bucket.len() == 0 {
            self.inserted = time;
            return;
        }
        let mut keys = self.keys.make_mut();
        let fresh = !mem::replace(&mut self.stale, true);
        let len = bucket.len();
        let batch = self.batches.push_back_mut(BatchPartials {
            time,
            indices: Vec::with_capacity(len),
            values: Vec::with_capacity(len),
        });
        keys.intern(bucket, |held, index, value| {
            held.batches += 1;
            batch.indices.push(index);
            batch.values.push(value);
        });
        self.inserted = time;
        if fresh {
            for (index, new) in batch.iter() {
                if let Some((value, held)) = keys.get(index) {
                    add(value, &mut held.derived, new, held.batches == 1);
                    if held.derived.defer() {
                        self.deferred.push(index);
                    }
                }
            }
            self.stale = false;
        }
    }

    /// Recomputes everything that is derived, if it is stale. Calls `add` as [`insert`](WindowBucket::insert)
    /// does, for every value in the window, in the order of the batches or in reverse.
    pub(super) fn refresh(
        &mut self,
        newest_first: bool,
        mut add: impl FnMut(&mut V, &mut D, Time, &V, bool),
    ) {
        if !self.stale {
            return;
        }
        self.deferred.clear();
        let mut seen = vec![false; self.keys.index_bound()];
        let mut keys = self.keys.make_mut();
        let mut one = |batch: &BatchPartials<V>| {
            for (index, new) in batch.iter() {
                if let Some((value, held)) = keys.get(index) {
                    let first = !mem::replace(&mut seen[index as usize], true);
                    if first {
                        value.clone_from(new);
                        held.derived = D::default();
                    }
                    add(value, &mut held.derived, batch.time, new, first);
                    if held.derived.defer() {
                        self.deferred.push(index);
                    }
                }
            }
        };
        match newest_first {
            true => self.batches.iter().rev().for_each(&mut one),
            false => self.batches.iter().for_each(&mut one),
        }
        self.stale = false;
        self.refreshed = self.batches.back().map(|batch| batch.time).unwrap_or_default();
    }

    /// Computes the deferred aggregates.
    pub(super) fn compute_deferred(&mut self, mut compute: impl FnMut(&mut V, &mut D)) {
        if self.deferred.is_empty() {
            return;
        }
        let mut keys = self.keys.make_mut();
        self.stale = true;
        for index in self.deferred.drain(..) {
            if let Some((value, held)) = keys.get(index) {
                compute(value, &mut held.derived);
            }
        }
        self.stale = false;
    }

    /// The keys in the window with their aggregates, without those that `filter` rejects. They are shared if
    /// it rejects none.
    pub(super) fn pairs(&mut self, filter: impl Fn(&K, &V) -> bool) -> Arc<Vec<(K, V)>> {
        let pairs = self.keys.pairs();
        let rejected = pairs.iter().position(|(key, value)| !filter(key, value));
        self.filtered = rejected.is_some();
        let Some(rejected) = rejected else { return Arc::clone(pairs) };
        let mut accepted = pairs[..rejected].to_vec();
        accepted.extend(pairs[rejected + 1..].iter().filter(|(key, value)| filter(key, value)).cloned());
        Arc::new(accepted)
    }

    /// The partial aggregates of the batch at `time`.
    pub(super) fn partials(&self, time: Time) -> impl Iterator<Item = (&K, &V)> {
        let at = self.batches.binary_search_by_key(&time, |batch| batch.time).ok();
        let partials = at.and_then(|at| self.batches.get(at)).into_iter().flat_map(BatchPartials::iter);
        partials.filter_map(|(index, value)| Some((self.keys.key(index)?, value)))
    }
}
