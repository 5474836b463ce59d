//! The tables of a state, how a batch goes over them, and how they are checkpointed.

use std::{any::type_name, sync::Arc};

use serde::de::DeserializeOwned;

use super::{InitialState, StateView};
use crate::{
    Key, Time,
    batch::{Batch, Missing, Step},
    checkpoint::{Changes, Migration, decode},
    exec::run,
    plan::OpMeta,
    record::{Data, Portable},
    table::{Table, entries_of},
};

/// The state of one operator.
#[derive(Debug)]
pub(super) struct Stores<K, S> {
    wanted: usize,
    /// Made at the first batch, since only a batch knows the seed. A view shares them until the batch ends.
    buckets: Vec<Arc<Bucket<K, S>>>,
    initial: Vec<(K, S)>,
    /// What came back from a checkpoint, until the first batch.
    back: Vec<(K, S, Time)>,
    /// Whether something came back, be it nothing at all: there is no initial state then.
    restored: bool,
    migration: Migration<(S, Time)>,
    /// Why there is no right state any more.
    broken: Option<Missing>,
}

/// The keys of one bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket<K, S> {
    pub(super) keys: Table<K, Held<S>>,
    /// What the checkpoint has not been told yet. Without a checkpoint nobody asks, and there is none.
    log: Option<Log<K>>,
}

#[derive(Debug, Clone)]
pub(super) struct Held<S> {
    /// Empty only while the user's function has it.
    pub(super) state: Option<S>,
    /// The batch that last refreshed it.
    pub(super) seen: Time,
    pub(super) touched: bool,
    /// Whether a record of the batch has refreshed it. Nothing between batches.
    pub(super) fresh: bool,
}

#[derive(Debug, Clone)]
struct Log<K> {
    /// Indices; those of removed keys may be among them.
    touched: Vec<u32>,
    removed: Vec<K>,
}

impl<S> Held<S> {
    /// A key that is new in the batch at `seen`.
    pub(super) fn new(state: Option<S>, seen: Time) -> Self {
        Held { state, seen, touched: false, fresh: false }
    }
}

impl<K: Key<Owned = K> + Data, S: Data> Bucket<K, S> {
    /// Whether a checkpoint wants to know what changes.
    pub(super) fn is_logged(&self) -> bool {
        self.log.is_some()
    }

    /// Notes that a key has another state or another time.
    pub(super) fn touch(&mut self, index: usize) {
        if let Some(log) = &mut self.log
            && let Some((_, held)) = self.keys.at_mut(index)
            && !std::mem::replace(&mut held.touched, true)
        {
            log.touched.push(index as u32);
        }
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, index: usize) {
        if let Some(log) = &mut self.log
            && let Some((key, _)) = self.keys.at(index)
        {
            log.removed.push(key.clone());
        }
        self.keys.remove(index);
    }

    /// Gives up the room of removed keys if they are many: the new index of each old one, if they changed.
    pub(super) fn compact(&mut self) -> Option<Vec<u32>> {
        let moved = self.keys.compact()?;
        if let Some(log) = &mut self.log {
            // The index of a removed key becomes that of another, which knows whether it was touched itself.
            log.touched.iter_mut().for_each(|index| *index = moved[*index as usize]);
        }
        Some(moved)
    }
}

impl<K, S> Stores<K, S> {
    pub(super) fn new(buckets: usize) -> Self {
        Stores {
            wanted: buckets,
            buckets: Vec::new(),
            initial: Vec::new(),
            back: Vec::new(),
            restored: false,
            migration: Migration::default(),
            broken: None,
        }
    }

    pub(super) fn start_with(&mut self, pairs: impl InitialState<K, S>) {
        self.initial = pairs.into_pairs();
    }
}

impl<K: Key<Owned = K> + Data, S: Data> Stores<K, S> {
    /// Runs `work` over every bucket with its part of the input.
    ///
    /// A batch that is lost to the state, be it by its input or by the user's function, breaks it: whatever
    /// it yielded from then on would be wrong. All later batches have the same failure, until the program is
    /// started again and goes on from its last checkpoint.
    pub(super) fn step<I: Send, O: Send>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Vec<I>>,
        small: impl FnOnce(&Self) -> bool,
        work: impl Fn(&mut Bucket<K, S>, I) -> O + Sync,
    ) -> Step<Vec<O>> {
        let input = match (input, &self.broken) {
            (Err(Missing::NotDue), _) => return Err(Missing::NotDue),
            (_, Some(broken)) => return Err(broken.clone()),
            (Ok(input), None) => input,
            (Err(failed), None) => return Err(self.break_with(batch, failed)),
        };
        self.open(batch);
        let small = small(self);
        let out = run(self.buckets.iter_mut().zip(input).collect(), small, |(bucket, input)| {
            batch.guard(std::slice::from_ref(op), || work(Arc::make_mut(bucket), input))
        });
        out.into_iter().collect::<Step<Vec<O>>>().map_err(|failed| self.break_with(batch, failed))
    }

    fn break_with(&mut self, batch: &Batch<'_>, failed: Missing) -> Missing {
        if let Missing::Failed(failure) = &failed {
            batch.lose(failure);
        }
        self.broken.insert(failed).clone()
    }

    /// How many keys there are.
    pub(super) fn live(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.keys.live()).sum()
    }

    /// All keys with their states, shared with this until the next batch.
    pub(super) fn view(&self) -> StateView<K, S> {
        StateView::new(self.buckets.clone())
    }

    /// Changes every bucket, on this thread.
    pub(super) fn each(&mut self, work: impl FnMut(&mut Bucket<K, S>)) {
        self.buckets.iter_mut().map(Arc::make_mut).for_each(work);
    }

    /// Whether the first batch is still to come.
    pub(super) fn is_new(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Makes the buckets, with what a checkpoint had; the initial state, if there was none.
    pub(super) fn open(&mut self, batch: &Batch<'_>) {
        if !self.is_new() {
            return;
        }
        let owned = batch.owned(self.wanted);
        let mut buckets: Vec<_> =
            (0..self.wanted).map(|_| Bucket { keys: Table::new(batch.seed()), log: None }).collect();
        let initial =
            std::mem::take(&mut self.initial).into_iter().map(|(key, state)| (key, state, batch.time()));
        let mut back = std::mem::take(&mut self.back);
        if !self.restored {
            back.extend(initial);
        }
        // In the order in which they will time out.
        back.sort_by_key(|(_, _, seen)| *seen);
        let back = back.into_iter().map(|(key, state, seen)| (key, Held::new(Some(state), seen)));
        let mut foreign = false;
        for (at, entries) in entries_of(batch.seed(), back, self.wanted).into_iter().enumerate() {
            if !owned.contains(&at) {
                foreign |= !entries.is_empty();
                continue;
            }
            entries.into_iter().for_each(|entry| buckets[at].keys.merge(entry, |_, last| last));
        }
        // What was converted, or held keys that other processes own now, is written anew.
        if self.restored && !self.migration.converted() && !foreign {
            let log = || Log { touched: Vec::new(), removed: Vec::new() };
            buckets.iter_mut().for_each(|bucket| bucket.log = Some(log()));
        }
        self.buckets = buckets.into_iter().map(Arc::new).collect();
    }
}

fn fingerprint<K, S>() -> String {
    format!("state<{}, {}>", type_name::<K>(), type_name::<S>())
}

/// The parts of [`Stateful`](crate::checkpoint::Stateful) of both operators.
impl<K: Key<Owned = K> + Portable, S: Portable> Stores<K, S> {
    pub(super) fn fingerprint(&self) -> String {
        fingerprint::<K, S>()
    }

    /// Takes states of an older type back, too.
    pub(super) fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> S + Send + 'static) {
        let convert = move |(old, seen): (Old, Time)| (f(old), seen);
        self.migration = Migration::from::<Old, _>(fingerprint::<K, Old>(), convert);
    }

    pub(super) fn found(&mut self, stored: &str) {
        self.migration.found(stored, &self.fingerprint());
    }

    pub(super) fn converted(&self) -> bool {
        self.migration.converted()
    }

    /// Tells a checkpoint of the keys that were touched or removed; the first time, of all keys.
    pub(super) fn changes(&mut self, out: &mut Changes) {
        if self.broken.is_some() || self.is_new() {
            // What is broken must not reach the disk: the last good state is there.
            return;
        }
        if self.buckets.iter().all(|bucket| bucket.log.is_none()) {
            out.clear();
        }
        self.each(|bucket| {
            let Bucket { keys, log } = bucket;
            match log {
                Some(log) => {
                    // Before the others: a key that came again is there.
                    log.removed.drain(..).for_each(|key| out.delete(&key));
                    for index in log.touched.drain(..) {
                        if let Some((key, held)) = keys.at_mut(index as usize)
                            && std::mem::take(&mut held.touched)
                        {
                            out.put(key, &(&held.state, held.seen));
                        }
                    }
                }
                None => {
                    keys.iter().for_each(|(key, held)| out.put(key, &(&held.state, held.seen)));
                    *log = Some(Log { touched: Vec::new(), removed: Vec::new() });
                }
            }
        });
    }

    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let key = decode(key)?;
        let (state, seen) = self.migration.read(value)?;
        self.back.push((key, state, seen));
        Ok(())
    }

    pub(super) fn restored(&mut self) {
        self.restored = true;
    }
}
