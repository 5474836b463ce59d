//! `join` and its outer forms; [`crate::rdd::join`] has what runs beneath them.

use crate::{DStream, Key, Record};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Every pair of values that this stream and `other` have for the same key in the same batch: `(key, (v,
    /// w))`.
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
