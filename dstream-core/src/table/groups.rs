//! The sink of grouping: the values of a task as they come, each with the number of its key.

use std::iter;

use super::{
    Chunks, Entry, Places, Table,
    front::{Front, WAITING},
    place::bucket,
};
use crate::{Key, Record, ops::HasLen, record::Portable, short::Short};

/// Numbers the keys of a task, and keeps its values in their order.
///
/// Only so many keys are looked for as stay within a cache; where hardly any key comes twice, none. What is
/// not found has a number of its own, and keys that are the same meet when the tasks are put together.
#[derive(Debug)]
pub struct Grouping<K, V> {
    places: Places,
    /// The numbers of the short keys that are looked for. Nothing, once it was of no use.
    front: Option<Front<u32>>,
    /// Long keys with their buckets.
    long: Table<K, u32>,
    /// What has not been looked up: a group at a time. For a long key stands its index.
    waiting: Vec<(Short, V)>,
    shares: Vec<Ungrouped<K, V>>,
}

/// What a task has for one bucket.
#[derive(Debug)]
pub struct Ungrouped<K, V> {
    /// The short keys by their numbers. Some may be there several times.
    pub(super) short: Vec<Short>,
    /// These are numbered behind the short ones.
    pub(super) long: Vec<(Short, K)>,
    /// The values, each with the number of its key.
    pub(super) records: Chunks<u32, V>,
}

impl<K, V> HasLen for Ungrouped<K, V> {
    /// How many values there are.
    fn len(&self) -> usize {
        self.records.len()
    }
}

impl<K, V> Ungrouped<K, V> {
    /// How many keys, of which some may be the same.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.short.len() + self.long.len()
    }
}

impl<K, V> Grouping<K, V> {
    /// Nothing in any of `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        let empty = || Ungrouped { short: Vec::new(), long: Vec::new(), records: Chunks::default() };
        let places = Places::new(seed);
        Grouping {
            front: Some(Front::new(places.clone())),
            places,
            long: Table::new(seed),
            waiting: Vec::with_capacity(WAITING),
            shares: iter::repeat_with(empty).take(buckets).collect(),
        }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W))
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        let id = match key.short() {
            Some(id) => id,
            None => self.stand_in(key),
        };
        self.waiting.push((id, value.own()));
        if self.waiting.len() == WAITING {
            self.flush();
        }
    }

    /// What stands for a long key while it waits.
    fn stand_in<Q: Key<Owned = K>>(&mut self, key: Q) -> Short {
        let (id, buckets) = (self.places.id(&key), self.shares.len());
        let at = self.long.intern_with(id, key, || bucket(self.places.hash(id), buckets) as u32);
        Short::hash_of_long(at as u64)
    }

    /// Looks up what waits.
    #[inline]
    fn flush(&mut self) {
        let Grouping { places, front, long, waiting, shares } = self;
        let (looked, mut away) = (waiting.len(), 0);
        let room = front.as_mut().is_some_and(|front| front.reserve(waiting.len()));
        for (id, value) in waiting.drain(..) {
            if !id.is_whole() {
                let at = id.to_number();
                let bucket = long.at(at as usize).map_or(0, |(_, bucket)| *bucket);
                // Until it is known how many short keys there are.
                shares[bucket as usize].records.push((!(at as u32), value), None);
                continue;
            }
            let at = bucket(places.hash(id), shares.len());
            let Ungrouped { short, records, .. } = &mut shares[at];
            let spot = front.as_ref().map(|front| front.find(id));
            if let (Some(Ok(slot)), Some(front)) = (spot, &mut *front)
                && let Some(number) = *front.held(slot)
            {
                records.push((number, value), None);
                continue;
            }
            let number = short.len() as u32;
            short.push(id);
            records.push((number, value), None);
            match (spot, &mut *front) {
                (Some(Err(slot)), Some(front)) if room => front.insert(slot, id, number),
                _ => away += 1,
            }
        }
        if front.as_mut().is_some_and(|front| front.is_no_use(looked, away)) {
            *front = None;
        }
    }

    /// What the task has, by bucket.
    pub fn done(mut self) -> Vec<Ungrouped<K, V>> {
        self.flush();
        // A long key is where it can be compared until here; now it goes to its values.
        let mut numbers = Vec::with_capacity(self.long.len());
        for (id, key, bucket) in self.long.into_entries().filter_map(Entry::into_parts) {
            let Ungrouped { short, long, .. } = &mut self.shares[bucket as usize];
            numbers.push((short.len() + long.len()) as u32);
            long.push((id, key));
        }
        for Ungrouped { short, long, records, .. } in &mut self.shares {
            if !long.is_empty() {
                let numbered = records.iter_mut().flatten().map(|(number, _)| number);
                numbered
                    .filter(|number| **number as usize >= short.len())
                    .for_each(|number| *number = numbers[!*number as usize]);
            }
        }
        self.shares
    }
}
