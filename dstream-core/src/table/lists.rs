//! Records found by their keys: the side of a join that the other one looks into.

use std::{
    mem::{needs_drop, take},
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

/// The matches of a few records, in the order of these and of the matches.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Which record, and the place of the match: `n` of them, and what is left of others.
    matches: Vec<(u32, u32)>,
    n: usize,
    looked: u32,
}

impl Found {
    /// How many records were looked up.
    pub(crate) fn looked(&self) -> usize {
        self.looked as usize
    }

    /// A match: which record, and the place.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<(u32, u32)> {
        if at < self.n { self.matches.get(at).copied() } else { None }
    }

    pub(crate) fn clear(&mut self) {
        (self.n, self.looked) = (0, 0);
    }

    /// Adds a match of the record that is looked up.
    fn push(&mut self, place: u32) {
        self.matches.truncate(self.n);
        self.matches.push((self.looked, place));
        self.n += 1;
    }
}

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
    /// The records of these chunks, of which `used` is told when they are empty. `marks`: whether
    /// [`alone`](Lists::alone) will be asked for.
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
    /// As for the tables, no read needs what another one of its kind yields: the processor has those of a
    /// group under way together.
    #[inline]
    fn heads<V>(&self, records: &[(K, V)]) -> [u32; GROUP] {
        let mut heads = [0; GROUP];
        for (head, (key, _)) in heads.iter_mut().zip(records) {
            *head = self.heads[self.home(key)];
        }
        heads
    }

    /// Walks through the lists of at most [`GROUP`] records, and calls `meet` with which record it is, a
    /// place, and whether the one there has its key. Gives up, with `false`, before it has made more than
    /// `most` steps.
    ///
    /// One step in every list that goes on, then the next one: nowhere does the processor have to guess how
    /// long a list is.
    #[inline]
    fn walk<V>(&self, records: &[(K, V)], most: usize, mut meet: impl FnMut(u32, u32, bool)) -> bool {
        let mut open = [(0, 0u32); GROUP];
        let (mut going, mut steps) = (0, 0);
        for (of, head) in self.heads(records).into_iter().enumerate() {
            open[going] = (head, of as u32);
            going += usize::from(head != 0);
        }
        while going > 0 {
            steps += going;
            if steps > most {
                return false;
            }
            let mut still = 0;
            for step in 0..going {
                let (at, of) = open[step];
                let Link { record, next } = &self.links[at as usize - 1];
                meet(of, at - 1, records[of as usize].0.same_key(&record.0));
                open[still] = (*next, of);
                still += usize::from(*next != 0);
            }
            going = still;
        }
        true
    }

    /// How many matches the first [`GROUP`] of these records have; one that has none counts as one if that is
    /// `kept`. With `mark`, what they meet is noted.
    #[inline]
    pub(crate) fn count<V>(&self, records: &[(K, V)], mark: bool, kept: bool) -> u64 {
        let (mut n, mut has) = (0, [false; GROUP]);
        self.walk(records, usize::MAX, |of, place, same| {
            if mark && same {
                self.mark(place);
            }
            n += u64::from(same);
            has[of as usize] |= same;
        });
        if kept {
            n += has.iter().take(records.len()).filter(|has| !**has).count() as u64;
        }
        n
    }

    /// Finds the matches of the first of these records, of one at least and of at most [`GROUP`]. A record
    /// without one has a match at [`NONE`] if that is `kept`.
    pub(crate) fn find<V>(&self, records: &[(K, V)], kept: bool, found: &mut Found) {
        let records = &records[..records.len().min(GROUP)];
        found.clear();
        // Where a comparison is dear, it is not made before it is known to be needed.
        if needs_drop::<K>() || !self.find_short(records, kept, found) {
            self.find_any(records, kept, found);
        }
    }

    /// Record by record.
    fn find_any<V>(&self, records: &[(K, V)], kept: bool, found: &mut Found) {
        for (head, (key, _)) in self.heads(records).into_iter().zip(records) {
            let (mut at, before) = (head, found.n);
            while at != 0 {
                let Link { record, next } = &self.links[at as usize - 1];
                if key.same_key(&record.0) {
                    found.push(at - 1);
                }
                at = *next;
            }
            if kept && found.n == before {
                found.push(NONE);
            }
            found.looked += 1;
            if found.n > MANY {
                break;
            }
        }
    }

    /// All records together, if no list is long; what is met is then put in order.
    fn find_short<V>(&self, records: &[(K, V)], kept: bool, found: &mut Found) -> bool {
        let mut met = [(0, 0); MANY];
        let mut each = [0; GROUP];
        let mut n = 0;
        let done = self.walk(records, MANY, |of, place, same| {
            met[n % MANY] = (of, place);
            n += usize::from(same);
            each[of as usize] += u32::from(same);
        });
        if !done {
            return false;
        }
        if found.matches.len() < MANY + GROUP {
            found.matches.resize(MANY + GROUP, (0, 0));
        }
        // From here on, `each` has where the next match of a record goes.
        for (of, each) in each.iter_mut().enumerate().take(records.len()) {
            found.matches[found.n] = (of as u32, NONE);
            let n = *each;
            *each = found.n as u32;
            found.n += n.max(u32::from(kept)) as usize;
        }
        for (of, place) in &met[..n] {
            let to = &mut each[*of as usize];
            found.matches[*to as usize] = (*of, *place);
            *to += 1;
        }
        found.looked = records.len() as u32;
        true
    }

    /// The value at a place.
    #[inline]
    pub(crate) fn value(&self, place: u32) -> &W {
        &self.links[place as usize].record.1
    }

    /// Notes that somebody asked for the key of this record.
    #[inline]
    pub(crate) fn mark(&self, place: u32) {
        self.met[place as usize].store(true, Relaxed);
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
