//! `reduce_by_key_and_window` for a function without an inverse.

use super::{
    keyed::{Keyed, Turn},
    ring::Ring,
};
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
/// that one to the turn come to; the oldest of them is on top and is popped when it leaves. `sum` is what came since. When
/// the last batch before the turn has left, the window is turned again: all that is in it becomes `front`. So each value
/// meets the function twice, once when it enters and once at a turn.
#[derive(Debug)]
pub struct TwoStacks<V> {
    front: Vec<(Time, V)>,
    sum: Option<V>,
}

impl<V> Default for TwoStacks<V> {
    fn default() -> Self {
        TwoStacks { front: Vec::new(), sum: None }
    }
}

impl<V: Clone> TwoStacks<V> {
    fn total(&self, f: impl Fn(V, V) -> V) -> Option<V> {
        match (self.front.last(), &self.sum) {
            (Some((_, before)), Some(since)) => Some(f(before.clone(), since.clone())),
            (before, since) => before.map(|(_, v)| v).or(since.as_ref()).cloned(),
        }
    }
}

fn advance<K: Key<Owned = K>, V: Clone>(
    ring: &mut Ring<K, V, TwoStacks<V>>,
    turn: Turn<K, V>,
    f: impl Fn(V, V) -> V,
) {
    let Turn { time, cutoff, entries } = turn;
    ring.leave(cutoff, |stacks, _| while stacks.front.pop_if(|(time, _)| *time <= cutoff).is_some() {});
    if ring.oldest().is_none_or(|oldest| oldest > ring.refreshed) {
        // All that was there at the turn has left.
        ring.stale = true;
    }
    ring.enter(time, entries, |stacks, value| {
        stacks.sum = Some(match stacks.sum.take() {
            Some(sum) => f(sum, value.clone()),
            None => value.clone(),
        });
    });
}

fn turn<K: Key<Owned = K>, V: Clone>(ring: &mut Ring<K, V, TwoStacks<V>>, f: impl Fn(V, V) -> V) {
    ring.refresh(true, |stacks, time, value| {
        let value = match stacks.front.last() {
            Some((_, later)) => f(value.clone(), later.clone()),
            None => value.clone(),
        };
        stacks.front.push((time, value));
    });
}

impl<K, V> Keyed<K, V, TwoStacks<V>>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the partials of a batch. If the window is due: what `f` makes of each key in it, in the order of the batches,
    /// but for those that `filter` hides.
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
            |ring, turn| advance(ring, turn, &f),
            |ring| {
                self::turn(ring, &f);
                let totals = ring.iter().filter_map(|(key, stacks)| Some((key, stacks.total(&f)?)));
                let mut out = Vec::with_capacity(ring.live());
                out.extend(totals.filter(|(key, v)| filter(key, v)).map(|(key, v)| (key.clone(), v)));
                out
            },
        )
    }
}
