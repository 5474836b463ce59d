//! The partial aggregates of a task for a bucket, and how those of all tasks are merged.

use super::{
    Entry, KeyHasher, Table,
    index::Index,
    key_hasher::part,
    merge_values,
    scatter::{Chunks, split},
};
use crate::{Key, exec::transpose, inline_key::InlineKey, table::HasLen};

/// The partial aggregates that one task has for one bucket.
#[derive(Debug)]
pub struct PartialBucket<K, C> {
    pub(super) short: InlinePartials<C>,
    pub(super) long: Vec<Entry<K, C>>,
}

/// Partial aggregates of short keys, which are stored inline.
#[derive(Debug)]
pub(super) enum InlinePartials<C> {
    /// Each key occurs once.
    Distinct(Vec<(InlineKey, Option<C>)>),
    /// By part of the bucket. A key may occur several times, with its values in order.
    Parts(Vec<Chunks<InlineKey, C>>),
}

/// The merged aggregates of a bucket: each key occurs once. Short keys are not owned yet.
#[derive(Debug, Clone)]
pub(crate) struct MergedBucket<K, C> {
    pub(super) short: Vec<(InlineKey, Option<C>)>,
    pub(super) long: Vec<Entry<K, C>>,
}

/// Into how many parts a large bucket is divided, so that the table of each part fits into the cache.
pub(super) const PARTS: usize = 16;
/// A bucket with at least this many entries is large.
const LARGE: usize = 8 << 10;

impl<K, C> From<MergedBucket<K, C>> for PartialBucket<K, C> {
    fn from(merged: MergedBucket<K, C>) -> Self {
        PartialBucket { short: InlinePartials::Distinct(merged.short), long: merged.long }
    }
}

impl<K, C> HasLen for PartialBucket<K, C> {
    /// How many entries there are.
    fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<C> InlinePartials<C> {
    fn len(&self) -> usize {
        match self {
            InlinePartials::Distinct(entries) => entries.len(),
            InlinePartials::Parts(parts) => parts.iter().map(Chunks::len).sum(),
        }
    }

    fn into_parts(self, hasher: &KeyHasher) -> Vec<Self> {
        match self {
            InlinePartials::Distinct(entries) => {
                split(entries, PARTS, |(id, _)| part(hasher.hash(*id), PARTS))
                    .into_iter()
                    .map(InlinePartials::Distinct)
                    .collect()
            }
            InlinePartials::Parts(parts) => {
                parts.into_iter().map(|part| InlinePartials::Parts(vec![part])).collect()
            }
        }
    }
}

impl<K, C> MergedBucket<K, C> {
    /// A bucket of these entries, whose keys must be distinct.
    pub(crate) fn of(entries: Vec<Entry<K, C>>) -> Self {
        MergedBucket { short: Vec::new(), long: entries }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<K: Key<Owned = K>, C> MergedBucket<K, C> {
    /// The entries, those with short keys first; short keys become owned here.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry<K, C>> {
        let short = self.short.into_iter().map(|(id, value)| Entry { id, key: K::from_inline(id), value });
        short.chain(self.long)
    }

    /// The entries with short keys, and those with long keys.
    pub(super) fn into_parts(
        self,
    ) -> (impl Iterator<Item = (InlineKey, C)>, impl Iterator<Item = (InlineKey, K, C)>) {
        let short = self.short.into_iter().filter_map(|(id, value)| value.map(|value| (id, value)));
        (short, self.long.into_iter().filter_map(Entry::into_parts))
    }
}

/// Merges what the tasks have for one bucket, in the order of the tasks.
pub(crate) fn merge<K: Key<Owned = K>, C>(
    seed: u64,
    column: Vec<PartialBucket<K, C>>,
    f: impl Fn(C, C) -> C,
) -> MergedBucket<K, C> {
    let (short, long) = column.into_iter().map(|portion| (portion.short, portion.long)).unzip();
    MergedBucket { short: merge_short(seed, short, &f), long: merge_long(seed, long, &f) }
}

fn merge_short<C>(
    seed: u64,
    mut tasks: Vec<InlinePartials<C>>,
    f: impl Fn(C, C) -> C,
) -> Vec<(InlineKey, Option<C>)> {
    tasks.retain(|task| task.len() > 0);
    // The keys of one task are distinct already.
    if let [InlinePartials::Distinct(only)] = &mut tasks[..] {
        return std::mem::take(only);
    }
    let hasher = KeyHasher::new(seed);
    let parts = match tasks.iter().map(InlinePartials::len).sum::<usize>() {
        ..LARGE => vec![tasks],
        _ => transpose(tasks.into_iter().map(|task| task.into_parts(&hasher)).collect(), PARTS),
    };
    let mut index = Index::new(hasher);
    for tasks in parts {
        for task in tasks {
            match task {
                InlinePartials::Distinct(entries) => {
                    index.extend(entries, |value| value, |held, value| merge_values(held, value, &f));
                }
                InlinePartials::Parts(chunks) => {
                    for chunk in chunks.into_iter().flatten() {
                        index.extend(chunk, Some, |held, value| merge_values(held, Some(value), &f));
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
