//! `reduce_by_key_and_window` for a function with an inverse.

use super::keyed::Keyed;
use crate::{
    Key, Rdd,
    batch::{Batch, OpMeta, Step},
    ops::Partials,
    record::Data,
};

/// A keyed window for a function that can be taken back: what leaves is subtracted, what enters is added.
pub type InverseByKeyAndWindow<K, V> = Keyed<K, V, Running<V>>;

/// The value of a key in the window.
#[derive(Debug)]
pub struct Running<V>(Option<V>);

impl<V> Default for Running<V> {
    fn default() -> Self {
        Running(None)
    }
}

impl<V: Clone> Running<V> {
    fn add(&mut self, value: &V, f: impl Fn(V, V) -> V) {
        self.0 = Some(match self.0.take() {
            Some(sum) => f(sum, value.clone()),
            None => value.clone(),
        });
    }
}

impl<K, V> Keyed<K, V, Running<V>>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the partials of a batch. If the window is due: the value of each key in it, but for those that `filter` hides.
    ///
    /// What leaves is taken back first, oldest first, by `inverse(value, left)`. A key goes with the last of its batches,
    /// not when its value looks like nothing.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Partials<K, V>>,
        f: impl Fn(V, V) -> V + Sync,
        inverse: impl Fn(V, V) -> V + Sync,
        filter: impl Fn(&K, &V) -> bool + Sync,
    ) -> Step<Rdd<(K, V)>> {
        self.slide(
            batch,
            op,
            input,
            |ring, turn| {
                ring.leave(turn.cutoff, |running, left| {
                    running.0 = running.0.take().map(|sum| inverse(sum, left));
                });
                ring.enter(turn.time, turn.entries, |running, value| running.add(value, &f));
            },
            |ring| {
                ring.refresh(false, |running, _, value| running.add(value, &f));
                let values = ring.iter().filter_map(|(key, running)| Some((key, running.0.as_ref()?)));
                let mut out = Vec::with_capacity(ring.live());
                out.extend(values.filter(|(key, v)| filter(key, v)).map(|(key, v)| (key.clone(), v.clone())));
                out
            },
        )
    }
}
