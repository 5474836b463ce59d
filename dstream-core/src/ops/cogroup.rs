//! `cogroup`: both sides scattered by hash, then gathered key by key.

use crate::{
    __private::SameKey,
    DStream, Key, Rdd, Record,
    batch::{Batch, Step},
    exec::run,
    plan::OpMeta,
    record::Portable,
    table::{Chunks, FEW, cogroup, entries},
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// For each key of this stream or `other`, all its values in both: `(key, (Vec<v>, Vec<w>))`.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let clicks = queue_stream(vec![vec![("ad1", 3), ("ad1", 5)]]);
    ///     let views = queue_stream(vec![vec![("ad2", 100)]]);
    ///     clicks.cogroup(views, partitions = 1).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(),
    ///     [vec![("ad1".into(), (vec![3, 5], vec![])), ("ad2".into(), (vec![], vec![100]))]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn cogroup<Q: Key<Owned = K::Owned>, W: Record>(
        self,
        other: DStream<(Q, W)>,
    ) -> DStream<(K::Owned, (Vec<V::Owned>, Vec<W::Owned>))> {
        let _ = other;
        DStream::typed()
    }
}

impl Batch<'_> {
    /// Gathers the buckets of both sides.
    pub fn cogroup<K, Q, V, W>(
        &self,
        op: &OpMeta,
        buckets: usize,
        left: Step<Vec<Vec<Chunks<K, V>>>>,
        right: Step<Vec<Vec<Chunks<Q, W>>>>,
    ) -> Step<Rdd<(K, (Vec<V>, Vec<W>))>>
    where
        K: Key<Owned = K> + Portable,
        Q: SameKey<K>,
        V: Portable,
        W: Portable,
    {
        // Both, whichever fails: the other processes wait for each.
        let right = right.map(Q::tasks);
        let (left, right) = (self.exchange(op, buckets, left), self.exchange(op, buckets, right));
        let (left, right) = (left?, right?);
        let small = entries(&left) + entries(&right) < FEW;
        let sides = left.into_iter().zip(right).collect();
        let gathered = run(sides, small, |(left, right)| {
            self.guard(std::slice::from_ref(op), || cogroup(self.seed(), left, right))
        });
        Ok(Rdd::from_partitions(gathered.into_iter().collect::<Step<Vec<_>>>()?))
    }
}
