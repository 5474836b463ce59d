//! What a task combines: a small table of short keys, and what that turns away; long keys with the keys.

use std::{iter, mem};

use super::{
    Places, Spare, Table, add,
    front::Front,
    index::GROUP,
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
/// Short keys are their short forms until the tasks are put together, so each is owned once in a batch. What the [`Front`] turns
/// away is passed on uncombined, to where the tasks are put together. A key that was passed on never enters the front, which
/// has no room then, so its values stay in order.
#[derive(Debug)]
pub(crate) struct Tally<K, V, C> {
    places: Places,
    /// None where hardly any key came twice.
    front: Option<Front<C>>,
    long: Table<K, C>,
    buckets: usize,
    /// Short keys that were not looked for yet. What waits for memory when they are, and what cuts the next ones out of a
    /// text, are loops of their own, which a processor guesses better.
    waiting: Vec<(Short, V)>,
    /// For each part of each bucket; empty until something is passed on.
    passed: Vec<Chunks<Short, C>>,
    spare: Spare<(Short, C)>,
    /// How many short keys were looked for, and how many of them turned away, since it was last asked whether that is of use.
    looked: usize,
    turned_away: usize,
}

/// How many keys wait at most.
const WAITING: usize = 64;
/// How many keys are looked for until it is asked whether the front is of use: not if it has turned away three of four.
const WATCHED: usize = 16 << 10;

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
            spare: Spare::default(),
            looked: 0,
            turned_away: 0,
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
                self.looked += waiting.len();
                for (id, value) in waiting.drain(..) {
                    match front.find(id) {
                        Ok(slot) => add(front.held(slot), value, f),
                        Err(slot) if room => front.insert(slot, id, f.create(value)),
                        Err(_) => {
                            self.turned_away += 1;
                            self.pass(id, f.create(value));
                        }
                    }
                }
                self.front = Some(front);
                if self.looked >= WATCHED {
                    self.watch();
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
        self.passed[bucket(hash, self.buckets) * PARTS + part(hash, PARTS)].push((id, value), &self.spare);
    }

    /// Gives the front up if it is of no use.
    #[cold]
    fn watch(&mut self) {
        if self.turned_away >= self.looked / 4 * 3 {
            let front = self.front.take().into_iter().flat_map(Front::into_entries);
            front.for_each(|(id, value)| self.pass(id, value));
        }
        (self.looked, self.turned_away) = (0, 0);
    }

    /// What the task has, by bucket.
    pub(crate) fn done(mut self) -> Vec<Portion<K, C>> {
        let front = self.front.take().into_iter().flat_map(Front::into_entries);
        let short: Vec<Shorts<C>> = if self.passed.is_empty() {
            let entries = front.map(|(id, value)| (id, Some(value))).collect();
            let buckets = split(entries, self.buckets, |(id, _)| bucket(self.places.hash(*id), self.buckets));
            buckets.into_iter().map(Shorts::Once).collect()
        } else {
            front.for_each(|(id, value)| self.pass(id, value));
            let mut passed = mem::take(&mut self.passed).into_iter();
            let parts = || Shorts::Parts(passed.by_ref().take(PARTS).collect());
            iter::repeat_with(parts).take(self.buckets).collect()
        };
        let long = self.long.into_entries().collect();
        let long = split(long, self.buckets, |entry| bucket(self.places.hash(entry.id), self.buckets));
        iter::zip(short, long).map(|(short, long)| Portion { short, long }).collect()
    }
}

/// How many groups are watched at a time. If three of four keys are new, a table does more harm than good: most look-ups
/// go to memory for nothing, and the keys are looked up again when the tasks are put together.
const GROUPS: usize = 512;

/// Looks now and then whether a table is worth it.
#[derive(Debug)]
pub(super) struct Watch {
    /// After how many groups to look how many of their keys were new.
    until: usize,
    /// How many there were at the last look.
    before: usize,
}

impl Watch {
    pub(super) fn new() -> Self {
        Watch { until: GROUPS, before: 0 }
    }

    /// Called after each group of keys, with how many the table has: whether nearly all of the last ones were new.
    #[inline]
    pub(super) fn sees_no_use(&mut self, all: usize) -> bool {
        self.until -= 1;
        self.until == 0 && self.look(all)
    }

    #[cold]
    fn look(&mut self, all: usize) -> bool {
        let new = all - self.before;
        (self.before, self.until) = (all, GROUPS);
        new >= GROUPS * GROUP / 4 * 3
    }
}
