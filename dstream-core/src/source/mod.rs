//! Where records come from.
//!
//! A [`Source`] hands the blocks that belong to a batch to the pipeline; a [`Block`] is one partition of raw
//! input that turns into records while the stage that reads it runs. What arrives by itself (a socket, a
//! queue of messages) is easier to write as a [`Receiver`](crate::receiver::Receiver), which runs on a thread
//! of its own.

pub(crate) mod any;
mod checkpointed;
mod context;
mod decoder;
mod files;
mod generator;
pub(crate) mod handle;
pub(crate) mod input;
pub(crate) mod kind;
mod lines;
mod listen;
mod queue;
mod rate;
pub mod receiver;
mod socket;
mod socket_stream;
mod tcp;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Result, Time, checkpoint::Stateful};

pub use crate::block::{Block, Text, TextBlock};
pub use any::{RecordStream, TextRecords, TextStream, text_stream};
pub use bytes::BytesMut;
pub use checkpointed::Checkpointed;
pub(crate) use context::due;
pub use context::{Limits, SourceContext};
pub use decoder::{Decoder, DelimiterDecoder, LengthDecoder};
pub use files::{
    BinaryRecords, FileRecords, FileStream, OpenFile, PlannedFile, TextFile, binary_records_stream,
    file_stream, sequence_file_stream, text_file_stream,
};
pub use generator::{Generated, GeneratorStream, generator_stream};
pub(crate) use input::{AnyInput, Input, records_of};
use kind::FromSource;
pub use listen::{ListenTextStream, listen_text_stream};
pub use queue::{QueueStream, queue_stream};
pub use rate::{RateStream, rate_stream};
pub use socket::{SocketTextStream, socket_text_stream};
pub use socket_stream::{SocketStream, socket_stream};

/// A source of batches. Anything that implements it can start a chain in `stream!`.
///
/// A batch of a source is made in two steps. [`plan`](Source::plan) decides at the batch's time what belongs
/// to it, and says so in a value that is small and can be serialised: offsets, names of files.
/// [`blocks`](Source::blocks) makes the partitions of such a plan. With a checkpoint, plans are written down
/// before their batch begins; after a crash, `blocks` is called with the plan of the batch that had begun, so
/// that it has the same records once more.
///
/// Both are called one after the other, on a thread that the source has to itself in a started context. A
/// source that is slow holds up nothing but its own batches.
///
/// [`testing::check_source`](crate::testing::check_source) tests an implementation.
///
/// ```
/// use dstream::{prelude::*, source::{Limits, Source}};
/// use std::ops::Range;
///
/// /// Counts up: batch after batch of `n` numbers.
/// struct Counter { n: u64, next: u64 }
///
/// impl Source for Counter {
///     type Block = Vec<u64>;
///     type Plan = Range<u64>;
///
///     fn name(&self) -> String {
///         "counter".into()
///     }
///
///     fn plan(&mut self, _time: Time, limits: &Limits) -> dstream::Result<Option<Range<u64>>> {
///         let from = self.next;
///         self.next += limits.at_most(self.n);
///         Ok(Some(from..self.next))
///     }
///
///     fn blocks(&mut self, _time: Time, plan: &Range<u64>) -> dstream::Result<Vec<Vec<u64>>> {
///         Ok(vec![plan.clone().collect()])
///     }
/// }
///
/// let out = Collected::new();
/// let counter = Counter { n: 3, next: 0 };
/// let ssc = dstream::stream!(batch = 1s, {
///     counter.map(|n| n * n).collect_to(&out);
/// })?;
/// ssc.run_batches(2)?;
/// assert_eq!(out.values(), [vec![0, 1, 4], vec![9, 16, 25]]);
/// # Ok::<(), dstream::Error>(())
/// ```
pub trait Source: Send + 'static {
    /// The partitions that this source yields.
    type Block: Block + 'static;

    /// What belongs to one batch: small, such as ranges of offsets. It is written to the checkpoint like
    /// state, as MessagePack with the names of fields, and may be read by a later version of the program:
    /// give a field that was added `#[serde(default)]`. A plan that the program can't read any more is an
    /// error of the start.
    type Plan: Serialize + DeserializeOwned + Send + 'static;

    /// How messages name this source, with its address: `socket_text_stream(localhost:9999)`. What a
    /// checkpoint has of it is found by this name. Asked once.
    fn name(&self) -> String;

    /// Called once, before the first batch. Must not block.
    fn start(&mut self, _context: &SourceContext) -> Result<()> {
        Ok(())
    }

    /// Decides what belongs to the batch at `time`; `None` for a quiet batch.
    ///
    /// Called at that time, in order of the times, each time once, also while an earlier batch is still being
    /// processed. What is beyond `limits` is left for later batches. It may take its time, as when it asks a
    /// server for its offsets, but must return when [`SourceContext::stopping`] is cancelled.
    fn plan(&mut self, time: Time, limits: &Limits) -> Result<Option<Self::Plan>>;

    /// The partitions of a batch, as `plan` has described it; called right after that. After a restart it is
    /// called for a batch that had begun before, by a new instance of the source, after
    /// [`state`](Source::state) has come back and before anything is planned. The same plan gives the same
    /// records.
    ///
    /// Reading belongs into [`Block::open`], which runs in the tasks. If the records of a plan may be gone by
    /// then, `open` fails by [`Error::Unreadable`](crate::Error::Unreadable): any other error leaves them
    /// out.
    fn blocks(&mut self, time: Time, plan: &Self::Plan) -> Result<Vec<Self::Block>>;

    /// What the plan says, for people who look at a batch: the files, or a range of offsets, one a line.
    /// Asked only if somebody [listens](crate::events). By itself nothing is said.
    fn details(&self, plan: &Self::Plan) -> Vec<String> {
        let _ = plan;
        Vec::new()
    }

    /// Whether a plan means something after a restart. If not, plans are not written down, and a batch that
    /// runs again has nothing of this source: for records that are made up, or whose sender has gone.
    fn can_replay(&self) -> bool {
        true
    }

    /// Whether each of several processes that run one program can read the blocks of a plan, as from a disk
    /// that all of them see. Then process 0 plans a batch, every process makes its blocks and has a part of
    /// them; `start` is called in all of them, what else is said of the source in process 0 alone. If not,
    /// process 0 has all blocks of a batch.
    fn can_divide(&self) -> bool {
        false
    }

    /// All batches up to `time` are done, and won't run again: what they took can be acknowledged, or
    /// deleted. With a checkpoint, it holds them by now. A crash may come between, so that nobody is told;
    /// and after a batch that failed, a checkpoint stays before it, and nothing is told until a restart.
    fn committed(&mut self, _time: Time) {}

    /// What a checkpoint must hold for the source to go on where it was; `None` if there is nothing. It is
    /// written with the plan of each batch, and after a restart given back between `start` and anything else.
    /// See [`Checkpointed`].
    fn state(&mut self) -> Option<&mut dyn Stateful> {
        None
    }

    /// Whether something has arrived that no batch holds yet: a graceful stop then runs one more batch.
    fn has_pending(&self) -> bool {
        false
    }

    /// Whether no further batch can hold anything; `None` if the source has no end.
    ///
    /// Asked between the batches of [`run_to_end`](crate::StreamingContext::run_to_end), and before the first
    /// of them.
    fn is_exhausted(&mut self) -> Option<bool> {
        None
    }

    /// Called once, at the stop: stop receiving, and let what was received be had by a last `plan`.
    fn stop(&mut self) {}
}

/// What can start a chain: a [`Source`]; a [`Receiver`](crate::receiver::Receiver), which is then supervised;
/// a stream that another pipeline has published, as a [`StreamHandle`](crate::StreamHandle).
///
/// `M` only tells them apart; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of records",
    label = "a chain starts at a stream of this block or at a source",
    note = "sources are calls like `socket_text_stream(host, port)` or `queue_stream(batches)`, and values \
            that implement `dstream::source::Source` or `dstream::receiver::Receiver`; a `StreamHandle` is \
            one, too",
    note = "a parameter that is an `impl TextStream` becomes one by `text_stream(lines)`"
)]
pub trait IntoSource<M> {
    /// What the blocks of the batches come from.
    type Input;

    /// Turns the value into that.
    fn into_source(self) -> Self::Input;
}

impl<S: Source> IntoSource<FromSource> for S {
    type Input = Input<S>;

    fn into_source(self) -> Input<S> {
        Input::new(self)
    }
}
