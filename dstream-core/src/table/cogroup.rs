//! The values that both sides of a `cogroup` have for each key.

use super::{Chunks, Entry, Table};
use crate::Key;

/// The groups of one bucket: keys in the order of their first record, the left side first.
pub(crate) fn cogroup<K: Key<Owned = K>, V, W>(
    seed: u64,
    left: Vec<Chunks<K, V>>,
    right: Vec<Chunks<K, W>>,
) -> Vec<(K, (Vec<V>, Vec<W>))> {
    let mut groups: Table<K, (Vec<V>, Vec<W>)> = Table::new(seed);
    let empty = || (Vec::new(), Vec::new());
    for (key, value) in left.into_iter().flatten().flatten() {
        let at = groups.intern(groups.id(&key), key);
        groups.value_mut(at).get_or_insert_with(empty).0.push(value);
    }
    for (key, value) in right.into_iter().flatten().flatten() {
        let at = groups.intern(groups.id(&key), key);
        groups.value_mut(at).get_or_insert_with(empty).1.push(value);
    }
    groups.into_entries().filter_map(Entry::into_pair).collect()
}
