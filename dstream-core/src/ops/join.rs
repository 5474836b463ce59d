//! `join` and its outer forms: both sides scattered by hash, then matched bucket by bucket.

use crate::{
    DStream, Key, Rdd, Record,
    batch::{Batch, OpMeta, Step},
    exec::{exchange, run},
    ops::combine_by_key::{FEW, HasLen, entries},
    rdd::run_items,
    record::Data,
    table::{Chunks, Runs, pieces},
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

impl Batch<'_> {
    /// Matches the buckets of both sides; `pair` decides what a match, or a record without one, yields.
    pub fn join<K, V, W, O>(
        &self,
        op: &OpMeta,
        buckets: usize,
        left: Step<Vec<Vec<Chunks<K, V>>>>,
        right: Step<Vec<Vec<Chunks<K, W>>>>,
        pair: impl Fn(Option<V>, Option<W>) -> Option<O> + Sync,
    ) -> Step<Rdd<(K, O)>>
    where
        K: Key<Owned = K> + Data,
        V: Data,
        W: Data,
        O: Send,
    {
        let (left, right) = (left?, right?);
        let records = entries(&left) + entries(&right);
        let sides = exchange(left, buckets).into_iter().zip(exchange(right, buckets)).collect();
        let joined = run(sides, records < FEW, |(left, right)| {
            self.guard(std::slice::from_ref(op), || {
                matches(self.seed(), left, right, largest(records), &pair)
            })
        });
        Ok(Rdd::from_partitions(joined.into_iter().collect::<Step<Vec<_>>>()?))
    }
}

/// How many records of one side a task takes, of this many in all. A key that has many, or a bucket that was meant for a single
/// partition, is shared out over the cores like anything else.
pub(crate) fn largest(records: usize) -> usize {
    (records / 16).clamp(FEW, 64 << 10)
}

/// The matches of one bucket: in the order of the left side, then the right records without a match. No task looks up more than
/// `most` records of the left side.
pub(crate) fn matches<K, V, W, O>(
    seed: u64,
    left: Vec<Chunks<K, V>>,
    right: Vec<Chunks<K, W>>,
    most: usize,
    pair: impl Fn(Option<V>, Option<W>) -> Option<O> + Sync,
) -> Vec<(K, O)>
where
    K: Key<Owned = K> + Data,
    V: Data,
    W: Data,
    O: Send,
{
    let n = right.iter().map(Chunks::len).sum();
    let right = Runs::new(seed, n, right.into_iter().flatten());
    let mut out = run_items(pieces(left, most), false, |piece| look_up(piece, &right, &pair));
    let mut all = if out.len() == 1 { out.remove(0) } else { out.into_iter().flatten().collect() };
    let alone = right.alone();
    let mut alone: Vec<_> =
        alone.filter_map(|(at, key, value)| Some((at, key, pair(None, Some(value))?))).collect();
    alone.sort_unstable_by_key(|(at, ..)| *at);
    all.extend(alone.into_iter().map(|(_, key, o)| (key, o)));
    all
}

/// The matches of a piece of the left side.
fn look_up<K, V, W, O>(
    left: Vec<Vec<(K, V)>>,
    right: &Runs<K, W>,
    pair: impl Fn(Option<V>, Option<W>) -> Option<O>,
) -> Vec<(K, O)>
where
    K: Key<Owned = K> + Clone,
    V: Clone,
    W: Clone,
{
    let mut out = Vec::with_capacity(left.iter().map(Vec::len).sum());
    for chunk in left {
        let mut records = chunk.into_iter();
        while !records.as_slice().is_empty() {
            let runs = right.find(records.as_slice().iter().map(|(key, _)| key));
            // The shorter side first: a record that is taken must be used.
            for (run, (key, value)) in runs.into_iter().zip(records.by_ref()) {
                // One match behind: the last one has the record itself.
                let mut last = None;
                for met in right.values(run, &key) {
                    if let Some(met) = last.replace(met)
                        && let Some(o) = pair(Some(value.clone()), Some(W::clone(met)))
                    {
                        out.push((key.clone(), o));
                    }
                }
                let last = last.cloned();
                if let Some(o) = pair(Some(value), last) {
                    out.push((key, o));
                }
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{exec::exchange, table::Scatter};

    /// Half of all records have one key, and so are in one bucket: no task gets more of them than of any other.
    #[test]
    fn a_heavy_key_is_shared_out() {
        const RECORDS: usize = 100_000;
        const BUCKETS: usize = 16;
        let key = |n: usize| if n.is_multiple_of(2) { 0 } else { n as u64 };
        let tasks = (0..RECORDS).step_by(RECORDS / 10).map(|start| {
            let mut sink = Scatter::new(5, BUCKETS);
            (start..start + RECORDS / 10).for_each(|n| sink.push((key(n), n as u64)));
            sink.done()
        });
        let columns = exchange(tasks.collect(), BUCKETS);
        let heaviest = columns.iter().map(|column| column.iter().map(Chunks::len).sum()).max();
        assert!(heaviest > Some(RECORDS / 2), "one bucket has them");
        let most = largest(RECORDS);
        assert!(most <= RECORDS / 16);
        let tasks: Vec<_> = columns.into_iter().flat_map(|column| pieces(column, most)).collect();
        assert!(tasks.iter().all(|task| task.iter().map(Vec::len).sum::<usize>() <= most));
        let of_key = tasks.concat().concat().into_iter().filter(|(key, _)| *key == 0);
        assert!(of_key.map(|(_, n)| n as usize).eq((0..RECORDS).step_by(2)), "all of them, in order");
    }
}
