//! Containers of the standard library as records: those of owned data are records as they are. A container of
//! borrowed records is not needed in a stage.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    hash::Hash,
    sync::Arc,
};

use super::{Data, Key, Portable, Record};

macro_rules! container {
    ($([$($generics:tt)*] $t:ty $(where $($bounds:tt)+)?;)*) => {$(
        impl<$($generics)*> Record for $t $(where $($bounds)+)? {
            type Owned = $t;

            fn own(self) -> $t {
                self
            }
        }
    )*};
}

container! {
    [T: Data] Vec<T>;
    [T: Data] VecDeque<T>;
    [T: Data] LinkedList<T>;
    [T: Data + Ord] BinaryHeap<T>;
    [T: Data + Ord] BTreeSet<T>;
    [K: Data + Ord, V: Data] BTreeMap<K, V>;
    [T: Data + Eq + Hash, S: Clone + Send + Sync + 'static] HashSet<T, S>;
    [K: Data + Eq + Hash, V: Data, S: Clone + Send + Sync + 'static] HashMap<K, V, S>;
    [T: Data] Box<T>;
    [T: Data] Box<[T]>;
    [T: Data] Arc<T>;
    [T: Data] Arc<[T]>;
    [T: Data] Reverse<T>;
    [T: Data, const N: usize] [T; N];
}

/// A key must be written alike whenever it is equal, which hash tables and heaps are not.
macro_rules! key {
    ($([$($generics:tt)*] $t:ty;)*) => {$(
        impl<$($generics)*> Key for $t {
            fn same_key(&self, owned: &$t) -> bool {
                self == owned
            }
        }
    )*};
}

key! {
    [T: Portable + Eq + Hash] Vec<T>;
    [T: Portable + Eq + Hash] VecDeque<T>;
    [T: Portable + Eq + Hash] LinkedList<T>;
    [T: Portable + Ord + Hash] BTreeSet<T>;
    [K: Portable + Ord + Hash, V: Portable + Eq + Hash] BTreeMap<K, V>;
    [T: Portable + Eq + Hash] Box<T>;
    [T: Portable + Eq + Hash] Box<[T]>;
    [T: Portable + Eq + Hash] Reverse<T>;
}

/// `serde` has arrays up to this length.
macro_rules! array_key {
    ($($n:literal)*) => {$(
        impl<T: Portable + Eq + Hash> Key for [T; $n] {
            fn same_key(&self, owned: &[T; $n]) -> bool {
                self == owned
            }
        }
    )*};
}

array_key!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
