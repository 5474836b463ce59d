//! Entries shared out over buckets.

use super::{Entry, Places, place::bucket};
use crate::{Key, Record, record::Portable};

/// Shares entries out by their hashes, keeping their order.
pub(super) fn split<E>(entries: Vec<E>, buckets: usize, hash: impl Fn(&E) -> u64) -> Vec<Vec<E>> {
    let each = entries.len() / buckets;
    // A little more than the mean, so that most buckets never grow.
    let room = if each > 8 { each + each / 4 } else { 0 };
    let mut out: Vec<Vec<E>> = (0..buckets).map(|_| Vec::with_capacity(room)).collect();
    for entry in entries {
        out[bucket(hash(&entry), buckets)].push(entry);
    }
    out
}

/// The bucket of an entry of any table with this seed.
pub(crate) fn bucket_of<K, V>(seed: u64, entry: &Entry<K, V>, buckets: usize) -> usize {
    bucket(Places::new(seed).hash(entry.id), buckets)
}

/// Shares pairs out without combining them, for operators that need every one.
#[derive(Debug)]
pub struct Scatter<K, V> {
    places: Places,
    buckets: Vec<Vec<Entry<K, V>>>,
}

impl<K, V> Scatter<K, V> {
    /// Nothing in any of `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        Scatter { places: Places::new(seed), buckets: (0..buckets).map(|_| Vec::new()).collect() }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W))
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        let id = self.places.id(&key);
        let at = bucket(self.places.hash(id), self.buckets.len());
        self.buckets[at].push(Entry { id, key: key.own(), value: Some(value.own()) });
    }

    /// The task's entries, by bucket.
    pub fn done(self) -> Vec<Vec<Entry<K, V>>> {
        self.buckets
    }
}
