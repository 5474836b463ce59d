//! `Rdd<T>`: the typed, partitioned, immutable contents of one batch, or of a batch job.
//!
//! What can be done with one is in three traits: [`RddOps`] for all records, [`PairRddOps`] for `(key,
//! value)` pairs, both of which take their `Rdd` by value, and [`RddActions`], which borrow it.

mod actions;
mod counted;
mod files;
mod into_rdd;
pub(crate) mod join;
mod lazy;
mod ops;
mod pairs;
mod part_of;
mod partition;
pub(crate) mod records;
mod run;
mod shuffle;

use std::{collections::HashMap, fmt, hash::Hash, sync::Arc};

use crate::{Record, Result, block::Block};

pub use actions::RddActions;
pub use counted::Counted;
pub use files::TextLine;
pub(crate) use files::{FolderWriter, batch_path, write_objects, write_text};
pub use into_rdd::IntoRdd;
pub use ops::RddOps;
pub(crate) use ops::starts;
pub use pairs::PairRddOps;
pub use part_of::PartOf;
pub use partition::Partition;
pub(crate) use records::RddBlock;
pub(crate) use run::run_items;
pub(crate) use shuffle::{dealt, dice};

/// A collection of records: typed, partitioned, immutable, cheap to clone.
///
/// Outputs such as `foreach_rdd` are handed one a batch, [`transform`](crate::DStream::transform) passes one
/// through a function, and a batch job makes its own, with no stream at all. The records stand in the order
/// of the partitions, and inside a partition in the order in which they came.
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
/// # Ok::<(), dstream::Error>(())
/// ```
///
/// What else can be done with it is in [`RddOps`] (`map`, `filter`, `sort_by`, ..), [`PairRddOps`]
/// (`reduce_by_key`, `join`, ..) and [`RddActions`] (`reduce`, `fold`, `save_as_text_file`, ..):
///
/// ```
/// use dstream::prelude::*;
///
/// let lines = Rdd::parallelize(vec!["to be or not", "to be"]);
/// let counts = lines.flat_map(|line| line.split(' ')).map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b);
/// assert_eq!(counts.sort_by_key().collect(), [
///     ("be".into(), 2), ("not".into(), 1), ("or".into(), 1), ("to".into(), 2),
/// ]);
/// ```
///
/// * Transformations take the `Rdd` by value, so that records can be moved from one to the next. To go on
///   using it, clone it (a clone shares the records, which are then cloned one by one), or work on
///   [`by_ref`](Rdd::by_ref), whose records are references. Actions never take it.
/// * Narrow transformations (those that need no other partition) are lazy, and a chain of them runs as one
///   loop over each partition when an action or a wide transformation needs the records. The others run at
///   once.
/// * Partitions run in parallel, on the pool of the batch if the caller is inside one, else on rayon's own
///   pool. Little work stays on the caller's thread. Where keys go is fixed, so every run gives the same
///   partitions.
pub struct Rdd<T> {
    partitions: Vec<Arc<Vec<T>>>,
    /// Set where the other processes have the rest.
    part: Option<PartOf>,
}

impl<T> Clone for Rdd<T> {
    fn clone(&self) -> Self {
        Rdd { partitions: self.partitions.clone(), part: self.part.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Rdd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.records()).finish()
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Rdd<(K, V)> {
    /// The pairs as a map; of several values of a key the last.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 5), ("a", 2)]);
    /// assert_eq!(pairs.collect_as_map()["a"], 2);
    /// ```
    pub fn collect_as_map(&self) -> HashMap<K, V> {
        self.needs_whole("collect_as_map");
        self.records().cloned().collect()
    }
}

impl<T> Rdd<T> {
    pub(crate) fn from_partitions(partitions: impl IntoIterator<Item = Vec<T>>) -> Self {
        Rdd::from_shared(partitions.into_iter().map(Arc::new).collect())
    }

    /// Partitions that somebody else may hold, too.
    pub(crate) fn from_shared(partitions: Vec<Arc<Vec<T>>>) -> Self {
        Rdd { partitions, part: None }
    }

    /// The partitions of several, in order, shared and not copied. Empty ones are left out.
    pub(crate) fn concat<'a>(rdds: impl IntoIterator<Item = &'a Rdd<T>>) -> Self
    where
        T: 'a,
    {
        let partitions = rdds.into_iter().flat_map(|rdd| &rdd.partitions);
        Rdd::from_shared(partitions.filter(|p| !p.is_empty()).cloned().collect())
    }

    /// An `Rdd` of the records of `records`, cut into up to 16 partitions of at least 1,024 records.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize((1..=100).collect());
    /// assert_eq!(nums.filter(|n| n % 7 == 0).count(), 14);
    /// ```
    pub fn parallelize(records: Vec<T>) -> Rdd<T> {
        Rdd::from_partitions(crate::block::partition(records))
    }

    /// The records of blocks, a partition each, read in parallel: what the connectors make an `Rdd` of, for
    /// batch reads of what is otherwise a stream. A block that can't be opened is an error, whatever its
    /// kind.
    ///
    /// ```
    /// use dstream::{prelude::*, source::TextBlock};
    ///
    /// let words: Rdd<dstream::Str> =
    ///     Rdd::from_blocks(vec![TextBlock::new("to be\nor not"), TextBlock::new("to be")])?;
    /// assert_eq!((words.num_partitions(), words.count()), (2, 3));
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn from_blocks<B>(blocks: Vec<B>) -> Result<Rdd<T>>
    where
        T: Send,
        B: for<'a> Block<Record<'a>: Record<Owned = T>>,
    {
        let read = |mut block: B| {
            block.open()?;
            let mut records: Vec<T> = block.records().map(Record::own).collect();
            while block.has_more() {
                block.advance()?;
                records.extend(block.records().map(Record::own));
            }
            Ok(records)
        };
        let partitions = run_items(blocks, false, read).into_iter().collect::<Result<Vec<_>>>()?;
        Ok(Rdd::from_partitions(partitions))
    }

    /// As [`parallelize`](Rdd::parallelize), in `n` partitions of about the same size, at least 1.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let nums = Rdd::parallelize_in(vec![1, 2, 3, 4, 5], 2);
    /// assert_eq!(nums.glom().collect(), [vec![1, 2], vec![3, 4, 5]]);
    /// ```
    pub fn parallelize_in(records: Vec<T>, n: usize) -> Rdd<T> {
        let (n, len) = (n.max(1), records.len());
        let mut records = records.into_iter();
        Rdd::from_partitions((0..n).map(|i| {
            let size = share(len, n, i + 1) - share(len, n, i);
            records.by_ref().take(size).collect()
        }))
    }

    /// A view of this `Rdd` whose records are references: what [`RddOps`] do with it borrows, and moves or
    /// clones nothing.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let lines = Rdd::parallelize(vec!["to be".to_owned(), "or not".to_owned()]);
    /// // Each word is a `&str` into its line.
    /// let words = lines.by_ref().flat_map(|line| line.split(' '));
    /// assert_eq!(words.collect(), ["to", "be", "or", "not"]);
    /// assert_eq!(lines.count(), 2);
    /// ```
    pub fn by_ref(&self) -> &Rdd<T> {
        self
    }

    /// The records, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        self.needs_whole("iter");
        self.records()
    }

    fn records(&self) -> Iter<'_, T> {
        Iter { partitions: self.partitions.iter(), records: [].iter() }
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = &[T]> + Clone {
        self.needs_whole("partitions");
        self.partitions.iter().map(|p| p.as_slice())
    }

    /// How many partitions there are. Some of them may be empty.
    pub fn num_partitions(&self) -> usize {
        self.partitions.len()
    }

    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.needs_whole("count");
        self.partitions.iter().map(|p| p.len() as u64).sum()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.needs_whole("is_empty");
        self.partitions.iter().all(|p| p.is_empty())
    }

    /// The first record, or `None` if there is none.
    pub fn first(&self) -> Option<&T> {
        self.needs_whole("first");
        self.records().next()
    }

    /// All records in one `Vec`, in order.
    pub fn collect(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.needs_whole("collect");
        let mut out = Vec::with_capacity(self.partitions.iter().map(|p| p.len()).sum());
        self.partitions.iter().for_each(|p| out.extend_from_slice(p));
        out
    }

    /// The first `n` records, or all if there are fewer.
    pub fn take(&self, n: usize) -> Vec<T>
    where
        T: Clone,
    {
        self.needs_whole("take");
        self.records().take(n).cloned().collect()
    }

    /// The `n` largest records, the largest first.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![3, 9, 4]).top(2), [9, 4]);
    /// ```
    pub fn top(&self, n: usize) -> Vec<T>
    where
        T: Ord + Clone + Sync,
    {
        RddActions::top(self, n).into_iter().cloned().collect()
    }

    /// The `n` smallest records, the smallest first.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![3, 9, 4]).take_ordered(2), [3, 4]);
    /// ```
    pub fn take_ordered(&self, n: usize) -> Vec<T>
    where
        T: Ord + Clone + Sync,
    {
        RddActions::take_ordered(self, n).into_iter().cloned().collect()
    }

    /// Puts the records together two by two, in order; `None` if there is none. `f` must be associative.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![3, 9, 4]).reduce(|a, b| a + b), Some(16));
    /// ```
    pub fn reduce(&self, f: impl Fn(T, T) -> T + Sync) -> Option<T>
    where
        T: Clone + Send + Sync,
    {
        self.by_ref().map(T::clone).reduce(f)
    }

    /// As [`reduce`](Rdd::reduce), starting from `zero`, once in each partition and once for their results:
    /// it must be neutral.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![3, 9, 4]).fold(0, |a, b| a + b), 16);
    /// ```
    pub fn fold(&self, zero: T, f: impl Fn(T, T) -> T + Sync) -> T
    where
        T: Clone + Send + Sync,
    {
        self.by_ref().map(T::clone).fold(zero, f)
    }

    /// The records of each partition: moved out if nobody else holds them, cloned if somebody does.
    pub(crate) fn into_vecs(self) -> Vec<Vec<T>>
    where
        T: Clone,
    {
        self.partitions.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// The partitions as the input of a stage.
    pub(crate) fn into_blocks(self) -> Vec<RddBlock<T>> {
        self.partitions.into_iter().filter(|p| !p.is_empty()).map(RddBlock).collect()
    }
}

/// Where part `i` of `n` begins when `len` things are shared out evenly.
pub(crate) fn share(len: usize, n: usize, i: usize) -> usize {
    // In 128 bits: a million partitions of as many records must not overflow.
    (len as u128 * i as u128 / n as u128) as usize
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
