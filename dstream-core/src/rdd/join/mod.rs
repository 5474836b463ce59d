//! Hash joins of streams and of `Rdd`s.
//!
//! Both sides are partitioned by the hash of their keys. In each bucket, the right side is the build side and
//! the left side the probe side. A join is lazy: it yields two co-partitioned sides, and the consumer
//! enumerates the matches. The loop of the next stage reads them one by one, and `count` does not even create
//! them. An `Rdd` of all matches is materialised only for consumers that need owned records.

mod block;
mod forms;

use std::{marker::PhantomData, mem::take, sync::Arc};

pub use block::JoinBlock;
pub use forms::{FullOuter, Inner, JoinForm, LeftOuter, RightOuter};

use crate::{
    __private::SameKey,
    Key, Rdd,
    batch::{Batch, Step},
    block::Block,
    exec::transpose,
    plan::OpMeta,
    rdd::run_items,
    record::{Data, Portable},
    table::{BufferPool, Chunks, FEW, HasLen, JoinTable, JoinTablePool, Scatter, entries},
};
use block::{BuildSide, count};

/// Buffers that a join of `A` with `B` reuses across batches.
#[derive(Debug)]
pub struct Join<A, B> {
    buckets: usize,
    left: BufferPool<A>,
    right: BufferPool<B>,
    tables: JoinTablePool<B>,
}

impl<A, B> Clone for Join<A, B> {
    fn clone(&self) -> Self {
        let Join { buckets, left, right, tables } = self;
        Join { buckets: *buckets, left: left.clone(), right: right.clone(), tables: tables.clone() }
    }
}

impl<A, B> Join<A, B> {
    /// A join with this number of buckets.
    pub fn new(buckets: usize) -> Self {
        Join {
            buckets,
            left: BufferPool::default(),
            right: BufferPool::default(),
            tables: JoinTablePool::default(),
        }
    }
}

impl<K, V, Q, W> Join<(K, V), (Q, W)> {
    /// The sink of the left side.
    pub fn left(&self, seed: u64) -> Scatter<K, V> {
        Scatter::with_pool(seed, self.buckets, self.left.clone())
    }

    /// The sink of the right side.
    pub fn right(&self, seed: u64) -> Scatter<Q, W> {
        Scatter::with_pool(seed, self.buckets, self.right.clone())
    }
}

/// The two co-partitioned sides of a join in one batch, whose matches are not enumerated yet.
#[derive(Debug)]
pub struct Joined<K, V, W, F> {
    /// A large bucket is divided into several blocks.
    buckets: Vec<Vec<JoinBlock<K, V, W, F>>>,
    few: bool,
}

/// The largest number of records of one block, for this many in all. A larger bucket is divided among the
/// cores, so a skewed key does not slow the batch down.
fn max_block(records: usize) -> usize {
    (records / 16).clamp(FEW, 64 << 10)
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> Joined<K, V, W, F> {
    /// Joins what the tasks of this process have for both sides.
    pub(crate) fn of_tasks(
        seed: u64,
        join: &Join<(K, V), (K, W)>,
        left: Vec<Vec<Chunks<K, V>>>,
        right: Vec<Vec<Chunks<K, W>>>,
    ) -> Self {
        Joined::new(seed, join, transpose(left, join.buckets), transpose(right, join.buckets))
    }

    /// Joins what all tasks have for both sides, by bucket.
    fn new(
        seed: u64,
        join: &Join<(K, V), (K, W)>,
        left: Vec<Vec<Chunks<K, V>>>,
        right: Vec<Vec<Chunks<K, W>>>,
    ) -> Self {
        // Buffers that this batch did not take are surplus.
        join.left.clear();
        join.right.clear();
        let records = entries(&left) + entries(&right);
        let (few, most) = (records < FEW, max_block(records));
        let sides: Vec<_> = left.into_iter().zip(right).collect();
        // Only a bucket that is divided costs work here.
        let light = sides.iter().all(|(left, right)| size(left).max(size(right)) <= most);
        let buckets = run_items(sides, light, |(left, right)| {
            let (lefts, rights) = (size(&left), size(&right));
            if lefts == 0 && !F::RIGHT || rights == 0 && !F::LEFT {
                return Vec::new();
            }
            if lefts.max(rights) > most {
                return divide(seed, join, left, right, most);
            }
            vec![JoinBlock {
                seed,
                work: lefts + rights,
                left: left.into_iter().flatten().collect(),
                right: BuildSide::Records(right.into_iter().flatten().collect()),
                emits_unmatched: true,
                join: join.clone(),
                form: PhantomData,
            }]
        });
        Joined { buckets, few }
    }

    /// The blocks of a stage whose records are the matches.
    pub fn blocks(joined: Step<Self>) -> Step<Vec<JoinBlock<K, V, W, F>>> {
        Ok(joined?.buckets.into_iter().flatten().collect())
    }

    /// Counts the matches without creating them.
    fn count(self) -> u64 {
        let blocks = self.buckets.into_iter().flatten().collect();
        run_items(blocks, self.few, JoinBlock::count).into_iter().sum()
    }

    /// Materialises all matches, one partition a bucket.
    pub(crate) fn rdd(self) -> Rdd<(K, F::Out)> {
        let blocks: Vec<usize> = self.buckets.iter().map(Vec::len).collect();
        let all = self.buckets.into_iter().flatten().collect();
        let matches = run_items(all, self.few, |mut block: JoinBlock<K, V, W, F>| {
            let mut matches = Vec::with_capacity(block.left.iter().map(Vec::len).sum());
            matches.extend(block.records());
            matches
        });
        let mut matches = matches.into_iter();
        Rdd::from_partitions(blocks.into_iter().map(|n| match n {
            1 => matches.next().unwrap_or_default(),
            _ => matches.by_ref().take(n).flatten().collect(),
        }))
    }
}

fn size<E: HasLen>(column: &[E]) -> usize {
    column.iter().map(E::len).sum()
}

/// Divides a bucket into blocks, each of which reads about `most` records. The matches of one record of the
/// left side stay in one block.
fn divide<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>>(
    seed: u64,
    join: &Join<(K, V), (K, W)>,
    left: Vec<Chunks<K, V>>,
    right: Vec<Chunks<K, W>>,
    most: usize,
) -> Vec<JoinBlock<K, V, W, F>> {
    let right = right.into_iter().flatten().collect();
    let table = Arc::new(JoinTable::new(seed, right, F::RIGHT, &join.tables, &join.right));
    let lengths = table.lengths();
    // A probe record costs its lookup and one step for each record of the list.
    let work = |(key, _): &(K, V)| 1 + table.length(&lengths, key);
    let left: Vec<_> = left.into_iter().flatten().collect();
    let all: usize = left.iter().flatten().map(work).sum();
    let pieces = cut(left, most.max(all / 64), work);
    if F::RIGHT {
        // Which records have no match must be known before the first piece is read.
        run_items(pieces.iter().collect(), false, |(left, _)| count(left, &table, true, false));
    }
    let last = pieces.len() - 1;
    let block = |(at, (left, work))| JoinBlock {
        seed,
        left,
        right: BuildSide::Table(Arc::clone(&table)),
        emits_unmatched: at == last,
        work: work + usize::from(at == last) * table.len(),
        join: join.clone(),
        form: PhantomData,
    };
    pieces.into_iter().enumerate().map(block).collect()
}

/// Records, and the number of records that are read for them.
type Piece<T> = (Vec<Vec<T>>, usize);

/// Cuts chunks into pieces of about `most` work each; returns at least one piece.
fn cut<T>(chunks: Vec<Vec<T>>, most: usize, work: impl Fn(&T) -> usize) -> Vec<Piece<T>> {
    let mut pieces = Vec::new();
    let (mut piece, mut done) = (Vec::new(), 0);
    for mut chunk in chunks {
        while !chunk.is_empty() {
            let mut n = 0;
            while n < chunk.len() && done < most {
                done += work(&chunk[n]);
                n += 1;
            }
            let rest = chunk.split_off(n);
            piece.push(std::mem::replace(&mut chunk, rest));
            if done >= most {
                pieces.push((take(&mut piece), take(&mut done)));
            }
        }
    }
    if done > 0 || pieces.is_empty() {
        pieces.push((piece, done));
    }
    pieces
}

impl Batch<'_> {
    /// Joins the tasks of both sides, bucket by bucket; `_form` selects what the matches yield.
    pub fn join<K: Key<Owned = K> + Portable, Q: SameKey<K>, V: Portable, W: Portable, F: JoinForm<V, W>>(
        &self,
        op: &OpMeta,
        join: &Join<(K, V), (Q, W)>,
        left: Step<Vec<Vec<Chunks<K, V>>>>,
        right: Step<Vec<Vec<Chunks<Q, W>>>>,
        _form: F,
    ) -> Step<Joined<K, V, W, F>> {
        let join = Q::join(join);
        // Both exchanges take place even if one side failed: the other processes wait for each.
        let left = self.exchange(op, join.buckets, left);
        let right = self.exchange(op, join.buckets, right.map(Q::tasks));
        let (left, right) = (left?, right?);
        self.guard(std::slice::from_ref(op), || Joined::new(self.seed(), join, left, right))
    }

    /// Materialises all matches, for consumers that need owned records.
    pub fn join_rdd<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>>(
        &self,
        op: &OpMeta,
        joined: Step<Joined<K, V, W, F>>,
    ) -> Step<Rdd<(K, F::Out)>> {
        let joined = joined?;
        self.guard(std::slice::from_ref(op), || joined.rdd())
    }

    /// Counts the matches of a join without creating them.
    pub fn join_count<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>>(
        &self,
        op: &OpMeta,
        joined: Step<Joined<K, V, W, F>>,
    ) -> Step<u64> {
        let joined = joined?;
        self.guard(std::slice::from_ref(op), || joined.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: usize = 100_000;
    const BUCKETS: usize = 16;

    /// Records in ten tasks.
    fn tasks(
        join: impl Fn() -> Scatter<u64, u64>,
        key: impl Fn(usize) -> u64,
        records: usize,
    ) -> Vec<Vec<Chunks<u64, u64>>> {
        let tasks = (0..records).step_by(records / 10).map(|start| {
            let mut sink = join();
            (start..start + records / 10).for_each(|n| sink.push((key(n), n as u64)));
            sink.finish()
        });
        tasks.collect()
    }

    fn joined<F: JoinForm<u64, u64>>(
        left: impl Fn(usize) -> u64,
        right: impl Fn(usize) -> u64,
        lefts: usize,
        rights: usize,
    ) -> Joined<u64, u64, u64, F> {
        let join = Join::new(BUCKETS);
        let (left, right) = (tasks(|| join.left(5), left, lefts), tasks(|| join.right(5), right, rights));
        Joined::of_tasks(5, &join, left, right)
    }

    fn heavy(n: usize) -> u64 {
        if n.is_multiple_of(2) { 0 } else { n as u64 }
    }

    /// The fraction of all work in the heaviest block, and the number of blocks.
    fn skew<F: JoinForm<u64, u64>>(joined: Joined<u64, u64, u64, F>) -> (f64, usize) {
        let blocks = Joined::blocks(Ok(joined)).unwrap_or_default();
        let work: Vec<usize> = blocks.iter().map(|block| block.work).collect();
        let most = work.iter().max().copied().unwrap_or_default();
        (most as f64 / work.iter().sum::<usize>() as f64, work.len())
    }

    /// Half of the records of a side have one key, and so are in one bucket: no task has much more to do than
    /// the others.
    #[test]
    fn a_heavy_key_is_divided() {
        let even = |n| n as u64;
        let (most, blocks) = skew(joined::<Inner>(even, even, RECORDS, RECORDS));
        assert!(most < 0.08 && blocks == BUCKETS, "{most} {blocks}");
        let (most, blocks) = skew(joined::<FullOuter>(heavy, even, RECORDS, RECORDS));
        assert!(most < 0.15 && blocks > BUCKETS, "left: {most} {blocks}");
        // Three hundred records, which stand side by side, have fifty thousand matches each.
        let few = |n| if n < 300 { 0 } else { n as u64 };
        for most in [
            skew(joined::<Inner>(few, heavy, 1_000, RECORDS)),
            skew(joined::<FullOuter>(few, heavy, 1_000, RECORDS)),
        ] {
            assert!(most.0 < 0.05 && most.1 > BUCKETS, "right: {most:?}");
        }
    }

    #[test]
    fn divided_buckets_are_complete_and_in_order() {
        let few = |n| if n % 10 < 3 { 0 } else { n as u64 };
        let matches = joined::<FullOuter>(few, heavy, 100, 10_000).rdd();
        assert_eq!(matches.num_partitions(), BUCKETS);
        let of_key: Vec<_> = matches.iter().filter(|(key, _)| *key == 0).map(|(_, pair)| *pair).collect();
        let left = (0..100).filter(|n| n % 10 < 3);
        let nested = left.flat_map(|v| (0..10_000).step_by(2).map(move |w| (Some(v), Some(w))));
        assert!(of_key.into_iter().eq(nested));
        let unmatched = matches.iter().filter_map(|(key, (v, w))| (v.is_none()).then_some((*key, *w)));
        let mut unmatched: Vec<_> = unmatched.collect();
        unmatched.sort_unstable();
        let matched = |n: &usize| *n < 100 && n % 10 >= 3;
        let naive = (0..10_000).filter(|n| n % 2 == 1 && !matched(n)).map(|n| (n as u64, Some(n as u64)));
        assert!(unmatched.into_iter().eq(naive));
        assert_eq!(joined::<FullOuter>(few, heavy, 100, 10_000).count(), matches.count());
        // Tasks may run in any order.
        let mut blocks = Joined::blocks(Ok(joined::<FullOuter>(few, heavy, 100, 10_000))).unwrap_or_default();
        let mut parts: Vec<Vec<_>> = blocks.iter_mut().rev().map(|block| block.records().collect()).collect();
        parts.reverse();
        assert_eq!(parts.concat(), matches.collect());
    }

    /// What a batch was made of makes the next one, and no more is kept than the last one needed.
    #[test]
    fn vectors_are_used_again() {
        let join: Join<(u64, u64), (u64, u64)> = Join::new(BUCKETS);
        let mut kept = Vec::new();
        for records in [RECORDS, RECORDS, RECORDS / 100] {
            let even = |n| n as u64;
            let (left, right) =
                (tasks(|| join.left(5), even, records), tasks(|| join.right(5), even, records));
            let new = (join.left.len(), join.right.len());
            assert_eq!(Joined::<_, _, _, Inner>::of_tasks(5, &join, left, right).count(), records as u64);
            kept.push((new, join.left.len(), join.right.len()));
        }
        let (_, left, right) = kept[0];
        assert!(left > RECORDS / 512 && left == right);
        assert_eq!(kept[1], ((0, 0), left, right));
        assert_eq!((kept[2].1, kept[2].2), (0, 0), "first chunks are enough");
    }
}
