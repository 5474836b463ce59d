//! A hash table from words to numbers: open addressing, a slot of half a cache line, found in groups with
//! prefetches.

use super::{
    simd::prefetch,
    word::{Word, hash},
};

/// How values of a word come together.
pub(super) trait Fold: Copy + Send + Sync + 'static {
    fn fold(held: &mut u64, new: u64);
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Add;

#[derive(Clone, Copy, Debug)]
pub(super) struct Max;

impl Fold for Add {
    #[inline(always)]
    fn fold(held: &mut u64, new: u64) {
        *held += new;
    }
}

impl Fold for Max {
    #[inline(always)]
    fn fold(held: &mut u64, new: u64) {
        *held = u64::max(*held, new);
    }
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Slot {
    word: Word,
    value: u64,
    /// The slot is free unless this is the table's: so a table is emptied by counting up.
    epoch: u32,
}

/// How many words are on their way into a table.
pub(super) const GROUP: usize = 32;
const FEWEST: usize = 1 << 10;

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    epoch: u32,
    len: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table { slots: vec![Slot::default(); FEWEST], epoch: 1, len: 0 }
    }
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.slots.fill(Slot::default());
            self.epoch = 1;
        }
    }

    /// Room for `more` words, so that [`entry`](Self::entry) finds a free slot.
    #[inline(always)]
    pub(super) fn reserve(&mut self, more: usize) {
        // At most 7 of 8: words that come often came first and sit where they are looked for.
        if (self.len + more) * 8 > self.slots.len() * 7 {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let slots = ((self.len + more) * 8 / 7 + 1).next_power_of_two().max(FEWEST);
        let old = std::mem::replace(&mut self.slots, vec![Slot::default(); slots]);
        let (epoch, len) = (self.epoch, self.len);
        for slot in old.into_iter().filter(|slot| slot.epoch == epoch) {
            *self.entry(slot.word, hash(slot.word)).0 = slot.value;
        }
        self.len = len;
    }

    /// The lower half of the hash places a word here; the upper says in which table it is.
    #[inline(always)]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    #[inline(always)]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch(&self.slots, self.home(hash));
    }

    /// The value of a word, 0 if it is new, and whether it is. There must be room.
    #[inline(always)]
    pub(super) fn entry(&mut self, word: Word, hash: u64) -> (&mut u64, bool) {
        let (mask, epoch) = (self.slots.len() - 1, self.epoch);
        let mut at = self.home(hash);
        loop {
            let slot = &self.slots[at];
            if slot.epoch != epoch {
                self.slots[at] = Slot { word, value: 0, epoch };
                self.len += 1;
                return (&mut self.slots[at].value, true);
            }
            if slot.word == word {
                return (&mut self.slots[at].value, false);
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Word, u64)> {
        self.slots.iter().filter(|slot| slot.epoch == self.epoch).map(|slot| (slot.word, slot.value))
    }

    /// Calls `f` for each word with its value, a group of words ahead of it their `near`.
    pub(super) fn for_each_ahead(&self, mut near: impl FnMut(u64), mut f: impl FnMut(Word, u64, u64)) {
        let mut group = [(0, 0, 0); GROUP];
        let mut all = self.iter();
        loop {
            let mut n = 0;
            for (place, (word, value)) in group.iter_mut().zip(&mut all) {
                *place = (word, hash(word), value);
                near(place.1);
                n += 1;
            }
            if n == 0 {
                return;
            }
            group[..n].iter().for_each(|(word, hash, value)| f(*word, *hash, *value));
        }
    }

    /// Takes in what another table of the same partition has.
    pub(super) fn absorb<F: Fold>(&mut self, other: &Table) {
        let mut group = [(0, 0, 0); GROUP];
        let mut all = other.iter();
        loop {
            let mut n = 0;
            for (place, (word, value)) in group.iter_mut().zip(&mut all) {
                *place = (word, hash(word), value);
                self.prefetch(place.1);
                n += 1;
            }
            if n == 0 {
                return;
            }
            self.reserve(n);
            for (word, hash, value) in &group[..n] {
                F::fold(self.entry(*word, *hash).0, *value);
            }
        }
    }
}
