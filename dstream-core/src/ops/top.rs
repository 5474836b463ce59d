//! `top`.

use std::{cmp::Ordering, collections::BinaryHeap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    plan::OpMeta,
    record::Portable,
};

impl<T: Record<Owned: Ord>> DStream<T> {
    /// The `n` largest records of each batch, the largest first; of equal ones those that arrived first.
    ///
    /// `top(n, |record| key)` compares keys in place of records: then the records need no order of their own.
    /// No more than `n` records a task are held.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let (largest, frequent) = (Collected::new(), Collected::new());
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![3, 9, 4, 9, 3, 9]]);
    ///     nums.top(2).collect_to(&largest);
    ///     nums.count_by_value().top(2, |(_, count)| *count).collect_to(&frequent);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!((largest.values(), frequent.values()), (vec![vec![9, 9]], vec![vec![(9, 3), (3, 2)]]));
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn top(self, n: usize) -> DStream<T::Owned> {
        let _ = n;
        DStream::typed()
    }
}

/// What `top` compares: anything that is `Ord`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no total order",
    label = "needs records, or keys, that are `Ord`",
    note = "a type of your own: `#[derive(PartialEq, Eq, PartialOrd, Ord)]`",
    note = "floating-point numbers: compare an integer in their place, as in `top(3, |x| (x * 1000.0) as \
            i64)`",
    note = "records that have no order: say by what they are compared, as in `top(3, |(_, count)| *count)`"
)]
pub trait Ordered: Ord {}

// What has no order is to be told what it lacks here.
#[diagnostic::do_not_recommend]
impl<T: Ord> Ordered for T {}

/// The sink of `top`: the best `n` of a task. Where records are compared by themselves they are the keys, and
/// `T` is `()`.
#[derive(Debug)]
pub struct Top<K, T> {
    n: usize,
    arrived: u64,
    /// The one to be displaced next is on top. From the first record on: what has no order then is an error
    /// where records are added, and only there.
    heap: Option<BinaryHeap<Ranked<K, T>>>,
}

/// A record with its key; the greatest is the first to be displaced: that with the smallest key, of equal
/// ones the latest.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ranked<K, T> {
    key: K,
    arrived: u64,
    record: T,
}

impl<K: Ord, T> Ord for Ranked<K, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key).then(self.arrived.cmp(&other.arrived))
    }
}

impl<K: Ord, T> PartialOrd for Ranked<K, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, T> PartialEq for Ranked<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<K: Ord, T> Eq for Ranked<K, T> {}

impl<K, T> Top<K, T> {
    /// Nothing seen yet.
    pub fn new(n: usize) -> Self {
        Top { n, arrived: 0, heap: None }
    }

    /// Adds one record by its key. Only a record that stays is owned.
    #[inline]
    pub fn push_by<R: Record<Owned = T>>(&mut self, record: R, key: impl FnOnce(&R) -> K)
    where
        K: Ordered,
    {
        let key = key(&record);
        self.add(key, || record.own());
    }

    #[inline]
    fn add(&mut self, key: K, record: impl FnOnce() -> T)
    where
        K: Ord,
    {
        let heap = self.heap.get_or_insert_default();
        if heap.len() == self.n {
            if heap.peek().is_none_or(|worst| key <= worst.key) {
                return;
            }
            heap.pop();
        }
        self.arrived += 1;
        heap.push(Ranked { key, arrived: self.arrived, record: record() });
    }

    /// The best of the task, in no order.
    pub fn finish(self) -> Vec<Ranked<K, T>> {
        self.heap.map(BinaryHeap::into_vec).unwrap_or_default()
    }
}

impl<K> Top<K, ()> {
    /// Adds one record that is compared by itself.
    #[inline]
    pub fn push<R: Record<Owned = K>>(&mut self, record: R)
    where
        K: Ordered,
    {
        self.add(record.own(), || ());
    }
}

impl Batch<'_> {
    /// The best records of all tasks, which were compared by themselves.
    pub fn top<K: Ordered + Portable>(
        &self,
        op: &OpMeta,
        n: usize,
        tasks: Step<Vec<Vec<Ranked<K, ()>>>>,
    ) -> Step<Rdd<K>> {
        self.best(op, n, tasks, |ranked| ranked.key)
    }

    /// The best records of all tasks, by their keys.
    pub fn top_by<K: Ordered + Serialize + DeserializeOwned + Send, T: Portable>(
        &self,
        op: &OpMeta,
        n: usize,
        tasks: Step<Vec<Vec<Ranked<K, T>>>>,
    ) -> Step<Rdd<T>> {
        self.best(op, n, tasks, |ranked| ranked.record)
    }

    fn best<K, T, R>(
        &self,
        op: &OpMeta,
        n: usize,
        tasks: Step<Vec<Vec<Ranked<K, T>>>>,
        record: impl Fn(Ranked<K, T>) -> R,
    ) -> Step<Rdd<R>>
    where
        K: Ord + Serialize + DeserializeOwned + Send,
        T: Serialize + DeserializeOwned + Send,
    {
        let Some(mut tasks) = self.gather(op, tasks)? else { return Ok(Rdd::from_partitions([Vec::new()])) };
        self.guard(std::slice::from_ref(op), || {
            // By key, then in the order of arrival: tasks are in order, and the second sort is stable.
            tasks.iter_mut().for_each(|task| task.sort());
            let mut all: Vec<_> = tasks.into_iter().flatten().collect();
            all.sort_by(|a, b| b.key.cmp(&a.key));
            all.truncate(n);
            Rdd::from_partitions([all.into_iter().map(record).collect()])
        })
    }
}
