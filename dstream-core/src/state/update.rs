//! `update_state_by_key`: a function of every key, in every batch.

use std::iter;

use serde::de::DeserializeOwned;

use super::{
    Bucket, InitialState, StateView,
    store::{KeyState, StateTables},
};
use crate::{
    Key, Time,
    batch::{Batch, Step},
    checkpoint::{Changes, KeptBytes, Stateful},
    plan::OpMeta,
    record::{Data, Portable},
    table::{FEW, Grouped, Groups},
};

/// The state of one `update_state_by_key`.
#[derive(Debug)]
pub struct UpdateStateByKey<K, S> {
    stores: StateTables<K, S>,
}

impl<K: Key<Owned = K> + Portable, S: Portable> UpdateStateByKey<K, S> {
    /// Nothing is known, in `buckets` tables.
    pub fn new(buckets: usize) -> Self {
        UpdateStateByKey { stores: StateTables::new(buckets) }
    }

    /// The state before the first batch.
    pub fn initial(mut self, pairs: impl InitialState<K, S>) -> Self {
        self.stores.start_with(pairs);
        self
    }

    /// How the states of an older program, of another type, become those of this one.
    pub fn migrate<Old: DeserializeOwned>(&mut self, f: impl Fn(Old) -> S + Send + 'static) {
        self.stores.migrate(f);
    }

    /// Updates the state with the groups of a batch: `|new, old|`.
    pub fn step<V: Data>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Grouped<K, V>>,
        f: impl Fn(&[V], Option<S>) -> Option<S> + Sync,
    ) -> Step<StateView<K, S>> {
        self.step_timed(batch, op, input, |_, _, new, old| f(new, old))
    }

    /// As [`step`](Self::step): `|key, new, old|`.
    pub fn step_keyed<V: Data>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Grouped<K, V>>,
        f: impl Fn(&K, &[V], Option<S>) -> Option<S> + Sync,
    ) -> Step<StateView<K, S>> {
        self.step_timed(batch, op, input, |_, key, new, old| f(key, new, old))
    }

    /// As [`step`](Self::step): `|time, key, new, old|`.
    pub fn step_timed<V: Data>(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Grouped<K, V>>,
        f: impl Fn(Time, &K, &[V], Option<S>) -> Option<S> + Sync,
    ) -> Step<StateView<K, S>> {
        let few = input.as_ref().is_ok_and(|groups| groups.len() < FEW);
        let input = input.map(Grouped::into_buckets);
        let small = |stores: &StateTables<K, S>| few && stores.live() < FEW;
        self.stores
            .step(batch, op, input, small, |bucket, groups| update(bucket, batch.time(), &groups, &f))?;
        Ok(self.stores.view())
    }
}

fn update<K, S, V>(
    bucket: &mut Bucket<K, S>,
    time: Time,
    groups: &Groups<K, V>,
    f: impl Fn(Time, &K, &[V], Option<S>) -> Option<S>,
) where
    K: Key<Owned = K> + Portable,
    S: Portable,
{
    // By the index of the key: where its values are.
    let indices = groups.keys().intern_into(&mut bucket.keys, || KeyState::new(None, time));
    let mut news = vec![0..0; bucket.keys.len()];
    iter::zip(indices, groups.ranges()).for_each(|(at, values)| news[at as usize] = values);
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut oldest = None::<Time>;
    for at in 0..bucket.keys.len() {
        let logged = bucket.is_tracked();
        let Some((key, held)) = bucket.keys.at_mut(at) else { continue };
        let new = news.get(at).map_or(&[][..], |range| &groups.values()[range.clone()]);
        let old = held.state.take();
        let known = old.is_some();
        // Every state passes through `f`. So that a checkpoint need not write them all, those without news
        // are compared.
        let compare = logged && new.is_empty() && !held.touched;
        if compare {
            before = written(&old, before);
        }
        match f(time, key, new, old) {
            Some(state) => {
                held.state = Some(state);
                if compare {
                    after = written(&held.state, after);
                }
                // Where nobody compares, only records say that something is new.
                let changed = match compare {
                    true => before != after || before.is_empty(),
                    false => logged || !new.is_empty(),
                };
                if changed {
                    held.seen = time;
                }
                oldest = Some(oldest.map_or(held.seen, |oldest| oldest.min(held.seen)));
                if changed {
                    bucket.touch(at);
                }
            }
            None if known => bucket.remove(at),
            None => drop(bucket.keys.remove(at)),
        }
    }
    bucket.oldest = oldest;
    bucket.compact();
}

/// The bytes of a state, in the room of `buffer`; none if it can't be written.
fn written<S: Portable>(state: &Option<S>, mut buffer: Vec<u8>) -> Vec<u8> {
    buffer.clear();
    postcard::to_extend(state, buffer).unwrap_or_default()
}

impl<K: Key<Owned = K> + Portable, S: Portable> Stateful for UpdateStateByKey<K, S> {
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
        self.stores.oldest()
    }

    fn look_up(&self, key: &[u8]) -> Option<Result<KeptBytes, String>> {
        Some(self.stores.look_up(key))
    }
}
