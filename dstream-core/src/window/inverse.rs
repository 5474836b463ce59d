//! `reduce_by_key_and_window` for a function with an inverse.

use std::mem;

use super::{bucket::Derived, keyed::KeyedWindow};
use crate::{
    Key, Rdd,
    batch::{Batch, Step},
    plan::OpMeta,
    record::Data,
    table::Partials,
};

/// A keyed window for a function with an inverse: what leaves is subtracted, what enters is added.
pub type InverseByKeyAndWindow<K, V> = KeyedWindow<K, V, RunningAggregate>;

/// Marks a window that derives nothing but its aggregate.
#[derive(Debug, Default)]
pub struct RunningAggregate;

impl Derived for RunningAggregate {}

/// Sets `*sum = f(*sum, value)`. While `f` owns the sum, `filler` is in its place.
fn change<V>(sum: &mut V, filler: V, value: V, f: impl Fn(V, V) -> V) {
    let old = mem::replace(sum, filler);
    *sum = f(old, value);
}

impl<K, V> KeyedWindow<K, V, RunningAggregate>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the partial aggregates of a batch. If the window is due, returns the aggregate of each key,
    /// without the pairs that `filter` rejects.
    ///
    /// What leaves is subtracted first, oldest first, by `inverse(value, left)`. A key is removed with the
    /// last of its batches, whatever its aggregate is.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Partials<K, V>>,
        f: impl Fn(V, V) -> V + Sync,
        inverse: impl Fn(V, V) -> V + Sync,
        filter: impl Fn(&K, &V) -> bool + Sync,
    ) -> Step<Rdd<(K, V)>> {
        let add = |sum: &mut V, value: &V, first: bool| {
            if !first {
                // A clone of the new value as the filler, which is usually smaller than the sum.
                change(sum, value.clone(), value.clone(), &f);
            }
        };
        self.slide(
            batch,
            op,
            input,
            |bucket, step| {
                bucket.evict(step.cutoff, |sum, _, left| change(sum, left.clone(), left, &inverse));
                bucket.insert(step.time, step.entries, |sum, _, value, first| add(sum, value, first));
            },
            |bucket| bucket.refresh(false, |sum, _, _, value, first| add(sum, value, first)),
            filter,
        )
    }
}
