//! `combine_by_key`, and what runs beneath every keyed aggregation: combined in each task, exchanged by hash,
//! merged bucket by bucket.

use std::sync::Arc;

use crate::{
    DStream, Key, Rdd, Record,
    batch::{Batch, Step},
    exec::{run, transpose},
    plan::OpMeta,
    record::Portable,
    table::{Entry, FEW, PartialBucket, Partials, entries, merge},
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Builds a combiner of type `C` for each key: `create` makes one of a key's first value, `merge_value`
    /// adds a value of the same partition, `merge_combiners` puts the combiners of two partitions together,
    /// in order.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1.0), ("b", 5.0), ("a", 2.0)]]);
    ///     let sums = pairs.combine_by_key(|x| (x, 1), |(sum, n), x| (sum + x, n + 1),
    ///         |a, b| (a.0 + b.0, a.1 + b.1));
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

impl Batch<'_> {
    /// Brings the entries of each bucket together and merges them.
    pub fn partials<K, C>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<PartialBucket<K, C>>>>,
        f: impl Fn(C, C) -> C + Sync,
    ) -> Step<Partials<K, C>>
    where
        // Not `Eq`: what is no key then gives the same error here as at `push`, and is reported once.
        K: Key<Owned = K> + Portable,
        C: Portable,
    {
        let tasks = match self.others() {
            None => tasks,
            Some(_) => tasks.and_then(|tasks| self.merged_here(op, buckets, tasks, &f)),
        };
        let columns = self.exchange(op, buckets, tasks)?;
        let small = entries(&columns) < FEW;
        let merged = run(columns, small, |column| {
            self.guard(std::slice::from_ref(op), || merge(self.seed(), column, &f))
        });
        Ok(Partials::new(merged.into_iter().collect::<Step<Vec<_>>>()?))
    }

    /// Merges what the tasks of this process have: less is sent than what each task has.
    fn merged_here<K, C>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Vec<Vec<PartialBucket<K, C>>>,
        f: &(impl Fn(C, C) -> C + Sync),
    ) -> Step<Vec<Vec<PartialBucket<K, C>>>>
    where
        K: Key<Owned = K> + Portable,
        C: Portable,
    {
        if tasks.len() < 2 {
            return Ok(tasks);
        }
        let columns = transpose(tasks, buckets);
        let small = entries(&columns) < FEW;
        let merged = run(columns, small, |column| {
            self.guard(std::slice::from_ref(op), || PartialBucket::from(merge(self.seed(), column, f)))
        });
        Ok(vec![merged.into_iter().collect::<Step<Vec<_>>>()?])
    }

    /// The keys with their values as records: a partition a bucket.
    pub fn pairs<K, C>(&self, partials: Step<Partials<K, C>>) -> Step<Rdd<(K, C)>>
    where
        K: Key<Owned = K> + Clone + Send + Sync,
        C: Clone + Send + Sync,
    {
        let partials = partials?;
        let small = partials.len() < FEW;
        let pairs = run(partials.buckets, small, |bucket| -> Vec<(K, C)> {
            Arc::unwrap_or_clone(bucket).into_entries().filter_map(Entry::into_pair).collect()
        });
        Ok(Rdd::from_partitions(pairs))
    }
}
