//! Keyed aggregation: what a task combines, and the one value for each key that all tasks have in common.

use std::sync::Arc;

use super::{Combine, Entry, MapSideCombiner, MergedBucket, PartialBucket, merge};
use crate::{Key, Record, record::Portable};

/// The sink of keyed aggregations. `F` is what combines: `Reducer` or `Combiner`.
#[derive(Debug)]
pub struct CombineByKey<K, V, C, F> {
    combiner: MapSideCombiner<K, V, C>,
    /// From the first pair on; every pair comes with the same.
    f: Option<F>,
}

/// Combines values by a function of two.
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

/// Makes a combiner of the first value, and adds the others.
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
    /// An empty table, to be shared out over `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        CombineByKey { combiner: MapSideCombiner::new(seed, buckets), f: None }
    }

    /// What the task has, by bucket.
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

/// One value for each key of a batch, by bucket. Clones share the entries: operators that combine the same
/// pairs alike all read one.
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

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.len()).sum()
    }

    /// The buckets, which others may hold, too.
    pub(crate) fn into_shared(self) -> Vec<Arc<MergedBucket<K, V>>> {
        self.buckets
    }

    /// The entries of each bucket: moved out if nobody else holds them, cloned if somebody does.
    pub(crate) fn into_buckets(self) -> Vec<MergedBucket<K, V>>
    where
        K: Clone,
        V: Clone,
    {
        self.buckets.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

/// What the tasks have for one bucket, merged in the order of the tasks.
pub(crate) fn pairs<K: Key<Owned = K>, C>(
    seed: u64,
    column: Vec<PartialBucket<K, C>>,
    f: impl Fn(C, C) -> C,
) -> Vec<(K, C)> {
    merge(seed, column, f).into_entries().filter_map(Entry::into_pair).collect()
}
