//! What the tasks have for one bucket, and groups: the values of each key behind one another, in one vector
//! for all keys.

use std::{iter, mem, ops::Range};

use super::{Chunks, Entry, GroupPartial, MergedBucket, Places, Table, index::Index};
use crate::{Key, short::Short};

/// What the tasks have for one bucket, in the order of the tasks.
#[derive(Debug)]
pub(crate) struct InternedBucket<K, V> {
    pub(crate) keys: Keys<K>,
    pub(crate) tasks: Vec<TaskValues<V>>,
}

/// Different keys.
#[derive(Debug, Clone)]
pub(crate) struct Keys<K> {
    short: Vec<Short>,
    /// These are behind the short ones.
    long: Vec<(Short, K)>,
}

/// The values of one task, in order.
#[derive(Debug)]
pub(crate) struct TaskValues<V> {
    /// What the task's numbers are among all keys.
    keys: Vec<u32>,
    records: Chunks<u32, V>,
}

/// Finds out which keys of the tasks are the same.
pub(crate) fn gather<K: Key<Owned = K>, V>(
    seed: u64,
    column: Vec<GroupPartial<K, V>>,
) -> InternedBucket<K, V> {
    let most = |len: fn(&GroupPartial<K, V>) -> usize| column.iter().map(len).max().unwrap_or(0);
    let mut short: Index<()> = Index::with_capacity(Places::new(seed), most(|share| share.short.len()));
    let mut long = Table::with_capacity(seed, most(|share| share.long.len()));
    let mut tasks = Vec::with_capacity(column.len());
    let mut longs = Vec::with_capacity(column.len());
    for share in column {
        longs.push(share.long);
        let keys = short.intern(&share.short, |_| ());
        tasks.push(TaskValues { keys, records: share.records });
    }
    let first = short.live();
    for (TaskValues { keys, .. }, entries) in tasks.iter_mut().zip(longs) {
        keys.extend(entries.into_iter().map(|(id, key)| (first + long.intern_with(id, key, || ())) as u32));
    }
    let short = short.into_entries().into_iter().map(|(id, ())| id).collect();
    let long = long.into_entries().filter_map(Entry::into_parts).map(|(id, key, ())| (id, key)).collect();
    InternedBucket { keys: Keys { short, long }, tasks }
}

impl<K> Keys<K> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<K: Key<Owned = K> + Clone> Keys<K> {
    /// The index of each key in a table with the same seed, where it gets what `create` gives if it is new.
    pub(crate) fn intern_into<T>(&self, table: &mut Table<K, T>, create: impl Fn() -> T) -> Vec<u32> {
        let mut indices = table.intern_shorts(&self.short, &create);
        indices.extend(self.long.iter().map(|(id, key)| table.intern_with(*id, key, &create) as u32));
        indices
    }
}

impl<V> TaskValues<V> {
    /// Calls `f` for the values, each with what `of` has for its key.
    pub(crate) fn for_each(self, of: &[u32], mut f: impl FnMut(u32, V)) {
        let keys: Vec<u32> = self.keys.iter().map(|key| of[*key as usize]).collect();
        for chunk in self.records {
            chunk.into_iter().for_each(|(number, value)| f(keys[number as usize], value));
        }
    }

    /// How many values each of the task's keys has.
    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.keys.len()];
        for chunk in self.records.iter() {
            chunk.iter().for_each(|(number, _)| counts[*number as usize] += 1);
        }
        counts
    }
}

/// The groups of one bucket.
#[derive(Debug, Clone)]
pub struct Groups<K, V> {
    keys: Keys<K>,
    /// Where the values of each key end, and those of the next one begin.
    ends: Vec<usize>,
    /// Those of a key are in their order.
    values: Vec<V>,
}

/// Puts together what the tasks have for one bucket.
pub(crate) fn group<K: Key<Owned = K>, V: Clone>(seed: u64, column: Vec<GroupPartial<K, V>>) -> Groups<K, V> {
    let InternedBucket { keys, tasks } = gather(seed, column);
    let mut ends = vec![0; keys.len()];
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (task.counts(), task)).collect();
    for (counts, task) in &tasks {
        iter::zip(counts, &task.keys).for_each(|(n, key)| ends[*key as usize] += n);
    }
    // Where each key begins, and, when every task has a place for its values, where it ends.
    let mut all = 0;
    ends.iter_mut().for_each(|end| all += mem::replace(end, all));
    for (counts, task) in &mut tasks {
        for (n, key) in iter::zip(counts, &task.keys) {
            let end = &mut ends[*key as usize];
            let start = *end;
            *end += mem::replace(n, start);
        }
    }
    Groups { keys, ends, values: arranged(tasks, all) }
}

/// The values in the order of their keys. Each task knows where the next value of each of its keys goes.
fn arranged<V: Clone>(tasks: Vec<(Vec<usize>, TaskValues<V>)>, all: usize) -> Vec<V> {
    if mem::needs_drop::<V>() {
        let mut out = vec![None; all];
        place(tasks, |at, value| out[at] = Some(value));
        return out.into_iter().flatten().collect();
    }
    // What has nothing to drop is as cheap to overwrite as a free place, and plain numbers need half of the
    // room.
    let first = tasks.iter().flat_map(|(_, task)| task.records.iter().flatten()).next();
    let Some((_, filler)) = first else { return Vec::new() };
    let mut out = vec![filler.clone(); all];
    place(tasks, |at, value| out[at] = value);
    out
}

fn place<V>(tasks: Vec<(Vec<usize>, TaskValues<V>)>, mut put: impl FnMut(usize, V)) {
    for (mut next, task) in tasks {
        for chunk in task.records {
            for (number, value) in chunk {
                let next = &mut next[number as usize];
                put(*next, value);
                *next += 1;
            }
        }
    }
}

impl<K, V> Groups<K, V> {
    /// Which keys there are.
    pub(crate) fn keys(&self) -> &Keys<K> {
        &self.keys
    }

    /// All values, those of each key together.
    pub(crate) fn values(&self) -> &[V] {
        &self.values
    }

    /// Where the values of each key are.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        iter::zip(iter::once(&0).chain(&self.ends), &self.ends).map(|(from, to)| *from..*to)
    }
}

impl<K: Key<Owned = K>, V> Groups<K, V> {
    /// A vector for each key; nothing is left.
    pub(crate) fn take_vectors(&mut self) -> MergedBucket<K, Vec<V>> {
        let lens: Vec<usize> = self.ranges().map(|range| range.len()).collect();
        let Keys { short, long } = &mut self.keys;
        let (short, long) = (mem::take(short), mem::take(long));
        let mut values = mem::take(&mut self.values).into_iter();
        let mut vectors = lens.into_iter().map(|len| Some(values.by_ref().take(len).collect()));
        let short = iter::zip(short, vectors.by_ref()).collect();
        let long = iter::zip(long, vectors).map(|((id, key), value)| Entry { id, key, value }).collect();
        MergedBucket { short, long }
    }
}
