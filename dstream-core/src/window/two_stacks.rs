//! `reduce_by_key_and_window` for a function without an inverse, by the two-stacks algorithm.

use std::mem;

use super::{bucket::Derived, keyed::KeyedWindow};
use crate::{
    Key, Rdd, Time,
    batch::{Batch, Step},
    plan::OpMeta,
    record::Data,
    table::Partials,
};

/// A keyed window for any associative function. A slide costs what enters and what leaves, amortised.
pub type ReduceByKeyAndWindow<K, V> = KeyedWindow<K, V, TwoStacks<V>>;

/// A queue of values with their aggregate, made of two stacks, for functions such as `max` that can't be
/// inverted.
///
/// At a *flip*, `front` gets for each batch in the window the aggregate from that batch up to the flip, with
/// that of the oldest batch on top. It is popped when its batch leaves. `sum` aggregates the batches since
/// the flip. When the last batch before the flip has left, the window is flipped again. So the function is
/// called twice for each value: once when it enters and once at a flip.
#[derive(Debug)]
pub struct TwoStacks<V> {
    front: Vec<(Time, V)>,
    sum: Option<V>,
    /// Whether the value in the window must be computed from these two before it is read.
    deferred: bool,
}

impl<V> Default for TwoStacks<V> {
    fn default() -> Self {
        TwoStacks { front: Vec::new(), sum: None, deferred: false }
    }
}

impl<V: Send> Derived for TwoStacks<V> {
    const FLIPS: bool = true;

    fn defer(&mut self) -> bool {
        !mem::replace(&mut self.deferred, true)
    }
}

impl<V: Clone> TwoStacks<V> {
    /// Adds the value of the newest batch.
    fn push(&mut self, value: &V, f: impl Fn(V, V) -> V) {
        self.sum = Some(match self.sum.take() {
            Some(sum) => f(sum, value.clone()),
            None => value.clone(),
        });
    }

    /// Adds the value of a batch that is older than those so far, at a flip.
    fn push_front(&mut self, time: Time, value: &V, f: impl Fn(V, V) -> V) {
        let value = match self.front.last() {
            Some((_, later)) => f(value.clone(), later.clone()),
            None => value.clone(),
        };
        self.front.push((time, value));
    }

    /// Removes the batches that leave.
    fn pop(&mut self, cutoff: Time) {
        while self.front.pop_if(|(time, _)| *time <= cutoff).is_some() {}
    }

    fn total(&self, f: impl Fn(V, V) -> V) -> Option<V> {
        match (self.front.last(), &self.sum) {
            (Some((_, before)), Some(since)) => Some(f(before.clone(), since.clone())),
            (before, since) => before.map(|(_, v)| v).or(since.as_ref()).cloned(),
        }
    }
}

impl<K, V> KeyedWindow<K, V, TwoStacks<V>>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the partial aggregates of a batch. If the window is due, returns the aggregate of each key, in
    /// the order of the batches, without the pairs that `filter` rejects.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Partials<K, V>>,
        f: impl Fn(V, V) -> V + Sync,
        filter: impl Fn(&K, &V) -> bool + Sync,
    ) -> Step<Rdd<(K, V)>> {
        self.slide(
            batch,
            op,
            input,
            |bucket, step| {
                bucket.evict(step.cutoff, |_, stacks, _| stacks.pop(step.cutoff));
                bucket.insert(step.time, step.entries, |_, stacks, value, _| stacks.push(value, &f));
            },
            |bucket| {
                bucket.refresh(true, |_, stacks, time, value, _| stacks.push_front(time, value, &f));
                bucket.compute_deferred(|value, stacks| {
                    if mem::take(&mut stacks.deferred)
                        && let Some(total) = stacks.total(&f)
                    {
                        *value = total;
                    }
                });
            },
            filter,
        )
    }
}
