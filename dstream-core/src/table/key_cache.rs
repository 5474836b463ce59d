//! A small hash table in front of the large ones: it fits into a core's cache, and rejects keys when it is
//! full.

use super::KeyHasher;
use crate::inline_key::InlineKey;

/// A bounded hash table of short keys with their values, open-addressed in one array of slots.
///
/// It grows up to a fixed size and is full at a load of five eighths; from then on it rejects keys that it
/// does not hold. In most data a few thousand keys are frequent, and these are mostly among the first to
/// arrive. Rejected keys are aggregated later, bucket by bucket, in tables that also fit into the cache.
#[derive(Debug)]
pub(super) struct KeyCache<T> {
    hasher: KeyHasher,
    /// [`InlineKey::NONE`] marks a free slot.
    slots: Vec<(InlineKey, Option<T>)>,
    /// The slots of the keys, in the order of their insertion.
    order: Vec<u32>,
    /// The lookups since the cache was last judged, and how many of them were rejected.
    lookups: usize,
    rejected: usize,
}

/// The largest size of the slots in bytes: half of the L2 cache of most cores.
const MAX_BYTES: usize = 512 << 10;
const MIN_SLOTS: usize = 128;
/// How many keys are buffered and then looked up together. Separate loops for parsing and for lookups are
/// easier to predict for the processor.
pub(super) const LOOKUP_BATCH: usize = 64;
/// The number of lookups after which the cache is judged.
const LOOKUPS_PER_VERDICT: usize = 16 << 10;

/// How many of these slots may be occupied.
fn capacity(slots: usize) -> usize {
    slots / 8 * 5
}

impl<T> KeyCache<T> {
    /// Creates an empty cache, which allocates at its first key.
    pub(super) fn new(hasher: KeyHasher) -> Self {
        KeyCache { hasher, slots: Vec::new(), order: Vec::new(), lookups: 0, rejected: 0 }
    }

    /// Records how many of the last `lookups` were rejected, and returns whether the cache still pays off: it
    /// does not when three of four lookups are rejected.
    #[inline]
    pub(super) fn pays_off(&mut self, lookups: usize, rejected: usize) -> bool {
        self.lookups += lookups;
        self.rejected += rejected;
        if self.lookups < LOOKUPS_PER_VERDICT {
            return true;
        }
        let pays_off = self.rejected < self.lookups / 4 * 3;
        (self.lookups, self.rejected) = (0, 0);
        pays_off
    }

    /// Makes room for `more` keys; returns whether there is any.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) -> bool {
        self.order.len() + more <= capacity(self.slots.len()) || self.grow(more)
    }

    /// Returns the slot of a key, or as an error the slot to insert it at. [`reserve`](KeyCache::reserve)
    /// must have been called before.
    #[inline]
    pub(super) fn find(&self, id: InlineKey) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.hasher.hash(id) as usize & mask;
        loop {
            let held = self.slots[at].0;
            if held == id {
                return Ok(at);
            }
            if held == InlineKey::NONE {
                return Err(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// The value in a slot.
    #[inline]
    pub(super) fn value_mut(&mut self, slot: usize) -> &mut Option<T> {
        &mut self.slots[slot].1
    }

    /// Inserts a key at the slot that [`find`](KeyCache::find) returned as an error.
    #[inline]
    pub(super) fn insert(&mut self, slot: usize, id: InlineKey, value: T) {
        self.slots[slot] = (id, Some(value));
        self.order.push(slot as u32);
    }

    /// The keys with their values, in the order of their insertion.
    pub(super) fn into_entries(mut self) -> impl Iterator<Item = (InlineKey, T)> {
        self.order.into_iter().filter_map(move |slot| {
            let (id, value) = &mut self.slots[slot as usize];
            Some((*id, value.take()?))
        })
    }

    #[cold]
    fn grow(&mut self, more: usize) -> bool {
        let most = (MAX_BYTES / size_of::<(InlineKey, Option<T>)>() + 1).next_power_of_two() / 2;
        let slots = (self.slots.len() * 4).clamp(MIN_SLOTS, most.max(MIN_SLOTS));
        if slots == self.slots.len() {
            return false;
        }
        let mut old = std::mem::take(&mut self.slots);
        self.slots.resize_with(slots, || (InlineKey::NONE, None));
        for n in 0..self.order.len() {
            let (id, value) = std::mem::take(&mut old[self.order[n] as usize]);
            let (Ok(at) | Err(at)) = self.find(id);
            self.slots[at] = (id, value);
            self.order[n] = at as u32;
        }
        self.order.len() + more <= capacity(slots)
    }
}
