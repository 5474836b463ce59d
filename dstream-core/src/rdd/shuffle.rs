//! The shuffles of wide transformations, which use the same tables as the operators of `DStream`.

use std::{cmp::Ordering, hash::BuildHasher, iter};

use super::{
    Rdd, RddOps,
    records::RddBlock,
    run::{FEW, run_items},
    share,
};
use crate::{
    Key, Record,
    exec::{self, transpose},
    rdd::join::{Join, JoinForm, Joined},
    record::{Pair, Portable},
    table::{
        self, Chunks, CombineByKey, Entry, GroupSink, HasLen, PartialBucket, Scatter, Table, entries, merge,
        pairs,
    },
};
use foldhash::quality::FixedState;

/// The seed of the hash: fixed, so that a program yields the same partitions in every run.
const SEED: u64 = 0;

/// Combines the values of each key.
pub(super) fn combine<K, V, C>(
    rdd: impl RddOps<Item: Pair<Key = K, Value = V>>,
    create: impl Fn(V::Owned) -> C + Sync,
    merge_value: impl Fn(C, V::Owned) -> C + Sync,
    merge_combiners: impl Fn(C, C) -> C + Sync,
) -> Rdd<(K::Owned, C)>
where
    K: Key<Owned: Key>,
    V: Record,
    C: Portable,
{
    let few = rdd.size_hint() < FEW;
    let parts = rdd.into_parts();
    let buckets = parts.len().max(1);
    let tasks = combined(parts, few, buckets, create, merge_value);
    reduce(tasks, buckets, |column| pairs(SEED, column, &merge_combiners))
}

/// Groups the values of each key.
pub(super) fn group<K, V>(rdd: impl RddOps<Item: Pair<Key = K, Value = V>>) -> Rdd<(K::Owned, Vec<V::Owned>)>
where
    K: Key<Owned: Key>,
    V: Record<Owned: Portable>,
{
    let few = rdd.size_hint() < FEW;
    let parts = rdd.into_parts();
    let buckets = parts.len().max(1);
    let tasks = run_items(parts, few, |part| {
        let mut sink = GroupSink::new(SEED, buckets);
        part.into_iter().for_each(|record| sink.push(record.into_pair()));
        sink.finish()
    });
    reduce(tasks, buckets, |column| {
        let vectors = table::group(SEED, column).take_vectors();
        vectors.into_entries().filter_map(Entry::into_pair).collect()
    })
}

/// Joins both sides by key; `form` selects what the matches yield.
pub(super) fn join<K, V, Q, W, F>(
    left: impl RddOps<Item: Pair<Key = K, Value = V>>,
    right: impl RddOps<Item: Pair<Key = Q, Value = W>>,
    _form: F,
) -> Rdd<(K::Owned, F::Out)>
where
    K: Key<Owned: Key>,
    V: Record<Owned: Portable>,
    Q: Key<Owned = K::Owned>,
    W: Record<Owned: Portable>,
    F: JoinForm<V::Owned, W::Owned>,
{
    let (left, right, buckets) = scatter_both(left, right);
    Joined::<_, _, _, F>::of_tasks(SEED, &Join::new(buckets), left, right).rdd()
}

/// Groups the values of both sides by key.
pub(super) fn cogroup<K, V, Q, W>(
    left: impl RddOps<Item: Pair<Key = K, Value = V>>,
    right: impl RddOps<Item: Pair<Key = Q, Value = W>>,
) -> Rdd<(K::Owned, (Vec<V::Owned>, Vec<W::Owned>))>
where
    K: Key<Owned: Key>,
    V: Record<Owned: Portable>,
    Q: Key<Owned = K::Owned>,
    W: Record<Owned: Portable>,
{
    reduce_both(scatter_both(left, right), |left, right| table::cogroup(SEED, left, right))
}

/// The records of the left side whose keys the right side does not have.
pub(super) fn subtract<K, V, Q, W>(
    left: impl RddOps<Item: Pair<Key = K, Value = V>>,
    right: impl RddOps<Item: Pair<Key = Q, Value = W>>,
) -> Rdd<(K::Owned, V::Owned)>
where
    K: Key<Owned: Key>,
    V: Record<Owned: Portable>,
    Q: Key<Owned = K::Owned> + Send,
{
    let right = right.map(|record| (record.into_pair().0, ()));
    let few = left.size_hint().saturating_add(right.size_hint()) < FEW;
    let (left, right) = (left.into_parts(), right.into_parts());
    let buckets = left.len().max(right.len()).max(1);
    let left = scattered(left, few, buckets);
    // Each key of the right side is needed once.
    let right = combined(right, few, buckets, |()| (), |(), ()| ());
    reduce_both((left, right, buckets), |left, right| {
        let mut right = keys(right);
        let left = left.into_iter().flatten().flatten();
        left.filter(|(key, _)| right.get(right.id(key), key).is_none()).collect()
    })
}

/// Each distinct record of the left side that the right side has too.
pub(super) fn intersect<T, U>(left: impl RddOps<Item = T>, right: impl RddOps<Item = U>) -> Rdd<T::Owned>
where
    T: Key<Owned: Key> + Send,
    U: Key<Owned = T::Owned> + Send,
{
    let (left, right) = (left.map(|record| (record, ())), right.map(|record| (record, ())));
    let few = left.size_hint().saturating_add(right.size_hint()) < FEW;
    let (left, right) = (left.into_parts(), right.into_parts());
    let buckets = left.len().max(right.len()).max(1);
    let left = combined(left, few, buckets, |()| (), |(), ()| ());
    let right = combined(right, few, buckets, |()| (), |(), ()| ());
    reduce_both((left, right, buckets), |left, right| {
        let mut right = keys(right);
        let left = merge(SEED, left, |(), ()| ()).into_entries().filter(|entry| right.contains(entry));
        left.filter_map(Entry::into_pair).map(|(record, ())| record).collect()
    })
}

/// The keys of all tasks in one bucket.
fn keys<K: Key<Owned = K>>(column: Vec<PartialBucket<K, ()>>) -> Table<K, ()> {
    let mut keys = Table::with_capacity(SEED, column.iter().map(PartialBucket::len).sum());
    for (id, key, ()) in merge(SEED, column, |(), ()| ()).into_entries().filter_map(Entry::into_parts) {
        keys.intern(id, key);
    }
    keys
}

/// Partitions the records of each task into buckets, combined by key.
fn combined<P, K, V, C>(
    parts: Vec<P>,
    few: bool,
    buckets: usize,
    create: impl Fn(V::Owned) -> C + Sync,
    merge_value: impl Fn(C, V::Owned) -> C + Sync,
) -> Vec<Vec<PartialBucket<K::Owned, C>>>
where
    P: IntoIterator<Item: Pair<Key = K, Value = V>> + Send,
    K: Key<Owned: Key>,
    V: Record,
    C: Portable,
{
    run_items(parts, few, |part| {
        let mut sink = CombineByKey::new(SEED, buckets);
        part.into_iter().for_each(|record| sink.push(record.into_pair(), &create, &merge_value));
        sink.finish()
    })
}

/// Partitions the records of each task into buckets, without combining them.
fn scattered<P, K, V>(parts: Vec<P>, few: bool, buckets: usize) -> Vec<Vec<Chunks<K::Owned, V::Owned>>>
where
    P: IntoIterator<Item: Pair<Key = K, Value = V>> + Send,
    K: Key,
    V: Record<Owned: Portable>,
{
    run_items(parts, few, |part| {
        let mut sink = Scatter::new(SEED, buckets);
        part.into_iter().for_each(|record| sink.push(record.into_pair()));
        sink.finish()
    })
}

/// The tasks of both sides, and the number of buckets.
type Sides<A, B> = (Vec<Vec<A>>, Vec<Vec<B>>, usize);

fn scatter_both<K, V, Q, W>(
    left: impl RddOps<Item: Pair<Key = K, Value = V>>,
    right: impl RddOps<Item: Pair<Key = Q, Value = W>>,
) -> Sides<Chunks<K::Owned, V::Owned>, Chunks<K::Owned, W::Owned>>
where
    K: Key,
    V: Record<Owned: Portable>,
    Q: Key<Owned = K::Owned>,
    W: Record<Owned: Portable>,
{
    let few = left.size_hint().saturating_add(right.size_hint()) < FEW;
    let (left, right) = (left.into_parts(), right.into_parts());
    let buckets = left.len().max(right.len()).max(1);
    (scattered(left, few, buckets), scattered(right, few, buckets), buckets)
}

/// Runs `f` for each bucket, with what the tasks have for it.
fn reduce<A: HasLen + Send, T: Send>(
    tasks: Vec<Vec<A>>,
    buckets: usize,
    f: impl Fn(Vec<A>) -> Vec<T> + Sync,
) -> Rdd<T> {
    let few = entries(&tasks) < FEW;
    Rdd::from_partitions(run_items(transpose(tasks, buckets), few, f))
}

/// Runs `f` for each bucket, with what the tasks of both sides have for it.
fn reduce_both<A: HasLen + Send, B: HasLen + Send, T: Send>(
    (left, right, buckets): Sides<A, B>,
    f: impl Fn(Vec<A>, Vec<B>) -> Vec<T> + Sync,
) -> Rdd<T> {
    let few = entries(&left) + entries(&right) < FEW;
    let columns = iter::zip(transpose(left, buckets), transpose(right, buckets)).collect();
    Rdd::from_partitions(run_items(columns, few, |(left, right)| f(left, right)))
}

/// Sorts all records, and cuts them into as many partitions as there were.
pub(super) fn sort<R: RddOps>(
    rdd: R,
    compare: impl Fn(&R::Item, &R::Item) -> Ordering + Sync,
) -> Rdd<R::Item> {
    let few = rdd.size_hint() < FEW;
    let parts = rdd.into_parts();
    let n = parts.len().max(1);
    let parts: Vec<Vec<R::Item>> = run_items(parts, few, |part| part.into_iter().collect());
    let mut records = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    parts.into_iter().for_each(|mut part| records.append(&mut part));
    exec::sort(&mut records, few, &compare);
    let len = records.len();
    // From the back, so that each record is moved once.
    let mut parts: Vec<Vec<R::Item>> = (0..n).rev().map(|i| records.split_off(share(len, n, i))).collect();
    parts.reverse();
    Rdd::from_partitions(parts)
}

/// Deals the records out over `n` partitions in turn. Each part comes with the number of records before it.
pub(super) fn deal<T: Clone + Send + Sync>(parts: Vec<(RddBlock<T>, usize)>, n: usize) -> Rdd<T> {
    let few = are_few(&parts);
    Rdd::from_partitions(run_items(transpose(dealt(parts, n), n), few, |mut column| match column.len() {
        1 => column.remove(0),
        _ => column.into_iter().flatten().collect(),
    }))
}

fn are_few<T>(parts: &[(RddBlock<T>, usize)]) -> bool {
    parts.last().is_none_or(|(part, before)| before + part.len() < FEW)
}

/// What each part has for each of `n` partitions, dealt out as by [`deal`].
pub(crate) fn dealt<T: Clone + Send + Sync>(parts: Vec<(RddBlock<T>, usize)>, n: usize) -> Vec<Vec<Vec<T>>> {
    let few = are_few(&parts);
    run_items(parts, few, |(part, before)| {
        let each = part.len().div_ceil(n);
        let mut buckets: Vec<Vec<T>> = (0..n).map(|_| Vec::with_capacity(each)).collect();
        part.into_iter().enumerate().for_each(|(i, record)| buckets[(before + i) % n].push(record));
        buckets
    })
}

/// Numbers from 0 (inclusive) to 1 (exclusive), the same for the same seed and partition.
pub(crate) fn dice(seed: u64, part: usize) -> impl FnMut() -> f64 {
    let hasher = FixedState::with_seed(seed);
    let mut thrown = 0u64;
    move || {
        thrown += 1;
        // The 53 bits that a double holds.
        (hasher.hash_one((part, thrown)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
