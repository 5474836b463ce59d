//! The actions: what brings the records of an `Rdd` to the caller, or out of the program.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::Hash,
    path::Path,
};

use serde::Serialize;

use super::{
    PairRddOps, RddOps,
    files::{TextLine, save_objects, save_text},
    part_of::needs_whole,
    run::run,
};
use crate::{
    Key, Record, Result,
    record::{Pair, Portable},
};

/// The actions of an [`Rdd`](crate::Rdd), and of chains of its transformations: they run the chain.
///
/// A chain is used up. An `Rdd` is borrowed, so where a signature below says `Self::Item`, that is a
/// reference to a record; where a reference would be of no use, as in `collect`, `take` and `reduce`, an
/// [`Rdd`](crate::Rdd) has a method of the same name that clones.
#[must_use = "a chain of transformations does nothing until an action, such as `collect` or `evaluate`, runs it"]
pub trait RddActions: RddOps {
    /// All records, in order.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![1, 2]).map(|n| n + 1).collect(), [2, 3]);
    /// ```
    fn collect(self) -> Vec<Self::Item> {
        needs_whole(self.part(), "collect");
        let mut parts = run(self, |records| records.collect::<Vec<_>>());
        match parts.len() {
            1 => parts.remove(0),
            _ => parts.into_iter().flatten().collect(),
        }
    }

    /// How many records there are.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![1, 2, 3]).filter(|n| *n > 1).count(), 2);
    /// ```
    fn count(self) -> u64 {
        needs_whole(self.part(), "count");
        run(self, |records| records.count() as u64).into_iter().sum()
    }

    /// The first `n` records, or all if there are fewer. No more than needed are computed, on the caller's
    /// thread.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![1, 2, 3]).map(|n| n * n).take(2), [1, 4]);
    /// ```
    fn take(self, n: usize) -> Vec<Self::Item> {
        needs_whole(self.part(), "take");
        self.into_parts().into_iter().flatten().take(n).collect()
    }

    /// The first record, or `None` if there is none.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![1, 2, 3]).filter(|n| *n > 1).first(), Some(2));
    /// ```
    fn first(self) -> Option<Self::Item> {
        needs_whole(self.part(), "first");
        self.into_parts().into_iter().flatten().next()
    }

    /// The `n` largest records, the largest first. Of each partition no more than `n` are held.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![3, 9, 4]).map(|n| n * 2).top(2), [18, 8]);
    /// ```
    fn top(self, n: usize) -> Vec<Self::Item>
    where
        Self::Item: Ord,
    {
        needs_whole(self.part(), "top");
        self.map(Reverse).take_ordered(n).into_iter().map(|Reverse(record)| record).collect()
    }

    /// The `n` smallest records, the smallest first. Of each partition no more than `n` are held.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![3, 9, 4]).map(|n| n * 2).take_ordered(2), [6, 8]);
    /// ```
    fn take_ordered(self, n: usize) -> Vec<Self::Item>
    where
        Self::Item: Ord,
    {
        needs_whole(self.part(), "take_ordered");
        let smallest = run(self, |records| {
            let mut heap = BinaryHeap::new();
            records.for_each(|record| {
                if heap.len() < n {
                    heap.push(record);
                } else if let Some(mut largest) = heap.peek_mut()
                    && record < *largest
                {
                    *largest = record;
                }
            });
            heap.into_vec()
        });
        let mut records: Vec<_> = smallest.into_iter().flatten().collect();
        records.sort();
        records.truncate(n);
        records
    }

    /// Puts the records together two by two, in order; `None` if there is none. `f` must be associative.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// assert_eq!(Rdd::parallelize(vec![3, 9, 4]).map(|n| n * 2).reduce(i32::max), Some(18));
    /// ```
    fn reduce(self, f: impl Fn(Self::Item, Self::Item) -> Self::Item + Sync) -> Option<Self::Item> {
        needs_whole(self.part(), "reduce");
        run(self, |records| records.reduce(&f)).into_iter().flatten().reduce(f)
    }

    /// As [`reduce`](RddActions::reduce), starting from `zero`, once in each partition and once for their
    /// results: it must be neutral.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let words = Rdd::parallelize(vec!["a", "b"]).map(str::to_owned);
    /// assert_eq!(words.fold(String::new(), |a, b| a + &b), "ab");
    /// ```
    fn fold(self, zero: Self::Item, f: impl Fn(Self::Item, Self::Item) -> Self::Item + Sync) -> Self::Item
    where
        Self::Item: Clone + Sync,
    {
        needs_whole(self.part(), "fold");
        self.aggregate(zero, &f, &f)
    }

    /// Folds each partition from `zero` with `add`, then those results from `zero` with `merge`, in order.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let words = Rdd::parallelize(vec!["to", "be", "or"]);
    /// assert_eq!(words.aggregate(0, |sum, word| sum + word.len(), |a, b| a + b), 6);
    /// ```
    fn aggregate<A: Clone + Send + Sync>(
        self,
        zero: A,
        add: impl Fn(A, Self::Item) -> A + Sync,
        merge: impl Fn(A, A) -> A,
    ) -> A {
        needs_whole(self.part(), "aggregate");
        run(self, |records| records.fold(zero.clone(), &add)).into_iter().fold(zero.clone(), merge)
    }

    /// How many pairs each key has.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 5), ("a", 2)]);
    /// assert_eq!(pairs.count_by_key()["a"], 2);
    /// ```
    fn count_by_key<K, V>(self) -> HashMap<K::Owned, u64>
    where
        Self::Item: Pair<Key = K, Value = V>,
        K: Key<Owned: Key> + Send,
    {
        needs_whole(self.part(), "count_by_key");
        let counts = self.map(|record| (record.into_pair().0, 1u64)).reduce_by_key(|a, b| a + b);
        counts.into_parts().into_iter().flatten().collect()
    }

    /// The pairs as a map; of several values of a key the last.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let pairs = Rdd::parallelize(vec![("a", 1), ("b", 5), ("a", 2)]).map_values(|n| n * 10);
    /// assert_eq!(pairs.collect_as_map()["a"], 20);
    /// ```
    fn collect_as_map<K: Eq + Hash + Send, V: Send>(self) -> HashMap<K, V>
    where
        Self::Item: Pair<Key = K, Value = V>,
    {
        needs_whole(self.part(), "collect_as_map");
        self.map(Pair::into_pair).collect().into_iter().collect()
    }

    /// Calls `f` with each record, on several threads.
    ///
    /// ```
    /// use dstream::prelude::*;
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// let sum = AtomicU64::new(0);
    /// Rdd::parallelize(vec![1, 2, 3]).foreach(|n| {
    ///     sum.fetch_add(*n, Relaxed);
    /// });
    /// assert_eq!(sum.into_inner(), 6);
    /// ```
    fn foreach(self, f: impl Fn(Self::Item) + Sync) {
        run(self, |records| records.for_each(&f));
    }

    /// Calls `f` with the records of each partition, on several threads: for one connection, transaction or
    /// file a partition.
    ///
    /// Where `f` can fail, use [`map_partitions`](RddOps::map_partitions) and look at what it returned:
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// # struct Connection;
    /// # impl Connection {
    /// #     fn open() -> std::io::Result<Self> { Ok(Connection) }
    /// #     fn send(&mut self, _: &u32) -> std::io::Result<()> { Ok(()) }
    /// # }
    /// let nums = Rdd::parallelize_in(vec![1, 2, 3, 4], 2);
    /// nums.foreach_partition(|records| println!("{} records", records.len()));
    ///
    /// let sent = nums.by_ref().map_partitions(|mut records| {
    ///     [Connection::open().and_then(|mut to| records.try_for_each(|n| to.send(n)))]
    /// });
    /// sent.collect().into_iter().collect::<std::io::Result<()>>()?;
    /// # std::io::Result::Ok(())
    /// ```
    fn foreach_partition(self, f: impl Fn(<Self::Part as IntoIterator>::IntoIter) + Sync) {
        run(self, f);
    }

    /// Writes a folder of text files: a file `part-00000`, `part-00001`, .. for each partition, and an empty
    /// `_SUCCESS`.
    ///
    /// A record is a line: text as it is, anything else in its `Debug` form, so `("hello", 2)` for a pair, as
    /// `print` shows it (see [`TextLine`](crate::rdd::TextLine)).
    ///
    /// The folder appears with all that is in it, or not at all. One that is there already is replaced, if it
    /// holds nothing but part files. The same records give the same bytes. Only one writer at a time may
    /// write to a path.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let folder = std::env::temp_dir().join(format!("dstream-doc-text-{}", std::process::id()));
    /// Rdd::parallelize(vec!["to be", "or not"]).save_as_text_file(&folder)?;
    /// assert_eq!(std::fs::read_to_string(folder.join("part-00000"))?, "to be\nor not\n");
    /// assert_eq!(Rdd::text_file(&folder)?.collect(), ["to be", "or not"]);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn save_as_text_file(self, path: impl AsRef<Path>) -> Result<()>
    where
        Self::Item: TextLine,
    {
        needs_whole(self.part(), "save_as_text_file");
        save_text(self, path.as_ref())
    }

    /// Writes a folder of binary files that [`Rdd::object_file`](crate::Rdd::object_file) reads back with
    /// their type.
    ///
    /// What is said of folders at [`save_as_text_file`](RddActions::save_as_text_file) holds here.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let folder = std::env::temp_dir().join(format!("dstream-doc-objects-{}", std::process::id()));
    /// Rdd::parallelize(vec![(1u8, "one".to_owned())]).save_as_object_file(&folder)?;
    ///
    /// let pairs: Rdd<(u8, String)> = Rdd::object_file(&folder)?;
    /// assert_eq!(pairs.collect(), [(1, "one".to_owned())]);
    ///
    /// let error = Rdd::<(u8, u64)>::object_file(&folder).unwrap_err().to_string();
    /// assert!(error.ends_with("holds records of type `(u8,string)`, expected `(u8,u64)`"), "{error}");
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn save_as_object_file(self, path: impl AsRef<Path>) -> Result<()>
    where
        Self::Item: Record<Owned: Portable> + Serialize,
    {
        needs_whole(self.part(), "save_as_object_file");
        save_objects(self, path.as_ref())
    }
}
