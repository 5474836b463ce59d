//! `map_with_state`: a function of every record, which sees and changes the state of its key.

use std::{
    collections::VecDeque,
    iter, mem,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::{
    Bucket, InitialState, StateView,
    store::{KeyState, StateTables},
};
use crate::{
    Key, Rdd, Time,
    batch::{Batch, Missing, Step},
    checkpoint::{Changes, KeptBytes, Stateful},
    plan::OpMeta,
    record::{Data, Portable},
    sync::Unpoisoned,
    table::{FEW, GroupPartial, InternedBucket, entries, intern_keys},
};

/// What [`map_with_state`](crate::DStream::map_with_state) knows of one key, as its function sees it.
///
/// A change that can't be made (see the methods) is a panic, which fails the batch and names the operator.
#[derive(Debug)]
pub struct State<S> {
    value: Option<S>,
    changed: bool,
    removed: bool,
    timing_out: bool,
}

impl<S> State<S> {
    fn new(value: Option<S>, timing_out: bool) -> Self {
        State { value, changed: false, removed: false, timing_out }
    }

    /// Whether there is a state.
    pub fn exists(&self) -> bool {
        self.value.is_some()
    }

    /// The state, if there is one.
    pub fn get(&self) -> Option<&S> {
        self.value.as_ref()
    }

    /// The state, to be changed in place; counts as an [`update`](State::update), and can't be used where
    /// that can't.
    #[track_caller]
    pub fn get_mut(&mut self) -> Option<&mut S> {
        self.check("changed");
        self.changed |= self.value.is_some();
        self.value.as_mut()
    }

    /// Sets the state. Not after [`remove`](State::remove) in the same call, and not while it times out.
    #[track_caller]
    pub fn update(&mut self, state: S) {
        self.check("updated");
        self.changed = true;
        self.value = Some(state);
    }

    /// Removes the state. Not twice in the same call, and not while it times out, which removes it anyway.
    #[track_caller]
    pub fn remove(&mut self) {
        self.check("removed");
        self.removed = true;
        self.value = None;
    }

    /// Whether this call is the last one for the key, since nothing came for it during the `timeout`.
    pub fn is_timing_out(&self) -> bool {
        self.timing_out
    }

    #[track_caller]
    fn check(&self, what: &str) {
        assert!(!self.removed, "the state can't be {what}: it has been removed in this call");
        assert!(!self.timing_out, "the state can't be {what}: it is timing out, and will be removed");
    }
}

/// The state of one `map_with_state`.
#[derive(Debug)]
pub struct MapWithState<K, S> {
    stores: StateTables<K, S>,
    timeout: Option<Duration>,
    /// One for each bucket.
    deadlines: Vec<Mutex<Deadlines>>,
}

/// The keys of a bucket by the batch that refreshed them, oldest first. A key that was refreshed again is
/// also further back, and knows the batch that counts.
type Deadlines = VecDeque<(Time, Vec<u32>)>;

impl<K: Key<Owned = K> + Portable, S: Portable> MapWithState<K, S> {
    /// Nothing is known, in `buckets` tables. With a `timeout`, a key for which nothing came for longer is
    /// removed.
    pub fn new(buckets: usize, timeout: Option<Duration>) -> Self {
        MapWithState { stores: StateTables::new(buckets), timeout, deadlines: Vec::new() }
    }

    /// The state before the first batch, as if it had come with that.
    pub fn initial(mut self, pairs: impl InitialState<K, S>) -> Self {
        self.stores.start_with(pairs);
        self
    }

    /// How the states of an older program, of another type, become those of this one.
    pub fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> S + Send + 'static) {
        self.stores.migrate(f);
    }

    /// Calls `f` for each record of a batch, in order, then for each key that times out: `|key, value,
    /// state|`. Yields what the calls gave, and the state after the batch.
    pub fn step<V: Portable, I: IntoIterator<Item: Data>>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        tasks: Step<Vec<Vec<GroupPartial<K, V>>>>,
        f: impl Fn(&K, Option<V>, &mut State<S>) -> I + Sync,
    ) -> (Step<Rdd<I::Item>>, Step<StateView<K, S>>) {
        self.step_timed(batch, op, tasks, |_, key, value, state| f(key, value, state))
    }

    /// As [`step`](Self::step): `|time, key, value, state|`.
    pub fn step_timed<V: Portable, I: IntoIterator<Item: Data>>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        tasks: Step<Vec<Vec<GroupPartial<K, V>>>>,
        f: impl Fn(Time, &K, Option<V>, &mut State<S>) -> I + Sync,
    ) -> (Step<Rdd<I::Item>>, Step<StateView<K, S>>) {
        match self.run(batch, op, tasks, f) {
            Ok(events) => (Ok(Rdd::from_partitions(events)), Ok(self.stores.view())),
            Err(missing) => (Err(missing.clone()), Err(missing)),
        }
    }

    fn run<V: Portable, I: IntoIterator<Item: Data>>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        tasks: Step<Vec<Vec<GroupPartial<K, V>>>>,
        f: impl Fn(Time, &K, Option<V>, &mut State<S>) -> I + Sync,
    ) -> Result<Vec<Vec<I::Item>>, Missing> {
        self.open(batch);
        let columns = batch.exchange(op, self.deadlines.len(), tasks);
        let few = columns.as_ref().is_ok_and(|columns| entries(columns) < FEW);
        let input = columns.map(|columns| columns.into_iter().zip(&self.deadlines).collect());
        let (seed, time, timeout) = (batch.seed(), batch.time(), self.timeout);
        self.stores.step(
            batch,
            op,
            input,
            |_| few,
            |bucket, (column, deadlines): (Vec<GroupPartial<K, V>>, _)| {
                // Each bucket has its own: nobody waits.
                let mut deadlines: MutexGuard<'_, Deadlines> = Mutex::lock(deadlines).unpoisoned();
                let mut calls = Calls { bucket, deadlines: &mut deadlines, time, timeout, out: Vec::new() };
                calls.records(intern_keys(seed, column), &f);
                calls.sweep(&f);
                calls.compact();
                calls.out
            },
        )
    }

    /// Before the first batch: every key that is there has a deadline.
    fn open(&mut self, batch: &Batch<'_>) {
        if !self.stores.is_new() {
            return;
        }
        self.stores.open(batch);
        let deadlines = &mut self.deadlines;
        let timeout = self.timeout;
        self.stores.each(|bucket| {
            let mut own = Deadlines::new();
            for at in (0..bucket.keys.len()).filter(|_| timeout.is_some()) {
                if let Some((_, held)) = bucket.keys.at(at) {
                    note(&mut own, held.seen, at);
                }
            }
            deadlines.push(Mutex::new(own));
        });
    }
}

impl<K, S> StateTables<K, S> {
    /// When the key was seen last that was not seen for longest. Deadlines of keys that were seen again are
    /// forgotten on the way, so that each is looked at once.
    fn oldest_of<'a>(&self, deadlines: impl Iterator<Item = &'a mut Deadlines>) -> Option<Time> {
        let buckets = self.buckets().iter().zip(deadlines);
        buckets.filter_map(|(bucket, deadlines)| oldest(bucket, deadlines)).min()
    }
}

fn oldest<K, S>(bucket: &Bucket<K, S>, deadlines: &mut Deadlines) -> Option<Time> {
    while let Some((seen, keys)) = deadlines.front_mut() {
        let holds = |at: &u32| bucket.keys.at(*at as usize).is_some_and(|(_, held)| held.seen == *seen);
        while keys.pop_if(|at| !holds(at)).is_some() {}
        if !keys.is_empty() {
            return Some(*seen);
        }
        deadlines.pop_front();
    }
    None
}

/// Notes that the key at this index was refreshed; times don't go back.
fn note(deadlines: &mut Deadlines, time: Time, at: usize) {
    match deadlines.back_mut() {
        Some((last, keys)) if *last == time => keys.push(at as u32),
        _ => deadlines.push_back((time, vec![at as u32])),
    }
}

/// The calls of the user's function in one bucket and batch.
struct Calls<'a, K, S, U> {
    bucket: &'a mut Bucket<K, S>,
    deadlines: &'a mut Deadlines,
    time: Time,
    timeout: Option<Duration>,
    out: Vec<U>,
}

impl<K: Key<Owned = K> + Portable, S: Portable, U> Calls<'_, K, S, U> {
    /// Calls for the records of the batch, in order.
    fn records<V, I: IntoIterator<Item = U>>(
        &mut self,
        InternedBucket { keys, tasks }: InternedBucket<K, V>,
        f: impl Fn(Time, &K, Option<V>, &mut State<S>) -> I,
    ) {
        let (time, table) = (self.time, &mut self.bucket.keys);
        let indices = keys.intern_into(table, || KeyState::new(None, time));
        let known = |at: &u32| table.at(*at as usize).is_some_and(|(_, held)| held.state.is_some());
        let known: Vec<bool> = indices.iter().map(known).collect();
        for task in tasks {
            task.for_each(&indices, |at, value| {
                let Some((key, held)) = table.at_mut(at as usize) else { return };
                let mut state = State::new(held.state.take(), false);
                self.out.extend(f(time, key, Some(value), &mut state));
                held.state = state.value;
                held.fresh |= state.changed;
            });
        }
        iter::zip(indices, known).for_each(|(at, known)| self.settle(at as usize, known));
    }

    /// Notes what came of a key of the batch, and whether it had a state before.
    fn settle(&mut self, at: usize, known: bool) {
        let Some((_, held)) = self.bucket.keys.at_mut(at) else { return };
        let changed = mem::take(&mut held.fresh);
        if held.state.is_none() {
            match known {
                true => self.bucket.remove(at),
                false => drop(self.bucket.keys.remove(at)),
            }
        } else if changed || self.timeout.is_some() {
            let before = mem::replace(&mut held.seen, self.time);
            if self.timeout.is_some() && !(known && before == self.time) {
                note(self.deadlines, self.time, at);
            }
            self.bucket.touch(at);
        }
    }

    /// Removes what nothing came for, after a last call.
    fn sweep<V, I: IntoIterator<Item = U>>(&mut self, f: impl Fn(Time, &K, Option<V>, &mut State<S>) -> I) {
        let Some(timeout) = self.timeout else { return };
        let threshold = self.time - timeout;
        while let Some((seen, _)) = self.deadlines.front()
            && *seen < threshold
            && let Some((seen, keys)) = self.deadlines.pop_front()
        {
            for at in keys.into_iter().map(|at| at as usize) {
                let Some((key, held)) = self.bucket.keys.at_mut(at) else { continue };
                if held.seen == seen {
                    let mut state = State::new(held.state.take(), true);
                    self.out.extend(f(self.time, key, None, &mut state));
                    self.bucket.remove(at);
                }
            }
        }
    }

    /// Gives up the room of keys that are gone.
    fn compact(&mut self) {
        if let Some(moved) = self.bucket.compact() {
            let keys = self.deadlines.iter_mut().flat_map(|(_, keys)| keys);
            keys.for_each(|at| *at = moved[*at as usize]);
        }
    }
}

impl<K: Key<Owned = K> + Portable, S: Portable> Stateful for MapWithState<K, S> {
    fn fingerprint(&self) -> String {
        self.stores.fingerprint()
    }

    fn changes(&mut self, out: &mut Changes) {
        self.stores.changes(out);
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        self.stores.restore(key, value)
    }

    fn begin_restore(&mut self, fingerprint: &str) {
        self.stores.begin_restore(fingerprint);
    }

    fn finish_restore(&mut self) -> Result<(), String> {
        self.stores.finish_restore();
        Ok(())
    }

    fn is_converted(&self) -> bool {
        self.stores.is_converted()
    }

    fn keys(&self) -> Option<u64> {
        Some(self.stores.live() as u64)
    }

    fn estimated_bytes(&self) -> Option<u64> {
        Some(self.stores.estimated_bytes())
    }

    fn oldest(&mut self) -> Option<Time> {
        self.stores.oldest_of(self.deadlines.iter_mut().map(|deadlines| deadlines.get_mut().unpoisoned()))
    }

    fn look_up(&self, key: &[u8]) -> Option<Result<KeptBytes, String>> {
        Some(self.stores.look_up(key))
    }
}
