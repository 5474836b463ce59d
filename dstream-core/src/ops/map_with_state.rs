//! `map_with_state`: runs in [`MapWithState`](crate::state::MapWithState).

use crate::{
    DStream, Key, Record,
    record::{Data, Portable},
    state::State,
};

impl<K: Key, V: Record> DStream<(K, V)> {
    /// Maps each record with the [`State`] of its key, which the function sees and may change: touches the
    /// keys of the batch, and no others.
    ///
    /// `f` is called for each record in order, with `Some(value)`. What it returns (an `Option`, a `Vec`, any
    /// iterator) are the records of the first stream. The second has all keys with their states after the
    /// batch, as `(&K, &S)`; if nothing reads it, it costs nothing. The forms are `|key, value, state|` and
    /// `|time, key, value, state|`.
    ///
    /// A batch that fails before it reaches the state, or in `f`, breaks it, as for
    /// [`update_state_by_key`](DStream::update_state_by_key). Options:
    /// * `timeout = 60s`: a key that no record came for in so long, strictly, is removed. After the records
    ///   of a batch `f` is called for each such key, with no value, and
    ///   [`is_timing_out`](State::is_timing_out);
    /// * `initial = pairs`: the state before the first batch, a `Vec` or an [`Rdd`](crate::Rdd) of pairs, as
    ///   if it had come with that batch. After a restart the checkpoint counts instead;
    /// * `migrate = |old: Old| ..`: makes a state of what an older version of the program has kept as another
    ///   type, in a checkpoint that this one goes on from. Where the two types have the same name, a state is
    ///   converted if it can't be read as the new one. The option may stay when all is converted;
    /// * `partitions = n`, as for [`reduce_by_key`](DStream::reduce_by_key).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let (ends, open) = (Collected::new(), Collected::new());
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let checkpoint = dir.path();
    /// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
    ///     let clicks = queue_stream(vec![vec![("ann", 1u64), ("ann", 2)], vec![("bob", 1)]]);
    ///     // How long a session was, when it ends.
    ///     let (ended, sessions) = clicks.map_with_state(
    ///         |user, click: Option<u64>, clicks: &mut State<u64>| {
    ///             let n = clicks.get().copied().unwrap_or(0);
    ///             match click {
    ///                 Some(_) => {
    ///                     clicks.update(n + 1);
    ///                     None
    ///                 }
    ///                 None => Some((user.clone(), n)),
    ///             }
    ///         },
    ///         timeout = 1s,
    ///     );
    ///     ended.collect_to(&ends);
    ///     sessions.count().collect_to(&open);
    /// })?;
    /// ssc.run_batches(4)?;
    /// assert_eq!(ends.values(), [vec![], vec![], vec![("ann".into(), 2)], vec![("bob".into(), 1)]]);
    /// assert_eq!(open.values(), [[1], [2], [1], [0]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn map_with_state<S: Portable, I: IntoIterator<Item: Data>>(
        self,
        f: impl Fn(&K::Owned, Option<V::Owned>, &mut State<S>) -> I,
    ) -> (DStream<I::Item>, DStream<(&'static K::Owned, &'static S)>) {
        drop(f);
        (DStream::typed(), DStream::typed())
    }
}
