//! Records found by their keys: the side of a join that the other one looks into.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Places, index::GROUP};
use crate::Key;

/// Records by their hashes: those of a slot stand next to each other, in order.
#[derive(Debug)]
pub(crate) struct Runs<K, W> {
    places: Places,
    /// Where the run of each slot begins; it ends where the next one begins.
    starts: Vec<u32>,
    held: Vec<Held<K, W>>,
}

#[derive(Debug)]
struct Held<K, W> {
    key: K,
    value: W,
    /// How many records came before it.
    at: u32,
    /// Whether somebody asked for the key. Tasks that look at the same time only ever set it.
    met: AtomicBool,
}

/// A part of the records: from the first up to, but not with, the second.
type Run = (u32, u32);

impl<K: Key<Owned = K>, W> Runs<K, W> {
    /// The records of these chunks.
    pub(crate) fn new<C: IntoIterator<Item = (K, W)>>(
        seed: u64,
        n: usize,
        chunks: impl Iterator<Item = C>,
    ) -> Self {
        let places = Places::new(seed);
        let slots = (n * 2).next_power_of_two();
        let mut starts: Vec<u32> = vec![0; slots + 1];
        let mut homes: Vec<u32> = Vec::with_capacity(n);
        let mut records: Vec<Option<(K, W)>> = Vec::with_capacity(n);
        for (key, value) in chunks.flatten() {
            let home = places.hash(places.id(&key)) as usize & (slots - 1);
            starts[home] += 1;
            homes.push(home as u32);
            records.push(Some((key, value)));
        }
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        // So far these are the ends. What is placed last is the first of its run.
        let mut order: Vec<u32> = vec![0; records.len()];
        for (at, home) in homes.into_iter().enumerate().rev() {
            let start = &mut starts[home as usize];
            *start -= 1;
            order[*start as usize] = at as u32;
        }
        let held = order.into_iter().filter_map(|at| {
            let (key, value) = records[at as usize].take()?;
            Some(Held { key, value, at, met: AtomicBool::new(false) })
        });
        let held = held.collect();
        Runs { places, starts, held }
    }

    /// Where the first [`GROUP`] of these keys are, if they are there.
    ///
    /// As for the tables, no read needs what another one of its kind yields: the processor has those of a group under way together.
    #[inline]
    pub(crate) fn find<'k>(&self, keys: impl Iterator<Item = &'k K> + Clone) -> [Run; GROUP]
    where
        K: 'k,
    {
        let mask = self.starts.len() - 2;
        let mut runs = [(0, 0); GROUP];
        for (run, key) in runs.iter_mut().zip(keys.clone()) {
            let home = self.places.hash(self.places.id(key)) as usize & mask;
            *run = (self.starts[home], self.starts[home + 1]);
        }
        for ((start, end), key) in runs.iter_mut().zip(keys) {
            let other = self.held.get(*start as usize).is_some_and(|held| !key.same_key(&held.key));
            *start = (*start + u32::from(other)).min(*end);
        }
        runs
    }

    /// The values of a key, in order.
    #[inline]
    pub(crate) fn values<'a>(&'a self, (start, end): Run, key: &'a K) -> impl Iterator<Item = &'a W> {
        let held = self.held[start as usize..end as usize].iter().filter(|held| key.same_key(&held.key));
        held.map(|held| {
            held.met.store(true, Relaxed);
            &held.value
        })
    }

    /// The records whose keys nobody asked for, each with the number of those before it.
    pub(crate) fn alone(self) -> impl Iterator<Item = (u32, K, W)> {
        let alone = self.held.into_iter().filter(|held| !held.met.load(Relaxed));
        alone.map(|held| (held.at, held.key, held.value))
    }
}
