//! Records partitioned into buckets by the hash of their keys.

use std::vec;

use super::{BufferPool, Entry, KeyHasher, key_hasher::bucket};
use crate::{Key, Record, record::Portable, table::HasLen};

/// Partitions entries into buckets, keeping their order; `bucket` selects the bucket of each.
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

/// Converts pairs from a checkpoint into entries of tables with this seed, partitioned into buckets in their
/// order.
pub(crate) fn entries_of<K: Key, V>(
    seed: u64,
    pairs: impl Iterator<Item = (K, V)>,
    buckets: usize,
) -> Vec<Vec<Entry<K, V>>> {
    let hasher = KeyHasher::new(seed);
    let entry = |(key, value)| Entry { id: hasher.id(&key), key, value: Some(value) };
    split(pairs.map(entry).collect(), buckets, |entry| bucket(hasher.hash(entry.id), buckets))
}

/// A sink that partitions pairs into buckets without combining them.
#[derive(Debug)]
pub struct Scatter<K, V> {
    hasher: KeyHasher,
    buckets: Vec<Chunks<K, V>>,
    pool: BufferPool<(K, V)>,
}

/// The records of one task for one bucket, in order, as a list of chunks.
///
/// Chunks do not grow, so no record is moved before it is used. The first chunk is small, since many buckets
/// have few records; the others have all the same size and are pooled.
#[derive(Debug)]
pub struct Chunks<K, V> {
    pub(super) full: Vec<Vec<(K, V)>>,
    pub(super) open: Vec<(K, V)>,
}

/// The capacity of a first chunk, in records.
const FIRST: usize = 32;

/// The capacity of the other chunks, in records: about a page of memory.
const fn large<T>() -> usize {
    let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
    let page = (4 << 10) / size;
    if page < FIRST { FIRST } else { page }
}

/// The bucket of a key.
pub(crate) fn bucket_of<K: Key<Owned = K>>(seed: u64, key: &K, buckets: usize) -> usize {
    let hasher = KeyHasher::new(seed);
    bucket(hasher.hash(hasher.id(key)), buckets)
}

/// Returns a chunk to its pool, unless it is a small first one.
pub(crate) fn recycle<K, V>(pool: &BufferPool<(K, V)>, chunk: Vec<(K, V)>) {
    if chunk.capacity() >= large::<(K, V)>() {
        pool.put(chunk);
    }
}

impl<K, V> Scatter<K, V> {
    /// An empty sink over `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        Scatter::with_pool(seed, buckets, BufferPool::default())
    }

    /// As [`new`](Scatter::new), with chunks from a pool.
    pub(crate) fn with_pool(seed: u64, buckets: usize, pool: BufferPool<(K, V)>) -> Self {
        let buckets = (0..buckets).map(|_| Chunks::default()).collect();
        Scatter { hasher: KeyHasher::new(seed), buckets, pool }
    }

    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W))
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        V: Portable,
    {
        let hash = self.hasher.hash(self.hasher.id(&key));
        let at = bucket(hash, self.buckets.len());
        self.buckets[at].push((key.own(), value.own()), Some(&self.pool));
    }

    /// Returns the task's records by bucket.
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
    /// Adds a record; a new chunk comes from `pool`, if there is one.
    #[inline]
    pub(super) fn push(&mut self, record: (K, V), pool: Option<&BufferPool<(K, V)>>) {
        if self.open.len() == self.open.capacity() {
            self.grow(pool);
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
    fn grow(&mut self, pool: Option<&BufferPool<(K, V)>>) {
        let next = match self.open.capacity() {
            0 => Vec::with_capacity(FIRST),
            _ => pool.and_then(BufferPool::take).unwrap_or_else(|| Vec::with_capacity(large::<(K, V)>())),
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
