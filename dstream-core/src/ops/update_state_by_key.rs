//! `update_state_by_key`: runs in [`UpdateStateByKey`](crate::state::UpdateStateByKey).

use crate::{DStream, Key, Record, record::Portable};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Keeps a state for each key, and updates all of them in every batch.
    ///
    /// `f` is called once for each key that has a value in the batch or has a state: with the values in the
    /// order in which they came, perhaps none, and the state before. It gives the state after; `None` removes
    /// the key. The forms are `|new, old|`, `|key, new, old|` and `|time, key, new, old|`.
    ///
    /// The result has all keys with their states, in every batch. It is a view of the tables that hold them:
    /// records are `(&K, &S)`, and are copied only for what wants all of them as its own: outputs but for
    /// `print`, and operators on whole batches such as `transform`. To put out a part of the state, `filter`
    /// first.
    ///
    /// A batch that fails before it reaches the state, or in `f`, would leave a state that is wrong from then
    /// on. So the outputs that need it fail until the program is started again, and goes on from its last
    /// checkpoint. To touch only the keys of a batch, use [`map_with_state`](DStream::map_with_state).
    /// Options:
    /// * `initial = pairs`: the state before the first batch, a `Vec` or an [`Rdd`](crate::Rdd) of pairs; it
    ///   is in the first result. After a restart the checkpoint counts instead;
    /// * `migrate = |old: Old| ..`: makes a state of what an older version of the program has kept as another
    ///   type, in a checkpoint that this one goes on from. Where the two types have the same name, a state is
    ///   converted if it can't be read as the new one. The option may stay when all is converted;
    /// * `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let checkpoint = dir.path();
    /// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
    ///     let pairs = queue_stream(vec![vec![("a", 1u64)], vec![], vec![("a", 2), ("a", 3)]]);
    ///     let sums = pairs.update_state_by_key(
    ///         |new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()),
    ///         initial = vec![("a", 10u64)],
    ///     );
    ///     sums.collect_to(&out);
    /// })?;
    /// ssc.run_batches(3)?;
    /// assert_eq!(out.values(), [[("a".into(), 11)], [("a".into(), 11)], [("a".into(), 16)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn update_state_by_key<S: Portable>(
        self,
        f: impl Fn(&[V::Owned], Option<S>) -> Option<S>,
    ) -> DStream<(&'static K::Owned, &'static S)> {
        drop(f);
        DStream::typed()
    }
}
