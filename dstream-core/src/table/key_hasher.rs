//! Hashing of keys: the inline form of a key, its hash, and the bucket that the hash selects.

use std::hash::{BuildHasher, RandomState};

use foldhash::fast::FixedState;

use crate::{Key, inline_key::InlineKey};

/// A seed that can't be predicted.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// The seeded hash function of all tables with one seed.
#[derive(Debug, Clone)]
pub(crate) struct KeyHasher {
    seed: [u64; 2],
    /// Hashes keys that do not fit into an [`InlineKey`].
    long: FixedState,
}

impl KeyHasher {
    /// The hash function of a seed. Without knowing the seed, nobody can choose keys that collide.
    pub(crate) fn new(seed: u64) -> Self {
        let long = FixedState::with_seed(seed);
        KeyHasher { seed: [long.hash_one(0u64), long.hash_one(1u64)], long }
    }

    /// The inline form of a key, or the hash of a key that is too long for one.
    #[inline]
    pub(crate) fn id<Q: Key>(&self, key: &Q) -> InlineKey {
        key.inline_key().unwrap_or_else(|| InlineKey::hash_of_long(self.long.hash_one(key)))
    }

    /// The hash of a key. Its lower bits select the slot in a table, its upper ones the bucket.
    #[inline]
    pub(crate) fn hash(&self, id: InlineKey) -> u64 {
        id.hash(self.seed)
    }
}

/// The part of a bucket that a hash selects. It uses other bits than [`bucket`] and the slots of small
/// tables.
#[inline]
pub(super) fn part(hash: u64, parts: usize) -> usize {
    (hash >> 28) as usize % parts
}

/// The bucket that a hash selects: its upper half scaled to `buckets`.
#[inline]
pub(super) fn bucket(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}
