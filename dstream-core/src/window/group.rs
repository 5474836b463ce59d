//! `group_by_key_and_window`: a window whose aggregate is the group.

use super::{bucket::Derived, keyed::KeyedWindow};
use crate::{
    Key, Rdd,
    batch::{Batch, Step},
    plan::OpMeta,
    record::Data,
    table::Grouped,
};

/// A window of groups: values leave a group at its front and enter at its end.
pub type GroupByKeyAndWindow<K, V> = KeyedWindow<K, Vec<V>, RunningGroup>;

/// Marks a window that derives nothing but its groups.
#[derive(Debug, Default)]
pub struct RunningGroup;

impl Derived for RunningGroup {}

impl<K, V> KeyedWindow<K, Vec<V>, RunningGroup>
where
    K: Key<Owned = K> + Data,
    V: Data,
{
    /// Adds the groups of a batch. If the window is due, returns all values of each key, oldest first.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        op: &OpMeta,
        input: Step<Grouped<K, V>>,
    ) -> Step<Rdd<(K, Vec<V>)>> {
        let add = |group: &mut Vec<V>, values: &Vec<V>, first: bool| {
            if !first {
                group.extend_from_slice(values);
            }
        };
        self.slide(
            batch,
            op,
            batch.vectors(op, input),
            |bucket, step| {
                bucket.evict(step.cutoff, |group, _, left| {
                    group.drain(..left.len());
                    // A group that has been large gives its memory back.
                    if group.capacity() / 4 > group.len() {
                        group.shrink_to(2 * group.len());
                    }
                });
                bucket.insert(step.time, step.entries, |group, _, values, first| add(group, values, first));
            },
            |bucket| bucket.refresh(false, |group, _, _, values, first| add(group, values, first)),
            |_, _| true,
        )
    }
}
