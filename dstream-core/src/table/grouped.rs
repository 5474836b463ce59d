//! The groups of a batch, which operators share.

use std::sync::{Arc, LazyLock};

use super::Groups;

/// The groups of a batch, by bucket. Clones share them, for operators that group the same pairs.
#[derive(Debug)]
pub struct Grouped<K, V> {
    /// The number of values.
    pub(crate) len: usize,
    pub(crate) buckets: Vec<Arc<Bucket<K, V>>>,
}

/// The first reader puts the groups of a bucket together, and the last one drops them: if there is only one,
/// their room is that of the bucket after it.
pub(crate) type Bucket<K, V> = LazyLock<Groups<K, V>, Box<dyn FnOnce() -> Groups<K, V> + Send>>;

impl<K, V> Clone for Grouped<K, V> {
    fn clone(&self) -> Self {
        Grouped { len: self.len, buckets: self.buckets.clone() }
    }
}

impl<K, V> Grouped<K, V> {
    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The groups of each bucket.
    pub(crate) fn into_buckets(self) -> Vec<Arc<Bucket<K, V>>> {
        self.buckets
    }
}
