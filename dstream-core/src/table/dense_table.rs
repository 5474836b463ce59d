//! A hash table whose pairs are contiguous, so that they can be shared without being copied.

use std::sync::Arc;

use super::{
    KeyHasher, MergedBucket,
    index::{Index, PROBE_GROUP},
};
use crate::{Key, inline_key::InlineKey};

/// A hash table of keys with their values, and with auxiliary data of type `S` for each key.
///
/// The pairs are stored without gaps in one vector, which can be shared: it is copied on write while a reader
/// holds it. A removed pair is replaced by the last one; the index of a key does not change when its pair
/// moves.
#[derive(Debug)]
pub(crate) struct DenseTable<K, V, S> {
    index: Index<Slot<S>>,
    pairs: Arc<Vec<(K, V)>>,
    /// The index of each pair.
    indices: Vec<u32>,
}

#[derive(Debug)]
struct Slot<S> {
    /// The position of the pair.
    at: u32,
    aux: S,
}

/// Mutable access to a [`DenseTable`] whose pairs no reader holds.
#[derive(Debug)]
pub(crate) struct DenseTableMut<'a, K, V, S> {
    index: &'a mut Index<Slot<S>>,
    pairs: &'a mut Vec<(K, V)>,
    indices: &'a mut Vec<u32>,
}

impl<K, V, S> DenseTable<K, V, S> {
    /// An empty table; it allocates at its first insert. `seed` decides where keys go.
    pub(crate) fn new(seed: u64) -> Self {
        DenseTable { index: Index::new(KeyHasher::new(seed)), pairs: Arc::default(), indices: Vec::new() }
    }

    /// The pairs, in arbitrary order.
    pub(crate) fn pairs(&self) -> &Arc<Vec<(K, V)>> {
        &self.pairs
    }

    /// How many bytes of memory it takes, without what keys and values have outside of it.
    pub(crate) fn bytes(&self) -> usize {
        self.index.bytes()
            + self.pairs.capacity() * size_of::<(K, V)>()
            + self.indices.capacity() * size_of::<u32>()
    }

    /// The bound of the indices, which includes those of removed keys.
    pub(crate) fn index_bound(&self) -> usize {
        self.index.entries().len()
    }

    /// The key with this index.
    pub(crate) fn key(&self, index: u32) -> Option<&K> {
        let (id, slot) = self.index.entries().get(index as usize)?;
        let (key, _) = self.pairs.get(slot.at as usize)?;
        (*id != InlineKey::NONE).then_some(key)
    }

    /// Gives mutable access; pairs that a reader still holds are copied first.
    pub(crate) fn make_mut(&mut self) -> DenseTableMut<'_, K, V, S>
    where
        K: Clone,
        V: Clone,
    {
        DenseTableMut {
            index: &mut self.index,
            pairs: Arc::make_mut(&mut self.pairs),
            indices: &mut self.indices,
        }
    }
}

impl<K, V, S> DenseTableMut<'_, K, V, S> {
    /// The value and the auxiliary data of the key with this index.
    #[inline]
    pub(crate) fn get(&mut self, index: u32) -> Option<(&mut V, &mut S)> {
        let (id, slot) = self.index.entries_mut().get_mut(index as usize)?;
        let (_, value) = self.pairs.get_mut(slot.at as usize)?;
        (*id != InlineKey::NONE).then_some((value, &mut slot.aux))
    }

    /// The auxiliary data of the key with this index. This is one memory access less than `get`.
    #[inline]
    pub(crate) fn aux_mut(&mut self, index: u32) -> Option<&mut S> {
        let (id, slot) = self.index.entries_mut().get_mut(index as usize)?;
        (*id != InlineKey::NONE).then_some(&mut slot.aux)
    }

    /// Removes a key. Its index is reused.
    pub(crate) fn remove(&mut self, index: u32) {
        let at = self.index.entries()[index as usize].1.at as usize;
        self.index.remove(index as usize);
        // Dropped at the end, when the table is consistent: a destructor is user code and may panic.
        let _pair = self.pairs.swap_remove(at);
        self.indices.swap_remove(at);
        if let Some(moved) = self.indices.get(at) {
            self.index.entries_mut()[*moved as usize].1.at = at as u32;
        }
    }

    /// Frees the memory of removed keys if they are many. If so, returns the new index of each old one.
    pub(crate) fn compact(&mut self) -> Option<Vec<u32>> {
        let moved = self.index.compact()?;
        self.indices.iter_mut().for_each(|index| *index = moved[*index as usize]);
        self.indices.shrink_to_fit();
        self.pairs.shrink_to_fit();
        Some(moved)
    }

    /// Looks up the keys of a bucket that was merged under the same seed, and inserts new ones with a clone
    /// of their value. Calls `each` with the auxiliary data, the index and the new value of every key.
    pub(crate) fn intern(&mut self, bucket: MergedBucket<K, V>, mut each: impl FnMut(&mut S, u32, V))
    where
        K: Key<Owned = K>,
        V: Clone,
        S: Default,
    {
        let (mut short, long) = bucket.into_parts();
        let mut group: Vec<(InlineKey, V)> = Vec::with_capacity(PROBE_GROUP);
        loop {
            group.extend(short.by_ref().take(PROBE_GROUP));
            if group.is_empty() {
                break;
            }
            let probed = self.index.probe(group.iter().map(|(id, _)| *id));
            for ((id, value), probed) in group.drain(..).zip(probed) {
                let at = match self.index.find_probed(id, probed) {
                    Ok(at) => at,
                    Err(slot) => self.insert(slot, id, || K::from_inline(id), &value),
                };
                each(&mut self.index.entries_mut()[at].1.aux, at as u32, value);
            }
        }
        for (id, key, value) in long {
            let same = |slot: &Slot<S>| key.same_key(&self.pairs[slot.at as usize].0);
            let at = match self.index.find(id, same) {
                Ok(at) => at,
                Err(slot) => self.insert(slot, id, || key, &value),
            };
            each(&mut self.index.entries_mut()[at].1.aux, at as u32, value);
        }
    }

    fn insert(&mut self, slot: usize, id: InlineKey, key: impl FnOnce() -> K, value: &V) -> usize
    where
        V: Clone,
        S: Default,
    {
        // Before anything is changed: a clone is user code and may panic.
        let pair = (key(), value.clone());
        let index = self.index.insert(slot, id, Slot { at: self.pairs.len() as u32, aux: S::default() });
        self.pairs.push(pair);
        self.indices.push(index as u32);
        index
    }
}
