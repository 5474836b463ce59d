//! What runs beneath the joins, of streams and of `Rdd`s.
//!
//! Both sides are scattered by hash. A bucket of the left side looks into the same bucket of the right side
//! where its matches are read: they go straight into the loop of the next stage, which is all that ever has
//! them, or are counted and never made. Only where somebody wants all of them as his own is there an `Rdd`.

mod block;
mod forms;

use std::{marker::PhantomData, mem::take, sync::Arc};

pub use block::JoinBlock;
pub use forms::{FullOuter, Inner, JoinForm, LeftOuter, RightOuter};

use crate::{
    Block, Key, Rdd,
    batch::{Batch, OpMeta, Step},
    exec::transpose,
    ops::{FEW, HasLen, entries},
    private::SameKey,
    rdd::run_items,
    record::{Data, Portable},
    table::{Chunks, Lists, Room, Scatter, Spare},
};
use block::{Right, count};

/// A join of records of type `A` with such of type `B`, from batch to batch: the vectors in which they are.
#[derive(Debug)]
pub struct Join<A, B> {
    buckets: usize,
    left: Spare<A>,
    right: Spare<B>,
    lists: Room<B>,
}

impl<A, B> Clone for Join<A, B> {
    fn clone(&self) -> Self {
        let Join { buckets, left, right, lists } = self;
        Join { buckets: *buckets, left: left.clone(), right: right.clone(), lists: lists.clone() }
    }
}

impl<A, B> Join<A, B> {
    /// A join that shares both sides out over so many buckets.
    pub fn new(buckets: usize) -> Self {
        Join { buckets, left: Spare::default(), right: Spare::default(), lists: Room::default() }
    }
}

impl<K, V, Q, W> Join<(K, V), (Q, W)> {
    /// The sink of the left side.
    pub fn left(&self, seed: u64) -> Scatter<K, V> {
        Scatter::reusing(seed, self.buckets, self.left.clone())
    }

    /// The sink of the right side.
    pub fn right(&self, seed: u64) -> Scatter<Q, W> {
        Scatter::reusing(seed, self.buckets, self.right.clone())
    }
}

/// Both sides of a join, not matched yet.
#[derive(Debug)]
pub struct Joined<K, V, W, F> {
    /// Each with the blocks that it was shared out over.
    buckets: Vec<Vec<JoinBlock<K, V, W, F>>>,
    few: bool,
}

/// How many records one task looks at, of this many in all. A key that has many, or a bucket that was meant
/// for a single partition, is shared out over the cores like anything else.
fn largest(records: usize) -> usize {
    (records / 16).clamp(FEW, 64 << 10)
}

impl<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>> Joined<K, V, W, F> {
    /// What the tasks of this process have for both sides.
    pub(crate) fn of_tasks(
        seed: u64,
        join: &Join<(K, V), (K, W)>,
        left: Vec<Vec<Chunks<K, V>>>,
        right: Vec<Vec<Chunks<K, W>>>,
    ) -> Self {
        Joined::new(seed, join, transpose(left, join.buckets), transpose(right, join.buckets))
    }

    /// What all tasks have for both sides, by bucket.
    fn new(
        seed: u64,
        join: &Join<(K, V), (K, W)>,
        left: Vec<Vec<Chunks<K, V>>>,
        right: Vec<Vec<Chunks<K, W>>>,
    ) -> Self {
        // What is left of an earlier batch was not needed in this one.
        join.left.clear();
        join.right.clear();
        let records = entries(&left) + entries(&right);
        let (few, most) = (records < FEW, largest(records));
        let sides: Vec<_> = left.into_iter().zip(right).collect();
        // Mostly there is nothing to do yet.
        let light = sides.iter().all(|(left, right)| size(left).max(size(right)) <= most);
        let buckets = run_items(sides, light, |(left, right)| {
            let (lefts, rights) = (size(&left), size(&right));
            if lefts == 0 && !F::RIGHT || rights == 0 && !F::LEFT {
                return Vec::new();
            }
            if lefts.max(rights) > most {
                return share_out(seed, join, left, right, most);
            }
            vec![JoinBlock {
                seed,
                work: lefts + rights,
                left: left.into_iter().flatten().collect(),
                right: Right::Records(right.into_iter().flatten().collect()),
                ends: true,
                join: join.clone(),
                form: PhantomData,
            }]
        });
        Joined { buckets, few }
    }

    /// The input of a stage, whose records are the matches.
    pub fn blocks(joined: Step<Self>) -> Step<Vec<JoinBlock<K, V, W, F>>> {
        Ok(joined?.buckets.into_iter().flatten().collect())
    }

    /// How many matches there are.
    fn count(self) -> u64 {
        let blocks = self.buckets.into_iter().flatten().collect();
        run_items(blocks, self.few, JoinBlock::count).into_iter().sum()
    }

    /// All matches, a partition a bucket.
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

/// Shares a bucket out over several tasks, none of which looks at many more than `most` records; the matches
/// of one record of the left side are not divided.
fn share_out<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>>(
    seed: u64,
    join: &Join<(K, V), (K, W)>,
    left: Vec<Chunks<K, V>>,
    right: Vec<Chunks<K, W>>,
    most: usize,
) -> Vec<JoinBlock<K, V, W, F>> {
    let right = right.into_iter().flatten().collect();
    let lists = Arc::new(Lists::new(seed, right, F::RIGHT, &join.lists, &join.right));
    let lengths = lists.lengths();
    // A record is looked up, and then all are looked at that are in the same list.
    let work = |(key, _): &(K, V)| 1 + lists.length(&lengths, key);
    let left: Vec<_> = left.into_iter().flatten().collect();
    let all: usize = left.iter().flatten().map(work).sum();
    let pieces = cut(left, most.max(all / 64), work);
    if F::RIGHT {
        // Which records have no match must be known before the first piece is read.
        run_items(pieces.iter().collect(), false, |(left, _)| count(left, &lists, true, false));
    }
    let last = pieces.len() - 1;
    let block = |(at, (left, work))| JoinBlock {
        seed,
        left,
        right: Right::Lists(Arc::clone(&lists)),
        ends: at == last,
        work: work + usize::from(at == last) * lists.len(),
        join: join.clone(),
        form: PhantomData,
    };
    pieces.into_iter().enumerate().map(block).collect()
}

/// Records, and how much work they are.
type Piece<T> = (Vec<Vec<T>>, usize);

/// Cuts chunks into pieces of about as much work as `most`: at least one.
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
    /// Puts the tasks of both sides together, bucket by bucket; `_form` says what they yield.
    pub fn join<K: Key<Owned = K> + Portable, Q: SameKey<K>, V: Portable, W: Portable, F: JoinForm<V, W>>(
        &self,
        op: &OpMeta,
        join: &Join<(K, V), (Q, W)>,
        left: Step<Vec<Vec<Chunks<K, V>>>>,
        right: Step<Vec<Vec<Chunks<Q, W>>>>,
        _form: F,
    ) -> Step<Joined<K, V, W, F>> {
        let join = Q::join(join);
        // Both, whichever fails: the other processes wait for each.
        let left = self.exchange(op, join.buckets, left);
        let right = self.exchange(op, join.buckets, right.map(Q::tasks));
        let (left, right) = (left?, right?);
        self.guard(std::slice::from_ref(op), || Joined::new(self.seed(), join, left, right))
    }

    /// All matches of a join, for who needs them as his own.
    pub fn matched<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>>(
        &self,
        op: &OpMeta,
        joined: Step<Joined<K, V, W, F>>,
    ) -> Step<Rdd<(K, F::Out)>> {
        let joined = joined?;
        self.guard(std::slice::from_ref(op), || joined.rdd())
    }

    /// How many matches a join has, for who needs nothing else.
    pub fn matches<K: Key<Owned = K> + Data, V: Data, W: Data, F: JoinForm<V, W>>(
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

    /// What the heaviest block has of all work, and how many blocks there are.
    fn share<F: JoinForm<u64, u64>>(joined: Joined<u64, u64, u64, F>) -> (f64, usize) {
        let blocks = Joined::blocks(Ok(joined)).unwrap_or_default();
        let work: Vec<usize> = blocks.iter().map(|block| block.work).collect();
        let most = work.iter().max().copied().unwrap_or_default();
        (most as f64 / work.iter().sum::<usize>() as f64, work.len())
    }

    /// Half of the records of a side have one key, and so are in one bucket: no task has much more to do than
    /// the others.
    #[test]
    fn a_heavy_key_is_shared_out() {
        let even = |n| n as u64;
        let (most, blocks) = share(joined::<Inner>(even, even, RECORDS, RECORDS));
        assert!(most < 0.08 && blocks == BUCKETS, "{most} {blocks}");
        let (most, blocks) = share(joined::<FullOuter>(heavy, even, RECORDS, RECORDS));
        assert!(most < 0.15 && blocks > BUCKETS, "left: {most} {blocks}");
        // Three hundred records, which stand side by side, have fifty thousand matches each.
        let few = |n| if n < 300 { 0 } else { n as u64 };
        for most in [
            share(joined::<Inner>(few, heavy, 1_000, RECORDS)),
            share(joined::<FullOuter>(few, heavy, 1_000, RECORDS)),
        ] {
            assert!(most.0 < 0.05 && most.1 > BUCKETS, "right: {most:?}");
        }
    }

    #[test]
    fn what_is_shared_out_is_all_and_in_order() {
        let few = |n| if n % 10 < 3 { 0 } else { n as u64 };
        let matches = joined::<FullOuter>(few, heavy, 100, 10_000).rdd();
        assert_eq!(matches.num_partitions(), BUCKETS);
        let of_key: Vec<_> = matches.iter().filter(|(key, _)| *key == 0).map(|(_, pair)| *pair).collect();
        let left = (0..100).filter(|n| n % 10 < 3);
        let nested = left.flat_map(|v| (0..10_000).step_by(2).map(move |w| (Some(v), Some(w))));
        assert!(of_key.into_iter().eq(nested));
        let alone = matches.iter().filter_map(|(key, (v, w))| (v.is_none()).then_some((*key, *w)));
        let mut alone: Vec<_> = alone.collect();
        alone.sort_unstable();
        let met = |n: &usize| *n < 100 && n % 10 >= 3;
        let naive = (0..10_000).filter(|n| n % 2 == 1 && !met(n)).map(|n| (n as u64, Some(n as u64)));
        assert!(alone.into_iter().eq(naive));
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
