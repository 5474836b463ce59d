//! One bucket of a keyed window.

use std::collections::VecDeque;

use crate::{
    Key, Time,
    table::{Share, Table},
};

/// The partial values of the batches in the window, and what is *derived* from them to answer quickly.
///
/// The partials are the truth. What is derived (a running value, two stacks) is made by the user's functions, which may panic:
/// it is marked *stale* before they are called and fresh when they are done, and what is stale is made again from the
/// partials before it is used.
#[derive(Debug)]
pub(super) struct Ring<K, V, D> {
    keys: Table<K, Held<D>>,
    /// Oldest first. A key is known by its index in `keys`. A batch with no key of this bucket is left out.
    batches: VecDeque<Slot<V>>,
    pub(super) stale: bool,
    /// The newest batch when it was last made again.
    pub(super) refreshed: Time,
}

type Slot<V> = (Time, Vec<(u32, V)>);

#[derive(Debug)]
struct Held<D> {
    /// In how many of the batches the key is. It leaves with the last one, whatever its value is then.
    batches: u32,
    derived: D,
}

impl<K: Key<Owned = K>, V, D: Default> Ring<K, V, D> {
    pub(super) fn new(seed: u64) -> Self {
        Ring { keys: Table::new(seed), batches: VecDeque::new(), stale: false, refreshed: Time::default() }
    }

    /// How many keys are in the window.
    pub(super) fn live(&self) -> usize {
        self.keys.live()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.keys.len()
    }

    /// The time of the oldest batch.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.batches.front().map(|(time, _)| *time)
    }

    /// Lets the batches up to `cutoff` go. `subtract` is called for what leaves of each key that stays.
    pub(super) fn leave(&mut self, cutoff: Time, mut subtract: impl FnMut(&mut D, V)) {
        let mut removed = false;
        while self.oldest().is_some_and(|time| time <= cutoff)
            && let Some((_, partials)) = self.batches.pop_front()
        {
            for (index, _) in &partials {
                if let Some((_, held)) = self.keys.at_mut(*index as usize) {
                    held.batches -= 1;
                    if held.batches == 0 {
                        self.keys.remove(*index as usize);
                        removed = true;
                    }
                }
            }
            if !self.stale {
                self.stale = true;
                for (index, value) in partials {
                    if let Some((_, held)) = self.keys.at_mut(index as usize) {
                        subtract(&mut held.derived, value);
                    }
                }
                self.stale = false;
            }
        }
        if removed && let Some(moved) = self.keys.compact() {
            for (_, partials) in &mut self.batches {
                partials.iter_mut().for_each(|(index, _)| *index = moved[*index as usize]);
            }
        }
    }

    /// Takes a batch in. `add` is called for each of its keys.
    pub(super) fn enter(&mut self, time: Time, entries: Share<K, V>, mut add: impl FnMut(&mut D, &V)) {
        if entries.len() == 0 {
            return;
        }
        let mut partials = Vec::with_capacity(entries.len());
        entries.intern_into(
            &mut self.keys,
            || Held { batches: 0, derived: D::default() },
            |keys, index, value| {
                if let Some((_, held)) = keys.at_mut(index) {
                    held.batches += 1;
                }
                partials.push((index as u32, value));
            },
        );
        self.batches.push_back((time, partials));
        if !self.stale
            && let Some((_, partials)) = self.batches.back()
        {
            self.stale = true;
            for (index, value) in partials {
                if let Some((_, held)) = self.keys.at_mut(*index as usize) {
                    add(&mut held.derived, value);
                }
            }
            self.stale = false;
        }
    }

    /// Makes what is derived again, if it is stale: `visit` is called for every value in the window, key by key in the
    /// order of the batches, or against it.
    pub(super) fn refresh(&mut self, newest_first: bool, mut visit: impl FnMut(&mut D, Time, &V)) {
        if !self.stale {
            return;
        }
        self.keys.values_mut().for_each(|held| held.derived = D::default());
        let keys = &mut self.keys;
        let mut one = |(time, partials): &Slot<V>| {
            for (index, value) in partials {
                if let Some((_, held)) = keys.at_mut(*index as usize) {
                    visit(&mut held.derived, *time, value);
                }
            }
        };
        match newest_first {
            true => self.batches.iter().rev().for_each(&mut one),
            false => self.batches.iter().for_each(&mut one),
        }
        self.stale = false;
        self.refreshed = self.batches.back().map(|(time, _)| *time).unwrap_or_default();
    }

    /// The keys in the window, each with what is derived.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &D)> {
        self.keys.iter().map(|(key, held)| (key, &held.derived))
    }

    /// The keys in the window, each with its values, oldest first.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&K, Vec<&V>)> {
        let mut groups: Vec<Vec<&V>> = Vec::new();
        groups.resize_with(self.keys.len(), Vec::new);
        for (index, value) in self.batches.iter().flat_map(|(_, partials)| partials) {
            groups[*index as usize].push(value);
        }
        groups.into_iter().enumerate().filter_map(|(index, values)| Some((self.keys.at(index)?.0, values)))
    }

    /// What the batch at `time` has of each key.
    pub(super) fn partials(&self, time: Time) -> impl Iterator<Item = (&K, &V)> {
        let at = self.batches.binary_search_by_key(&time, |(time, _)| *time).ok();
        let partials = at.and_then(|at| self.batches.get(at)).map_or(&[][..], |(_, partials)| partials);
        partials.iter().filter_map(|(index, value)| Some((self.keys.at(*index as usize)?.0, value)))
    }
}
