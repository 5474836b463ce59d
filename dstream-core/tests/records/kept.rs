//! Takes keys and values through a shuffle, a state and a restart.

use std::collections::BTreeMap;

use dstream::{Key, prelude::*, record::Portable};

/// Counts `keys`, which come twice, in a state; the second batch runs in a program of its own.
pub(crate) fn as_key<K: Key<Owned = K> + Portable + Eq + std::hash::Hash + std::fmt::Debug>(keys: Vec<K>) {
    let folder = tempfile::tempdir().unwrap();
    let totals = |batch: Vec<K>| {
        let totals = Collected::new();
        let ssc = dstream::stream!(batch = 1s, checkpoint = folder.path(), {
            let counts = queue_stream(vec![batch]).map(|key| (key, 1u64)).reduce_by_key(|a, b| a + b);
            let total = counts
                .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
            total.collect_to(&totals);
        })
        .unwrap();
        ssc.run_batches(1).unwrap();
        ssc.stop();
        totals.values().concat()
    };
    let twice: Vec<K> = keys.iter().chain(&keys).cloned().collect();
    let check = |found: Vec<(K, u64)>, count: u64| {
        assert_eq!(found.len(), keys.len(), "{found:?}");
        for key in &keys {
            assert_eq!(
                found.iter().find(|(k, _)| k == key).map(|(_, n)| *n),
                Some(count),
                "{key:?} of {found:?}"
            );
        }
    };
    check(totals(twice.clone()), 2);
    check(totals(twice), 4);
}

/// Groups `values`, and keeps them in a state over a restart.
pub(crate) fn as_value<V: Portable + PartialEq + std::fmt::Debug>(values: Vec<V>) {
    let folder = tempfile::tempdir().unwrap();
    let lists = |batch: Vec<(u8, V)>| {
        let lists = Collected::new();
        let ssc = dstream::stream!(batch = 1s, checkpoint = folder.path(), {
            let grouped = queue_stream(vec![batch]).group_by_key();
            let all = grouped.update_state_by_key(|new: &[Vec<V>], old: Option<Vec<V>>| {
                Some(old.into_iter().flatten().chain(new.iter().flatten().cloned()).collect())
            });
            all.collect_to(&lists);
        })
        .unwrap();
        ssc.run_batches(1).unwrap();
        ssc.stop();
        lists.values().concat().into_iter().collect::<BTreeMap<u8, Vec<V>>>()
    };
    assert_eq!(
        lists(values.iter().cloned().map(|v| (7, v)).collect()),
        BTreeMap::from([(7, values.clone())])
    );
    assert_eq!(lists(Vec::new()), BTreeMap::from([(7, values)]));
}
