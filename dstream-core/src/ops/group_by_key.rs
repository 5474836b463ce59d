//! `group_by_key`, and what runs beneath every grouping: numbered in each task, exchanged by hash, arranged
//! bucket by bucket.

use std::sync::{Arc, LazyLock};

use crate::{
    DStream, Data, Key, Record,
    batch::{Batch, Step},
    exec::run,
    plan::OpMeta,
    record::Portable,
    table::{Bucket, FEW, GroupPartial, Grouped, Groups, Partials, entries, group},
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// All values of each key, in order of arrival: pairs of key and `Vec`.
    ///
    /// To put values together as they come, use [`reduce_by_key`](DStream::reduce_by_key) or
    /// [`combine_by_key`](DStream::combine_by_key): they keep one value a key.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1), ("b", 5), ("a", 2)]]);
    ///     pairs.group_by_key().filter(|(key, _)| key == "a").collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("a".into(), vec![1, 2])]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn group_by_key(self) -> DStream<(K::Owned, Vec<V::Owned>)> {
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Brings the values of each bucket together. Those of a key are behind one another when somebody reads
    /// them.
    pub fn groups<K, V>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<GroupPartial<K, V>>>>,
    ) -> Step<Grouped<K, V>>
    where
        K: Key<Owned = K> + Portable,
        V: Portable,
    {
        let columns = self.exchange(op, buckets, tasks)?;
        let (seed, len) = (self.seed(), entries(&columns));
        let bucket = |column| Arc::new(Bucket::new(Box::new(move || group(seed, column))));
        Ok(Grouped { len, buckets: columns.into_iter().map(bucket).collect() })
    }

    /// A vector for each key: its values are moved if nobody else reads the groups, cloned if somebody does.
    pub fn vectors<K, V>(&self, op: &OpMeta, groups: Step<Grouped<K, V>>) -> Step<Partials<K, Vec<V>>>
    where
        K: Key<Owned = K> + Data,
        V: Data,
    {
        let groups = groups?;
        let small = groups.len() < FEW;
        let vectors = run(groups.buckets, small, |mut bucket| {
            self.guard(std::slice::from_ref(op), || match Arc::get_mut(&mut bucket) {
                Some(own) => LazyLock::force_mut(own).take_vectors(),
                None => Groups::clone(&bucket).take_vectors(),
            })
        });
        Ok(Partials::new(vectors.into_iter().collect::<Step<_>>()?))
    }
}
