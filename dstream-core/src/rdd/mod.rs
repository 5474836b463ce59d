//! `Rdd<T>`: the typed, partitioned, immutable contents of one batch.

use std::{fmt, sync::Arc};

use crate::Block;

/// The records of one batch of a stream: typed, partitioned, immutable, cheap to clone.
///
/// Outputs such as `foreach_rdd` are handed one a batch. The records stand in the order of the partitions, and
/// inside a partition in the order in which they came.
///
/// ```
/// use dstream::prelude::*;
///
/// let ssc = dstream::stream!(batch = 1s, {
///     let nums = queue_stream(vec![vec![3u64, 1, 2]]);
///     nums.map(|n| n * 10).foreach_rdd(|rdd| {
///         assert_eq!(rdd.count(), 3);
///         assert_eq!(rdd.take(2), [30, 10]);
///         assert_eq!(rdd.iter().sum::<u64>(), 60);
///     });
/// })?;
/// ssc.run_batches(1)?;
/// # dstream::Result::Ok(())
/// ```
pub struct Rdd<T> {
    partitions: Vec<Arc<Vec<T>>>,
}

impl<T> Clone for Rdd<T> {
    fn clone(&self) -> Self {
        Rdd { partitions: self.partitions.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Rdd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T> Rdd<T> {
    pub(crate) fn from_partitions(partitions: impl IntoIterator<Item = Vec<T>>) -> Self {
        Rdd { partitions: partitions.into_iter().map(Arc::new).collect() }
    }

    /// The records, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { partitions: self.partitions.iter(), records: [].iter() }
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = &[T]> + Clone {
        self.partitions.iter().map(|p| p.as_slice())
    }

    /// How many partitions there are. Some of them may be empty.
    pub fn num_partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.partitions.iter().map(|p| p.len() as u64).sum()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.partitions.iter().all(|p| p.is_empty())
    }

    /// The first record, or `None` if there is none.
    pub fn first(&self) -> Option<&T> {
        self.iter().next()
    }

    /// All records in one `Vec`, in order.
    pub fn collect(&self) -> Vec<T>
    where
        T: Clone,
    {
        let mut out = Vec::with_capacity(self.partitions.iter().map(|p| p.len()).sum());
        self.partitions.iter().for_each(|p| out.extend_from_slice(p));
        out
    }

    /// The first `n` records, or all if there are fewer.
    pub fn take(&self, n: usize) -> Vec<T>
    where
        T: Clone,
    {
        self.iter().take(n).cloned().collect()
    }

    /// The partitions as the input of a stage.
    pub(crate) fn into_blocks(self) -> Vec<RddBlock<T>> {
        self.partitions.into_iter().filter(|p| !p.is_empty()).map(RddBlock).collect()
    }
}

/// The records of an [`Rdd`], in order.
pub struct Iter<'a, T> {
    partitions: std::slice::Iter<'a, Arc<Vec<T>>>,
    records: std::slice::Iter<'a, T>,
}

impl<T> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Iter { partitions: self.partitions.clone(), records: self.records.clone() }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(record) = self.records.next() {
                return Some(record);
            }
            self.records = self.partitions.next()?.iter();
        }
    }
}

impl<'a, T> IntoIterator for &'a Rdd<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// A partition on its way into a stage: moved out if nobody else holds it, cloned if somebody does.
#[derive(Debug)]
pub struct RddBlock<T>(Arc<Vec<T>>);

impl<T: Clone + Send + Sync> Block for RddBlock<T> {
    type Record<'a>
        = T
    where
        T: 'a;

    fn records(&mut self) -> impl Iterator<Item = T> {
        let shared = std::mem::take(&mut self.0);
        let (moved, shared) = match Arc::try_unwrap(shared) {
            Ok(records) => (records, Arc::default()),
            Err(shared) => (Vec::new(), shared),
        };
        moved.into_iter().chain(Cloned { shared, next: 0 })
    }

    fn weight(&self) -> usize {
        self.0.len() * size_of::<T>().max(1)
    }
}

/// Clones the records of a shared partition, one when it is asked for.
struct Cloned<T> {
    shared: Arc<Vec<T>>,
    next: usize,
}

impl<T: Clone> Iterator for Cloned<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let record = self.shared.get(self.next)?.clone();
        self.next += 1;
        Some(record)
    }
}
