//! The table against hash maps of the standard library.

use std::{collections::HashMap, hash::Hash};

use proptest::prelude::*;

use super::*;

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

proptest! {
    #[test]
    fn counts_like_a_hash_map(words in proptest::collection::vec("[a-d]{0,3}", 0..400), buckets in 1usize..40) {
        let mut table = Table::new(7);
        let mut naive: HashMap<&str, u64> = HashMap::new();
        for word in &words {
            table.combine(word.as_str(), 1u64, |n| n, |a, b| a + b);
            *naive.entry(word).or_default() += 1;
        }
        let mut seen = 0;
        for part in split(table.into_entries(), buckets) {
            for (word, n) in part.into_iter().filter_map(Entry::into_pair) {
                prop_assert_eq!(naive[word.as_str()], n);
                seen += 1;
            }
        }
        prop_assert_eq!(seen, naive.len());
    }

    #[test]
    fn keys_that_collide_stay_apart(keys in proptest::collection::vec(0u8..20, 0..200)) {
        let (left, right) = keys.split_at(keys.len() / 2);
        let mut table = Table::with_capacity(1, 4);
        left.iter().for_each(|k| table.combine(Colliding(*k), 1u64, |n| n, |a, b| a + b));
        let mut other = Table::new(1);
        right.iter().for_each(|k| other.combine(Colliding(*k), 1u64, |n| n, |a, b| a + b));
        for entry in other.into_entries() {
            table.merge(entry, |a, b| a + b);
        }
        for (key, n) in table.into_entries().into_iter().filter_map(Entry::into_pair) {
            prop_assert_eq!(keys.iter().filter(|k| **k == key.0).count() as u64, n);
        }
    }
}

/// Removal leaves every other key where it is found, at its index, also when all keys collide.
fn check_removal<K: Key<Owned = K> + Clone + Eq + Ord>(steps: Vec<(bool, K)>) {
    let mut table: Table<K, K> = Table::new(5);
    let mut naive: std::collections::BTreeMap<K, usize> = Default::default();
    for (n, (remove, key)) in steps.into_iter().enumerate() {
        let hash = Table::<K, K>::hash(5, &key);
        if remove {
            let at = table.get(hash, &key);
            assert_eq!(at, naive.remove(&key));
            assert_eq!(at.and_then(|at| table.remove(at)).is_some(), at.is_some());
        } else {
            let at = table.intern_with(hash, key.clone(), || key.clone());
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
        assert_eq!(table.get(Table::<K, K>::hash(5, key), key), Some(*at));
    }
    assert_eq!(table.iter().count(), naive.len());
}

proptest! {
    #[test]
    fn removal_leaves_the_others(steps in proptest::collection::vec((any::<bool>(), 0u8..40), 0..600)) {
        check_removal(steps);
    }

    #[test]
    fn removal_leaves_the_others_of_a_chain(steps in proptest::collection::vec((any::<bool>(), 0u8..20), 0..300)) {
        check_removal(steps.into_iter().map(|(remove, key)| (remove, Colliding(key))).collect());
    }
}

#[test]
fn many_removed_keys_give_up_their_room() {
    let all = (0..3_000u32).map(|n| (false, n)).chain((0..2_900).map(|n| (true, n)));
    check_removal(all.chain((2_000..2_950).map(|n| (false, n))).collect());
    let mut table: Table<u32, ()> = Table::new(0);
    for n in 0..3_000 {
        table.intern_with(Table::<u32, ()>::hash(0, &n), n, || ());
    }
    (0..2_900).for_each(|at| table.remove(at).unwrap());
    assert!(table.compact().is_some());
    assert_eq!(table.len(), 100);
}

#[test]
fn keeps_the_order_of_first_insert() {
    let mut table = Table::new(0);
    for word in ["b", "a", "c", "a", "b"] {
        table.combine(word, 1u64, |n| n, |a, b| a + b);
    }
    let words: Vec<_> = table.into_entries().into_iter().filter_map(Entry::into_pair).collect();
    assert_eq!(words, [("b".into(), 2), ("a".into(), 2), ("c".into(), 1)]);
}

#[test]
fn a_borrowed_key_hashes_like_its_owned_form() {
    let state = FixedState::with_seed(3);
    assert_eq!(state.hash_one(("a", 1u8)), state.hash_one(("a".own(), 1u8)));
    assert_eq!(state.hash_one([1u8, 2].as_slice()), state.hash_one(vec![1u8, 2]));
}
