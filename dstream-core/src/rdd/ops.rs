//! The transformations of every `Rdd`.

use std::sync::Arc;

use super::{
    IntoRdd, PairRddOps, PartOf, Rdd, RddActions,
    lazy::{Coalesce, PerPart, Union},
    part_of::{needs_sides, needs_whole},
    run::{RecordsOf, run},
    shuffle,
};
use crate::{Key, Record, sealed::Sealed};

/// The transformations of an [`Rdd`], and of chains of them.
///
/// They take what they work on by value; see [`Rdd`] for how to go on using it. The lazy ones return a chain
/// of type `impl RddActions`, which runs when an action or a wide transformation needs its records, as one
/// loop over each partition in which nothing is virtual; the wide ones run at once and return an `Rdd`.
///
/// A wide transformation gives as many partitions as the larger of its inputs has, at least 1. Fewer come
/// from [`coalesce`](RddOps::coalesce) behind it, more from [`repartition`](RddOps::repartition) in front.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an `Rdd`",
    label = "expected an `Rdd` or a chain of its operations",
    note = "an action such as `count()` ends a chain: return the chain before it, or `Rdd::parallelize(vec![..])`"
)]
pub trait RddOps: Sealed + Sized + IntoRdd<Record = <Self as RddOps>::Item> {
    /// A record.
    type Item: Send;
    /// A partition on its way through a chain.
    type Part: IntoIterator<Item = Self::Item> + Send;

    /// The partitions, in order.
    fn into_parts(self) -> Vec<Self::Part>;

    /// About how many records there are; little work is not worth sharing out.
    fn size_hint(&self) -> usize;

    /// Set where other processes have the rest of the records.
    #[doc(hidden)]
    fn part(&self) -> Option<&PartOf>;

    /// Runs the chain: its records as an `Rdd`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let squares = Rdd::parallelize(vec![1, 2, 3]).map(|n| n * n).evaluate();
    /// assert_eq!(squares.count(), 3);
    /// assert_eq!(squares.collect(), [1, 4, 9]);
    /// ```
    fn evaluate(self) -> Rdd<Self::Item> {
        let part = self.part().cloned();
        Rdd::from_partitions(run(self, |records| records.collect::<Vec<_>>())).part_of(part)
    }

    /// Passes each record through `f`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let words = Rdd::parallelize(vec!["one", "three"]);
    /// assert_eq!(words.map(|word| word.len()).collect(), [3, 5]);
    /// ```
    fn map<U: Send>(self, f: impl Fn(Self::Item) -> U + Send + Sync) -> impl RddActions<Item = U> {
        let f = Arc::new(f);
        PerPart::new(self, move |_, records: RecordsOf<Self>| {
            let f = Arc::clone(&f);
            records.map(move |record| f(record))
        })
    }

    /// Passes each record through `f` and yields every item of what it returns.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let lines = Rdd::parallelize(vec!["to be", "or not"]);
    /// assert_eq!(lines.flat_map(|line| line.split(' ')).collect(), ["to", "be", "or", "not"]);
    /// ```
    fn flat_map<I: IntoIterator<Item: Send>>(
        self,
        f: impl Fn(Self::Item) -> I + Send + Sync,
    ) -> impl RddActions<Item = I::Item> {
        let f = Arc::new(f);
        PerPart::new(self, move |_, records: RecordsOf<Self>| {
            let f = Arc::clone(&f);
            records.flat_map(move |record| f(record))
        })
    }

    /// Keeps the records for which `f` is true.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize(vec![1, 2, 3, 4]);
    /// assert_eq!(nums.filter(|n| n % 2 == 0).collect(), [2, 4]);
    /// ```
    fn filter(self, f: impl Fn(&Self::Item) -> bool + Send + Sync) -> impl RddActions<Item = Self::Item> {
        let f = Arc::new(f);
        PerPart::new(self, move |_, records: RecordsOf<Self>| {
            let f = Arc::clone(&f);
            records.filter(move |record| f(record))
        })
    }

    /// Passes each partition, as an iterator over its records, through `f` and yields every item of what it
    /// returns.
    ///
    /// For work that is worth doing once a partition: `f` runs once for each, also for an empty one. The
    /// iterator is the loop of the chain so far: records are not collected first.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize_in(vec![1, 2, 3, 4], 2);
    /// assert_eq!(nums.map_partitions(|part| [part.sum::<i32>()]).collect(), [3, 7]);
    /// ```
    fn map_partitions<I: IntoIterator<Item: Send>>(
        self,
        f: impl Fn(<Self::Part as IntoIterator>::IntoIter) -> I + Send + Sync,
    ) -> impl RddActions<Item = I::Item> {
        PerPart::new(self, move |_, records: RecordsOf<Self>| f(records).into_iter())
    }

    /// Each partition as one record: a `Vec` of its records.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize_in(vec![1, 2, 3], 2);
    /// assert_eq!(nums.glom().collect(), [vec![1], vec![2, 3]]);
    /// ```
    fn glom(self) -> impl RddActions<Item = Vec<Self::Item>> {
        self.map_partitions(|records| [records.collect()])
    }

    /// The records of this `Rdd`, then those of `other`, in the partitions of both.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let low = Rdd::parallelize(vec![1, 2]);
    /// let high = Rdd::parallelize(vec![10]);
    /// assert_eq!(low.union(high).collect(), [1, 2, 10]);
    /// ```
    fn union(self, other: impl RddOps<Item = Self::Item>) -> impl RddActions<Item = Self::Item> {
        // A whole one would be there once a process.
        match (self.part(), other.part()) {
            (Some(_), Some(_)) => {}
            (part, other) => needs_whole(part.or(other), "union"),
        }
        Union(self, other)
    }

    /// Each record with its position, counted from 0. What is in front of it in the chain runs at once, since
    /// positions depend on how many records the partitions before have.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let words = Rdd::parallelize_in(vec!["a", "b", "c"], 2);
    /// assert_eq!(words.zip_with_index().collect(), [("a", 0), ("b", 1), ("c", 2)]);
    /// ```
    fn zip_with_index(self) -> impl RddActions<Item = (Self::Item, u64)>
    where
        Self::Item: Clone + Sync,
    {
        needs_whole(self.part(), "zip_with_index");
        let records = self.evaluate();
        let starts = starts(&records);
        PerPart::new(records, move |part, records: RecordsOf<Rdd<Self::Item>>| {
            records.zip(starts[part] as u64..)
        })
    }

    /// Each record with the probability `fraction`, independently, without replacement.
    ///
    /// The same `seed` takes the same records of the same partitions. A fraction of 1 or more takes all.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize((0..10_000).collect());
    /// let tenth = nums.sample(0.1, 42).count();
    /// assert!((900..1_100).contains(&tenth));
    /// ```
    fn sample(self, fraction: f64, seed: u64) -> impl RddActions<Item = Self::Item> {
        PerPart::new(self, move |part, records: RecordsOf<Self>| {
            let mut dice = shuffle::dice(seed, part);
            records.filter(move |_| dice() < fraction)
        })
    }

    /// The same records in at most `n` partitions, at least 1: neighbours are put together, and nothing is
    /// moved between others. To spread records over more partitions, use
    /// [`repartition`](RddOps::repartition).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize_in(vec![1, 2, 3, 4], 4);
    /// assert_eq!(nums.coalesce(2).glom().collect(), [vec![1, 2], vec![3, 4]]);
    /// ```
    fn coalesce(self, n: usize) -> impl RddActions<Item = Self::Item> {
        Coalesce { base: self, n }
    }

    /// The same records in `n` partitions of about the same size, at least 1; they are dealt out in turn.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize_in(vec![1, 2, 3], 1);
    /// assert_eq!(nums.repartition(2).glom().collect(), [vec![1, 3], vec![2]]);
    /// ```
    fn repartition(self, n: usize) -> Rdd<Self::Item>
    where
        Self::Item: Clone + Sync,
    {
        let records = self.evaluate();
        let starts = starts(&records);
        let part = records.part.clone();
        shuffle::deal(records.into_parts().into_iter().zip(starts).collect(), n.max(1)).part_of(part)
    }

    /// Each distinct record once.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize(vec![3, 1, 3, 3]);
    /// assert_eq!(nums.distinct().collect(), [3, 1]);
    /// ```
    fn distinct(self) -> Rdd<<Self::Item as Record>::Owned>
    where
        Self::Item: Key<Owned: Key>,
    {
        needs_whole(self.part(), "distinct");
        self.map(|record| (record, ())).reduce_by_key(|first, _| first).keys().evaluate()
    }

    /// How often each record occurs: pairs of record and `u64` count.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let words = Rdd::parallelize(vec!["a", "b", "a"]);
    /// assert_eq!(words.count_by_value().collect(), [("a".into(), 2), ("b".into(), 1)]);
    /// ```
    fn count_by_value(self) -> Rdd<(<Self::Item as Record>::Owned, u64)>
    where
        Self::Item: Key<Owned: Key>,
    {
        needs_whole(self.part(), "count_by_value");
        self.map(|record| (record, 1u64)).reduce_by_key(|a, b| a + b)
    }

    /// The records in the order of their `key`, from the first partition to the last; equal ones stay in the
    /// order in which they were. [`std::cmp::Reverse`] around the key turns it round.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let words = Rdd::parallelize(vec!["ccc", "a", "bb"]);
    /// assert_eq!(words.sort_by(|word| word.len()).collect(), ["a", "bb", "ccc"]);
    /// ```
    fn sort_by<K: Ord>(self, key: impl Fn(&Self::Item) -> K + Sync) -> Rdd<Self::Item> {
        needs_whole(self.part(), "sort_by");
        shuffle::sort(self, |a, b| key(a).cmp(&key(b)))
    }

    /// The records that are not in `other`.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize(vec![1, 2, 2, 3]);
    /// let some = Rdd::parallelize(vec![1, 3]);
    /// assert_eq!(nums.subtract(some).collect(), [2, 2]);
    /// ```
    fn subtract<U>(self, other: impl RddOps<Item = U>) -> Rdd<<Self::Item as Record>::Owned>
    where
        Self::Item: Key<Owned: Key>,
        U: Key<Owned = <Self::Item as Record>::Owned> + Send,
    {
        needs_whole(other.part(), "subtract");
        let other = other.map(|record| (record, ()));
        self.map(|record| (record, ())).subtract_by_key(other).keys().evaluate()
    }

    /// Each distinct record that is also in `other`, once.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize(vec![1, 2, 2, 3]);
    /// let even = Rdd::parallelize(vec![2, 4]);
    /// assert_eq!(nums.intersection(even).collect(), [2]);
    /// ```
    fn intersection<U>(self, other: impl RddOps<Item = U>) -> Rdd<<Self::Item as Record>::Owned>
    where
        Self::Item: Key<Owned: Key>,
        U: Key<Owned = <Self::Item as Record>::Owned> + Send,
    {
        needs_sides((self.part(), other.part()), (false, false), "intersection");
        shuffle::intersect(self, other)
    }

    /// Every record of this `Rdd` with every record of `other`, in the partitions of this one. `other` runs
    /// at once.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let ranks = Rdd::parallelize(vec!["ace", "king"]);
    /// let suits = Rdd::parallelize(vec!['♠', '♥']);
    /// assert_eq!(ranks.cartesian(suits).collect(), [("ace", '♠'), ("ace", '♥'), ("king", '♠'), ("king", '♥')]);
    /// ```
    fn cartesian<U: Clone + Send + Sync>(
        self,
        other: impl RddOps<Item = U>,
    ) -> impl RddActions<Item = (Self::Item, U)>
    where
        Self::Item: Clone,
    {
        needs_whole(other.part(), "cartesian");
        let other: Arc<Vec<U>> =
            Arc::new(run(other, |records| records.collect::<Vec<_>>()).into_iter().flatten().collect());
        self.flat_map(move |record| {
            let other = Arc::clone(&other);
            (0..other.len()).map(move |i| (record.clone(), other[i].clone()))
        })
    }
}

/// How many records there are before each partition.
pub(crate) fn starts<T>(rdd: &Rdd<T>) -> Vec<usize> {
    let mut before = 0;
    let start = |part: &Arc<Vec<T>>| {
        before += part.len();
        before - part.len()
    };
    rdd.partitions.iter().map(start).collect()
}
