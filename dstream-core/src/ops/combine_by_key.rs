//! `combine_by_key`, and what runs beneath every keyed aggregation: combined in each task, exchanged by hash,
//! merged bucket by bucket.

use std::sync::Arc;

use crate::{
    DStream, Key, Rdd, Record,
    batch::{Batch, Step},
    exec::run,
    plan::OpMeta,
    record::Portable,
    table::{Combine, Entry, MapSideCombiner, MergedBucket, PartialBucket, merge},
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Builds a combiner of type `C` for each key: `create` makes one of a key's first value, `merge_value`
    /// adds a value of the same partition, `merge_combiners` puts the combiners of two partitions together,
    /// in order.
    ///
    /// Option `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let pairs = queue_stream(vec![vec![("a", 1.0), ("b", 5.0), ("a", 2.0)]]);
    ///     let sums = pairs.combine_by_key(|x| (x, 1), |(sum, n), x| (sum + x, n + 1), |a, b| (a.0 + b.0, a.1 + b.1));
    ///     sums.map_values(|(sum, n)| sum / n as f64).filter(|(key, _)| key == "a").collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("a".into(), 1.5)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn combine_by_key<C>(
        self,
        create: impl Fn(V::Owned) -> C,
        merge_value: impl Fn(C, V::Owned) -> C,
        merge_combiners: impl Fn(C, C) -> C,
    ) -> DStream<(K::Owned, C)> {
        drop((create, merge_value, merge_combiners));
        DStream::typed()
    }
}

/// The sink of keyed aggregations. `F` is what combines: `Reducer` or `Combiner`.
#[derive(Debug)]
pub struct CombineByKey<K, V, C, F> {
    combiner: MapSideCombiner<K, V, C>,
    /// From the first pair on; every pair comes with the same.
    f: Option<F>,
}

/// Combines values by a function of two.
#[derive(Debug)]
pub struct Reducer<F>(F);

impl<V, F: Fn(V, V) -> V> Combine<V, V> for Reducer<F> {
    #[inline]
    fn create(&self, value: V) -> V {
        value
    }

    #[inline]
    fn add(&self, held: V, value: V) -> V {
        self.0(held, value)
    }
}

/// Makes a combiner of the first value, and adds the others.
#[derive(Debug)]
pub struct Combiner<A, B>(A, B);

impl<V, C, A: Fn(V) -> C, B: Fn(C, V) -> C> Combine<V, C> for Combiner<A, B> {
    #[inline]
    fn create(&self, value: V) -> C {
        self.0(value)
    }

    #[inline]
    fn add(&self, held: C, value: V) -> C {
        self.1(held, value)
    }
}

impl<K, C, F> CombineByKey<K, C, C, Reducer<F>> {
    /// Adds one pair whose values are the combiners.
    #[inline]
    pub fn reduce<Q, W>(&mut self, (key, value): (Q, W), f: F)
    where
        Q: Key<Owned = K>,
        W: Record<Owned = C>,
        C: Portable,
        F: Fn(C, C) -> C,
    {
        let f = self.f.insert(Reducer(f));
        self.combiner.combine(key, value.own(), f);
    }
}

impl<K, V, C, A, B> CombineByKey<K, V, C, Combiner<A, B>> {
    /// Adds one pair.
    #[inline]
    pub fn push<Q, W>(&mut self, (key, value): (Q, W), create: A, merge_value: B)
    where
        Q: Key<Owned = K>,
        W: Record<Owned = V>,
        C: Portable,
        A: Fn(V) -> C,
        B: Fn(C, V) -> C,
    {
        let f = self.f.insert(Combiner(create, merge_value));
        self.combiner.combine(key, value.own(), f);
    }
}

impl<K, V, C, F> CombineByKey<K, V, C, F> {
    /// An empty table, to be shared out over `buckets`.
    pub fn new(seed: u64, buckets: usize) -> Self {
        CombineByKey { combiner: MapSideCombiner::new(seed, buckets), f: None }
    }

    /// What the task has, by bucket.
    pub fn finish(mut self) -> Vec<PartialBucket<K, C>>
    where
        F: Combine<V, C>,
    {
        if let Some(f) = &self.f {
            self.combiner.flush(f);
        }
        self.combiner.finish()
    }
}

/// Entries below which one thread merges all buckets.
pub(crate) const FEW: usize = 2_000;

/// How many entries all tasks have for all buckets, by either.
pub(crate) fn entries<S: HasLen>(all: &[Vec<S>]) -> usize {
    all.iter().flatten().map(S::len).sum()
}

/// What a task has for one bucket.
pub(crate) trait HasLen {
    fn len(&self) -> usize;
}

impl<E> HasLen for Vec<E> {
    fn len(&self) -> usize {
        self.len()
    }
}

/// One value for each key of a batch, by bucket. Clones share the entries: operators that combine the same
/// pairs alike all read one.
#[derive(Debug)]
pub struct Partials<K, V> {
    buckets: Vec<Arc<MergedBucket<K, V>>>,
}

impl<K, V> Clone for Partials<K, V> {
    fn clone(&self) -> Self {
        Partials { buckets: self.buckets.clone() }
    }
}

impl<K, V> Partials<K, V> {
    pub(crate) fn new(buckets: Vec<MergedBucket<K, V>>) -> Self {
        Partials { buckets: buckets.into_iter().map(Arc::new).collect() }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.len()).sum()
    }

    /// The buckets, which others may hold, too.
    pub(crate) fn into_shared(self) -> Vec<Arc<MergedBucket<K, V>>> {
        self.buckets
    }

    /// The entries of each bucket: moved out if nobody else holds them, cloned if somebody does.
    pub(crate) fn into_buckets(self) -> Vec<MergedBucket<K, V>>
    where
        K: Clone,
        V: Clone,
    {
        self.buckets.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

impl Batch<'_> {
    /// Brings the entries of each bucket together and merges them.
    pub fn partials<K, C>(
        &self,
        op: &OpMeta,
        buckets: usize,
        tasks: Step<Vec<Vec<PartialBucket<K, C>>>>,
        f: impl Fn(C, C) -> C + Sync,
    ) -> Step<Partials<K, C>>
    where
        // Not `Eq`: what is no key then gives the same error here as at `push`, and is reported once.
        K: Key<Owned = K> + Portable,
        C: Portable,
    {
        let columns = self.exchange(op, buckets, tasks)?;
        let small = entries(&columns) < FEW;
        let merged = run(columns, small, |column| {
            self.guard(std::slice::from_ref(op), || merge(self.seed(), column, &f))
        });
        Ok(Partials::new(merged.into_iter().collect::<Step<Vec<_>>>()?))
    }

    /// The keys with their values as records: a partition a bucket.
    pub fn pairs<K, C>(&self, partials: Step<Partials<K, C>>) -> Step<Rdd<(K, C)>>
    where
        K: Key<Owned = K> + Clone + Send + Sync,
        C: Clone + Send + Sync,
    {
        let partials = partials?;
        let small = partials.len() < FEW;
        let pairs = run(partials.buckets, small, |bucket| -> Vec<(K, C)> {
            Arc::unwrap_or_clone(bucket).into_entries().filter_map(Entry::into_pair).collect()
        });
        Ok(Rdd::from_partitions(pairs))
    }
}

/// What the tasks have for one bucket, merged in the order of the tasks.
pub(crate) fn pairs<K: Key<Owned = K>, C>(
    seed: u64,
    column: Vec<PartialBucket<K, C>>,
    f: impl Fn(C, C) -> C,
) -> Vec<(K, C)> {
    merge(seed, column, f).into_entries().filter_map(Entry::into_pair).collect()
}
