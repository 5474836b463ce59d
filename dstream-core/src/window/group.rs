//! `group_by_key_and_window`.

use super::keyed::Keyed;
use crate::{
    Key, Rdd,
    batch::{Batch, OpMeta, Step},
    ops::Grouped,
    record::Data,
};

/// A window of groups. Nothing is derived: a slide yields all values anyway.
pub type GroupByKeyAndWindow<K, V> = Keyed<K, Vec<V>, ()>;

impl<K, V> Keyed<K, Vec<V>, ()>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the groups of a batch. If the window is due: all values of each key in it, oldest first.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Grouped<K, V>>,
    ) -> Step<Rdd<(K, Vec<V>)>> {
        self.slide(
            batch,
            op,
            batch.vectors(input),
            |ring, turn| {
                ring.leave(turn.cutoff, |(), _| ());
                ring.enter(turn.time, turn.entries, |(), _| ());
            },
            |ring| {
                let groups = ring.groups();
                groups
                    .map(|(key, groups)| (key.clone(), groups.into_iter().flatten().cloned().collect()))
                    .collect()
            },
        )
    }
}
