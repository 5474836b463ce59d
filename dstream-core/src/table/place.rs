//! Where a key goes: its short form, and the hash of that.

use std::hash::{BuildHasher, RandomState};

use foldhash::fast::FixedState;

use crate::{Key, short::Short};

/// A seed that nobody can foresee.
pub(crate) fn random_seed() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// The hash of all tables with one seed.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    seed: [u64; 2],
    /// For keys that have no short form.
    long: FixedState,
}

impl Places {
    /// Who does not know `seed` can't choose keys that collide.
    pub(crate) fn new(seed: u64) -> Self {
        let long = FixedState::with_seed(seed);
        Places { seed: [long.hash_one(0u64), long.hash_one(1u64)], long }
    }

    /// The short form of a key, or what stands for it.
    #[inline]
    pub(crate) fn id<Q: Key>(&self, key: &Q) -> Short {
        key.short().unwrap_or_else(|| Short::hash_of_long(self.long.hash_one(key)))
    }

    /// Where a key goes: the lower bits say where in a table, the upper ones in which.
    #[inline]
    pub(crate) fn hash(&self, id: Short) -> u64 {
        id.hash(self.seed)
    }
}

/// The part of a bucket that a hash is in. The bits are others than those that say in which bucket, or where
/// in a small table.
#[inline]
pub(super) fn part(hash: u64, parts: usize) -> usize {
    (hash >> 28) as usize % parts
}

/// The bucket of a hash: its upper half scaled to `buckets`.
#[inline]
pub(super) fn bucket(hash: u64, buckets: usize) -> usize {
    (((hash >> 32) * buckets as u64) >> 32) as usize
}
