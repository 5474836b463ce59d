//! `group_by_key_and_window`.

use super::{keyed::Keyed, ring::Derived};
use crate::{
    Key, Rdd,
    batch::{Batch, OpMeta, Step},
    ops::Grouped,
    record::Data,
};

/// A window of groups: what leaves of a group is in front, what enters comes behind.
pub type GroupByKeyAndWindow<K, V> = Keyed<K, Vec<V>, Group>;

/// The group is all there is.
#[derive(Debug, Default)]
pub struct Group;

impl Derived for Group {}

impl<K, V> Keyed<K, Vec<V>, Group>
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
        let add = |group: &mut Vec<V>, values: &Vec<V>, first: bool| {
            if !first {
                group.extend_from_slice(values);
            }
        };
        self.slide(
            batch,
            op,
            batch.vectors(op, input),
            |ring, turn| {
                ring.leave(turn.cutoff, |group, _, left| {
                    group.drain(..left.len());
                    // A group that was large once does not keep the room.
                    if group.capacity() / 4 > group.len() {
                        group.shrink_to(2 * group.len());
                    }
                });
                ring.enter(turn.time, turn.entries, |group, _, values, first| add(group, values, first));
            },
            |ring| ring.refresh(false, |group, _, _, values, first| add(group, values, first)),
            |_, _| true,
        )
    }
}
