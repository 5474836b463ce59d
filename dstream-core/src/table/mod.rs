//! The keyed tables of shuffles, windows and states: borrowed look-up, owned insert.
//!
//! A key is known by its [`Short`] form: the key itself if it fits into fifteen bytes, its hash if not. So
//! most keys are compared by two words and hashed by one multiplication; growing and moving on to another
//! table never looks at a key again.

mod dense;
mod group_sink;
mod groups;
mod index;
mod key_cache;
mod lists;
mod map_side_combiner;
mod partial_bucket;
mod place;
mod scatter;
mod spare;
mod wire;

use crate::{Key, short::Short};
pub(crate) use index::GROUP;
use index::Index;
use place::Places;
pub(crate) use place::random_seed;

pub(crate) use dense::Dense;
pub use group_sink::{GroupPartial, GroupSink};
pub use groups::Groups;
pub(crate) use groups::{InternedBucket, gather, group};
pub(crate) use lists::{Found, Lists, NONE, Room};
pub use map_side_combiner::Combine;
pub(crate) use map_side_combiner::MapSideCombiner;
pub use partial_bucket::PartialBucket;
pub(crate) use partial_bucket::{MergedBucket, merge};
pub use scatter::{Chunks, Scatter};
pub(crate) use scatter::{entries_of, give_back};
pub(crate) use spare::Spare;

/// One key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry<K, V> {
    id: Short,
    key: K,
    // Empty only while a combiner has the value.
    value: Option<V>,
}

impl<K, V> Entry<K, V> {
    /// Key and value.
    pub(crate) fn into_pair(self) -> Option<(K, V)> {
        self.value.map(|value| (self.key, value))
    }

    /// An entry of a table with this seed.
    pub(crate) fn new(seed: u64, key: K, value: V) -> Self
    where
        K: Key,
    {
        Entry { id: Places::new(seed).id(&key), key, value: Some(value) }
    }

    /// Short form, key and value.
    pub(crate) fn into_parts(self) -> Option<(Short, K, V)> {
        self.value.map(|value| (self.id, self.key, value))
    }
}

/// Adds a value to what a key has.
#[inline]
fn add<V, C>(held: &mut Option<C>, value: V, f: &impl Combine<V, C>) {
    *held = Some(match held.take() {
        Some(old) => f.add(old, value),
        None => f.create(value),
    });
}

/// Puts what a key has in two places together.
#[inline]
fn put_together<C>(held: &mut Option<C>, value: Option<C>, f: impl FnOnce(C, C) -> C) {
    *held = match (held.take(), value) {
        (Some(old), Some(new)) => Some(f(old, new)),
        (old, new) => old.or(new),
    };
}

/// A table that has its keys, for what lives longer than a batch.
///
/// Keys can be [removed](Table::remove). The index of a removed key is given to a later one.
#[derive(Debug, Clone)]
pub(crate) struct Table<K, V> {
    index: Index<(K, Option<V>)>,
}

impl<K, V> Table<K, V> {
    /// An empty table; it allocates at its first insert. `seed` decides where keys go.
    pub(crate) fn new(seed: u64) -> Self {
        Table { index: Index::new(Places::new(seed)) }
    }

    /// A table with room for `n` keys.
    pub(crate) fn with_capacity(seed: u64, n: usize) -> Self {
        Table { index: Index::with_capacity(Places::new(seed), n) }
    }

    /// The entries, in the order of first insert.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = Entry<K, V>> {
        self.index.into_entries().into_iter().map(|(id, (key, value))| Entry { id, key, value })
    }

    /// Adds `value` to what `key` has; the key is owned only when it is new.
    pub(crate) fn combine<Q: Key<Owned = K>, W>(&mut self, key: Q, value: W, f: &impl Combine<W, V>) {
        let id = self.index.places().id(&key);
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => add(self.value_mut(at), value, f),
            Err(slot) => {
                self.index.insert(slot, id, (key.own(), Some(f.create(value))));
            }
        }
    }

    /// Adds an entry of another table with the same seed.
    pub(crate) fn merge(&mut self, entry: Entry<K, V>, f: impl FnOnce(V, V) -> V)
    where
        K: Key<Owned = K>,
    {
        let Entry { id, key, value } = entry;
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => put_together(self.value_mut(at), value, f),
            Err(slot) => {
                self.index.insert(slot, id, (key, value));
            }
        }
    }

    /// What a key is known by.
    pub(crate) fn id(&self, key: &K) -> Short
    where
        K: Key<Owned = K>,
    {
        self.index.places().id(key)
    }

    /// The index of an owned key, which is inserted without a value if it is new. Indices count up from 0.
    pub(crate) fn intern(&mut self, id: Short, key: K) -> usize
    where
        K: Key<Owned = K>,
    {
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => at,
            Err(slot) => self.index.insert(slot, id, (key, None)),
        }
    }

    /// The index of a key, which is owned, and inserted with what `create` gives, if it is new.
    pub(crate) fn intern_with<Q: Key<Owned = K>>(
        &mut self,
        id: Short,
        key: Q,
        create: impl FnOnce() -> V,
    ) -> usize {
        match self.index.find(id, |(owned, _)| key.same_key(owned)) {
            Ok(at) => at,
            Err(slot) => self.index.insert(slot, id, (key.own(), Some(create()))),
        }
    }

    /// The indices of short keys, looked up together.
    pub(crate) fn intern_shorts(&mut self, ids: &[Short], create: impl Fn() -> V) -> Vec<u32>
    where
        K: Key<Owned = K>,
    {
        self.index.intern(ids, |id| (K::from_short(id), Some(create())))
    }

    /// The index of an owned key.
    pub(crate) fn get(&mut self, id: Short, key: &K) -> Option<usize>
    where
        K: Key<Owned = K>,
    {
        self.index.find(id, |(owned, _)| key.same_key(owned)).ok()
    }

    /// Whether the key of an entry of another table with the same seed is here.
    pub(crate) fn holds<W>(&mut self, entry: &Entry<K, W>) -> bool
    where
        K: Key<Owned = K>,
    {
        self.get(entry.id, &entry.key).is_some()
    }

    /// The value of the key with this index.
    pub(crate) fn value_mut(&mut self, index: usize) -> &mut Option<V> {
        &mut self.index.entries_mut()[index].1.1
    }

    /// How many entries there are, those without a value included: indices are below this.
    pub(crate) fn len(&self) -> usize {
        self.index.entries().len()
    }

    /// How many keys are in the table.
    pub(crate) fn live(&self) -> usize {
        self.index.live()
    }

    /// Key and value at this index.
    pub(crate) fn at(&self, index: usize) -> Option<(&K, &V)> {
        let (_, (key, value)) = self.index.entries().get(index)?;
        value.as_ref().map(|value| (key, value))
    }

    /// Key and value at this index, to change the value.
    pub(crate) fn at_mut(&mut self, index: usize) -> Option<(&K, &mut V)> {
        let (_, (key, value)) = self.index.entries_mut().get_mut(index)?;
        value.as_mut().map(|value| (&*key, value))
    }

    /// Keys and values, in the order of their indices.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.index.entries().iter().filter_map(|(_, (key, value))| value.as_ref().map(|value| (key, value)))
    }

    /// Takes a key out of the table; the other keys keep their indices.
    pub(crate) fn remove(&mut self, index: usize) -> Option<V> {
        let value = self.index.entries_mut().get_mut(index)?.1.1.take()?;
        self.index.remove(index);
        Some(value)
    }

    /// Gives up the room of removed keys if they are many: returns the new index of each old one, if they
    /// changed.
    pub(crate) fn compact(&mut self) -> Option<Vec<u32>> {
        self.index.compact()
    }
}

#[cfg(test)]
mod tests;
