//! `reduce_by_key`: combined in each task, exchanged by hash, merged bucket by bucket.

use crate::{
    DStream, Key, Rdd, Record,
    batch::{Batch, OpMeta, Step},
    record::Portable,
    table::{Entry, Table, split},
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Puts the values of each key together two by two, in order of arrival: one pair a key.
    ///
    /// `f` must be associative: values are reduced in each partition first, then over the partitions. A key is owned when
    /// it is first seen in a partition and never again; values are owned before `f` sees them.
    ///
    /// Option `partitions = n`: how many partitions the result has, at least 1. Default:
    /// [`Config::partitions`](crate::Config::partitions).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1), ("b", 5), ("a", 2)]]);
    ///     pairs.reduce_by_key(|x, y| x + y, partitions = 1).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("a".into(), 3), ("b".into(), 5)]]);
    /// # dstream::Result::Ok(())
    /// ```
    pub fn reduce_by_key(self, f: impl Fn(V::Owned, V::Owned) -> V::Owned) -> DStream<(K::Owned, V::Owned)> {
        drop(f);
        DStream::typed()
    }
}

/// The sink of `reduce_by_key`.
#[derive(Debug)]
pub struct ReduceByKey<K, V> {
    table: Table<K, V>,
    buckets: usize,
}

impl<K, V> ReduceByKey<K, V> {
    /// An empty table, to be shared out over `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        ReduceByKey { table: Table::new(seed), buckets }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W), f: impl FnOnce(V, V) -> V)
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        self.table.combine(key, value, f);
    }

    /// The task's entries, by bucket.
    pub fn done(self) -> Vec<Vec<Entry<K, V>>> {
        split(self.table.into_entries(), self.buckets)
    }
}

/// Entries below which one thread merges all buckets.
const FEW: usize = 2_000;

impl Batch<'_> {
    /// Brings the entries of each bucket together and merges them; the result has a partition a bucket.
    pub fn reduce_by_key<K, V>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<Vec<Entry<K, V>>>>>,
        f: impl Fn(V, V) -> V + Sync,
    ) -> Step<Rdd<(K, V)>>
    where
        // Not `Eq`: what is no key then gives the same error here as at `push`, and is reported once.
        K: Key<Owned = K> + Send,
        V: Send,
    {
        let tasks = tasks?;
        let seed = self.seed();
        let entries: usize = tasks.iter().flatten().map(Vec::len).sum();
        let merged = self.exec().exchange(tasks, buckets, entries < FEW, |column| {
            self.guard(std::slice::from_ref(op), || merge(seed, column, &f))
        });
        Ok(Rdd::from_partitions(merged.into_iter().collect::<Step<Vec<_>>>()?))
    }
}

fn merge<K: Key<Owned = K>, V>(
    seed: u64,
    mut column: Vec<Vec<Entry<K, V>>>,
    f: impl Fn(V, V) -> V,
) -> Vec<(K, V)> {
    column.retain(|entries| !entries.is_empty());
    if column.len() < 2 {
        // The keys of one task are distinct already.
        return column.into_iter().flatten().filter_map(Entry::into_pair).collect();
    }
    let mut table = Table::with_capacity(seed, column.iter().map(Vec::len).max().unwrap_or(0));
    for entry in column.into_iter().flatten() {
        table.merge(entry, &f);
    }
    table.into_entries().into_iter().filter_map(Entry::into_pair).collect()
}
