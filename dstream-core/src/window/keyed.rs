//! The common part of all keyed windows: buckets that advance in parallel, and the checkpoint of their
//! partial aggregates.

use std::{any::type_name, fmt, sync::Arc};

use serde::de::DeserializeOwned;

use super::{
    WindowSpec,
    batches::{StoredBatch, WindowBatches},
    bucket::{Derived, WindowBucket},
};
use crate::{
    Key, Rdd, Time,
    batch::{Batch, Missing, Step},
    checkpoint::{Changes, Migration, Stateful, estimate::outside_bytes},
    exchange::Part,
    exec::run,
    plan::OpMeta,
    record::{Data, Portable},
    table::{FEW, MergedBucket, Partials, entries_of},
};

/// A keyed window. It stores the partial aggregates of each batch, and for each key what is derived from
/// them: the aggregate, and auxiliary state of type `D`.
pub struct KeyedWindow<K, V, D> {
    batches: WindowBatches<()>,
    num_buckets: usize,
    /// Created in the first batch, which has the seed of the hash.
    buckets: Vec<WindowBucket<K, V, D>>,
    /// What was read from a checkpoint, until the first batch.
    restored: Vec<(StoredBatch, Vec<(K, V)>)>,
    migration: Migration<StoredPairs<K, V>>,
}

/// The pairs of a batch in a checkpoint; `None` if the batch failed.
type StoredPairs<K, V> = Option<Vec<(K, V)>>;

impl<K, V, D> fmt::Debug for KeyedWindow<K, V, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedWindow")
            .field("batches", &self.batches)
            .field("num_buckets", &self.num_buckets)
            .finish_non_exhaustive()
    }
}

/// The input of a bucket in one batch.
pub(super) struct BucketStep<K, V> {
    pub(super) time: Time,
    /// Batches up to this time are evicted.
    pub(super) cutoff: Time,
    pub(super) entries: MergedBucket<K, V>,
}

impl<K, V, D> KeyedWindow<K, V, D> {
    /// An empty window whose keys are partitioned into `num_buckets`.
    pub fn new(spec: WindowSpec, num_buckets: usize) -> Self {
        let batches = WindowBatches::by_key(spec, num_buckets);
        KeyedWindow {
            batches,
            num_buckets,
            buckets: Vec::new(),
            restored: Vec::new(),
            migration: Migration::default(),
        }
    }
}

impl<K: Key<Owned = K> + Portable, V: Portable, D> KeyedWindow<K, V, D> {
    /// Sets how the values of an older program, of type `Old`, are converted.
    pub fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> V + Send + 'static) {
        let convert = move |stored: StoredPairs<K, Old>| -> StoredPairs<K, V> {
            stored.map(|pairs| pairs.into_iter().map(|(key, old)| (key, f(old))).collect())
        };
        self.migration = Migration::from::<Old, _>(fingerprint::<K, Old>(), convert);
    }
}

fn fingerprint<K, V>() -> String {
    format!("window<{}, {}>", type_name::<K>(), type_name::<V>())
}

impl<K, V, D> KeyedWindow<K, V, D>
where
    K: Key<Owned = K> + Data,
    V: Data,
    D: Derived,
{
    /// Lets every bucket `advance` by a batch. If the window is due, makes each bucket `ready` and returns
    /// its pairs, without those that `filter` rejects. If it rejects none, the bucket's own pairs are shared
    /// until the next batch.
    pub(super) fn slide(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Partials<K, V>>,
        advance: impl Fn(&mut WindowBucket<K, V, D>, BucketStep<K, V>) + Sync,
        ready: impl Fn(&mut WindowBucket<K, V, D>) + Sync,
        filter: impl Fn(&K, &V) -> bool + Sync,
    ) -> Step<Rdd<(K, V)>> {
        let input = self.batches.advance(batch, input)?;
        let guarded = std::slice::from_ref(op);
        if let Err(Missing::Failed(failure)) = batch.guard(guarded, || self.open(batch)) {
            self.batches.mark_lost(batch, Time::default(), failure);
        }
        let cutoff = self.batches.cutoff(batch);
        let entering = input.as_ref().map_or(0, Partials::len);
        let mut entries = match input {
            Some(partials) => {
                self.batches.push(batch, ());
                partials.into_buckets()
            }
            None => Vec::new(),
        };
        entries.resize_with(self.num_buckets, || MergedBucket::of(Vec::new()));
        // The buckets advance even without a result: later windows depend on it.
        let complete = self.batches.check_complete(batch, op);
        let small = entering + self.buckets.iter().map(|bucket| bucket.work(cutoff)).sum::<usize>() < FEW;
        let out = run(self.buckets.iter_mut().zip(entries).collect(), small, |(bucket, entries)| {
            let step = BucketStep { time: batch.time(), cutoff, entries };
            let advanced = batch.guard(guarded, || advance(bucket, step));
            let lost = advanced.clone().err().filter(|_| !bucket.has(batch.time()));
            let pairs = match complete {
                Ok(()) => advanced.and_then(|()| {
                    batch.guard(guarded, || {
                        ready(bucket);
                        bucket.pairs(&filter)
                    })
                }),
                Err(_) => Ok(Arc::default()),
            };
            (lost, pairs)
        });
        let (lost, pairs): (Vec<_>, Vec<_>) = out.into_iter().unzip();
        if let Some(Missing::Failed(failure)) = lost.into_iter().flatten().next() {
            self.batches.mark_lost(batch, batch.time(), failure);
        }
        complete?;
        Ok(Rdd::from_shared(pairs.into_iter().collect::<Step<_>>()?))
    }

    /// The bound of the indices of all buckets.
    #[cfg(test)]
    pub(super) fn index_bound(&self) -> usize {
        self.buckets.iter().map(WindowBucket::index_bound).sum()
    }

    /// Creates the buckets, and fills them with what was read from a checkpoint.
    fn open(&mut self, batch: &Batch<'_>) {
        if !self.buckets.is_empty() {
            return;
        }
        let (seed, owned) = (batch.seed(), batch.owned(self.num_buckets));
        self.buckets.resize_with(self.num_buckets, || WindowBucket::new(seed));
        self.restored.sort_by_key(|(stored, _)| *stored);
        let mut restored: Vec<(Time, Vec<(K, V)>)> = Vec::new();
        for (StoredBatch { time, .. }, pairs) in std::mem::take(&mut self.restored) {
            // The parts that several processes had of one batch are concatenated.
            match restored.last_mut() {
                Some((last, all)) if *last == time => all.extend(pairs),
                _ => restored.push((time, pairs)),
            }
        }
        for (time, pairs) in restored {
            let entries = entries_of(seed, pairs.into_iter(), self.num_buckets);
            for (bucket, entries) in
                self.buckets[owned.clone()].iter_mut().zip(entries.into_iter().skip(owned.start))
            {
                // The user's functions are called when the bucket is used.
                bucket.stale = true;
                bucket.insert(time, MergedBucket::of(entries), |_, _, _, _| ());
            }
        }
    }
}

impl<K, V, D> Stateful for KeyedWindow<K, V, D>
where
    K: Key<Owned = K> + Portable,
    V: Portable,
    D: Derived,
{
    fn fingerprint(&self) -> String {
        fingerprint::<K, V>()
    }

    fn changes(&mut self, out: &mut Changes) {
        let (buckets, restored) = (&self.buckets, &self.restored);
        self.batches.changes(out, |time, ()| {
            let unopened = restored.iter().filter(|(at, _)| at.time == time).flat_map(|(_, pairs)| pairs);
            let opened = buckets.iter().flat_map(|bucket| bucket.partials(time));
            unopened.map(|(key, value)| (key, value)).chain(opened).collect::<Vec<_>>()
        });
    }

    fn begin_restore(&mut self, stored: &str) {
        self.migration.begin_restore(stored, &fingerprint::<K, V>());
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let Some(stored) = self.batches.decode_key(key, Part::overlaps)? else { return Ok(()) };
        let pairs = self.migration.read(value)?;
        self.batches.restore(stored, pairs.as_ref().map(|_| ()));
        self.restored.extend(pairs.map(|pairs| (stored, pairs)));
        Ok(())
    }

    fn finish_restore(&mut self) -> Result<(), String> {
        self.batches.finish_restore(!self.is_converted(), |(), ()| ());
        Ok(())
    }

    fn is_converted(&self) -> bool {
        self.migration.is_converted()
    }

    fn keys(&self) -> Option<u64> {
        Some(self.buckets.iter().map(|bucket| bucket.len() as u64).sum())
    }

    fn estimated_bytes(&self) -> Option<u64> {
        let tables: usize = self.buckets.iter().map(WindowBucket::bytes).sum();
        let values: usize = self.buckets.iter().map(|bucket| bucket.values().0).sum();
        // A partial result shares its key with the aggregate: counted with it, this is rather too much.
        let sample = self.buckets.iter().flat_map(|bucket| bucket.values().1);
        Some(tables as u64 + outside_bytes(values, size_of::<(K, V)>(), sample))
    }

    fn oldest(&mut self) -> Option<Time> {
        self.batches.oldest()
    }
}
