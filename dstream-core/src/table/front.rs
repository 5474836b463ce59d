//! The small table in front of the large ones: it stays in the cache of a core, and does not take every key.

use super::Places;
use crate::short::Short;

/// Short keys, each with what it has, in one array of slots.
///
/// It grows until it is as large as may be and five eighths full; then a key that it has not got is turned
/// away. Of words, and of most keys that people count, a few thousand come again and again, and the first in
/// are mostly those. The others are brought together later, where each bucket has a table of its own that is
/// small enough, too.
#[derive(Debug)]
pub(super) struct Front<T> {
    places: Places,
    /// A slot without a key is free.
    slots: Vec<(Short, Option<T>)>,
    /// The slots of the keys, in the order in which they came.
    order: Vec<u32>,
    /// How many keys were looked for, and how many of them turned away, since it was last asked whether that
    /// is of use.
    looked: usize,
    away: usize,
}

/// How large the slots may become: half of the second cache of most cores.
const LARGEST: usize = 512 << 10;
const FEWEST_SLOTS: usize = 128;
/// How many keys wait until they are looked for together. What waits for memory then, and what cuts the next
/// ones out of a text, are loops of their own, which a processor guesses better.
pub(super) const WAITING: usize = 64;
/// How many keys are looked for until it is asked whether that is of use.
const WATCHED: usize = 16 << 10;

/// How many of these slots may be taken.
fn room(slots: usize) -> usize {
    slots / 8 * 5
}

impl<T> Front<T> {
    /// Nothing; it allocates at its first key.
    pub(super) fn new(places: Places) -> Self {
        Front { places, slots: Vec::new(), order: Vec::new(), looked: 0, away: 0 }
    }

    /// Told of a group of keys how many were looked for and turned away: whether this is no use, since of the
    /// last ones three of four were.
    #[inline]
    pub(super) fn is_no_use(&mut self, looked: usize, away: usize) -> bool {
        self.looked += looked;
        self.away += away;
        if self.looked < WATCHED {
            return false;
        }
        let no_use = self.away >= self.looked / 4 * 3;
        (self.looked, self.away) = (0, 0);
        no_use
    }

    /// Makes room for `more` keys. `false` says that there is none.
    #[inline]
    pub(super) fn reserve(&mut self, more: usize) -> bool {
        self.order.len() + more <= room(self.slots.len()) || self.grow(more)
    }

    /// The slot of a key; or the one where it would go, if there is room. To be called behind
    /// [`reserve`](Front::reserve).
    #[inline]
    pub(super) fn find(&self, id: Short) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.places.hash(id) as usize & mask;
        loop {
            let held = self.slots[at].0;
            if held == id {
                return Ok(at);
            }
            if held == Short::NONE {
                return Err(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// What the key in a slot has.
    #[inline]
    pub(super) fn held(&mut self, slot: usize) -> &mut Option<T> {
        &mut self.slots[slot].1
    }

    /// Puts a key where [`find`](Front::find) did not find it.
    #[inline]
    pub(super) fn insert(&mut self, slot: usize, id: Short, value: T) {
        self.slots[slot] = (id, Some(value));
        self.order.push(slot as u32);
    }

    /// The keys, in the order in which they came.
    pub(super) fn into_entries(mut self) -> impl Iterator<Item = (Short, T)> {
        self.order.into_iter().filter_map(move |slot| {
            let (id, value) = &mut self.slots[slot as usize];
            Some((*id, value.take()?))
        })
    }

    #[cold]
    fn grow(&mut self, more: usize) -> bool {
        let most = (LARGEST / size_of::<(Short, Option<T>)>() + 1).next_power_of_two() / 2;
        let slots = (self.slots.len() * 4).clamp(FEWEST_SLOTS, most.max(FEWEST_SLOTS));
        if slots == self.slots.len() {
            return false;
        }
        let mut old = std::mem::take(&mut self.slots);
        self.slots.resize_with(slots, || (Short::NONE, None));
        for n in 0..self.order.len() {
            let (id, value) = std::mem::take(&mut old[self.order[n] as usize]);
            let (Ok(at) | Err(at)) = self.find(id);
            self.slots[at] = (id, value);
            self.order[n] = at as u32;
        }
        self.order.len() + more <= room(slots)
    }
}
