//! `named`: gives a name to what stands before it. The compiler takes it as part of that; nothing runs.

use std::fmt;

use crate::DStream;

impl<T> DStream<T> {
    /// Names what stands before it: a window, an operator with state, or the source that a chain begins with;
    /// and likewise an output, as in `totals.print().named("top")`. `name` is a string literal.
    ///
    /// It is the name by which a checkpoint finds the state of an operator again, where a source goes on, and
    /// which outputs of an interrupted batch have run. Without it
    ///
    /// * an operator has the name of its `let`, or the nearest name above and its own operator:
    ///   `pairs.update_state_by_key`;
    /// * an output has that of its chain from the nearest name above: `pairs.reduce_by_key.print`;
    /// * a source names itself, as in `text_file_stream(/logs)`.
    ///
    /// If the pipeline has a name, `stream!(ssc, name = "north", { .. })`, that comes first: `north/totals`.
    /// So with `named`, a `let` can be renamed, an operator be put into a chain, and a source be moved to
    /// another address, and the program still goes on from its checkpoint.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let checkpoint = dir.path();
    /// let ssc = dstream::stream!(batch = 1s, checkpoint = checkpoint, {
    ///     let clicks = queue_stream(vec![vec![("ann", 1u64), ("ann", 2)]]).named("clicks");
    ///     let totals = clicks
    ///         .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()))
    ///         .named("clicks of each user");
    ///     totals.collect_to(&out).named("report");
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [[("ann".into(), 3)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn named(self, name: &'static str) -> DStream<T> {
        let _ = name;
        self
    }
}

/// An output, as editors read it inside `stream!`. No value of this type exists in a running program.
pub struct StreamOutput {
    _none: (),
}

impl StreamOutput {
    pub(crate) fn typed() -> StreamOutput {
        StreamOutput { _none: () }
    }

    /// Names the output: see [`DStream::named`].
    pub fn named(self, name: &'static str) -> StreamOutput {
        let _ = name;
        self
    }
}

impl fmt::Debug for StreamOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamOutput")
    }
}
