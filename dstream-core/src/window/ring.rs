//! One bucket of a keyed window.

use std::{collections::VecDeque, iter, mem, sync::Arc};

use crate::{
    Key, Time,
    record::Data,
    table::{DenseTable, MergedBucket},
};

/// The partial values of the batches in the window, and what is *derived* from them: the value of each key in
/// the window, and what is kept beside it to carry it on.
///
/// The partials are the truth. What is derived is made by the user's functions, which may panic: it is
/// marked *stale* before they are called and fresh when they are done, and what is stale is made again from
/// the partials before it is used.
#[derive(Debug)]
pub(super) struct Ring<K, V, D> {
    /// The values in the window, which are handed out as they are.
    keys: DenseTable<K, V, Held<D>>,
    /// Oldest first. A batch with no key of this bucket is left out.
    batches: VecDeque<Partial<V>>,
    /// Indices of keys that were put off; those of removed keys may be among them.
    put_off: Vec<u32>,
    /// Whether some were hidden the last time: the others are copied then.
    hides: bool,
    pub(super) stale: bool,
    /// The newest batch when all was last made again.
    refreshed: Time,
    /// The last batch that came in whole.
    entered: Time,
}

/// What a batch has of each of its keys, which are known by their indices.
#[derive(Debug)]
struct Partial<V> {
    time: Time,
    indices: Vec<u32>,
    values: Vec<V>,
}

impl<V> Partial<V> {
    fn iter(&self) -> impl Iterator<Item = (u32, &V)> {
        iter::zip(self.indices.iter().copied(), &self.values)
    }
}

#[derive(Debug, Default)]
struct Held<D> {
    /// In how many of the batches the key is. It leaves with the last one, whatever its value is then.
    batches: u32,
    derived: D,
}

/// What is kept beside the value of a key.
pub trait Derived: Default + Send {
    /// Whether all is made again when the batches have left that were there the last time.
    const TURNS: bool = false;

    /// Asked after a change: whether the value must be made again before it is shown, and that was not so
    /// before.
    fn put_off(&mut self) -> bool {
        false
    }
}

impl<K: Key<Owned = K> + Data, V: Data, D: Derived> Ring<K, V, D> {
    pub(super) fn new(seed: u64) -> Self {
        Ring {
            keys: DenseTable::new(seed),
            batches: VecDeque::new(),
            put_off: Vec::new(),
            hides: false,
            stale: false,
            refreshed: Time::default(),
            entered: Time::default(),
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.pairs().len()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.keys.index_bound()
    }

    /// Whether all of a batch is here.
    pub(super) fn has(&self, time: Time) -> bool {
        self.entered == time
    }

    /// How many values will be touched, besides those that enter, when the batches up to `cutoff` leave.
    pub(super) fn work(&self, cutoff: Time) -> usize {
        let stay = self.batches.partition_point(|batch| batch.time <= cutoff);
        let touched = if self.stale || stay > 0 && self.turns(stay) { self.batches.len() } else { stay };
        let copied = if self.hides { self.keys.pairs().len() } else { 0 };
        self.batches.iter().take(touched).map(|batch| batch.indices.len()).sum::<usize>() + copied
    }

    /// Whether nothing from `oldest` on was there when all was last made again.
    fn turns(&self, oldest: usize) -> bool {
        D::TURNS && self.batches.get(oldest).is_none_or(|batch| batch.time > self.refreshed)
    }

    /// Lets the batches up to `cutoff` go. `subtract` is called for what leaves of each key that stays.
    pub(super) fn leave(&mut self, cutoff: Time, mut subtract: impl FnMut(&mut V, &mut D, V)) {
        if self.batches.front().is_none_or(|batch| batch.time > cutoff) {
            return;
        }
        let mut keys = self.keys.make_mut();
        while let Some(Partial { indices, values, .. }) =
            self.batches.pop_front_if(|batch| batch.time <= cutoff)
        {
            for index in &indices {
                if let Some(held) = keys.aux_mut(*index) {
                    held.batches -= 1;
                    if held.batches == 0 {
                        keys.remove(*index);
                    }
                }
            }
            if !self.stale {
                self.stale = true;
                for (index, left) in iter::zip(indices, values) {
                    if let Some((value, held)) = keys.get(index) {
                        subtract(value, &mut held.derived, left);
                        if held.derived.put_off() {
                            self.put_off.push(index);
                        }
                    }
                }
                self.stale = false;
            }
        }
        if let Some(moved) = keys.compact() {
            let known = self.batches.iter_mut().flat_map(|batch| &mut batch.indices);
            // The index of a removed key becomes that of another, which knows whether it was put off itself.
            known.chain(&mut self.put_off).for_each(|index| *index = moved[*index as usize]);
        }
        self.stale |= self.turns(0);
    }

    /// Takes a batch in. `add` is called for each of its keys with the value in the window, what is beside
    /// it, the value of the batch, and whether it is the first: then the value in the window is a clone of
    /// it.
    pub(super) fn enter(
        &mut self,
        time: Time,
        share: MergedBucket<K, V>,
        mut add: impl FnMut(&mut V, &mut D, &V, bool),
    ) {
        if share.len() == 0 {
            self.entered = time;
            return;
        }
        let mut keys = self.keys.make_mut();
        let fresh = !mem::replace(&mut self.stale, true);
        let room = share.len();
        let batch = self.batches.push_back_mut(Partial {
            time,
            indices: Vec::with_capacity(room),
            values: Vec::with_capacity(room),
        });
        keys.intern(share, |held, index, value| {
            held.batches += 1;
            batch.indices.push(index);
            batch.values.push(value);
        });
        self.entered = time;
        if fresh {
            for (index, new) in batch.iter() {
                if let Some((value, held)) = keys.get(index) {
                    add(value, &mut held.derived, new, held.batches == 1);
                    if held.derived.put_off() {
                        self.put_off.push(index);
                    }
                }
            }
            self.stale = false;
        }
    }

    /// Makes all again that is derived, if it is stale: `add` is called, as by [`enter`](Ring::enter), for
    /// every value in the window, key by key in the order of the batches, or against it.
    pub(super) fn refresh(
        &mut self,
        newest_first: bool,
        mut add: impl FnMut(&mut V, &mut D, Time, &V, bool),
    ) {
        if !self.stale {
            return;
        }
        self.put_off.clear();
        let mut met = vec![false; self.keys.index_bound()];
        let mut keys = self.keys.make_mut();
        let mut one = |batch: &Partial<V>| {
            for (index, new) in batch.iter() {
                if let Some((value, held)) = keys.get(index) {
                    let first = !mem::replace(&mut met[index as usize], true);
                    if first {
                        value.clone_from(new);
                        held.derived = D::default();
                    }
                    add(value, &mut held.derived, batch.time, new, first);
                    if held.derived.put_off() {
                        self.put_off.push(index);
                    }
                }
            }
        };
        match newest_first {
            true => self.batches.iter().rev().for_each(&mut one),
            false => self.batches.iter().for_each(&mut one),
        }
        self.stale = false;
        self.refreshed = self.batches.back().map(|batch| batch.time).unwrap_or_default();
    }

    /// Makes the values that were put off.
    pub(super) fn settle(&mut self, mut make: impl FnMut(&mut V, &mut D)) {
        if self.put_off.is_empty() {
            return;
        }
        let mut keys = self.keys.make_mut();
        self.stale = true;
        for index in self.put_off.drain(..) {
            if let Some((value, held)) = keys.get(index) {
                make(value, &mut held.derived);
            }
        }
        self.stale = false;
    }

    /// The keys in the window with their values, but for those that `filter` hides. If it hides none, they
    /// are shared.
    pub(super) fn pairs(&mut self, filter: impl Fn(&K, &V) -> bool) -> Arc<Vec<(K, V)>> {
        let pairs = self.keys.pairs();
        let hidden = pairs.iter().position(|(key, value)| !filter(key, value));
        self.hides = hidden.is_some();
        let Some(hidden) = hidden else { return Arc::clone(pairs) };
        let mut shown = pairs[..hidden].to_vec();
        shown.extend(pairs[hidden + 1..].iter().filter(|(key, value)| filter(key, value)).cloned());
        Arc::new(shown)
    }

    /// What the batch at `time` has of each key.
    pub(super) fn partials(&self, time: Time) -> impl Iterator<Item = (&K, &V)> {
        let at = self.batches.binary_search_by_key(&time, |batch| batch.time).ok();
        let partials = at.and_then(|at| self.batches.get(at)).into_iter().flat_map(Partial::iter);
        partials.filter_map(|(index, value)| Some((self.keys.key(index)?, value)))
    }
}
