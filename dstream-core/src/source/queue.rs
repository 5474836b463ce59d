//! `queue_stream`: one prepared `Vec` a batch.

use std::{fmt, iter::Peekable};

use super::{Limits, Source};
use crate::{Result, Time, block::partition};

/// A stream whose `k`-th batch is the `k`-th item of `batches`, and that is empty afterwards.
///
/// The batches may be any iterator of `Vec<T>`, also an endless one: an item is taken when its batch is due.
/// Large batches are cut into partitions of at least 1,024 records, so that all cores share them.
///
/// ```
/// use dstream::prelude::*;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let nums = queue_stream(vec![vec![1, 2], vec![], vec![5]]);
///     nums.reduce(|a, b| a + b).collect_to(&out);
/// })?;
/// ssc.run_batches(3)?;
/// assert_eq!(out.values(), [vec![3], vec![], vec![5]]);
/// # Ok::<(), dstream::Error>(())
/// ```
pub fn queue_stream<T, I>(batches: I) -> QueueStream<T>
where
    T: Send + 'static,
    I: IntoIterator<Item = Vec<T>>,
    I::IntoIter: Send + 'static,
{
    let batches: Batches<T> = Box::new(batches.into_iter());
    QueueStream {
        batches: batches.peekable(),
        all_at_once: false,
        default: None,
        planned: Vec::new(),
        left: Vec::new(),
    }
}

/// One virtual call a batch.
type Batches<T> = Box<dyn Iterator<Item = Vec<T>> + Send>;

/// See [`queue_stream`].
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct QueueStream<T> {
    batches: Peekable<Batches<T>>,
    all_at_once: bool,
    default: Option<Box<dyn Fn() -> Vec<T> + Send>>,
    /// The records of the batch that is planned.
    planned: Vec<T>,
    /// What a limit has left for the next batches.
    left: Vec<T>,
}

impl<T> QueueStream<T> {
    /// Each batch takes all that is queued, in order, in place of one item. With an endless iterator that
    /// never ends.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     (queue_stream(vec![vec![1, 2], vec![5]]).all_at_once()).collect_to(&out);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(out.values(), [vec![1, 2, 5], vec![]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn all_at_once(mut self) -> Self {
        self.all_at_once = true;
        self
    }

    /// What a batch holds when the queue is empty. [`run_to_end`](crate::StreamingContext::run_to_end) ends
    /// before that.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     (queue_stream(vec![vec![1, 2], vec![]]).default_batch(vec![0])).collect_to(&out);
    /// })?;
    /// ssc.run_batches(4)?;
    /// assert_eq!(out.values(), [vec![1, 2], vec![], vec![0], vec![0]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn default_batch(mut self, batch: Vec<T>) -> Self
    where
        T: Clone + Send + 'static,
    {
        self.default = Some(Box::new(move || batch.clone()));
        self
    }
}

impl<T> fmt::Debug for QueueStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueStream").field("all_at_once", &self.all_at_once).finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Source for QueueStream<T> {
    type Block = Vec<T>;
    type Plan = ();

    fn name(&self) -> String {
        "queue_stream".into()
    }

    fn plan(&mut self, _time: Time, limits: &Limits) -> Result<Option<()>> {
        let mut records = std::mem::take(&mut self.left);
        if records.is_empty() {
            records = match self.batches.next() {
                Some(first) if self.all_at_once => {
                    first.into_iter().chain(self.batches.by_ref().flatten()).collect()
                }
                Some(first) => first,
                None => self.default.as_ref().map(|batch| batch()).unwrap_or_default(),
            };
        }
        let taken = usize::try_from(limits.at_most(records.len() as u64)).unwrap_or(records.len());
        self.left = records.split_off(taken);
        self.planned = records;
        Ok(Some(()))
    }

    fn blocks(&mut self, _time: Time, _plan: &()) -> Result<Vec<Vec<T>>> {
        Ok(partition(std::mem::take(&mut self.planned)))
    }

    /// What the program itself has made is gone with it.
    fn can_replay(&self) -> bool {
        false
    }

    fn has_pending(&self) -> bool {
        !self.left.is_empty()
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        Some(self.left.is_empty() && self.batches.peek().is_none())
    }
}
