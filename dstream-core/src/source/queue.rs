//! `queue_stream`: one prepared `Vec` a batch.

use std::fmt;

use super::Source;
use crate::{Result, Time};

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
    QueueStream { batches: Box::new(batches.into_iter()) }
}

/// See [`queue_stream`].
pub struct QueueStream<T> {
    // One virtual call a batch.
    batches: Box<dyn Iterator<Item = Vec<T>> + Send>,
}

impl<T> fmt::Debug for QueueStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueStream").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Source for QueueStream<T> {
    type Block = Vec<T>;

    fn name(&self) -> String {
        "queue_stream".into()
    }

    fn batch(&mut self, _time: Time) -> Result<Vec<Vec<T>>> {
        Ok(self.batches.next().map(partition).unwrap_or_default())
    }
}

/// Cuts a batch into up to 16 partitions of at least 1,024 records, in order.
pub(crate) fn partition<T>(batch: Vec<T>) -> Vec<Vec<T>> {
    const SMALLEST: usize = 1024;
    const MOST: usize = 16;
    if batch.is_empty() {
        return Vec::new();
    }
    let size = batch.len().div_ceil(MOST).max(SMALLEST);
    if batch.len() <= size {
        return vec![batch];
    }
    let mut parts = Vec::with_capacity(batch.len().div_ceil(size));
    let mut rest = batch.into_iter();
    loop {
        let part: Vec<T> = rest.by_ref().take(size).collect();
        if part.is_empty() {
            return parts;
        }
        parts.push(part);
    }
}
