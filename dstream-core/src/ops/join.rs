//! `join` and its outer forms: both sides scattered by hash, then matched bucket by bucket.

use crate::{
    DStream, Key, Rdd, Record,
    batch::{Batch, OpMeta, Step},
    exec::{exchange, run},
    ops::combine_by_key::{FEW, entries},
    record::Data,
    table::{Entry, Table},
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Every pair of values that this stream and `other` have for the same key in the same batch: `(key, (v, w))`.
    ///
    /// A key that has `m` values here and `n` there yields `m * n` records.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let clicks = queue_stream(vec![vec![("ad1", 3), ("ad2", 5)]]);
    ///     let views = queue_stream(vec![vec![("ad1", 100)]]);
    ///     clicks.join(views).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("ad1".into(), (3, 100))]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn join<Q: Key<Owned = K::Owned>, W: Record>(
        self,
        other: DStream<(Q, W)>,
    ) -> DStream<(K::Owned, (V::Owned, W::Owned))> {
        let _ = other;
        DStream::typed()
    }

    /// As [`join`](DStream::join), with every record of this stream: `(key, (v, Option<w>))`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let clicks = queue_stream(vec![vec![("ad1", 3), ("ad2", 5)]]);
    ///     let views = queue_stream(vec![vec![("ad1", 100)]]);
    ///     clicks.left_outer_join(views).filter(|(_, (_, views))| views.is_none()).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("ad2".into(), (5, None))]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn left_outer_join<Q: Key<Owned = K::Owned>, W: Record>(
        self,
        other: DStream<(Q, W)>,
    ) -> DStream<(K::Owned, (V::Owned, Option<W::Owned>))> {
        let _ = other;
        DStream::typed()
    }

    /// As [`join`](DStream::join), with every record of `other`: `(key, (Option<v>, w))`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let clicks = queue_stream(vec![vec![("ad1", 3)]]);
    ///     let views = queue_stream(vec![vec![("ad1", 100), ("ad3", 7)]]);
    ///     clicks.right_outer_join(views).filter(|(_, (clicks, _))| clicks.is_none()).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("ad3".into(), (None, 7))]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn right_outer_join<Q: Key<Owned = K::Owned>, W: Record>(
        self,
        other: DStream<(Q, W)>,
    ) -> DStream<(K::Owned, (Option<V::Owned>, W::Owned))> {
        let _ = other;
        DStream::typed()
    }

    /// As [`join`](DStream::join), with every record of both streams: `(key, (Option<v>, Option<w>))`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let clicks = queue_stream(vec![vec![("ad1", 3)]]);
    ///     let views = queue_stream(vec![vec![("ad3", 7)]]);
    ///     clicks.full_outer_join(views, partitions = 1).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("ad1".into(), (Some(3), None)), ("ad3".into(), (None, Some(7)))]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn full_outer_join<Q: Key<Owned = K::Owned>, W: Record>(
        self,
        other: DStream<(Q, W)>,
    ) -> DStream<(K::Owned, (Option<V::Owned>, Option<W::Owned>))> {
        let _ = other;
        DStream::typed()
    }
}

/// What a task has for each bucket.
type Buckets<K, V> = Vec<Vec<Entry<K, V>>>;

impl Batch<'_> {
    /// Matches the buckets of both sides; `pair` decides what a match, or a record without one, yields.
    pub fn join<K, V, W, O>(
        &self,
        op: &OpMeta,
        buckets: usize,
        left: Step<Vec<Buckets<K, V>>>,
        right: Step<Vec<Buckets<K, W>>>,
        pair: impl Fn(Option<V>, Option<W>) -> Option<O> + Sync,
    ) -> Step<Rdd<(K, O)>>
    where
        K: Key<Owned = K> + Data,
        V: Data,
        W: Data,
        O: Send,
    {
        let (left, right) = (left?, right?);
        let small = entries(&left) + entries(&right) < FEW;
        let sides = exchange(left, buckets).into_iter().zip(exchange(right, buckets)).collect();
        let joined = run(sides, small, |(left, right)| {
            self.guard(std::slice::from_ref(op), || matches(self.seed(), left, right, &pair))
        });
        Ok(Rdd::from_partitions(joined.into_iter().collect::<Step<Vec<_>>>()?))
    }
}

/// The matches of one bucket: in the order of the left side, then the right records without a match.
pub(crate) fn matches<K, V, W, O>(
    seed: u64,
    left: Buckets<K, V>,
    right: Buckets<K, W>,
    pair: impl Fn(Option<V>, Option<W>) -> Option<O>,
) -> Vec<(K, O)>
where
    K: Key<Owned = K> + Clone,
    V: Clone,
    W: Clone,
{
    let mut keys: Table<K, ()> = Table::with_capacity(seed, right.iter().map(Vec::len).sum());
    let mut records: Vec<(K, W)> = Vec::new();
    // The records of a key are a list through `next`, in order.
    let (mut first, mut last, mut next) = (Vec::new(), Vec::new(), Vec::new());
    for (id, key, value) in right.into_iter().flatten().filter_map(Entry::into_parts) {
        let at = keys.intern(id, key.clone());
        let record = records.len();
        if at == first.len() {
            first.push(record);
            last.push(record);
        } else {
            next[last[at]] = record;
            last[at] = record;
        }
        records.push((key, value));
        next.push(usize::MAX);
    }
    let mut met = vec![false; records.len()];
    let mut out = Vec::new();
    for (id, key, value) in left.into_iter().flatten().filter_map(Entry::into_parts) {
        let mut at = match keys.get(id, &key) {
            Some(at) => first[at],
            None => {
                out.extend(pair(Some(value), None).map(|o| (key, o)));
                continue;
            }
        };
        while at != usize::MAX {
            met[at] = true;
            out.extend(pair(Some(value.clone()), Some(records[at].1.clone())).map(|o| (key.clone(), o)));
            at = next[at];
        }
    }
    let alone = records.into_iter().zip(met).filter(|(_, met)| !met);
    out.extend(alone.filter_map(|((key, value), _)| pair(None, Some(value)).map(|o| (key, o))));
    out
}

/// What `join` yields.
pub fn inner<V, W>(left: Option<V>, right: Option<W>) -> Option<(V, W)> {
    left.zip(right)
}

/// What `left_outer_join` yields.
pub fn left_outer<V, W>(left: Option<V>, right: Option<W>) -> Option<(V, Option<W>)> {
    left.map(|v| (v, right))
}

/// What `right_outer_join` yields.
pub fn right_outer<V, W>(left: Option<V>, right: Option<W>) -> Option<(Option<V>, W)> {
    right.map(|w| (left, w))
}

/// What `full_outer_join` yields.
pub fn full_outer<V, W>(left: Option<V>, right: Option<W>) -> Option<(Option<V>, Option<W>)> {
    Some((left, right))
}
