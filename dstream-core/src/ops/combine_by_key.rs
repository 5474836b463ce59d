//! `combine_by_key`, and what runs beneath every keyed aggregation: combined in each task, exchanged by hash,
//! merged bucket by bucket.

use crate::{
    DStream, Key, Rdd, Record,
    batch::{Batch, OpMeta, Step},
    exec::{exchange, run},
    record::Portable,
    table::{Entry, Table, split},
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Builds a combiner of type `C` for each key: `create` makes one of a key's first value, `merge_value` adds a value of the
    /// same partition, `merge_combiners` puts the combiners of two partitions together, in order.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1.0), ("b", 5.0), ("a", 2.0)]]);
    ///     let sums = pairs.combine_by_key(|x| (x, 1), |(sum, n), x| (sum + x, n + 1), |a, b| (a.0 + b.0, a.1 + b.1));
    ///     sums.map_values(|(sum, n)| sum / n as f64).filter(|(key, _)| key == "a").collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("a".into(), 1.5)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn combine_by_key<C>(
        self,
        create: impl Fn(V::Owned) -> C,
        merge_value: impl Fn(C, V::Owned) -> C,
        merge_combiners: impl Fn(C, C) -> C,
    ) -> DStream<(K::Owned, C)> {
        drop((create, merge_value, merge_combiners));
        DStream::typed()
    }
}

/// The sink of keyed aggregations.
#[derive(Debug)]
pub struct CombineByKey<K, C> {
    table: Table<K, C>,
    buckets: usize,
}

impl<K, C> CombineByKey<K, C> {
    /// An empty table, to be shared out over `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        CombineByKey { table: Table::new(seed), buckets }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(
        &mut self,
        (key, value): (Q, W),
        create: impl FnOnce(W::Owned) -> C,
        merge_value: impl FnOnce(C, W::Owned) -> C,
    ) where
        Q: Key<Owned = K>,
        W: Record,
        C: Portable,
    {
        self.table.combine(key, value, create, merge_value);
    }

    /// Adds one pair whose values are the combiners.
    #[inline]
    pub fn reduce<Q, W>(&mut self, (key, value): (Q, W), f: impl FnOnce(C, C) -> C)
    where
        Q: Key<Owned = K>,
        W: Record<Owned = C>,
        C: Portable,
    {
        self.table.combine(key, value, |first| first, f);
    }

    /// The task's entries, by bucket.
    pub fn done(self) -> Vec<Vec<Entry<K, C>>> {
        split(self.table.into_entries(), self.buckets)
    }
}

/// Entries below which one thread merges all buckets.
pub(crate) const FEW: usize = 2_000;

/// How many entries all tasks have for all buckets.
pub(crate) fn entries<E>(tasks: &[Vec<Vec<E>>]) -> usize {
    tasks.iter().flatten().map(Vec::len).sum()
}

impl Batch<'_> {
    /// Brings the entries of each bucket together and merges them; the result has a partition a bucket.
    pub fn combine_by_key<K, C>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<Vec<Entry<K, C>>>>>,
        f: impl Fn(C, C) -> C + Sync,
    ) -> Step<Rdd<(K, C)>>
    where
        // Not `Eq`: what is no key then gives the same error here as at `push`, and is reported once.
        K: Key<Owned = K> + Send,
        C: Send,
    {
        let tasks = tasks?;
        let seed = self.seed();
        let small = entries(&tasks) < FEW;
        let merged = run(exchange(tasks, buckets), small, |column| {
            self.guard(std::slice::from_ref(op), || merge(seed, column, &f))
        });
        Ok(Rdd::from_partitions(merged.into_iter().collect::<Step<Vec<_>>>()?))
    }
}

/// Merges the entries that the tasks have for one bucket, in the order of the tasks.
pub(crate) fn merge<K: Key<Owned = K>, C>(
    seed: u64,
    column: Vec<Vec<Entry<K, C>>>,
    f: impl Fn(C, C) -> C,
) -> Vec<(K, C)> {
    merge_entries(seed, column, f).into_iter().filter_map(Entry::into_pair).collect()
}

/// As [`merge`], with the hashes.
pub(crate) fn merge_entries<K: Key<Owned = K>, C>(
    seed: u64,
    mut column: Vec<Vec<Entry<K, C>>>,
    f: impl Fn(C, C) -> C,
) -> Vec<Entry<K, C>> {
    column.retain(|entries| !entries.is_empty());
    if column.len() < 2 {
        // The keys of one task are distinct already.
        return column.pop().unwrap_or_default();
    }
    let mut table = Table::with_capacity(seed, column.iter().map(Vec::len).max().unwrap_or(0));
    for entry in column.into_iter().flatten() {
        table.merge(entry, &f);
    }
    table.into_entries()
}
