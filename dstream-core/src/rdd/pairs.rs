//! The transformations of an `Rdd` of pairs.

use super::{
    Rdd, RddActions, RddOps,
    part_of::{either, needs_sides, needs_whole},
    shuffle,
};
use crate::{
    Key, Record,
    rdd::join::{FullOuter, Inner, LeftOuter, RightOuter},
    record::{Pair, Portable},
};

/// The transformations of an [`Rdd`] of `(key, value)` pairs, and of chains that yield them; a reference to a
/// pair is one too.
///
/// What is said at [`RddOps`] holds here. The wide ones own the keys and values that they keep, as the
/// operators of [`DStream`](crate::DStream) do: a `&str` key comes out as a
/// [`Str`](crate::Str). The values of a key are in the order of the partitions, and of
/// the records inside one.
pub trait PairRddOps: RddOps {
    /// Passes the value of each pair through `f` and keeps its key.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 2)]);
    /// assert_eq!(pairs.map_values(|n| n * 10).collect(), [("a", 10), ("b", 20)]);
    /// ```
    fn map_values<K: Send, V, W: Send>(
        self,
        f: impl Fn(V) -> W + Send + Sync,
    ) -> impl RddActions<Item = (K, W)>
    where
        Self::Item: Pair<Key = K, Value = V>,
    {
        self.map(move |record| {
            let (key, value) = record.into_pair();
            (key, f(value))
        })
    }

    /// Passes the value of each pair through `f` and yields every item of what it returns, with the key.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 2), ("b", 1)]);
    /// assert_eq!(pairs.flat_map_values(|n| 0..n).collect(), [("a", 0), ("a", 1), ("b", 0)]);
    /// ```
    fn flat_map_values<K: Clone + Send, V, I: IntoIterator<Item: Send>>(
        self,
        f: impl Fn(V) -> I + Send + Sync,
    ) -> impl RddActions<Item = (K, I::Item)>
    where
        Self::Item: Pair<Key = K, Value = V>,
    {
        self.flat_map(move |record| {
            let (key, value) = record.into_pair();
            f(value).into_iter().map(move |item| (key.clone(), item))
        })
    }

    /// The keys.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 2)]);
    /// assert_eq!(pairs.keys().collect(), ["a", "b"]);
    /// ```
    fn keys<K: Send, V>(self) -> impl RddActions<Item = K>
    where
        Self::Item: Pair<Key = K, Value = V>,
    {
        self.map(|record| record.into_pair().0)
    }

    /// The values.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 2)]);
    /// assert_eq!(pairs.values().collect(), [1, 2]);
    /// ```
    fn values<K, V: Send>(self) -> impl RddActions<Item = V>
    where
        Self::Item: Pair<Key = K, Value = V>,
    {
        self.map(|record| record.into_pair().1)
    }

    /// Puts the values of each key together two by two, in order: one pair a key.
    ///
    /// `f` must be associative: values are reduced in each partition first, then over the partitions.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 5), ("a", 2)]);
    /// assert_eq!(pairs.reduce_by_key(|x, y| x + y).collect(), [("a".into(), 3), ("b".into(), 5)]);
    /// ```
    fn reduce_by_key<K, V>(
        self,
        f: impl Fn(V::Owned, V::Owned) -> V::Owned + Sync,
    ) -> Rdd<(K::Owned, V::Owned)>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
    {
        needs_whole(self.part(), "reduce_by_key");
        shuffle::combine(self, |value| value, &f, &f)
    }

    /// All values of each key.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 5), ("a", 2)]);
    /// assert_eq!(pairs.group_by_key().collect(), [("a".into(), vec![1, 2]), ("b".into(), vec![5])]);
    /// ```
    fn group_by_key<K, V>(self) -> Rdd<(K::Owned, Vec<V::Owned>)>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
    {
        needs_whole(self.part(), "group_by_key");
        shuffle::group(self)
    }

    /// Builds a combiner of type `C` for each key: `create` makes one of a key's first value, `merge_value`
    /// adds a value of the same partition, `merge_combiners` puts the combiners of two partitions together,
    /// in order.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1.0), ("b", 5.0), ("a", 2.0)]);
    /// let sums = pairs.combine_by_key(|x| (x, 1), |(sum, n), x| (sum + x, n + 1), |a, b| (a.0 + b.0, a.1 + b.1));
    /// let means = sums.map_values(|(sum, n)| sum / f64::from(n));
    /// assert_eq!(means.collect(), [("a".into(), 1.5), ("b".into(), 5.0)]);
    /// ```
    fn combine_by_key<K, V, C>(
        self,
        create: impl Fn(V::Owned) -> C + Sync,
        merge_value: impl Fn(C, V::Owned) -> C + Sync,
        merge_combiners: impl Fn(C, C) -> C + Sync,
    ) -> Rdd<(K::Owned, C)>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record,
        C: Portable,
    {
        needs_whole(self.part(), "combine_by_key");
        shuffle::combine(self, create, merge_value, merge_combiners)
    }

    /// Every pair of values that this `Rdd` and `other` have for the same key: `(key, (v, w))`.
    ///
    /// A key that has `m` values here and `n` there yields `m * n` records. `other` may be a reference: its
    /// records are then cloned, where they leave it.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let clicks = Rdd::parallelize(vec![("ad1", 3), ("ad2", 5)]);
    /// let views = Rdd::parallelize(vec![("ad1", 100), ("ad1", 200)]);
    /// assert_eq!(clicks.join(&views).collect(), [("ad1".into(), (3, 100)), ("ad1".into(), (3, 200))]);
    /// ```
    fn join<K, V, Q, W>(
        self,
        other: impl RddOps<Item: Pair<Key = Q, Value = W>>,
    ) -> Rdd<(K::Owned, (V::Owned, W::Owned))>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
        Q: Key<Owned = K::Owned>,
        W: Record<Owned: Portable>,
    {
        needs_sides((self.part(), other.part()), (true, true), "join");
        let part = either(&self, &other);
        shuffle::join(self, other, Inner).part_of(part)
    }

    /// As [`join`](PairRddOps::join), with every record of this `Rdd`: `(key, (v, Option<w>))`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let words = Rdd::parallelize(vec![("hello", 2), ("viagra", 9)]);
    /// let spam = Rdd::parallelize(vec![("viagra", true)]);
    /// let clean = words.left_outer_join(&spam).filter(|(_, (_, spam))| spam.is_none());
    /// assert_eq!(clean.collect(), [("hello".into(), (2, None))]);
    /// ```
    fn left_outer_join<K, V, Q, W>(
        self,
        other: impl RddOps<Item: Pair<Key = Q, Value = W>>,
    ) -> Rdd<(K::Owned, (V::Owned, Option<W::Owned>))>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
        Q: Key<Owned = K::Owned>,
        W: Record<Owned: Portable>,
    {
        needs_sides((self.part(), other.part()), (true, false), "left_outer_join");
        let part = either(&self, &other);
        shuffle::join(self, other, LeftOuter).part_of(part)
    }

    /// As [`join`](PairRddOps::join), with every record of `other`: `(key, (Option<v>, w))`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let clicks = Rdd::parallelize(vec![("ad1", 3)]);
    /// let views = Rdd::parallelize(vec![("ad3", 7)]);
    /// assert_eq!(clicks.right_outer_join(views).collect(), [("ad3".into(), (None, 7))]);
    /// ```
    fn right_outer_join<K, V, Q, W>(
        self,
        other: impl RddOps<Item: Pair<Key = Q, Value = W>>,
    ) -> Rdd<(K::Owned, (Option<V::Owned>, W::Owned))>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
        Q: Key<Owned = K::Owned>,
        W: Record<Owned: Portable>,
    {
        needs_sides((self.part(), other.part()), (false, true), "right_outer_join");
        let part = either(&self, &other);
        shuffle::join(self, other, RightOuter).part_of(part)
    }

    /// As [`join`](PairRddOps::join), with every record of both: `(key, (Option<v>, Option<w>))`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let clicks = Rdd::parallelize(vec![("ad1", 3)]);
    /// let views = Rdd::parallelize(vec![("ad3", 7)]);
    /// let both = clicks.full_outer_join(views);
    /// assert_eq!(both.collect(), [("ad1".into(), (Some(3), None)), ("ad3".into(), (None, Some(7)))]);
    /// ```
    fn full_outer_join<K, V, Q, W>(
        self,
        other: impl RddOps<Item: Pair<Key = Q, Value = W>>,
    ) -> Rdd<(K::Owned, (Option<V::Owned>, Option<W::Owned>))>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
        Q: Key<Owned = K::Owned>,
        W: Record<Owned: Portable>,
    {
        needs_sides((self.part(), other.part()), (false, false), "full_outer_join");
        let part = either(&self, &other);
        shuffle::join(self, other, FullOuter).part_of(part)
    }

    /// For each key of this `Rdd` or `other`, all its values in both: `(key, (Vec<v>, Vec<w>))`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let clicks = Rdd::parallelize(vec![("ad1", 3), ("ad1", 5)]);
    /// let views = Rdd::parallelize(vec![("ad2", 100)]);
    /// let both = clicks.cogroup(views);
    /// assert_eq!(both.collect(), [("ad1".into(), (vec![3, 5], vec![])), ("ad2".into(), (vec![], vec![100]))]);
    /// ```
    fn cogroup<K, V, Q, W>(
        self,
        other: impl RddOps<Item: Pair<Key = Q, Value = W>>,
    ) -> Rdd<(K::Owned, (Vec<V::Owned>, Vec<W::Owned>))>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
        Q: Key<Owned = K::Owned>,
        W: Record<Owned: Portable>,
    {
        needs_sides((self.part(), other.part()), (false, false), "cogroup");
        shuffle::cogroup(self, other)
    }

    /// The pairs in the order of their keys, from the first partition to the last; those with the same key
    /// stay in the order in which they were.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("b", 1), ("a", 2), ("b", 0)]);
    /// assert_eq!(pairs.sort_by_key().collect(), [("a", 2), ("b", 1), ("b", 0)]);
    /// ```
    fn sort_by_key<K: Ord + Send, V: Send>(self) -> Rdd<(K, V)>
    where
        Self::Item: Pair<Key = K, Value = V>,
    {
        needs_whole(self.part(), "sort_by_key");
        shuffle::sort(self.map(Pair::into_pair), |a, b| a.0.cmp(&b.0))
    }

    /// The pairs whose keys are not in `other`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 2), ("a", 3)]);
    /// let gone = Rdd::parallelize(vec![("b", ())]);
    /// assert_eq!(pairs.subtract_by_key(gone).collect(), [("a".into(), 1), ("a".into(), 3)]);
    /// ```
    fn subtract_by_key<K, V, Q, W>(
        self,
        other: impl RddOps<Item: Pair<Key = Q, Value = W>>,
    ) -> Rdd<(K::Owned, V::Owned)>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key>,
        V: Record<Owned: Portable>,
        Q: Key<Owned = K::Owned> + Send,
    {
        needs_whole(other.part(), "subtract_by_key");
        let part = self.part().cloned();
        shuffle::subtract(self, other).part_of(part)
    }
}

impl<R: RddOps> PairRddOps for R {}
