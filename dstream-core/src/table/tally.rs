//! What a task combines: short keys without the keys, and no table at all where hardly any key comes twice.

use std::mem;

use super::{
    Entry, Places, Table, add,
    index::{GROUP, Index},
    place::bucket,
    put_together,
    scatter::split,
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
/// Short keys are their short forms until the tasks are put together, so each is owned once in a batch.
#[derive(Debug)]
pub(crate) struct Tally<K, V, C> {
    places: Places,
    short: Index<Option<C>>,
    long: Table<K, C>,
    buckets: usize,
    /// Short keys that have not been looked up: a group at a time.
    waiting: Vec<(Short, V)>,
    /// From the time on when looking for short keys is not worth it: what each bucket has.
    passed: Option<Vec<Shorts<C>>>,
    watch: Watch,
}

/// Short keys, of which some may be there several times.
type Shorts<C> = Vec<(Short, Option<C>)>;

/// What a task has for one bucket. The values of a key are in their order.
#[derive(Debug, Clone)]
pub struct Share<K, C> {
    pub(super) short: Shorts<C>,
    pub(super) long: Vec<Entry<K, C>>,
    /// Whether a short key may be there several times.
    pub(super) repeats: bool,
}

/// How many groups are watched at a time. If three of four keys are new, a table does more harm than good: most look-ups
/// go to memory for nothing, and the keys are looked up again when the tasks are put together.
const WATCHED: usize = 512;

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
        Watch { until: WATCHED, before: 0 }
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
        (self.before, self.until) = (all, WATCHED);
        new >= WATCHED * GROUP / 4 * 3
    }
}

impl<K, V, C> Tally<K, V, C> {
    pub(crate) fn new(seed: u64, buckets: usize) -> Self {
        let places = Places::new(seed);
        Tally {
            short: Index::new(places.clone()),
            places,
            long: Table::new(seed),
            buckets,
            waiting: Vec::with_capacity(GROUP),
            passed: None,
            watch: Watch::new(),
        }
    }

    /// Adds `value` to what `key` has. `f` is the same in all calls.
    #[inline]
    pub(crate) fn combine<Q: Key<Owned = K>>(&mut self, key: Q, value: V, f: &impl Combine<V, C>) {
        match key.short() {
            Some(id) => {
                self.waiting.push((id, value));
                if self.waiting.len() == GROUP {
                    self.flush(f);
                }
            }
            None => self.long.combine(key, value, f),
        }
    }

    /// Looks up what waits.
    #[inline]
    pub(crate) fn flush(&mut self, f: &impl Combine<V, C>) {
        if let Some(passed) = &mut self.passed {
            for (id, value) in self.waiting.drain(..) {
                passed[bucket(self.places.hash(id), self.buckets)].push((id, Some(f.create(value))));
            }
            return;
        }
        let met = self.short.meet(self.waiting.iter().map(|(id, _)| *id));
        for ((id, value), met) in self.waiting.drain(..).zip(met) {
            match self.short.found(id, met) {
                Ok(at) => add(&mut self.short.entries_mut()[at].1, value, f),
                Err(slot) => {
                    self.short.insert(slot, id, Some(f.create(value)));
                }
            }
        }
        if self.watch.sees_no_use(self.short.entries().len()) {
            self.give_up();
        }
    }

    /// From here on, nothing is looked up.
    #[cold]
    fn give_up(&mut self) {
        let table = mem::replace(&mut self.short, Index::new(self.places.clone()));
        self.passed = Some(split(table.into_entries(), self.buckets, |(id, _)| self.places.hash(*id)));
    }

    /// What the task has, by bucket.
    pub(crate) fn done(self) -> Vec<Share<K, C>> {
        let places = &self.places;
        let repeats = self.passed.is_some();
        let short = self
            .passed
            .unwrap_or_else(|| split(self.short.into_entries(), self.buckets, |(id, _)| places.hash(*id)));
        let long = split(self.long.into_entries().collect(), self.buckets, |entry| places.hash(entry.id));
        short.into_iter().zip(long).map(|(short, long)| Share { short, long, repeats }).collect()
    }
}

impl<K, C> Share<K, C> {
    /// Entries of different keys.
    pub(crate) fn of(entries: Vec<Entry<K, C>>) -> Self {
        Share { short: Vec::new(), long: entries, repeats: false }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<K: Key<Owned = K>, C> Share<K, C> {
    /// The entries of a share without repetition: short keys first, which are owned here.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry<K, C>> {
        let short = self.short.into_iter().map(|(id, value)| Entry { id, key: K::from_short(id), value });
        short.chain(self.long)
    }

    /// Looks up each key in a table with the same seed, where it gets what `create` gives if it is new; `each` is told its index.
    pub(crate) fn intern_into<T>(
        self,
        table: &mut Table<K, T>,
        create: impl Fn() -> T,
        mut each: impl FnMut(&mut Table<K, T>, usize, C),
    ) {
        for (id, value) in self.short {
            if let Some(value) = value {
                let at = table.intern_short(id, &create);
                each(table, at, value);
            }
        }
        for (id, key, value) in self.long.into_iter().filter_map(Entry::into_parts) {
            let at = table.intern_with(id, key, &create);
            each(table, at, value);
        }
    }
}

/// Puts together what the tasks have for one bucket, in the order of the tasks.
pub(crate) fn merge<K: Key<Owned = K>, C>(
    seed: u64,
    mut column: Vec<Share<K, C>>,
    f: impl Fn(C, C) -> C,
) -> Share<K, C> {
    column.retain(|share| share.len() > 0);
    // The keys of one task are distinct already, if it kept its table.
    if let Some(only) = column.pop_if(|share| !share.repeats) {
        if column.is_empty() {
            return only;
        }
        column.push(only);
    }
    let room = |len: fn(&Share<K, C>) -> usize| column.iter().map(len).max().unwrap_or(0);
    let mut short = Index::with_capacity(Places::new(seed), room(|share| share.short.len()));
    let mut long = Table::with_capacity(seed, room(|share| share.long.len()));
    for share in column {
        short.extend(share.short, |held, value| put_together(held, value, &f));
        for entry in share.long {
            long.merge(entry, &f);
        }
    }
    Share { short: short.into_entries(), long: long.into_entries().collect(), repeats: false }
}
