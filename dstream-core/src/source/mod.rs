//! Where records come from.
//!
//! A [`Source`] hands the blocks that belong to a batch to the pipeline; a [`Block`] is one partition of raw
//! input that turns into records while the stage that reads it runs. What arrives by itself (a socket, a queue
//! of messages) is easier to write as a [`Receiver`](crate::Receiver), which runs on a thread of its own.

mod any;
mod decoder;
mod files;
mod generator;
mod input;
mod lines;
mod listen;
mod queue;
mod rate;
mod socket;
mod socket_stream;
mod tcp;
mod text;

use crate::{Bytes, Clock, Config, ReceiverLog, Result, Signal, Time, checkpoint::Stateful, handle::Feed};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

pub use any::{Borrowed, FromText, RecordStream, TextFeed, TextRecords, TextStream, text_stream};
pub use decoder::{Decoder, DelimiterDecoder, LengthDecoder};
pub use files::{
    BinaryRecords, FileRecords, FileStream, OpenFile, TextFile, binary_records_stream, file_stream,
    text_file_stream,
};
pub use generator::{Generated, GeneratorStream, generator_stream};
pub(crate) use input::AnyInput;
pub use input::Input;
pub use listen::{ListenTextStream, listen_text_stream};
pub(crate) use queue::partition;
pub use queue::{QueueStream, queue_stream};
pub use rate::{RateStream, rate_stream};
pub use socket::{SocketTextStream, socket_text_stream};
pub use socket_stream::{SocketStream, socket_stream};
pub use text::TextBlock;

/// One partition of raw input: what a source hands to a batch.
///
/// The records may borrow from the block. They live as long as the stage that reads them; what leaves the stage
/// is owned first (see [`Record`](crate::Record)).
pub trait Block: Send {
    /// A record; `&'a str` for text.
    type Record<'a>
    where
        Self: 'a;

    /// Called once, before `records`, in the task that reads the block: the place to open a file. A block whose `open`
    /// fails is reported (see [`Config::on_report`]) and left out; the other blocks of the batch are not.
    fn open(&mut self) -> Result<()> {
        Ok(())
    }

    /// Turns the block into its records. This or one of the two below is called, once for a block.
    fn records(&mut self) -> impl Iterator<Item = Self::Record<'_>>;

    /// As `records`, where the operator behind the source is [`words`](crate::DStream::words) or
    /// [`split`](crate::DStream::split): lines that lie together may stay together.
    ///
    /// By itself each record is a text. A block around a [`TextBlock`] should hand the call on.
    fn texts(&mut self) -> impl Iterator<Item = Text<'_, Self::Record<'_>>> {
        self.records().map(Text::One)
    }

    /// As `records`, where the operator behind the source is `filter(|record| record.contains(part))`: records that, as text,
    /// do not contain `part` may be left out. The filter is applied to the others.
    ///
    /// By itself none is left out. A block around a [`TextBlock`] should hand the call on.
    fn records_with(&mut self, part: &str) -> impl Iterator<Item = Self::Record<'_>> {
        let _ = part;
        self.records()
    }

    /// About how many bytes the block holds. Small neighbouring blocks are processed as one partition.
    fn weight(&self) -> usize;
}

/// What [`Block::texts`] yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text<'a, R> {
    /// One record.
    One(R),
    /// Several records, all of which are lines of text: they end in `\n` or `\r\n`, which is no part of them. The last one does
    /// without, so text that ends in `\n` has an empty line behind it.
    Lines(&'a str),
}

/// Owned records: moved out one by one.
impl<T: Send> Block for Vec<T> {
    type Record<'a>
        = T
    where
        T: 'a;

    fn records(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(self).into_iter()
    }

    fn weight(&self) -> usize {
        self.len() * size_of::<T>().max(1)
    }
}

/// What a source may use while it runs.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The clock of the context; the only place to ask for the time.
    pub clock: Arc<dyn Clock>,
    /// The settings of the context.
    pub config: Config,
    /// The batch interval.
    pub interval: Duration,
    /// Set when the context stops.
    pub stopping: Signal,
    /// What the source writes to the log of receivers, if there is a checkpoint. A [`Receiver`](crate::Receiver) does by itself.
    pub log: Option<ReceiverLog>,
    /// Whether the context is run by [`run_to_end`](crate::StreamingContext::run_to_end): what is there is all there is.
    pub to_end: bool,
}

/// A source of batches. Anything that implements it can start a chain in `stream!`.
///
/// ```
/// use dstream::{prelude::*, Source};
///
/// /// Counts up: batch after batch of `n` numbers.
/// struct Counter { n: u64, next: u64 }
///
/// impl Source for Counter {
///     type Block = Vec<u64>;
///
///     fn name(&self) -> String {
///         "counter".into()
///     }
///
///     fn batch(&mut self, _time: Time) -> dstream::Result<Vec<Vec<u64>>> {
///         let from = self.next;
///         self.next += self.n;
///         Ok(vec![(from..self.next).collect()])
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

    /// How messages name this source, with its address: `socket_text_stream(localhost:9999)`.
    fn name(&self) -> String;

    /// Called once, before the first batch. Must not block.
    fn start(&mut self, _context: &SourceContext) -> Result<()> {
        Ok(())
    }

    /// Everything that belongs to the batch at `time`, one block a partition; an empty `Vec` for a quiet batch.
    ///
    /// Called at that time, in order of the times, each time once, also while an earlier batch is still being processed. Must not block.
    fn batch(&mut self, time: Time) -> Result<Vec<Self::Block>>;

    /// Whether something has arrived that no batch holds yet: a graceful stop then runs one more batch.
    fn has_pending(&self) -> bool {
        false
    }

    /// Whether no further batch can hold anything; `None` if the source has no end.
    ///
    /// Asked between the batches of [`run_to_end`](crate::StreamingContext::run_to_end), and before the first of them.
    fn is_exhausted(&mut self) -> Option<bool> {
        None
    }

    /// What a checkpoint must hold for the source to go on where it was; `None` if there is nothing. After a restart it is
    /// given back between `start` and the first batch.
    fn state(&self) -> Option<Arc<Mutex<dyn Stateful>>> {
        None
    }

    /// What the last call of `batch` gave, in the source's own words, so that `replay` can give it once more; `None` if it
    /// was nothing, or can't be had again.
    fn taken(&self) -> Option<Bytes> {
        None
    }

    /// Gives a batch once more that was begun before a restart, as `taken` has described it.
    fn replay(&mut self, _time: Time, _taken: &[u8]) -> Result<Vec<Self::Block>> {
        Ok(Vec::new())
    }

    /// Called once, at the stop: stop receiving, and let what was received be had by a last call of `batch`.
    fn stop(&mut self) {}
}

/// What can start a chain: a [`Source`]; a [`Receiver`](crate::Receiver), which is then supervised; a stream that another
/// pipeline has handed out, as a [`StreamHandle`](crate::StreamHandle).
///
/// `M` only tells them apart; it is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source of records",
    label = "a chain starts at a stream of this block or at a source",
    note = "sources are calls like `socket_text_stream(host, port)` or `queue_stream(batches)`, and values that implement `dstream::Source` or `dstream::Receiver`; a `StreamHandle` is one, too"
)]
pub trait IntoSource<M> {
    /// What the blocks of the batches come from.
    type Feed: Feed;

    /// Turns the value into that.
    fn into_source(self) -> Self::Feed;
}

/// Marks a [`Source`] in [`IntoSource`].
#[derive(Debug)]
pub struct FromSource;

impl<S: Source> IntoSource<FromSource> for S {
    type Feed = Input<S>;

    fn into_source(self) -> Input<S> {
        Input::new(self)
    }
}
