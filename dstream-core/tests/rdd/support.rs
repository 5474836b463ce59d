//! What the tests are fed with.

use dstream_core::{Rdd, rdd::RddOps};
use proptest::{collection::vec, prelude::*};

/// The partitions of an `Rdd`: up to 5, each of up to 30 records, few of them distinct; some partitions are
/// empty.
pub(crate) fn partitions() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(0u8..12, 0..30), 0..5)
}

/// As [`partitions`], of pairs with few distinct keys, the empty string among them.
pub(crate) fn pairs() -> impl Strategy<Value = Vec<Vec<(String, u8)>>> {
    vec(vec(("[ab]{0,2}", any::<u8>()), 0..20), 0..4)
}

/// An `Rdd` of exactly these partitions.
pub(crate) fn rdd<T: Clone + Send + Sync>(partitions: &[Vec<T>]) -> Rdd<T> {
    let size = partitions.len().max(1);
    if partitions.is_empty() {
        return Rdd::parallelize(Vec::new());
    }
    Rdd::parallelize_in(partitions.to_vec(), size).flat_map(|part| part).evaluate()
}

/// The partitions of a result.
pub(crate) fn parts<T: Clone>(rdd: &Rdd<T>) -> Vec<Vec<T>> {
    rdd.partitions().map(<[T]>::to_vec).collect()
}

pub(crate) fn flat<T: Clone>(partitions: &[Vec<T>]) -> Vec<T> {
    partitions.concat()
}

pub(crate) fn sorted<T: Ord>(records: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut records: Vec<T> = records.into_iter().collect();
    records.sort();
    records
}
