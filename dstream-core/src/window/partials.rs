//! What a batch comes to, key by key: what keyed windows and states are fed with.

use std::sync::Arc;

use crate::{
    Key,
    batch::{Batch, OpMeta, Step},
    exec::{exchange, run},
    ops::{FEW, entries},
    table::{Entry, Share, merge},
};

/// One value for each key of a batch, by bucket. Clones share the entries, so that two windows over the same pairs and the
/// same function combine them once.
#[derive(Debug)]
pub struct Partials<K, V> {
    buckets: Vec<Arc<Vec<Entry<K, V>>>>,
}

impl<K, V> Clone for Partials<K, V> {
    fn clone(&self) -> Self {
        Partials { buckets: self.buckets.clone() }
    }
}

impl<K, V> Partials<K, V> {
    fn new(buckets: Vec<Vec<Entry<K, V>>>) -> Self {
        Partials { buckets: buckets.into_iter().map(Arc::new).collect() }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.len()).sum()
    }

    /// The entries of each bucket: moved out if nobody else holds them, cloned if somebody does.
    pub(crate) fn into_buckets(self) -> Vec<Vec<Entry<K, V>>>
    where
        K: Clone,
        V: Clone,
    {
        self.buckets.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

impl<V> Partials<(), V> {
    /// The one value that a batch was reduced to, if it had any record.
    pub(super) fn of_one(seed: u64, value: Option<V>) -> Self {
        Partials::new(vec![value.map(|value| Entry::new(seed, (), value)).into_iter().collect()])
    }
}

impl Batch<'_> {
    /// Brings the entries of each bucket together and merges them, as [`combine_by_key`](Batch::combine_by_key); the
    /// hashes stay with their keys.
    pub fn partials<K, V>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<Share<K, V>>>>,
        f: impl Fn(V, V) -> V + Sync,
    ) -> Step<Partials<K, V>>
    where
        K: Key<Owned = K> + Send,
        V: Send,
    {
        let tasks = tasks?;
        let small = entries(&tasks) < FEW;
        let merged = run(exchange(tasks, buckets), small, |column| {
            self.guard(std::slice::from_ref(op), || merge(self.seed(), column, &f).collect())
        });
        Ok(Partials::new(merged.into_iter().collect::<Step<Vec<_>>>()?))
    }
}
