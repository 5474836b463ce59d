//! `reduce_by_key_and_window` for a function without an inverse.

use std::mem;

use super::{keyed::Keyed, ring::Derived};
use crate::{
    Key, Rdd, Time,
    batch::{Batch, OpMeta, Step},
    ops::Partials,
    record::Data,
};

/// A keyed window for any associative function, of which a slide costs what enters and what leaves.
pub type ReduceByKeyAndWindow<K, V> = Keyed<K, V, TwoStacks<V>>;

/// A queue of values whose reduction is always at hand: for `max` there is no way to take back what left.
///
/// Seen from a moment in the past (the *turn*), `front` has, for each batch before it, what the batches from
/// that one to the turn come to; the oldest of them is on top and is popped when it leaves. `sum` is what
/// came since. When the last batch before the turn has left, the window is turned again: all that is in it
/// becomes `front`. So each value meets the function twice, once when it enters and once at a turn.
#[derive(Debug)]
pub struct TwoStacks<V> {
    front: Vec<(Time, V)>,
    sum: Option<V>,
    /// Whether the value in the window is to be made of the two before it is shown.
    put_off: bool,
}

impl<V> Default for TwoStacks<V> {
    fn default() -> Self {
        TwoStacks { front: Vec::new(), sum: None, put_off: false }
    }
}

impl<V: Send> Derived for TwoStacks<V> {
    const TURNS: bool = true;

    fn put_off(&mut self) -> bool {
        !mem::replace(&mut self.put_off, true)
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

    /// Adds the value of an older batch than all before it, at a turn.
    fn push_front(&mut self, time: Time, value: &V, f: impl Fn(V, V) -> V) {
        let value = match self.front.last() {
            Some((_, later)) => f(value.clone(), later.clone()),
            None => value.clone(),
        };
        self.front.push((time, value));
    }

    /// Takes out what left.
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

impl<K, V> Keyed<K, V, TwoStacks<V>>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the partials of a batch. If the window is due: what `f` makes of each key in it, in the order of
    /// the batches, but for those that `filter` hides.
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
            |ring, turn| {
                ring.leave(turn.cutoff, |_, stacks, _| stacks.pop(turn.cutoff));
                ring.enter(turn.time, turn.entries, |_, stacks, value, _| stacks.push(value, &f));
            },
            |ring| {
                ring.refresh(true, |_, stacks, time, value, _| stacks.push_front(time, value, &f));
                ring.settle(|value, stacks| {
                    if mem::take(&mut stacks.put_off)
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
