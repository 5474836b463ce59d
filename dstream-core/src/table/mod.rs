//! The hash tables of shuffles, windows and states. A key is looked up borrowed, and owned when it is
//! inserted.
//!
//! A table identifies a key by its [`InlineKey`]: the key itself if it fits into fifteen bytes, its hash if
//! not. So most keys are compared as two words and hashed by one multiplication, and a table grows, or is
//! merged into another one, without reading its keys again.

mod buffer_pool;
mod cogroup;
mod combine_by_key;
mod dense_table;
mod group_sink;
mod grouped;
mod groups;
mod index;
mod join_table;
mod key_cache;
mod key_hasher;
mod map_side_combiner;
mod partial_bucket;
mod scatter;
mod wire;

use crate::{Key, inline_key::InlineKey};
use index::Index;
pub(crate) use index::PROBE_GROUP;
use key_hasher::KeyHasher;
pub(crate) use key_hasher::random_seed;

pub(crate) use buffer_pool::BufferPool;
pub(crate) use cogroup::cogroup;
pub(crate) use combine_by_key::pairs;
pub use combine_by_key::{CombineByKey, Partials};
pub(crate) use dense_table::DenseTable;
pub use group_sink::{GroupPartial, GroupSink};
pub(crate) use grouped::Bucket;
pub use grouped::Grouped;
pub use groups::Groups;
pub(crate) use groups::{InternedBucket, group, intern_keys};
pub(crate) use join_table::{JoinTable, JoinTablePool, NO_MATCH, ProbeResult};
pub use map_side_combiner::Combine;
pub(crate) use map_side_combiner::MapSideCombiner;
pub use partial_bucket::PartialBucket;
pub(crate) use partial_bucket::{MergedBucket, merge};
pub use scatter::{Chunks, Scatter};
pub(crate) use scatter::{bucket_of, entries_of, recycle};

/// Entries below which one thread merges all buckets.
pub(crate) const FEW: usize = 2_000;

/// How many entries all tasks have for all buckets, by either.
pub(crate) fn entries<S: HasLen>(all: &[Vec<S>]) -> usize {
    all.iter().flatten().map(S::len).sum()
}

/// What a task has for one bucket.
pub(crate) trait HasLen {
    fn len(&self) -> usize;
}

impl<E> HasLen for Vec<E> {
    fn len(&self) -> usize {
        self.len()
    }
}

/// One key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry<K, V> {
    id: InlineKey,
    key: K,
    // `None` only while a user's function has the value.
    value: Option<V>,
}

impl<K, V> Entry<K, V> {
    /// The key and the value.
    pub(crate) fn into_pair(self) -> Option<(K, V)> {
        self.value.map(|value| (self.key, value))
    }

    /// Creates an entry for tables with this seed.
    pub(crate) fn new(seed: u64, key: K, value: V) -> Self
    where
        K: Key,
    {
        Entry { id: KeyHasher::new(seed).id(&key), key, value: Some(value) }
    }

    /// The inline key, the key and the value.
    pub(crate) fn into_parts(self) -> Option<(InlineKey, K, V)> {
        self.value.map(|value| (self.id, self.key, value))
    }
}

/// Adds a value to an accumulator, which is created if there is none.
#[inline]
fn add<V, C>(held: &mut Option<C>, value: V, f: &impl Combine<V, C>) {
    *held = Some(match held.take() {
        Some(old) => f.add(old, value),
        None => f.create(value),
    });
}

/// Merges two accumulators of a key.
#[inline]
fn merge_values<C>(held: &mut Option<C>, value: Option<C>, f: impl FnOnce(C, C) -> C) {
    *held = match (held.take(), value) {
        (Some(old), Some(new)) => Some(f(old, new)),
        (old, new) => old.or(new),
    };
}

/// A hash table with owned keys and stable indices, for values that live longer than a batch.
///
/// Keys can be [removed](Table::remove). The index of a removed key is reused.
#[derive(Debug, Clone)]
pub(crate) struct Table<K, V> {
    index: Index<(K, Option<V>)>,
}

impl<K, V> Table<K, V> {
    /// Creates an empty table, which allocates at its first insert. `seed` selects the hash function.
    pub(crate) fn new(seed: u64) -> Self {
        Table { index: Index::new(KeyHasher::new(seed)) }
    }

    /// Creates a table with capacity for `n` keys.
    pub(crate) fn with_capacity(seed: u64, n: usize) -> Self {
        Table { index: Index::with_capacity(KeyHasher::new(seed), n) }
    }

    /// The entries, in the order of first insert.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry<K, V>> {
        self.index.into_entries().into_iter().map(|(id, (key, value))| Entry { id, key, value })
    }

    /// Adds `value` to the accumulator of `key`, which is owned only if it is new.
    pub(crate) fn combine<Q: Key<Owned = K>, W>(&mut self, key: Q, value: W, f: &impl Combine<W, V>) {
        let id = self.index.hasher().id(&key);
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => add(self.value_mut(at), value, f),
            Err(slot) => {
                self.index.insert(slot, id, (key.own(), Some(f.create(value))));
            }
        }
    }

    /// Merges an entry of another table with the same seed.
    pub(crate) fn merge(&mut self, entry: Entry<K, V>, f: impl FnOnce(V, V) -> V)
    where
        K: Key<Owned = K>,
    {
        let Entry { id, key, value } = entry;
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => merge_values(self.value_mut(at), value, f),
            Err(slot) => {
                self.index.insert(slot, id, (key, value));
            }
        }
    }

    /// The inline form of a key, or its hash.
    pub(crate) fn id(&self, key: &K) -> InlineKey
    where
        K: Key<Owned = K>,
    {
        self.index.hasher().id(key)
    }

    /// Returns the index of an owned key, which is inserted without a value if it is new. Indices count up
    /// from 0.
    pub(crate) fn intern(&mut self, id: InlineKey, key: K) -> usize
    where
        K: Key<Owned = K>,
    {
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => at,
            Err(slot) => self.index.insert(slot, id, (key, None)),
        }
    }

    /// Returns the index of a key. A new key is owned and inserted with the value that `create` makes.
    pub(crate) fn intern_with<Q: Key<Owned = K>>(
        &mut self,
        id: InlineKey,
        key: Q,
        create: impl FnOnce() -> V,
    ) -> usize {
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => at,
            Err(slot) => self.index.insert(slot, id, (key.own(), Some(create()))),
        }
    }

    /// Returns the indices of short keys, which are probed in groups.
    pub(crate) fn intern_inline(&mut self, ids: &[InlineKey], create: impl Fn() -> V) -> Vec<u32>
    where
        K: Key<Owned = K>,
    {
        self.index.intern(ids, |id| (K::from_inline(id), Some(create())))
    }

    /// Returns the index of an owned key, if it is in the table.
    pub(crate) fn get(&mut self, id: InlineKey, key: &K) -> Option<usize>
    where
        K: Key<Owned = K>,
    {
        self.index.find(id, |(owned, _)| key.same_key(owned)).ok()
    }

    /// The key's entry, if it is in the table, which is only read.
    pub(crate) fn peek(&self, key: &K) -> Option<(&K, &V)>
    where
        K: Key<Owned = K>,
    {
        let id = self.index.hasher().id(key);
        self.at(self.index.peek(id, |(owned, _)| key.same_key(owned))?)
    }

    /// How many bytes of memory it takes, without what keys and values have outside of it.
    pub(crate) fn bytes(&self) -> usize {
        self.index.bytes()
    }

    /// Whether the table has the key of an entry of another table with the same seed.
    pub(crate) fn contains<W>(&mut self, entry: &Entry<K, W>) -> bool
    where
        K: Key<Owned = K>,
    {
        self.get(entry.id, &entry.key).is_some()
    }

    /// The value of the key with this index.
    pub(crate) fn value_mut(&mut self, index: usize) -> &mut Option<V> {
        &mut self.index.entries_mut()[index].1.1
    }

    /// The number of entries, including those without a value. Indices are below this.
    pub(crate) fn len(&self) -> usize {
        self.index.entries().len()
    }

    /// The number of keys in the table.
    pub(crate) fn live(&self) -> usize {
        self.index.live()
    }

    /// The key and the value at this index.
    pub(crate) fn at(&self, index: usize) -> Option<(&K, &V)> {
        let (_, (key, value)) = self.index.entries().get(index)?;
        value.as_ref().map(|value| (key, value))
    }

    /// The key at this index, and mutable access to its value.
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<(&K, &mut V)> {
        let (_, (key, value)) = self.index.entries_mut().get_mut(index)?;
        value.as_mut().map(|value| (&*key, value))
    }

    /// The keys and values, in the order of their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.index.entries().iter().filter_map(|(_, (key, value))| value.as_ref().map(|value| (key, value)))
    }

    /// Removes a key and returns its value. The other keys keep their indices.
    pub(crate) fn remove(&mut self, index: usize) -> Option<V> {
        let value = self.index.entries_mut().get_mut(index)?.1.1.take()?;
        self.index.remove(index);
        Some(value)
    }

    /// Frees the memory of removed keys if they are many. If so, returns the new index of each old one.
    pub(crate) fn compact(&mut self) -> Option<Vec<u32>> {
        self.index.compact()
    }
}

#[cfg(test)]
mod tests;
