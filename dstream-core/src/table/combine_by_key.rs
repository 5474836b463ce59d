//! Keyed aggregation: the sink that combines the pairs of a task, and the merged aggregates of all tasks.

use std::sync::Arc;

use super::{Combine, Entry, MapSideCombiner, MergedBucket, PartialBucket, merge};
use crate::{Key, Record, record::Portable};

/// The sink of keyed aggregations. `F` is what combines: `Reducer` or `Combiner`.
#[derive(Debug)]
pub struct CombineByKey<K, V, C, F> {
    combiner: MapSideCombiner<K, V, C>,
    /// The aggregator, which is the same for every pair; set by the first one.
    f: Option<F>,
}

/// An aggregator that reduces values by a function of two.
#[derive(Debug)]
pub struct Reducer<F>(F);

impl<V, F: Fn(V, V) -> V> Combine<V, V> for Reducer<F> {
    #[inline]
    fn create(&self, value: V) -> V {
        value
    }

    #[inline]
    fn add(&self, held: V, value: V) -> V {
        self.0(held, value)
    }
}

/// An aggregator that creates an accumulator from the first value, and adds the others to it.
#[derive(Debug)]
pub struct Combiner<A, B>(A, B);

impl<V, C, A: Fn(V) -> C, B: Fn(C, V) -> C> Combine<V, C> for Combiner<A, B> {
    #[inline]
    fn create(&self, value: V) -> C {
        self.0(value)
    }

    #[inline]
    fn add(&self, held: C, value: V) -> C {
        self.1(held, value)
    }
}

impl<K, C, F> CombineByKey<K, C, C, Reducer<F>> {
    /// Adds one pair whose values are the combiners.
    #[inline]
    pub fn reduce<Q, W>(&mut self, (key, value): (Q, W), f: F)
    where
        Q: Key<Owned = K>,
        W: Record<Owned = C>,
        C: Portable,
        F: Fn(C, C) -> C,
    {
        let f = self.f.insert(Reducer(f));
        self.combiner.combine(key, value.own(), f);
    }
}

impl<K, V, C, A, B> CombineByKey<K, V, C, Combiner<A, B>> {
    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W), create: A, merge_value: B)
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        C: Portable,
        A: Fn(V) -> C,
        B: Fn(C, V) -> C,
    {
        let f = self.f.insert(Combiner(create, merge_value));
        self.combiner.combine(key, value.own(), f);
    }
}

impl<K, V, C, F> CombineByKey<K, V, C, F> {
    /// An empty sink over `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        CombineByKey { combiner: MapSideCombiner::new(seed, buckets), f: None }
    }

    /// Returns the task's partial aggregates by bucket.
    pub fn finish(mut self) -> Vec<PartialBucket<K, C>>
    where
        F: Combine<V, C>,
    {
        if let Some(f) = &self.f {
            self.combiner.flush(f);
        }
        self.combiner.finish()
    }
}

/// The merged aggregates of a batch, by bucket. Clones share them, for operators that aggregate the same
/// pairs in the same way.
#[derive(Debug)]
pub struct Partials<K, V> {
    pub(crate) buckets: Vec<Arc<MergedBucket<K, V>>>,
}

impl<K, V> Clone for Partials<K, V> {
    fn clone(&self) -> Self {
        Partials { buckets: self.buckets.clone() }
    }
}

impl<K, V> Partials<K, V> {
    pub(crate) fn new(buckets: Vec<MergedBucket<K, V>>) -> Self {
        Partials { buckets: buckets.into_iter().map(Arc::new).collect() }
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.len()).sum()
    }

    /// The buckets, which may be shared.
    pub(crate) fn into_shared(self) -> Vec<Arc<MergedBucket<K, V>>> {
        self.buckets
    }

    /// The entries of each bucket, which are cloned if they are shared.
    pub(crate) fn into_buckets(self) -> Vec<MergedBucket<K, V>>
    where
        K: Clone,
        V: Clone,
    {
        self.buckets.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

/// Merges what the tasks have for one bucket, in the order of the tasks.
pub(crate) fn pairs<K: Key<Owned = K>, C>(
    seed: u64,
    column: Vec<PartialBucket<K, C>>,
    f: impl Fn(C, C) -> C,
) -> Vec<(K, C)> {
    merge(seed, column, f).into_entries().filter_map(Entry::into_pair).collect()
}
