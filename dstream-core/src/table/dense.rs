//! A table whose pairs lie side by side, to be handed out as they are.

use std::sync::Arc;

use super::{
    MergedBucket, Places,
    index::{GROUP, Index},
};
use crate::{Key, short::Short};

/// Keys, each with a value, and with what is kept beside that.
///
/// The pairs are in one vector without gaps, which can be shared. It is changed in place when nobody reads it
/// any more; if somebody does, it is copied first. The last pair takes the place of one that is removed; a
/// key is known by an index, which stays what it is when its pair moves.
#[derive(Debug)]
pub(crate) struct Dense<K, V, S> {
    index: Index<Seat<S>>,
    pairs: Arc<Vec<(K, V)>>,
    /// The index of each pair.
    indices: Vec<u32>,
}

#[derive(Debug)]
struct Seat<S> {
    /// Where the pair is.
    at: u32,
    beside: S,
}

/// A [`Dense`] that nobody else reads.
#[derive(Debug)]
pub(crate) struct Change<'a, K, V, S> {
    index: &'a mut Index<Seat<S>>,
    pairs: &'a mut Vec<(K, V)>,
    indices: &'a mut Vec<u32>,
}

impl<K, V, S> Dense<K, V, S> {
    /// An empty table; it allocates at its first insert. `seed` decides where keys go.
    pub(crate) fn new(seed: u64) -> Self {
        Dense { index: Index::new(Places::new(seed)), pairs: Arc::default(), indices: Vec::new() }
    }

    /// The pairs, in no particular order.
    pub(crate) fn pairs(&self) -> &Arc<Vec<(K, V)>> {
        &self.pairs
    }

    /// How many indices there are, those of removed keys included: all are below this.
    pub(crate) fn room(&self) -> usize {
        self.index.entries().len()
    }

    /// The key with this index.
    pub(crate) fn key(&self, index: u32) -> Option<&K> {
        let (id, seat) = self.index.entries().get(index as usize)?;
        let (key, _) = self.pairs.get(seat.at as usize)?;
        (*id != Short::NONE).then_some(key)
    }

    /// Takes the pairs back from who reads them, or copies them.
    pub(crate) fn change(&mut self) -> Change<'_, K, V, S>
    where
        K: Clone,
        V: Clone,
    {
        Change { index: &mut self.index, pairs: Arc::make_mut(&mut self.pairs), indices: &mut self.indices }
    }
}

impl<K, V, S> Change<'_, K, V, S> {
    /// The value of the key with this index, and what is beside it.
    #[inline]
    pub(crate) fn get(&mut self, index: u32) -> Option<(&mut V, &mut S)> {
        let (id, seat) = self.index.entries_mut().get_mut(index as usize)?;
        let (_, value) = self.pairs.get_mut(seat.at as usize)?;
        (*id != Short::NONE).then_some((value, &mut seat.beside))
    }

    /// Only what is beside the value, which costs a look at one place less.
    #[inline]
    pub(crate) fn beside(&mut self, index: u32) -> Option<&mut S> {
        let (id, seat) = self.index.entries_mut().get_mut(index as usize)?;
        (*id != Short::NONE).then_some(&mut seat.beside)
    }

    /// Takes a key out of the table. Its index is given to a later one.
    pub(crate) fn remove(&mut self, index: u32) {
        let at = self.index.entries()[index as usize].1.at as usize;
        self.index.remove(index as usize);
        // Dropped when all is in order: a destructor is the user's.
        let _pair = self.pairs.swap_remove(at);
        self.indices.swap_remove(at);
        if let Some(moved) = self.indices.get(at) {
            self.index.entries_mut()[*moved as usize].1.at = at as u32;
        }
    }

    /// Gives up the room of removed keys if they are many: returns the new index of each old one, if they
    /// changed.
    pub(crate) fn compact(&mut self) -> Option<Vec<u32>> {
        let moved = self.index.compact()?;
        self.indices.iter_mut().for_each(|index| *index = moved[*index as usize]);
        self.indices.shrink_to_fit();
        self.pairs.shrink_to_fit();
        Some(moved)
    }

    /// Looks up the keys of a share of a table with the same seed. One that is new gets a clone of its value.
    /// `each` is told what is beside the value of a key, its index, and the value that came.
    pub(crate) fn intern(&mut self, share: MergedBucket<K, V>, mut each: impl FnMut(&mut S, u32, V))
    where
        K: Key<Owned = K>,
        V: Clone,
        S: Default,
    {
        let (mut short, long) = share.into_parts();
        let mut group: Vec<(Short, V)> = Vec::with_capacity(GROUP);
        loop {
            group.extend(short.by_ref().take(GROUP));
            if group.is_empty() {
                break;
            }
            let met = self.index.meet(group.iter().map(|(id, _)| *id));
            for ((id, value), met) in group.drain(..).zip(met) {
                let at = match self.index.found(id, met) {
                    Ok(at) => at,
                    Err(slot) => self.insert(slot, id, || K::from_short(id), &value),
                };
                each(&mut self.index.entries_mut()[at].1.beside, at as u32, value);
            }
        }
        for (id, key, value) in long {
            let same = |seat: &Seat<S>| key.same_key(&self.pairs[seat.at as usize].0);
            let at = match self.index.find(id, same) {
                Ok(at) => at,
                Err(slot) => self.insert(slot, id, || key, &value),
            };
            each(&mut self.index.entries_mut()[at].1.beside, at as u32, value);
        }
    }

    fn insert(&mut self, slot: usize, id: Short, key: impl FnOnce() -> K, value: &V) -> usize
    where
        V: Clone,
        S: Default,
    {
        // Before anything is changed: a clone is the user's.
        let pair = (key(), value.clone());
        let index = self.index.insert(slot, id, Seat { at: self.pairs.len() as u32, beside: S::default() });
        self.pairs.push(pair);
        self.indices.push(index as u32);
        index
    }
}
