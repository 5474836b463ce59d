//! `reduce`.

use crate::{
    DStream, Rdd, Record,
    batch::{Batch, Step},
    plan::OpMeta,
    record::Portable,
};

impl<T: Record> DStream<T> {
    /// Puts the records of each batch together two by two, in order: one record a batch, none for an empty
    /// one.
    ///
    /// `f` must be associative: partitions are reduced on their own, then their results. It works on owned
    /// records.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let nums = queue_stream(vec![vec![3u64, 9, 4], vec![]]);
    ///     nums.reduce(|a, b| a.max(b)).collect_to(&out);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(out.values(), [vec![9], vec![]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn reduce(self, f: impl Fn(T::Owned, T::Owned) -> T::Owned) -> DStream<T::Owned>
    where
        T::Owned: Portable,
    {
        drop(f);
        DStream::typed()
    }
}

/// The sink of `reduce`.
#[derive(Debug)]
pub struct Reduce<T>(Option<T>);

impl<T> Reduce<T> {
    /// Nothing reduced yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Reduce(None)
    }

    /// Adds one record.
    #[inline]
    pub fn push<R: Record<Owned = T>>(&mut self, record: R, f: impl FnOnce(T, T) -> T) {
        let record = record.own();
        self.0 = Some(match self.0.take() {
            Some(sum) => f(sum, record),
            None => record,
        });
    }

    /// What the task's records come to.
    pub fn finish(self) -> Option<T> {
        self.0
    }
}

impl Batch<'_> {
    /// Reduces the results of the tasks, in order, of all processes: their owner has the one record.
    pub fn reduce<T: Portable>(
        &self,
        op: &OpMeta,
        tasks: Step<Vec<Option<T>>>,
        f: impl FnMut(T, T) -> T,
    ) -> Step<Rdd<T>> {
        // Not as options, which could not be told from those that are the records.
        let tasks = tasks.map(|tasks| tasks.into_iter().map(Vec::from_iter).collect());
        let tasks = self.gather(op, tasks)?.unwrap_or_default();
        let sum = self.guard(std::slice::from_ref(op), || tasks.into_iter().flatten().reduce(f))?;
        Ok(Rdd::from_partitions([sum.into_iter().collect()]))
    }
}
