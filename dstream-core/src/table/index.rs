//! The open-addressed index beneath all tables.

use super::Places;
use crate::short::Short;

/// Entries in the order of their first insert, so that a batch that is run again gives the same order, and an
/// array of slots that finds them: each has 32 bits of a hash and the index of an entry, which is touched
/// only when those bits agree.
#[derive(Debug, Clone)]
pub(super) struct Index<T> {
    places: Places,
    entries: Vec<(Short, T)>,
    /// The indices of removed entries, which are given to later ones.
    free: Vec<u32>,
    /// 0 for a free slot; else the upper half of the hash over the entry's index plus one.
    slots: Vec<u64>,
    /// How many entries, from the first on, are not found any more.
    sealed: usize,
}

const TAG: u64 = 0xffff_ffff_0000_0000;
const FEWEST_SLOTS: usize = 16;
/// How many keys are looked up together.
pub(crate) const GROUP: usize = 32;
/// No entry has this index.
const NOWHERE: u32 = u32::MAX;

impl<T> Index<T> {
    /// Nothing; it allocates at its first insert.
    pub(super) fn new(places: Places) -> Self {
        Index { places, entries: Vec::new(), free: Vec::new(), slots: Vec::new(), sealed: 0 }
    }

    /// With room for `n` entries.
    pub(super) fn with_capacity(places: Places, n: usize) -> Self {
        let mut index = Index::new(places);
        index.entries.reserve(n);
        index.resize((n * 2).next_power_of_two().max(FEWEST_SLOTS));
        index
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// The entries, those that were removed among them.
    pub(super) fn entries(&self) -> &[(Short, T)] {
        &self.entries
    }

    pub(super) fn entries_mut(&mut self) -> &mut [(Short, T)] {
        &mut self.entries
    }

    pub(super) fn into_entries(self) -> Vec<(Short, T)> {
        self.entries
    }

    /// How many entries are not removed.
    pub(super) fn live(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// What [`found`](Index::found) needs to know of the first [`GROUP`] of these keys.
    ///
    /// What a look-up costs, once a table is larger than a cache, is the wait for a slot and then for an
    /// entry. Here no read needs what another one of its kind yields, so the processor has those of a whole
    /// group under way together.
    #[inline]
    pub(super) fn meet(&mut self, ids: impl Iterator<Item = Short> + Clone) -> [u32; GROUP] {
        self.reserve(GROUP);
        let mask = self.slots.len() - 1;
        let mut met = [NOWHERE; GROUP];
        for (met, id) in met.iter_mut().zip(ids.clone()) {
            let hash = self.places.hash(id);
            let slot = self.slots[hash as usize & mask];
            // Without a branch: nobody can guess whether the first slot is the right one.
            *met = (slot as u32).wrapping_sub(1) | u32::from((slot ^ hash) & TAG != 0).wrapping_neg();
        }
        for (met, id) in met.iter_mut().zip(ids) {
            let same = self.entries.get(*met as usize).is_some_and(|(held, _)| *held == id);
            *met |= u32::from(!same).wrapping_neg();
        }
        met
    }

    /// As [`find`](Index::find), for a key that was met, and is short.
    #[inline]
    pub(super) fn found(&mut self, id: Short, met: u32) -> Result<usize, usize> {
        if met == NOWHERE { self.find(id, |_| true) } else { Ok(met as usize) }
    }

    /// The index of an entry, or the slot where it would go. `same` is asked where the short form is not the
    /// whole key.
    #[inline]
    pub(super) fn find(&mut self, id: Short, same: impl Fn(&T) -> bool) -> Result<usize, usize> {
        self.reserve(1);
        let hash = self.places.hash(id);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            if (slot ^ hash) & TAG == 0 {
                let index = (slot & !TAG) as usize - 1;
                let (held, entry) = &self.entries[index];
                if *held == id && (id.is_whole() || same(entry)) {
                    return Ok(index);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Puts an entry where [`find`](Index::find) did not find it.
    #[inline]
    pub(super) fn insert(&mut self, slot: usize, id: Short, entry: T) -> usize {
        let at = self.free.pop().map_or(self.entries.len(), |at| at as usize);
        self.slots[slot] = self.places.hash(id) & TAG | (at as u64 + 1);
        match self.entries.get_mut(at) {
            Some(freed) => *freed = (id, entry),
            None => self.entries.push((id, entry)),
        }
        at
    }

    /// Adds entries with short keys, in order: `create` makes the first of a key, `f` puts another one to it.
    pub(super) fn extend<E>(
        &mut self,
        entries: Vec<(Short, E)>,
        create: impl Fn(E) -> T,
        f: impl Fn(&mut T, E),
    ) {
        let mut entries = entries.into_iter();
        while !entries.as_slice().is_empty() {
            let met = self.meet(entries.as_slice().iter().map(|(id, _)| *id));
            // The shorter side first: an entry that is taken must be used.
            for (met, (id, entry)) in met.into_iter().zip(entries.by_ref()) {
                match self.found(id, met) {
                    Ok(at) => f(&mut self.entries[at].1, entry),
                    Err(slot) => {
                        self.insert(slot, id, create(entry));
                    }
                }
            }
        }
    }

    /// Finds none of these keys any more: those to come are others.
    pub(super) fn seal(&mut self) {
        self.sealed = self.entries.len();
        self.slots.fill(0);
    }

    /// The indices of short keys, which are inserted with what `create` gives if they are new.
    pub(super) fn intern(&mut self, ids: &[Short], create: impl Fn(Short) -> T) -> Vec<u32> {
        let mut indices = Vec::with_capacity(ids.len());
        for group in ids.chunks(GROUP) {
            let met = self.meet(group.iter().copied());
            for (id, met) in group.iter().zip(met) {
                let at = self.found(*id, met).unwrap_or_else(|slot| self.insert(slot, *id, create(*id)));
                indices.push(at as u32);
            }
        }
        indices
    }

    /// Takes an entry out of the index; it stays where it is until its place is needed.
    pub(super) fn remove(&mut self, index: usize) {
        let mask = self.slots.len() - 1;
        let mut gap = self.home(index, mask);
        while self.slots[gap] & !TAG != index as u64 + 1 {
            gap = (gap + 1) & mask;
        }
        self.entries[index].0 = Short::NONE;
        self.free.push(index as u32);
        // What stands behind the gap moves up, so that no probe ends too early: all but what is nearer to its
        // own place.
        let mut at = gap;
        loop {
            self.slots[gap] = 0;
            loop {
                at = (at + 1) & mask;
                let slot = self.slots[at];
                if slot == 0 {
                    return;
                }
                let home = self.home((slot & !TAG) as usize - 1, mask);
                if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                    self.slots[gap] = slot;
                    gap = at;
                    break;
                }
            }
        }
    }

    /// Gives up the room of removed entries if they are many: the new index of each old one, if they changed.
    pub(super) fn compact(&mut self) -> Option<Vec<u32>> {
        if self.free.len() <= (self.entries.len() / 2).max(512) {
            return None;
        }
        let mut next = 0;
        let moved = self.entries.iter().map(|(id, _)| {
            let index = next;
            next += u32::from(*id != Short::NONE);
            index
        });
        let moved = moved.collect();
        self.free = Vec::new();
        self.entries.retain(|(id, _)| *id != Short::NONE);
        self.entries.shrink_to_fit();
        self.slots = Vec::new();
        self.resize((self.entries.len() * 4).next_power_of_two().max(FEWEST_SLOTS));
        Some(moved)
    }

    fn home(&self, index: usize, mask: usize) -> usize {
        self.places.hash(self.entries[index].0) as usize & mask
    }

    /// Makes sure that this many entries can be inserted: half of the slots stay free.
    #[inline]
    fn reserve(&mut self, more: usize) {
        let wanted = (self.entries.len() - self.sealed + more) * 2;
        if wanted > self.slots.len() {
            self.resize(wanted.next_power_of_two().max(FEWEST_SLOTS));
        }
    }

    #[cold]
    fn resize(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots, 0);
        let mask = slots - 1;
        for (index, (id, _)) in self.entries.iter().enumerate().skip(self.sealed) {
            if *id == Short::NONE {
                continue;
            }
            let hash = self.places.hash(*id);
            let mut at = hash as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = hash & TAG | (index as u64 + 1);
        }
    }
}
