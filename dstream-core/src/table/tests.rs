//! The table against hash maps of the standard library.

use std::{collections::BTreeMap, hash::Hash, iter};

use proptest::prelude::*;

use super::*;
use crate::{Record, Str, record::Word, table::HasLen};

/// Keys whose hashes collide in every bit: all of them in one probe chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct Colliding(u8);

impl Hash for Colliding {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        0u8.hash(state);
    }
}

impl Record for Colliding {
    type Owned = Colliding;

    fn own(self) -> Colliding {
        self
    }
}

impl Key for Colliding {
    fn same_key(&self, owned: &Colliding) -> bool {
        self == owned
    }
}

/// Gathers the values of a key, so that their order shows.
struct Gather;

impl Combine<u32, Vec<u32>> for Gather {
    fn create(&self, value: u32) -> Vec<u32> {
        vec![value]
    }

    fn add(&self, mut held: Vec<u32>, value: u32) -> Vec<u32> {
        held.push(value);
        held
    }
}

fn joined(mut a: Vec<u32>, b: Vec<u32>) -> Vec<u32> {
    a.extend(b);
    a
}

/// The values of each key as groups, read in place and taken apart.
fn assert_groups<Q: Key<Owned: Key + Ord> + Clone>(
    tasks: &[&[Q]],
    buckets: usize,
    mut naive: BTreeMap<Q::Owned, Vec<u32>>,
) {
    let mut columns: Vec<Vec<_>> = (0..buckets).map(|_| Vec::new()).collect();
    let mut value = 0u32;
    for task in tasks {
        let mut sink = GroupSink::new(7, buckets);
        for key in *task {
            // Values with and without something to drop are arranged in different ways.
            sink.push((key.clone(), (value, value.to_string())));
            value += 1;
        }
        columns.iter_mut().zip(sink.finish()).for_each(|(column, bucket)| column.push(bucket));
    }
    let mut plain: Vec<Vec<_>> = (0..buckets).map(|_| Vec::new()).collect();
    value = 0;
    for task in tasks {
        let mut sink = GroupSink::new(7, buckets);
        for key in *task {
            sink.push((key.clone(), value));
            value += 1;
        }
        plain.iter_mut().zip(sink.finish()).for_each(|(column, bucket)| column.push(bucket));
    }
    for (column, plain) in columns.into_iter().zip(plain) {
        let groups = group(7, plain);
        let mut table: Table<Q::Owned, ()> = Table::new(7);
        let indices = groups.keys().intern_into(&mut table, || ());
        let read: Vec<_> = iter::zip(indices, groups.ranges())
            .map(|(at, range)| (table.at(at as usize).unwrap().0, groups.values()[range].to_vec()))
            .collect();
        let taken: Vec<_> =
            group(7, column).take_vectors().into_entries().filter_map(Entry::into_pair).collect();
        assert_eq!(read.len(), taken.len());
        for ((key, read), (same, taken)) in read.into_iter().zip(taken) {
            assert!(*key == same);
            assert!(taken.iter().all(|(value, text)| *text == value.to_string()));
            assert_eq!(taken.capacity(), taken.len());
            assert_eq!(taken.into_iter().map(|(value, _)| value).collect::<Vec<_>>(), read);
            assert_eq!(naive.remove(key), Some(read));
        }
    }
    assert!(naive.is_empty());
}

/// What all tasks have for each key, against maps.
fn check_combiner<Q: Key<Owned: Key + Ord> + Clone>(tasks: &[&[Q]], buckets: usize) -> Vec<Q::Owned> {
    let mut naive: BTreeMap<Q::Owned, Vec<u32>> = BTreeMap::new();
    let mut columns: Vec<Vec<PartialBucket<Q::Owned, Vec<u32>>>> = (0..buckets).map(|_| Vec::new()).collect();
    let mut value = 0;
    for task in tasks {
        let mut combiner = MapSideCombiner::new(7, buckets);
        for key in *task {
            combiner.combine(key.clone(), value, &Gather);
            naive.entry(key.clone().own()).or_default().push(value);
            value += 1;
        }
        combiner.flush(&Gather);
        columns.iter_mut().zip(combiner.finish()).for_each(|(column, bucket)| column.push(bucket));
    }
    let mut order = Vec::new();
    assert_groups(tasks, buckets, naive.clone());
    for column in columns {
        for (key, values) in merge(7, column, joined).into_entries().filter_map(Entry::into_pair) {
            assert_eq!(naive.remove(&key), Some(values));
            order.push(key);
        }
    }
    assert!(naive.is_empty());
    order
}

proptest! {
    #[test]
    fn tasks_put_together_are_like_a_map(
        words in proptest::collection::vec("[ab]{0,3}|c{12,18}", 0..400), cut in 0usize..400,
        buckets in 1usize..40
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (left, right) = words.split_at(cut.min(words.len()));
        check_combiner(&[left, &[], right], buckets);
        check_combiner(&[&words], buckets);
    }

    #[test]
    fn keys_that_collide_stay_apart(keys in proptest::collection::vec(0u8..20, 0..200)) {
        let keys: Vec<Colliding> = keys.into_iter().map(Colliding).collect();
        let (left, right) = keys.split_at(keys.len() / 2);
        check_combiner(&[left, right], 3);
    }
}

#[test]
fn a_task_without_repetition_gives_up_its_table() {
    // Both kinds of key, first many that are new, then the same once more; after that few.
    let keys: Vec<String> =
        (0..40_000).chain(0..40_000).chain((0..40_000).map(|n| n % 9)).map(|n| format!("{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (left, right) = keys.split_at(70_000);
    check_combiner(&[left, right], 4);
    check_combiner(&[&keys], 4);
    let mut combiner: MapSideCombiner<Str, u32, Vec<u32>> = MapSideCombiner::new(7, 4);
    keys.iter().for_each(|key| combiner.combine(*key, 0, &Gather));
    combiner.flush(&Gather);
    assert!(
        combiner.finish().iter().map(PartialBucket::len).sum::<usize>() > 100_000,
        "new keys are not looked up"
    );
    let few: Vec<&str> = keys[80_000..].to_vec();
    let mut combiner: MapSideCombiner<Str, u32, Vec<u32>> = MapSideCombiner::new(7, 4);
    few.iter().for_each(|key| combiner.combine(*key, 0, &Gather));
    combiner.flush(&Gather);
    assert_eq!(combiner.finish().iter().map(PartialBucket::len).sum::<usize>(), 9);
    let keys_of = |keys: &[&str]| {
        let mut sink: GroupSink<Str, u32> = GroupSink::new(7, 4);
        keys.iter().for_each(|key| sink.push((*key, 0u32)));
        sink.finish().iter().map(GroupPartial::keys).sum::<usize>()
    };
    assert!(keys_of(&keys) > 100_000, "new keys are not looked up");
    assert_eq!(keys_of(&few), 9);
}

/// Of two keys one has come before, so the cache pays off, but rejects many.
#[test]
fn what_the_cache_rejects_stays_in_order() {
    let keys: Vec<String> = (0..60_000u64)
        .map(|n| if n % 2 == 0 { n % 1_000 } else { n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 })
        .map(|n| format!("{n}"))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (left, right) = keys.split_at(35_000);
    for buckets in [1, 4] {
        check_combiner(&[left, right, &["1", "2", "1"]], buckets);
        check_combiner(&[&keys], buckets);
    }
    let mut combiner = MapSideCombiner::new(7, 4);
    keys.iter().for_each(|key| combiner.combine(*key, 0, &Gather));
    combiner.flush(&Gather);
    let entries = combiner.finish().iter().map(PartialBucket::len).sum::<usize>();
    assert!((30_000..32_000).contains(&entries), "{entries} entries of 500 keys, and 30,000 that come once");
}

#[test]
fn keeps_the_order_of_first_insert() {
    assert_eq!(check_combiner(&[&["b", "a", "c", "a", "b"]], 1), ["b", "a", "c"]);
}

/// Keys that were chosen to collide under one seed are nothing special under another one.
#[test]
fn who_does_not_know_the_seed_can_not_make_keys_collide() {
    const KEYS: usize = 4_096;
    let slot = |hasher: &KeyHasher, key: u64| hasher.hash(hasher.id(&key)) % KEYS as u64;
    let known = KeyHasher::new(0);
    let chosen: Vec<u64> = (0..).filter(|key| slot(&known, *key) == 0).take(KEYS).collect();
    for seed in 1..20 {
        let hasher = KeyHasher::new(seed);
        let mut load = vec![0; KEYS];
        chosen.iter().for_each(|key| load[slot(&hasher, *key) as usize] += 1);
        // Of as many keys as slots, thrown by chance, more than a dozen hardly ever meet.
        assert!(load.iter().max() < Some(&13), "{:?}", load.iter().max());
    }
    let texts = |hasher: &KeyHasher, n: u64| hasher.hash(hasher.id(&format!("{n:x}"))) % KEYS as u64;
    let chosen: Vec<u64> = (0..).filter(|n| texts(&known, *n) == 0).take(KEYS / 8).collect();
    let hasher = KeyHasher::new(1);
    let mut load = vec![0; KEYS];
    chosen.iter().for_each(|n| load[texts(&hasher, *n) as usize] += 1);
    assert!(load.iter().max() < Some(&8), "{:?}", load.iter().max());
}

/// Removal leaves every other key where it is found, at its index, also when all keys collide.
fn check_removal<K: Key<Owned = K> + Clone + Eq + Ord>(steps: Vec<(bool, K)>) {
    let mut table: Table<K, K> = Table::new(5);
    let mut naive: BTreeMap<K, usize> = Default::default();
    for (n, (remove, key)) in steps.into_iter().enumerate() {
        let id = KeyHasher::new(5).id(&key);
        if remove {
            let at = table.get(id, &key);
            assert_eq!(at, naive.remove(&key));
            assert_eq!(at.and_then(|at| table.remove(at)).is_some(), at.is_some());
        } else {
            let at = table.intern_with(id, key.clone(), || key.clone());
            assert_eq!(*naive.entry(key).or_insert(at), at);
        }
        if n % 50 == 49
            && let Some(moved) = table.compact()
        {
            naive.values_mut().for_each(|at| *at = moved[*at] as usize);
        }
        assert_eq!(table.live(), naive.len());
    }
    for (key, at) in &naive {
        assert!(table.at(*at) == Some((key, key)));
        assert_eq!(table.get(KeyHasher::new(5).id(key), key), Some(*at));
    }
    assert_eq!(table.iter().count(), naive.len());
}

proptest! {
    #[test]
    fn removal_leaves_the_others(steps in proptest::collection::vec((any::<bool>(), 0u8..40), 0..600)) {
        check_removal(steps);
    }

    #[test]
    fn removal_leaves_the_others_of_a_chain(
        steps in proptest::collection::vec((any::<bool>(), 0u8..20), 0..300)
    ) {
        check_removal(steps.into_iter().map(|(remove, key)| (remove, Colliding(key))).collect());
    }
}

#[test]
fn many_removed_keys_give_up_their_room() {
    let all = (0..3_000u32).map(|n| (false, n)).chain((0..2_900).map(|n| (true, n)));
    check_removal(all.chain((2_000..2_950).map(|n| (false, n))).collect());
    let mut table: Table<u32, ()> = Table::new(0);
    for n in 0..3_000u32 {
        table.intern_with(KeyHasher::new(0).id(&n), n, || ());
    }
    (0..2_900).for_each(|at| table.remove(at).unwrap());
    assert!(table.compact().is_some());
    assert_eq!(table.len(), 100);
}

#[test]
fn a_borrowed_key_hashes_like_its_owned_form() {
    let hasher = KeyHasher::new(3);
    assert_eq!(hasher.id(&("a", 1u8)), hasher.id(&("a".own(), 1u8)));
    assert_eq!(hasher.id(&[1u8, 2].as_slice()), hasher.id(&vec![1u8, 2]));
    for text in ["", "a", "123456789012345", "1234567890123456"] {
        assert_eq!(hasher.id(&text), hasher.id(&text.own()));
        assert_eq!(hasher.id(&text), hasher.id(&Word::from(text)));
    }
}
