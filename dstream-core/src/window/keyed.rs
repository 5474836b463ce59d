//! What all keyed windows have in common: buckets that advance in parallel, and a checkpoint of their
//! partials.

use std::{any::type_name, fmt, sync::Arc};

use serde::de::DeserializeOwned;

use super::{
    WindowSpec,
    frame::{Frame, Stored},
    ring::{Derived, Ring},
};
use crate::{
    Key, Rdd, Time,
    batch::{Batch, Missing, OpMeta, Step},
    checkpoint::{Changes, Migration, Stateful},
    exchange::Part,
    exec::run,
    ops::{FEW, Partials},
    record::{Data, Portable},
    table::{MergedBucket, entries_of},
};

/// A window of keyed partials. `D` is what is derived from the partials of a key.
pub struct Keyed<K, V, D> {
    frame: Frame<()>,
    buckets: usize,
    /// One for each bucket, from the first batch on: only a batch knows the seed.
    rings: Vec<Ring<K, V, D>>,
    /// What came back from a checkpoint, until the first batch.
    back: Vec<(Stored, Vec<(K, V)>)>,
    migration: Migration<Kept<K, V>>,
}

/// What a checkpoint holds of a batch: its pairs, unless it failed.
type Kept<K, V> = Option<Vec<(K, V)>>;

impl<K, V, D> fmt::Debug for Keyed<K, V, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("frame", &self.frame)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// What a bucket has to do in a batch.
pub(super) struct Turn<K, V> {
    pub(super) time: Time,
    /// Batches up to this time leave.
    pub(super) cutoff: Time,
    pub(super) entries: MergedBucket<K, V>,
}

impl<K, V, D> Keyed<K, V, D> {
    /// An empty window, whose keys are shared out over `buckets`.
    pub fn new(spec: WindowSpec, buckets: usize) -> Self {
        let (frame, rings, back) = (Frame::by_key(spec, buckets), Vec::new(), Vec::new());
        Keyed { frame, buckets, rings, back, migration: Migration::default() }
    }
}

impl<K: Key<Owned = K> + Portable, V: Portable, D> Keyed<K, V, D> {
    /// How the values of an older program, of another type, become those of this one.
    pub fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> V + Send + 'static) {
        let convert = move |kept: Kept<K, Old>| -> Kept<K, V> {
            kept.map(|pairs| pairs.into_iter().map(|(key, old)| (key, f(old))).collect())
        };
        self.migration = Migration::from::<Old, _>(fingerprint::<K, Old>(), convert);
    }
}

fn fingerprint<K, V>() -> String {
    format!("window<{}, {}>", type_name::<K>(), type_name::<V>())
}

impl<K, V, D> Keyed<K, V, D>
where
    K: Key<Owned = K> + Data,
    V: Data,
    D: Derived,
{
    /// Lets every bucket `advance` by a batch and, if the window is due, makes it `ready` and gives what is
    /// in it, but for what `filter` hides. Where it hides nothing, a bucket's own pairs are shared until the
    /// next batch.
    pub(super) fn slide(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Partials<K, V>>,
        advance: impl Fn(&mut Ring<K, V, D>, Turn<K, V>) + Sync,
        ready: impl Fn(&mut Ring<K, V, D>) + Sync,
        filter: impl Fn(&K, &V) -> bool + Sync,
    ) -> Step<Rdd<(K, V)>> {
        let input = self.frame.admit(batch, input)?;
        let guarded = std::slice::from_ref(op);
        if let Err(Missing::Failed(failure)) = batch.guard(guarded, || self.open(batch)) {
            self.frame.lose(batch, Time::default(), failure);
        }
        let cutoff = self.frame.cutoff(batch);
        let entering = input.as_ref().map_or(0, Partials::len);
        let mut entries = match input {
            Some(partials) => {
                self.frame.keep(batch, ());
                partials.into_buckets()
            }
            None => Vec::new(),
        };
        entries.resize_with(self.buckets, || MergedBucket::of(Vec::new()));
        // Also when the window can't be answered: what comes and goes now is in later ones, or is not.
        let answer = self.frame.answer(batch, op);
        let small = entering + self.rings.iter().map(|ring| ring.work(cutoff)).sum::<usize>() < FEW;
        let out = run(self.rings.iter_mut().zip(entries).collect(), small, |(ring, entries)| {
            let turn = Turn { time: batch.time(), cutoff, entries };
            let advanced = batch.guard(guarded, || advance(ring, turn));
            let lost = advanced.clone().err().filter(|_| !ring.has(batch.time()));
            let pairs = match answer {
                Ok(()) => advanced.and_then(|()| {
                    batch.guard(guarded, || {
                        ready(ring);
                        ring.pairs(&filter)
                    })
                }),
                Err(_) => Ok(Arc::default()),
            };
            (lost, pairs)
        });
        let (lost, pairs): (Vec<_>, Vec<_>) = out.into_iter().unzip();
        if let Some(Missing::Failed(failure)) = lost.into_iter().flatten().next() {
            self.frame.lose(batch, batch.time(), failure);
        }
        answer?;
        Ok(Rdd::from_shared(pairs.into_iter().collect::<Step<_>>()?))
    }

    /// How many keys there is room for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.rings.iter().map(Ring::room).sum()
    }

    /// Makes the buckets, and puts into them what came back from a checkpoint.
    fn open(&mut self, batch: &Batch<'_>) {
        if !self.rings.is_empty() {
            return;
        }
        let (seed, owned) = (batch.seed(), batch.owned(self.buckets));
        self.rings.resize_with(self.buckets, || Ring::new(seed));
        self.back.sort_by_key(|(stored, _)| *stored);
        let mut back: Vec<(Time, Vec<(K, V)>)> = Vec::new();
        for (Stored { time, .. }, pairs) in std::mem::take(&mut self.back) {
            // What several processes had of one batch comes together.
            match back.last_mut() {
                Some((last, all)) if *last == time => all.extend(pairs),
                _ => back.push((time, pairs)),
            }
        }
        for (time, pairs) in back {
            let entries = entries_of(seed, pairs.into_iter(), self.buckets);
            for (ring, entries) in
                self.rings[owned.clone()].iter_mut().zip(entries.into_iter().skip(owned.start))
            {
                // The user's functions are called when it is used.
                ring.stale = true;
                ring.enter(time, MergedBucket::of(entries), |_, _, _, _| ());
            }
        }
    }
}

impl<K, V, D> Stateful for Keyed<K, V, D>
where
    K: Key<Owned = K> + Portable,
    V: Portable,
    D: Derived,
{
    fn fingerprint(&self) -> String {
        fingerprint::<K, V>()
    }

    fn changes(&mut self, out: &mut Changes) {
        let (rings, back) = (&self.rings, &self.back);
        self.frame.changes(out, |time, ()| {
            let unopened = back.iter().filter(|(at, _)| at.time == time).flat_map(|(_, pairs)| pairs);
            let opened = rings.iter().flat_map(|ring| ring.partials(time));
            unopened.map(|(key, value)| (key, value)).chain(opened).collect::<Vec<_>>()
        });
    }

    fn found(&mut self, stored: &str) {
        self.migration.found(stored, &fingerprint::<K, V>());
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let Some(stored) = self.frame.stored(key, Part::overlaps)? else { return Ok(()) };
        let pairs = self.migration.read(value)?;
        self.frame.restore(stored, pairs.as_ref().map(|_| ()));
        self.back.extend(pairs.map(|pairs| (stored, pairs)));
        Ok(())
    }

    fn restored(&mut self) -> Result<(), String> {
        self.frame.restored(!self.converted(), |(), ()| ());
        Ok(())
    }

    fn converted(&self) -> bool {
        self.migration.converted()
    }

    fn keys(&self) -> Option<u64> {
        Some(self.rings.iter().map(|ring| ring.len() as u64).sum())
    }
}
