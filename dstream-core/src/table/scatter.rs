//! Records shared out over buckets.

use std::vec;

use super::{Entry, Places, Spare, place::bucket};
use crate::{Key, Record, ops::HasLen, record::Portable};

/// Shares entries out, keeping their order; `bucket` says where each goes.
pub(super) fn split<E>(entries: Vec<E>, buckets: usize, bucket: impl Fn(&E) -> usize) -> Vec<Vec<E>> {
    let each = entries.len() / buckets;
    // A little more than the mean, so that most buckets never grow.
    let room = if each > 8 { each + each / 4 } else { 0 };
    let mut out: Vec<Vec<E>> = (0..buckets).map(|_| Vec::with_capacity(room)).collect();
    for entry in entries {
        out[bucket(&entry)].push(entry);
    }
    out
}

/// What comes back from a checkpoint: pairs as entries of tables with this seed, shared out over buckets in
/// their order.
pub(crate) fn entries_of<K: Key, V>(
    seed: u64,
    pairs: impl Iterator<Item = (K, V)>,
    buckets: usize,
) -> Vec<Vec<Entry<K, V>>> {
    let places = Places::new(seed);
    let entry = |(key, value)| Entry { id: places.id(&key), key, value: Some(value) };
    split(pairs.map(entry).collect(), buckets, |entry| bucket(places.hash(entry.id), buckets))
}

/// Shares pairs out without combining them, for operators that need every one.
#[derive(Debug)]
pub struct Scatter<K, V> {
    places: Places,
    buckets: Vec<Chunks<K, V>>,
    spare: Spare<(K, V)>,
}

/// Records of one task, in order: what it has for one bucket.
///
/// A chunk that is full is followed by another: no record is moved before it is used. The first one is small,
/// since many a bucket has few records; the others are all of one size, and can be used again.
#[derive(Debug)]
pub struct Chunks<K, V> {
    pub(super) full: Vec<Vec<(K, V)>>,
    pub(super) open: Vec<(K, V)>,
}

/// How many records a first chunk holds.
const FIRST: usize = 32;

/// How many one of the others does: a page of them, at most.
const fn large<T>() -> usize {
    let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
    let page = (4 << 10) / size;
    if page < FIRST { FIRST } else { page }
}

/// Keeps an empty chunk for the next batch.
pub(crate) fn give_back<K, V>(spare: &Spare<(K, V)>, chunk: Vec<(K, V)>) {
    if chunk.capacity() >= large::<(K, V)>() {
        spare.give(chunk);
    }
}

impl<K, V> Scatter<K, V> {
    /// Nothing in any of `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        Scatter::reusing(seed, buckets, Spare::default())
    }

    /// As [`new`](Scatter::new), with chunks of an earlier batch.
    pub(crate) fn reusing(seed: u64, buckets: usize, spare: Spare<(K, V)>) -> Self {
        let buckets = (0..buckets).map(|_| Chunks::default()).collect();
        Scatter { places: Places::new(seed), buckets, spare }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W))
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        let hash = self.places.hash(self.places.id(&key));
        let at = bucket(hash, self.buckets.len());
        self.buckets[at].push((key.own(), value.own()), Some(&self.spare));
    }

    /// The task's records, by bucket.
    pub fn finish(self) -> Vec<Chunks<K, V>> {
        self.buckets
    }
}

impl<K, V> Default for Chunks<K, V> {
    fn default() -> Self {
        Chunks { full: Vec::new(), open: Vec::new() }
    }
}

impl<K, V> Chunks<K, V> {
    /// Adds a record; `spare` has chunks of an earlier batch.
    #[inline]
    pub(super) fn push(&mut self, record: (K, V), spare: Option<&Spare<(K, V)>>) {
        if self.open.len() == self.open.capacity() {
            self.grow(spare);
        }
        self.open.push(record);
    }

    /// The chunks, in order.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Vec<(K, V)>> {
        self.full.iter_mut().chain(std::iter::once(&mut self.open))
    }

    /// The chunks, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Vec<(K, V)>> {
        self.full.iter().chain(std::iter::once(&self.open))
    }

    #[cold]
    fn grow(&mut self, spare: Option<&Spare<(K, V)>>) {
        let next = match self.open.capacity() {
            0 => Vec::with_capacity(FIRST),
            _ => spare.and_then(Spare::take).unwrap_or_else(|| Vec::with_capacity(large::<(K, V)>())),
        };
        let full = std::mem::replace(&mut self.open, next);
        if !full.is_empty() {
            self.full.push(full);
        }
    }
}

impl<K, V> HasLen for Chunks<K, V> {
    fn len(&self) -> usize {
        self.full.iter().map(Vec::len).sum::<usize>() + self.open.len()
    }
}

impl<K, V> IntoIterator for Chunks<K, V> {
    type Item = Vec<(K, V)>;
    type IntoIter = std::iter::Chain<vec::IntoIter<Vec<(K, V)>>, std::iter::Once<Vec<(K, V)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.full.into_iter().chain(std::iter::once(self.open))
    }
}
