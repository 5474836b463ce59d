//! The open-addressed hash index beneath all tables.

use super::KeyHasher;
use crate::inline_key::InlineKey;

/// A hash index over entries that stay in the order of their first insert, so that a batch that runs again
/// yields the same order.
///
/// A slot holds 32 bits of a hash, the tag, and the index of an entry. An entry is read only when its tag
/// agrees.
#[derive(Debug, Clone)]
pub(super) struct Index<T> {
    hasher: KeyHasher,
    entries: Vec<(InlineKey, T)>,
    /// The indices of removed entries, which are reused.
    free: Vec<u32>,
    /// 0 for a free slot; else the tag in the upper half, and the entry's index plus one in the lower one.
    slots: Vec<u64>,
    /// How many entries, from the first on, are no longer in the slots.
    sealed: usize,
}

const TAG: u64 = 0xffff_ffff_0000_0000;
const MIN_SLOTS: usize = 16;
/// How many keys are probed together.
pub(crate) const PROBE_GROUP: usize = 32;
/// Stands for the index of an entry where the first slot of a key does not lead to one.
const NOWHERE: u32 = u32::MAX;

impl<T> Index<T> {
    /// Creates an empty index, which allocates at its first insert.
    pub(super) fn new(hasher: KeyHasher) -> Self {
        Index { hasher, entries: Vec::new(), free: Vec::new(), slots: Vec::new(), sealed: 0 }
    }

    /// Creates an index with capacity for `n` entries.
    pub(super) fn with_capacity(hasher: KeyHasher, n: usize) -> Self {
        let mut index = Index::new(hasher);
        index.entries.reserve(n);
        index.resize((n * 2).next_power_of_two().max(MIN_SLOTS));
        index
    }

    pub(super) fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// All entries, including the removed ones.
    pub(super) fn entries(&self) -> &[(InlineKey, T)] {
        &self.entries
    }

    pub(super) fn entries_mut(&mut self) -> &mut [(InlineKey, T)] {
        &mut self.entries
    }

    pub(super) fn into_entries(self) -> Vec<(InlineKey, T)> {
        self.entries
    }

    /// The number of entries that are not removed.
    pub(super) fn live(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Probes the first slots of up to [`PROBE_GROUP`] keys: the index of each key's entry, if its first slot
    /// leads there. [`find_probed`](Index::find_probed) continues from that.
    ///
    /// Lookups in a table larger than the cache are two dependent misses, one for the slot and one for the
    /// entry. Probing a group of keys together lets the CPU overlap them.
    #[inline]
    pub(super) fn probe(&mut self, ids: impl Iterator<Item = InlineKey> + Clone) -> [u32; PROBE_GROUP] {
        self.reserve(PROBE_GROUP);
        let mask = self.slots.len() - 1;
        let mut probed = [NOWHERE; PROBE_GROUP];
        for (probed, id) in probed.iter_mut().zip(ids.clone()) {
            let hash = self.hasher.hash(id);
            let slot = self.slots[hash as usize & mask];
            // Without a branch, since whether the first slot is the right one can't be predicted.
            *probed = (slot as u32).wrapping_sub(1) | u32::from((slot ^ hash) & TAG != 0).wrapping_neg();
        }
        for (probed, id) in probed.iter_mut().zip(ids) {
            let same = self.entries.get(*probed as usize).is_some_and(|(held, _)| *held == id);
            *probed |= u32::from(!same).wrapping_neg();
        }
        probed
    }

    /// As [`find`](Index::find), for a short key that was probed.
    #[inline]
    pub(super) fn find_probed(&mut self, id: InlineKey, probed: u32) -> Result<usize, usize> {
        if probed == NOWHERE { self.find(id, |_| true) } else { Ok(probed as usize) }
    }

    /// Returns the index of a key's entry, or as an error the slot to insert it at. `same` compares the rest
    /// of a key that is not inline as a whole.
    #[inline]
    pub(super) fn find(&mut self, id: InlineKey, same: impl Fn(&T) -> bool) -> Result<usize, usize> {
        self.reserve(1);
        let hash = self.hasher.hash(id);
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

    /// As [`find`](Index::find), without making room for the key.
    pub(super) fn peek(&self, id: InlineKey, same: impl Fn(&T) -> bool) -> Option<usize> {
        let hash = self.hasher.hash(id);
        let mask = self.slots.len().checked_sub(1)?;
        // At most half of the slots are taken, so there is an end.
        let probed = (0..=mask).map(|step| self.slots[(hash as usize).wrapping_add(step) & mask]);
        let tagged = probed.take_while(|slot| *slot != 0).filter(|slot| (slot ^ hash) & TAG == 0);
        tagged.map(|slot| (slot & !TAG) as usize - 1).find(|index| {
            let (held, entry) = &self.entries[*index];
            *held == id && (id.is_whole() || same(entry))
        })
    }

    /// How many bytes of memory it takes, without what entries have outside of it.
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(InlineKey, T)>()
            + self.free.capacity() * size_of::<u32>()
            + self.slots.capacity() * size_of::<u64>()
    }

    /// Inserts an entry at the slot that [`find`](Index::find) returned as an error; returns its index.
    #[inline]
    pub(super) fn insert(&mut self, slot: usize, id: InlineKey, entry: T) -> usize {
        let at = self.free.pop().map_or(self.entries.len(), |at| at as usize);
        self.slots[slot] = self.hasher.hash(id) & TAG | (at as u64 + 1);
        match self.entries.get_mut(at) {
            Some(freed) => *freed = (id, entry),
            None => self.entries.push((id, entry)),
        }
        at
    }

    /// Adds entries with short keys, in order: `create` makes the first one of a key, `f` merges a later one
    /// into it.
    pub(super) fn extend<E>(
        &mut self,
        entries: Vec<(InlineKey, E)>,
        create: impl Fn(E) -> T,
        f: impl Fn(&mut T, E),
    ) {
        let mut entries = entries.into_iter();
        while !entries.as_slice().is_empty() {
            let probed = self.probe(entries.as_slice().iter().map(|(id, _)| *id));
            // The shorter side first: `zip` would drop an entry that it has taken from the longer one.
            for (probed, (id, entry)) in probed.into_iter().zip(entries.by_ref()) {
                match self.find_probed(id, probed) {
                    Ok(at) => f(&mut self.entries[at].1, entry),
                    Err(slot) => {
                        self.insert(slot, id, create(entry));
                    }
                }
            }
        }
    }

    /// Forgets the keys so far, but keeps their entries: all keys to come are different ones.
    pub(super) fn seal(&mut self) {
        self.sealed = self.entries.len();
        self.slots.fill(0);
    }

    /// Returns the indices of short keys. A new key is inserted with the entry that `create` makes.
    pub(super) fn intern(&mut self, ids: &[InlineKey], create: impl Fn(InlineKey) -> T) -> Vec<u32> {
        let mut indices = Vec::with_capacity(ids.len());
        for group in ids.chunks(PROBE_GROUP) {
            let probed = self.probe(group.iter().copied());
            for (id, probed) in group.iter().zip(probed) {
                let at =
                    self.find_probed(*id, probed).unwrap_or_else(|slot| self.insert(slot, *id, create(*id)));
                indices.push(at as u32);
            }
        }
        indices
    }

    /// Removes an entry. Its value stays in place until its index is reused.
    pub(super) fn remove(&mut self, index: usize) {
        let mask = self.slots.len() - 1;
        let mut gap = self.home(index, mask);
        while self.slots[gap] & !TAG != index as u64 + 1 {
            gap = (gap + 1) & mask;
        }
        self.entries[index].0 = InlineKey::NONE;
        self.free.push(index as u32);
        // Backward shift: slots behind the gap move into it, so that no probe sequence ends early, unless
        // that would move them before their home slot.
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

    /// Frees the memory of removed entries if they are many. If so, returns the new index of each old one.
    pub(super) fn compact(&mut self) -> Option<Vec<u32>> {
        if self.free.len() <= (self.entries.len() / 2).max(512) {
            return None;
        }
        let mut next = 0;
        let moved = self.entries.iter().map(|(id, _)| {
            let index = next;
            next += u32::from(*id != InlineKey::NONE);
            index
        });
        let moved = moved.collect();
        self.free = Vec::new();
        self.entries.retain(|(id, _)| *id != InlineKey::NONE);
        self.entries.shrink_to_fit();
        self.slots = Vec::new();
        self.resize((self.entries.len() * 4).next_power_of_two().max(MIN_SLOTS));
        Some(moved)
    }

    fn home(&self, index: usize, mask: usize) -> usize {
        self.hasher.hash(self.entries[index].0) as usize & mask
    }

    /// Grows so that `more` entries can be inserted at a load of at most one half.
    #[inline]
    fn reserve(&mut self, more: usize) {
        let wanted = (self.entries.len() - self.sealed + more) * 2;
        if wanted > self.slots.len() {
            self.resize(wanted.next_power_of_two().max(MIN_SLOTS));
        }
    }

    #[cold]
    fn resize(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots, 0);
        let mask = slots - 1;
        for (index, (id, _)) in self.entries.iter().enumerate().skip(self.sealed) {
            if *id == InlineKey::NONE {
                continue;
            }
            let hash = self.hasher.hash(*id);
            let mut at = hash as usize & mask;
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = hash & TAG | (index as u64 + 1);
        }
    }
}
