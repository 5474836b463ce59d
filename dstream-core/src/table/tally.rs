//! What a task combines: a small table of short keys, and what that turns away; long keys with the keys.

use std::{iter, mem};

use super::{
    Places, Table, add,
    front::{Front, WAITING},
    place::{bucket, part},
    portion::{PARTS, Portion, Shorts},
    scatter::{Chunks, split},
};
use crate::{Key, short::Short};

/// How values become what a key has.
pub trait Combine<V, C> {
    /// What a key has after its first value.
    fn create(&self, value: V) -> C;
    /// What it has after one more.
    fn add(&self, held: C, value: V) -> C;
}

/// The table of one task. It is shared out over buckets when the task is done.
///
/// Short keys are their short forms until the tasks are put together, so each is owned once in a batch. What
/// the [`Front`] turns away is passed on uncombined, to where the tasks are put together. A key that was
/// passed on enters the front never, or later, so its values stay in order.
#[derive(Debug)]
pub(crate) struct Tally<K, V, C> {
    places: Places,
    /// None where hardly any key came twice.
    front: Option<Front<C>>,
    long: Table<K, C>,
    buckets: usize,
    /// Short keys that were not looked for yet.
    waiting: Vec<(Short, V)>,
    /// For each part of each bucket; empty until something is passed on.
    passed: Vec<Chunks<Short, C>>,
}

impl<K, V, C> Tally<K, V, C> {
    pub(crate) fn new(seed: u64, buckets: usize) -> Self {
        let places = Places::new(seed);
        Tally {
            front: Some(Front::new(places.clone())),
            places,
            long: Table::new(seed),
            buckets,
            waiting: Vec::with_capacity(WAITING),
            passed: Vec::new(),
        }
    }

    /// Adds `value` to what `key` has. `f` is the same in all calls.
    #[inline]
    pub(crate) fn combine<Q: Key<Owned = K>>(&mut self, key: Q, value: V, f: &impl Combine<V, C>) {
        match key.short() {
            Some(id) => {
                self.waiting.push((id, value));
                if self.waiting.len() == WAITING {
                    self.flush(f);
                }
            }
            None => self.long.combine(key, value, f),
        }
    }

    /// Looks for what waits.
    pub(crate) fn flush(&mut self, f: &impl Combine<V, C>) {
        let mut waiting = mem::take(&mut self.waiting);
        match self.front.take() {
            Some(mut front) => {
                let room = front.reserve(waiting.len());
                let (looked, mut away) = (waiting.len(), 0);
                for (id, value) in waiting.drain(..) {
                    match front.find(id) {
                        Ok(slot) => add(front.held(slot), value, f),
                        Err(slot) if room => front.insert(slot, id, f.create(value)),
                        Err(_) => {
                            away += 1;
                            self.pass(id, f.create(value));
                        }
                    }
                }
                let no_use = front.is_no_use(looked, away);
                self.front = Some(front);
                if no_use {
                    self.empty_front();
                }
            }
            None => waiting.drain(..).for_each(|(id, value)| self.pass(id, f.create(value))),
        }
        self.waiting = waiting;
    }

    #[inline]
    fn pass(&mut self, id: Short, value: C) {
        if self.passed.is_empty() {
            self.passed.resize_with(self.buckets * PARTS, Chunks::default);
        }
        let hash = self.places.hash(id);
        self.passed[bucket(hash, self.buckets) * PARTS + part(hash, PARTS)].push((id, value), None);
    }

    /// Passes on what the front has, and keeps it no longer.
    fn empty_front(&mut self) {
        for (id, value) in self.front.take().into_iter().flat_map(Front::into_entries) {
            self.pass(id, value);
        }
    }

    /// What the task has, by bucket.
    pub(crate) fn done(mut self) -> Vec<Portion<K, C>> {
        if !self.passed.is_empty() {
            self.empty_front();
        }
        let Tally { places, front, long, buckets, passed, .. } = self;
        let of = |id: Short| bucket(places.hash(id), buckets);
        let short: Vec<Shorts<C>> = if passed.is_empty() {
            let entries = front.into_iter().flat_map(Front::into_entries);
            let entries = entries.map(|(id, value)| (id, Some(value))).collect();
            split(entries, buckets, |(id, _)| of(*id)).into_iter().map(Shorts::Once).collect()
        } else {
            let mut passed = passed.into_iter();
            let parts = || Shorts::Parts(passed.by_ref().take(PARTS).collect());
            iter::repeat_with(parts).take(buckets).collect()
        };
        let long = split(long.into_entries().collect(), buckets, |entry| of(entry.id));
        iter::zip(short, long).map(|(short, long)| Portion { short, long }).collect()
    }
}
