//! Records found by their keys: the side of a join that the other one looks into.

use std::{
    mem::take,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{Places, Spare, index::GROUP, scatter::give_back};
use crate::Key;

/// Records in lists, one a slot of a hash table, each in the order of the records.
#[derive(Debug)]
pub(crate) struct Lists<K, W> {
    places: Places,
    /// Of each slot, one more than the place of its first record; 0 for none.
    heads: Vec<u32>,
    /// The last record comes first.
    links: Vec<Link<(K, W)>>,
    /// Whether somebody asked for the key of a record. Tasks that look at the same time only ever set it.
    met: Vec<AtomicBool>,
    room: Room<(K, W)>,
}

/// The place of no record.
pub(crate) const NONE: u32 = u32::MAX;

/// How many matches are found at a time, but for those of a single record.
const MANY: usize = 256;

/// A record, and which one is next in its list.
#[derive(Debug)]
struct Link<T> {
    record: T,
    next: u32,
}

/// What lists are made of, used again.
#[derive(Debug)]
pub(crate) struct Room<T> {
    links: Spare<Link<T>>,
    heads: Spare<u32>,
}

impl<T> Clone for Room<T> {
    fn clone(&self) -> Self {
        Room { links: self.links.clone(), heads: self.heads.clone() }
    }
}

impl<T> Default for Room<T> {
    fn default() -> Self {
        Room { links: Spare::default(), heads: Spare::default() }
    }
}

impl<K, W> Drop for Lists<K, W> {
    fn drop(&mut self) {
        // What is used to a small part only is from a larger batch.
        if self.links.len() >= self.links.capacity() / 4 {
            self.room.links.give(take(&mut self.links));
            self.room.heads.give(take(&mut self.heads));
        }
    }
}

impl<K: Key<Owned = K>, W> Lists<K, W> {
    /// The records of these chunks, of which `used` is told when they are empty. `marks`: whether [`alone`](Lists::alone) will be
    /// asked for.
    pub(crate) fn new(
        seed: u64,
        chunks: Vec<Vec<(K, W)>>,
        marks: bool,
        room: &Room<(K, W)>,
        used: &Spare<(K, W)>,
    ) -> Self {
        let places = Places::new(seed);
        let n: usize = chunks.iter().map(Vec::len).sum();
        let mut links = room.links.take().unwrap_or_default();
        links.reserve(n);
        let mut heads = room.heads.take().unwrap_or_default();
        heads.resize((n * 2).next_power_of_two(), 0);
        let mask = heads.len() - 1;
        // Backwards, since what is put in front of a list was there before the others.
        for mut chunk in chunks.into_iter().rev() {
            for (key, value) in chunk.drain(..).rev() {
                let home = places.hash(places.id(&key)) as usize & mask;
                let next = std::mem::replace(&mut heads[home], links.len() as u32 + 1);
                links.push(Link { record: (key, value), next });
            }
            give_back(used, chunk);
        }
        let met = (0..if marks { n } else { 0 }).map(|_| AtomicBool::new(false)).collect();
        Lists { places, heads, links, met, room: room.clone() }
    }

    #[inline]
    fn home(&self, key: &K) -> usize {
        self.places.hash(self.places.id(key)) as usize & (self.heads.len() - 1)
    }

    /// Where the lists of the first [`GROUP`] of these records begin.
    ///
    /// As for the tables, no read needs what another one of its kind yields: the processor has those of a group under way together.
    #[inline]
    fn heads<V>(&self, records: &[(K, V)]) -> [u32; GROUP] {
        let mut heads = [0; GROUP];
        for (head, (key, _)) in heads.iter_mut().zip(records) {
            *head = self.heads[self.home(key)];
        }
        heads
    }

    /// Finds the matches of the first of these records, of one at least and of at most [`GROUP`]: which record, and the place of the
    /// match. A record without one has the place [`NONE`] if that is `kept`. How many were looked up.
    #[inline]
    pub(crate) fn matches<V>(&self, records: &[(K, V)], kept: bool, found: &mut Vec<(u32, u32)>) -> usize {
        let mut looked = 0;
        for (head, (key, _)) in self.heads(records).into_iter().zip(records) {
            let (mut at, before) = (head, found.len());
            while at != 0 {
                let Link { record, next } = &self.links[at as usize - 1];
                if key.same_key(&record.0) {
                    found.push((looked, at - 1));
                }
                at = *next;
            }
            if kept && found.len() == before {
                found.push((looked, NONE));
            }
            looked += 1;
            if found.len() > MANY {
                break;
            }
        }
        looked as usize
    }

    /// How many matches the first [`GROUP`] of these records have; one that has none counts as one if that is `kept`. With
    /// `mark`, what they meet is noted.
    ///
    /// One step in every list that goes on, then the next one: nowhere does the processor have to guess how long a list is.
    #[inline]
    pub(crate) fn count<V>(&self, records: &[(K, V)], mark: bool, kept: bool) -> u64 {
        let records = &records[..records.len().min(GROUP)];
        let mut open = [(0, 0u8); GROUP];
        let mut going = 0;
        for (of, head) in self.heads(records).into_iter().enumerate() {
            open[going] = (head, of as u8);
            going += usize::from(head != 0);
        }
        let (mut n, mut has) = (0, [false; GROUP]);
        while going > 0 {
            let mut still = 0;
            for step in 0..going {
                let (at, of) = open[step];
                let place = at as usize - 1;
                let Link { record, next } = &self.links[place];
                let same = records[of as usize].0.same_key(&record.0);
                if mark && same {
                    self.mark(place);
                }
                n += u64::from(same);
                has[of as usize] |= same;
                open[still] = (*next, of);
                still += usize::from(*next != 0);
            }
            going = still;
        }
        if kept {
            n += has.iter().take(records.len()).filter(|has| !**has).count() as u64;
        }
        n
    }

    /// The value at a place.
    #[inline]
    pub(crate) fn value(&self, place: usize) -> &W {
        &self.links[place].record.1
    }

    /// Notes that somebody asked for the key of this record.
    #[inline]
    pub(crate) fn mark(&self, place: usize) {
        self.met[place].store(true, Relaxed);
    }

    /// Of the records before a place the first whose key nobody asked for, in their order, and its place.
    pub(crate) fn alone(&self, before: usize) -> Option<(usize, &(K, W))> {
        let place = (0..before).rev().find(|place| !self.met[*place].load(Relaxed))?;
        Some((place, &self.links[place].record))
    }

    /// How many records have a key that nobody asked for.
    pub(crate) fn unmet(&self) -> u64 {
        self.met.iter().filter(|met| !met.load(Relaxed)).count() as u64
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// How many records the list has in which this key would be, from [`lengths`](Lists::lengths).
    pub(crate) fn length(&self, lengths: &[u32], key: &K) -> usize {
        lengths[self.home(key)] as usize
    }

    /// How many records each list has.
    pub(crate) fn lengths(&self) -> Vec<u32> {
        let mut lengths = vec![0; self.heads.len()];
        self.links.iter().for_each(|link| lengths[self.home(&link.record.0)] += 1);
        lengths
    }
}
