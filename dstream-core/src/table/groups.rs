//! The groups of a bucket in CSR layout: the values of all keys in one vector, those of a key contiguous.

use std::{iter, mem, ops::Range};

use super::{Chunks, Entry, GroupPartial, KeyHasher, MergedBucket, Table, index::Index};
use crate::{Key, inline_key::InlineKey};

/// The values of all tasks for one bucket, in the order of the tasks, with their keys interned.
#[derive(Debug)]
pub(crate) struct InternedBucket<K, V> {
    pub(crate) keys: Keys<K>,
    pub(crate) tasks: Vec<TaskValues<V>>,
}

/// Distinct keys.
#[derive(Debug, Clone)]
pub(crate) struct Keys<K> {
    short: Vec<InlineKey>,
    /// The long keys, which follow the short ones.
    long: Vec<(InlineKey, K)>,
}

/// The values of one task, in their order.
#[derive(Debug)]
pub(crate) struct TaskValues<V> {
    /// The index among all keys of each key number of the task.
    keys: Vec<u32>,
    records: Chunks<u32, V>,
}

/// Interns the keys of all tasks, so that equal keys have one index.
pub(crate) fn intern_keys<K: Key<Owned = K>, V>(
    seed: u64,
    column: Vec<GroupPartial<K, V>>,
) -> InternedBucket<K, V> {
    let most = |len: fn(&GroupPartial<K, V>) -> usize| column.iter().map(len).max().unwrap_or(0);
    let mut short: Index<()> = Index::with_capacity(KeyHasher::new(seed), most(|share| share.short.len()));
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
    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<K: Key<Owned = K> + Clone> Keys<K> {
    /// Returns the index of each key in a table with the same seed. A new key is inserted with the value that
    /// `create` makes.
    pub(crate) fn intern_into<T>(&self, table: &mut Table<K, T>, create: impl Fn() -> T) -> Vec<u32> {
        let mut indices = table.intern_inline(&self.short, &create);
        indices.extend(self.long.iter().map(|(id, key)| table.intern_with(*id, key, &create) as u32));
        indices
    }
}

impl<V> TaskValues<V> {
    /// Calls `f` for each value, with the number that `number_of` has for its key.
    pub(crate) fn for_each(self, number_of: &[u32], mut f: impl FnMut(u32, V)) {
        let keys: Vec<u32> = self.keys.iter().map(|key| number_of[*key as usize]).collect();
        for chunk in self.records {
            chunk.into_iter().for_each(|(number, value)| f(keys[number as usize], value));
        }
    }

    /// The number of values of each of the task's keys.
    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.keys.len()];
        for chunk in self.records.iter() {
            chunk.iter().for_each(|(number, _)| counts[*number as usize] += 1);
        }
        counts
    }
}

/// The groups of one bucket, in CSR layout.
#[derive(Debug, Clone)]
pub struct Groups<K, V> {
    keys: Keys<K>,
    /// The end of each key's values, where those of the next key begin.
    ends: Vec<usize>,
    /// The values of all keys, those of a key in their order.
    values: Vec<V>,
}

/// Merges what the tasks have for one bucket into groups.
pub(crate) fn group<K: Key<Owned = K>, V: Clone>(seed: u64, column: Vec<GroupPartial<K, V>>) -> Groups<K, V> {
    let InternedBucket { keys, tasks } = intern_keys(seed, column);
    let mut ends = vec![0; keys.len()];
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (task.counts(), task)).collect();
    for (counts, task) in &tasks {
        iter::zip(counts, &task.keys).for_each(|(n, key)| ends[*key as usize] += n);
    }
    // First the start of each key's values; the loop over the tasks then advances it to their end.
    let mut all = 0;
    ends.iter_mut().for_each(|end| all += mem::replace(end, all));
    for (counts, task) in &mut tasks {
        for (n, key) in iter::zip(counts, &task.keys) {
            let end = &mut ends[*key as usize];
            let start = *end;
            *end += mem::replace(n, start);
        }
    }
    Groups { keys, ends, values: sort_by_key(tasks, all) }
}

/// Sorts the values by key. Each task comes with the position of the next value of each of its keys.
fn sort_by_key<V: Clone>(tasks: Vec<(Vec<usize>, TaskValues<V>)>, all: usize) -> Vec<V> {
    if mem::needs_drop::<V>() {
        let mut out = vec![None; all];
        place(tasks, |at, value| out[at] = Some(value));
        return out.into_iter().flatten().collect();
    }
    // Values without a destructor can overwrite a filler, which needs half of the memory of `Option` for
    // plain numbers.
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
    /// The keys of the groups.
    pub(crate) fn keys(&self) -> &Keys<K> {
        &self.keys
    }

    /// The values of all keys, those of a key contiguous.
    pub(crate) fn values(&self) -> &[V] {
        &self.values
    }

    /// The range of the values of each key.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        iter::zip(iter::once(&0).chain(&self.ends), &self.ends).map(|(from, to)| *from..*to)
    }
}

impl<K: Key<Owned = K>, V> Groups<K, V> {
    /// Moves the values of each key into a vector of their own, and leaves the groups empty.
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
