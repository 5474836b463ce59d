//! What a task has for a bucket, and how the tasks are put together.

use super::{
    Entry, Places, Table,
    index::Index,
    place::part,
    put_together,
    scatter::{Chunks, split},
};
use crate::{Key, exec::transpose, ops::HasLen, short::Short};

/// What a task has for one bucket.
#[derive(Debug)]
pub struct Portion<K, C> {
    pub(super) short: Shorts<C>,
    pub(super) long: Vec<Entry<K, C>>,
}

/// Short keys with what they have.
#[derive(Debug)]
pub(super) enum Shorts<C> {
    /// Each is there once.
    Once(Vec<(Short, Option<C>)>),
    /// One may be there several times, with its values in order: what each part of the bucket has.
    Parts(Vec<Chunks<Short, C>>),
}

/// The keys of a bucket, each once: short ones, which are not owned yet, and long ones.
#[derive(Debug, Clone)]
pub(crate) struct Share<K, C> {
    pub(super) short: Vec<(Short, Option<C>)>,
    pub(super) long: Vec<Entry<K, C>>,
}

/// Into how many parts a bucket is cut that has many entries, so that the table of each stays in the cache.
pub(super) const PARTS: usize = 16;
/// How many entries are many.
const MANY: usize = 8 << 10;

impl<K, C> HasLen for Portion<K, C> {
    /// How many entries there are.
    fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<C> Shorts<C> {
    fn len(&self) -> usize {
        match self {
            Shorts::Once(entries) => entries.len(),
            Shorts::Parts(parts) => parts.iter().map(Chunks::len).sum(),
        }
    }

    fn into_parts(self, places: &Places) -> Vec<Self> {
        match self {
            Shorts::Once(entries) => split(entries, PARTS, |(id, _)| part(places.hash(*id), PARTS))
                .into_iter()
                .map(Shorts::Once)
                .collect(),
            Shorts::Parts(parts) => parts.into_iter().map(|part| Shorts::Parts(vec![part])).collect(),
        }
    }
}

impl<K, C> Share<K, C> {
    /// Entries of different keys.
    pub(crate) fn of(entries: Vec<Entry<K, C>>) -> Self {
        Share { short: Vec::new(), long: entries }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<K: Key<Owned = K>, C> Share<K, C> {
    /// The entries: short keys first, which are owned here.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry<K, C>> {
        let short = self.short.into_iter().map(|(id, value)| Entry { id, key: K::from_short(id), value });
        short.chain(self.long)
    }

    /// Short keys and others, each with its value.
    pub(super) fn into_parts(
        self,
    ) -> (impl Iterator<Item = (Short, C)>, impl Iterator<Item = (Short, K, C)>) {
        let short = self.short.into_iter().filter_map(|(id, value)| value.map(|value| (id, value)));
        (short, self.long.into_iter().filter_map(Entry::into_parts))
    }
}

/// Puts together what the tasks have for one bucket, in the order of the tasks.
pub(crate) fn merge<K: Key<Owned = K>, C>(
    seed: u64,
    column: Vec<Portion<K, C>>,
    f: impl Fn(C, C) -> C,
) -> Share<K, C> {
    let (short, long) = column.into_iter().map(|portion| (portion.short, portion.long)).unzip();
    Share { short: merge_short(seed, short, &f), long: merge_long(seed, long, &f) }
}

fn merge_short<C>(seed: u64, mut tasks: Vec<Shorts<C>>, f: impl Fn(C, C) -> C) -> Vec<(Short, Option<C>)> {
    tasks.retain(|task| task.len() > 0);
    // The keys of one task are distinct already.
    if let [Shorts::Once(only)] = &mut tasks[..] {
        return std::mem::take(only);
    }
    let places = Places::new(seed);
    let parts = match tasks.iter().map(Shorts::len).sum::<usize>() {
        ..MANY => vec![tasks],
        _ => transpose(tasks.into_iter().map(|task| task.into_parts(&places)).collect(), PARTS),
    };
    let mut index = Index::new(places);
    for tasks in parts {
        for task in tasks {
            match task {
                Shorts::Once(entries) => {
                    index.extend(entries, |value| value, |held, value| put_together(held, value, &f));
                }
                Shorts::Parts(chunks) => {
                    for chunk in chunks.into_iter().flatten() {
                        index.extend(chunk, Some, |held, value| put_together(held, Some(value), &f));
                    }
                }
            }
        }
        index.seal();
    }
    index.into_entries()
}

fn merge_long<K: Key<Owned = K>, C>(
    seed: u64,
    mut tasks: Vec<Vec<Entry<K, C>>>,
    f: impl Fn(C, C) -> C,
) -> Vec<Entry<K, C>> {
    tasks.retain(|task| !task.is_empty());
    if let [only] = &mut tasks[..] {
        return std::mem::take(only);
    }
    let mut table = Table::with_capacity(seed, tasks.iter().map(Vec::len).max().unwrap_or(0));
    tasks.into_iter().flatten().for_each(|entry| table.merge(entry, &f));
    table.into_entries().collect()
}
