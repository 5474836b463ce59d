//! `reduce_by_key_and_window` for a function with an inverse.

use std::mem;

use super::{keyed::Keyed, ring::Derived};
use crate::{
    Key, Rdd,
    batch::{Batch, OpMeta, Step},
    ops::Partials,
    record::Data,
};

/// A keyed window for a function that can be taken back: what leaves is subtracted, what enters is added.
pub type InverseByKeyAndWindow<K, V> = Keyed<K, V, Running>;

/// The value in the window is all there is.
#[derive(Debug, Default)]
pub struct Running;

impl Derived for Running {}

/// `*sum = f(*sum, value)`. While `f` has the sum, `filler` is in its place.
fn change<V>(sum: &mut V, filler: V, value: V, f: impl Fn(V, V) -> V) {
    let old = mem::replace(sum, filler);
    *sum = f(old, value);
}

impl<K, V> Keyed<K, V, Running>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the partials of a batch. If the window is due: the value of each key in it, but for those that
    /// `filter` hides.
    ///
    /// What leaves is taken back first, oldest first, by `inverse(value, left)`. A key goes with the last of
    /// its batches, not when its value looks like nothing.
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
                // A clone of what comes, which is most often less than the sum.
                change(sum, value.clone(), value.clone(), &f);
            }
        };
        self.slide(
            batch,
            op,
            input,
            |ring, turn| {
                ring.leave(turn.cutoff, |sum, _, left| change(sum, left.clone(), left, &inverse));
                ring.enter(turn.time, turn.entries, |sum, _, value, first| add(sum, value, first));
            },
            |ring| ring.refresh(false, |sum, _, _, value, first| add(sum, value, first)),
            filter,
        )
    }
}
