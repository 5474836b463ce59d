//! The hash tables of keyed state, and their changelog for checkpoints.

use std::{any::type_name, ops::Range, sync::Arc};

use serde::de::DeserializeOwned;

use super::{InitialState, StateView};
use crate::{
    Key, Time,
    batch::{Batch, Missing, Step},
    checkpoint::{
        Changes, KeptBytes, Migration, decode,
        estimate::{outside_bytes, shown, spaced},
    },
    exec::run,
    plan::OpMeta,
    record::{Data, Portable},
    table::{Table, bucket_of, entries_of},
};

/// The keyed state of one operator, one table a bucket.
#[derive(Debug)]
pub(super) struct StateTables<K, S> {
    num_buckets: usize,
    /// Created in the first batch, which has the seed of the hash. A view shares them until the batch ends.
    buckets: Vec<Arc<Bucket<K, S>>>,
    initial: Vec<(K, S)>,
    /// The entries from a checkpoint, until the first batch.
    restored_entries: Vec<(K, S, Time)>,
    /// Whether the state was restored, possibly empty: then there is no initial state.
    restored: bool,
    migration: Migration<(S, Time)>,
    /// The failure after which the state is no longer correct.
    failed_with: Option<Missing>,
    /// The newest batch that is in it, and the seed of the hash.
    newest: Option<(Time, u64)>,
    /// The buckets of this process.
    owned: Range<usize>,
}

/// The keys of one bucket, with their states.
#[derive(Debug, Clone)]
pub(super) struct Bucket<K, S> {
    pub(super) keys: Table<K, KeyState<S>>,
    /// The changes since the last checkpoint; `None` before the first one.
    changelog: Option<Changelog<K>>,
    /// When the key was seen last that was not seen for longest, if that is known.
    pub(super) oldest: Option<Time>,
}

#[derive(Debug, Clone)]
pub(super) struct KeyState<S> {
    /// `None` only while the user's function has it.
    pub(super) state: Option<S>,
    /// The batch that last refreshed it.
    pub(super) seen: Time,
    pub(super) touched: bool,
    /// Whether a record of the running batch has refreshed it.
    pub(super) fresh: bool,
}

#[derive(Debug, Clone)]
struct Changelog<K> {
    /// Indices; those of removed keys may be among them.
    touched: Vec<u32>,
    removed: Vec<K>,
}

impl<S> KeyState<S> {
    /// A key that is new in the batch at `seen`.
    pub(super) fn new(state: Option<S>, seen: Time) -> Self {
        KeyState { state, seen, touched: false, fresh: false }
    }
}

impl<K: Key<Owned = K> + Data, S: Data> Bucket<K, S> {
    /// Whether changes are tracked for a checkpoint.
    pub(super) fn is_tracked(&self) -> bool {
        self.changelog.is_some()
    }

    /// Records that the state or the time of a key has changed.
    pub(super) fn touch(&mut self, index: usize) {
        if let Some(changelog) = &mut self.changelog
            && let Some((_, held)) = self.keys.at_mut(index)
            && !std::mem::replace(&mut held.touched, true)
        {
            changelog.touched.push(index as u32);
        }
    }

    /// Removes a key.
    pub(super) fn remove(&mut self, index: usize) {
        if let Some(changelog) = &mut self.changelog
            && let Some((key, _)) = self.keys.at(index)
        {
            changelog.removed.push(key.clone());
        }
        self.keys.remove(index);
    }

    /// Frees the memory of removed keys if they are many. If so, returns the new index of each old one.
    pub(super) fn compact(&mut self) -> Option<Vec<u32>> {
        let moved = self.keys.compact()?;
        if let Some(changelog) = &mut self.changelog {
            // The index of a removed key may now be that of another key, which knows whether it was touched.
            changelog.touched.iter_mut().for_each(|index| *index = moved[*index as usize]);
        }
        Some(moved)
    }
}

impl<K, S> StateTables<K, S> {
    pub(super) fn new(buckets: usize) -> Self {
        StateTables {
            num_buckets: buckets,
            buckets: Vec::new(),
            initial: Vec::new(),
            restored_entries: Vec::new(),
            restored: false,
            migration: Migration::default(),
            failed_with: None,
            newest: None,
            owned: 0..0,
        }
    }

    pub(super) fn buckets(&self) -> &[Arc<Bucket<K, S>>] {
        &self.buckets
    }

    pub(super) fn start_with(&mut self, pairs: impl InitialState<K, S>) {
        self.initial = pairs.into_pairs();
    }
}

impl<K: Key<Owned = K> + Data, S: Data> StateTables<K, S> {
    /// Runs `work` over every bucket with its part of the input.
    ///
    /// If the input or the user's function fails, the batch is lost to the state, and all later results would
    /// be wrong. So later batches fail with the same error, until a restart resumes from the last checkpoint.
    pub(super) fn step<I: Send, O: Send>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Vec<I>>,
        small: impl FnOnce(&Self) -> bool,
        work: impl Fn(&mut Bucket<K, S>, I) -> O + Sync,
    ) -> Step<Vec<O>> {
        let input = match (input, &self.failed_with) {
            (Err(Missing::NotDue), _) => return Err(Missing::NotDue),
            (_, Some(failed_with)) => return Err(failed_with.clone()),
            (Ok(input), None) => input,
            (Err(failed), None) => return Err(self.fail(batch, failed)),
        };
        self.open(batch);
        let small = small(self);
        let out = run(self.buckets.iter_mut().zip(input).collect(), small, |(bucket, input)| {
            batch.guard(std::slice::from_ref(op), || work(Arc::make_mut(bucket), input))
        });
        let out = out.into_iter().collect::<Step<Vec<O>>>().map_err(|failed| self.fail(batch, failed))?;
        self.newest = Some((batch.time(), batch.seed()));
        Ok(out)
    }

    fn fail(&mut self, batch: &Batch<'_>, failed: Missing) -> Missing {
        if let Missing::Failed(failure) = &failed {
            batch.lose(failure);
        }
        self.failed_with.insert(failed).clone()
    }

    /// The number of keys.
    pub(super) fn live(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.keys.live()).sum()
    }

    /// A view of all keys with their states, which shares the tables until the next batch.
    pub(super) fn view(&self) -> StateView<K, S> {
        StateView::new(self.buckets.clone())
    }

    /// Changes every bucket, on this thread.
    pub(super) fn each(&mut self, work: impl FnMut(&mut Bucket<K, S>)) {
        self.buckets.iter_mut().map(Arc::make_mut).for_each(work);
    }

    /// Whether no batch has run yet.
    pub(super) fn is_new(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Creates the buckets with the entries of a checkpoint, or with the initial state if there was none.
    pub(super) fn open(&mut self, batch: &Batch<'_>) {
        if !self.is_new() {
            return;
        }
        let owned = batch.owned(self.num_buckets);
        let mut buckets: Vec<_> = (0..self.num_buckets)
            .map(|_| Bucket { keys: Table::new(batch.seed()), changelog: None, oldest: None })
            .collect();
        let initial =
            std::mem::take(&mut self.initial).into_iter().map(|(key, state)| (key, state, batch.time()));
        let mut restored_entries = std::mem::take(&mut self.restored_entries);
        if !self.restored {
            restored_entries.extend(initial);
        }
        // In the order of their timeouts.
        restored_entries.sort_by_key(|(_, _, seen)| *seen);
        let restored_entries =
            restored_entries.into_iter().map(|(key, state, seen)| (key, KeyState::new(Some(state), seen)));
        let mut foreign = false;
        for (at, entries) in
            entries_of(batch.seed(), restored_entries, self.num_buckets).into_iter().enumerate()
        {
            if !owned.contains(&at) {
                foreign |= !entries.is_empty() && !batch.shares_checkpoint();
                continue;
            }
            entries.into_iter().for_each(|entry| buckets[at].keys.merge(entry, |_, last| last));
        }
        // Converted entries are rewritten as a whole, and so is a checkpoint of this process alone that has
        // keys which another one owns now.
        if self.restored && !self.migration.is_converted() && !foreign {
            let changelog = || Changelog { touched: Vec::new(), removed: Vec::new() };
            buckets.iter_mut().for_each(|bucket| bucket.changelog = Some(changelog()));
        }
        self.buckets = buckets.into_iter().map(Arc::new).collect();
        self.owned = owned;
    }
}

fn fingerprint<K, S>() -> String {
    format!("state<{}, {}>", type_name::<K>(), type_name::<S>())
}

/// The parts of [`Stateful`](crate::checkpoint::Stateful) of both operators.
impl<K: Key<Owned = K> + Portable, S: Portable> StateTables<K, S> {
    pub(super) fn fingerprint(&self) -> String {
        fingerprint::<K, S>()
    }

    /// Sets how states of an older type are converted.
    pub(super) fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> S + Send + 'static) {
        let convert = move |(old, seen): (Old, Time)| (f(old), seen);
        self.migration = Migration::from::<Old, _>(fingerprint::<K, Old>(), convert);
    }

    pub(super) fn begin_restore(&mut self, stored: &str) {
        self.migration.begin_restore(stored, &self.fingerprint());
    }

    pub(super) fn is_converted(&self) -> bool {
        self.migration.is_converted()
    }

    /// Writes the touched and removed keys to a changelog; all keys the first time.
    pub(super) fn changes(&mut self, out: &mut Changes) {
        if self.failed_with.is_some() || self.is_new() {
            // An incorrect state must not reach the disk, which has the last correct one.
            return;
        }
        if self.buckets.iter().all(|bucket| bucket.changelog.is_none()) {
            out.clear();
        }
        self.each(|bucket| {
            let Bucket { keys, changelog, .. } = bucket;
            match changelog {
                Some(changelog) => {
                    // Deletes come first: a removed key may have been inserted again.
                    changelog.removed.drain(..).for_each(|key| out.delete(&key));
                    for index in changelog.touched.drain(..) {
                        if let Some((key, held)) = keys.at_mut(index as usize)
                            && std::mem::take(&mut held.touched)
                        {
                            out.put(key, &(&held.state, held.seen));
                        }
                    }
                }
                None => {
                    keys.iter().for_each(|(key, held)| out.put(key, &(&held.state, held.seen)));
                    *changelog = Some(Changelog { touched: Vec::new(), removed: Vec::new() });
                }
            }
        });
    }

    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let key = decode(key)?;
        let (state, seen) = self.migration.read(value)?;
        self.restored_entries.push((key, state, seen));
        Ok(())
    }

    pub(super) fn finish_restore(&mut self) {
        self.restored = true;
    }

    pub(super) fn estimated_bytes(&self) -> u64 {
        let tables: usize = self.buckets.iter().map(|bucket| bucket.keys.bytes()).sum();
        // As many of each bucket: the hash has mixed them.
        let full = self.buckets.iter().filter(|bucket| bucket.keys.live() > 0);
        let few = spaced(full.clone().count()).filter_map(|at| full.clone().nth(at));
        let sample =
            few.flat_map(|bucket| spaced(bucket.keys.len()).filter_map(|at| bucket.keys.at(at)).take(4));
        let sample = sample.map(|(key, held)| (key, &held.state));
        tables as u64 + outside_bytes(self.live(), size_of::<(K, Option<S>)>(), sample)
    }

    /// When the key was seen last that was not seen for longest.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.buckets.iter().filter_map(|bucket| bucket.oldest).min()
    }

    pub(super) fn look_up(&self, key: &[u8]) -> Result<KeptBytes, String> {
        if self.failed_with.is_some() {
            return Err(
                "a batch has failed in this operator: what it keeps is not right any more, until a restart \
                 goes on from the last checkpoint"
                    .to_owned(),
            );
        }
        let Some((batch, seed)) = self.newest else {
            return Err("the operator has had no batch yet".to_owned());
        };
        let key: K = decode(key).map_err(|why| {
            format!("the key does not fit: the operator has keys of the type `{}`: {why}", type_name::<K>())
        })?;
        let at = bucket_of(seed, &key, self.num_buckets);
        if !self.owned.contains(&at) {
            return Err("the key belongs to another process of this program: ask that one".to_owned());
        }
        let held = self.buckets.get(at).and_then(|bucket| bucket.keys.peek(&key)).map(|(_, held)| held);
        let state = held.and_then(|held| held.state.as_ref().map(|state| (state, held.seen)));
        Ok(KeptBytes {
            batch,
            changed: state.map(|(_, seen)| seen),
            value: state.map(|(state, _)| shown(state)).transpose()?,
        })
    }
}
