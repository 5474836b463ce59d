//! `group_by_key`: runs as [`combine_by_key`](super::combine_by_key) whose combiners are vectors.

use crate::{DStream, Key, Record};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// All values of each key, in order of arrival: pairs of key and `Vec`.
    ///
    /// To put values together as they come, use [`reduce_by_key`](DStream::reduce_by_key) or
    /// [`combine_by_key`](DStream::combine_by_key): they keep one value a key.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1), ("b", 5), ("a", 2)]]);
    ///     pairs.group_by_key().filter(|(key, _)| key == "a").collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("a".into(), vec![1, 2])]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn group_by_key(self) -> DStream<(K::Owned, Vec<V::Owned>)> {
        DStream::typed()
    }
}

/// A group of one.
pub fn group_of<V>(value: V) -> Vec<V> {
    vec![value]
}

/// A group and one more value.
pub fn group_with<V>(mut group: Vec<V>, value: V) -> Vec<V> {
    group.push(value);
    group
}

/// The groups of two partitions.
pub fn groups_joined<V>(mut first: Vec<V>, second: Vec<V>) -> Vec<V> {
    first.extend(second);
    first
}
