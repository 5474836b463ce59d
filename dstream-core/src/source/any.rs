//! Functions over streams: any stream of records of a type, and any stream of text.

use std::time::Duration;

use super::{
    Block, Decoder, Input, IntoSource, ListenTextStream, SocketStream, SocketTextStream, Source, Text,
    TextBlock, TextFile,
    kind::{FromHandle, FromReceiver, FromSource},
};
use crate::{
    Data, Result, StreamHandle,
    batch::{Batch, Step},
    plan::OpMeta,
    rdd::RddBlock,
    receiver::{Received, ReceiverStream, WalBlock, receiver_stream},
    sealed::Sealed,
    source::handle::{ChainInput, ContextId, SourceOf},
};

/// Any stream of owned records of type `T`: what a function takes that builds a part of a pipeline.
///
/// Sources of such records are one (`queue_stream`, `socket_stream`, `generator_stream`, ..; a bare
/// [`Receiver`](crate::receiver::Receiver) becomes one by
/// [`receiver_stream`](crate::receiver::receiver_stream)), and streams
/// that another pipeline publishes. A chain can start from it.
///
/// ```
/// use dstream::{Data, Key, prelude::*, source::RecordStream};
///
/// /// How often each key was there. `Data` are records that own all they have, `Key` those that can be keys.
/// fn totals<K: Data + Key>(
///     ssc: &StreamingContext,
///     pairs: impl RecordStream<(K, u64)>,
/// ) -> dstream::Result<StreamHandle<(K, u64)>> {
///     dstream::stream!(ssc, {
///         pairs.reduce_by_key(|a, b| a + b)
///     })
/// }
///
/// # fn main() -> dstream::Result<()> {
/// let ssc = StreamingContext::new(std::time::Duration::from_secs(1))?;
/// let totals = totals(&ssc, queue_stream(vec![vec![(7u8, 1), (7, 2)]]))?;
/// let out = Collected::new();
/// dstream::stream!(ssc, {
///     totals.collect_to(&out);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(out.values(), [[(7, 3)]]);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream of `{T}`",
    note = "sources whose records own all they have are one, and every `StreamHandle<{T}>`; `stream!(ssc, {{ \
            ..; records }})` makes a handle of any stream",
    note = "a receiver becomes one by `receiver_stream(receiver)`"
)]
pub trait RecordStream<T>:
    IntoSource<<Self as RecordStream<T>>::From, Input = <Self as RecordStream<T>>::Input>
{
    /// What kind of a stream it is.
    type From;
    /// What its blocks come from.
    type Input: ChainInput<Block = Self::Block>;
    /// One partition.
    type Block: for<'a> Block<Record<'a> = T> + 'static;
}

#[diagnostic::do_not_recommend]
impl<T, S> RecordStream<T> for S
where
    S: Source,
    S::Block: for<'a> Block<Record<'a> = T>,
{
    type From = FromSource;
    type Input = Input<S>;
    type Block = S::Block;
}

impl<D: Decoder + Clone> RecordStream<D::Item> for SocketStream<D>
where
    Vec<D::Item>: WalBlock + for<'a> Block<Record<'a> = D::Item>,
{
    type From = FromReceiver;
    type Input = Input<ReceiverStream<Self>>;
    type Block = Received<Vec<D::Item>>;
}

impl<T: Data> RecordStream<T> for StreamHandle<T> {
    type From = FromHandle;
    type Input = StreamHandle<T>;
    type Block = RddBlock<T>;
}

impl<T: Data> RecordStream<T> for &StreamHandle<T> {
    type From = FromHandle;
    type Input = StreamHandle<T>;
    type Block = RddBlock<T>;
}

/// Any stream of text, whoever owns it: what a function takes that builds a part of a pipeline over lines.
///
/// Sources of text are one, among them `queue_stream` of `&'static str` and of `String`, and streams of
/// `Str` or `String` that another pipeline publishes. [`text_stream`] starts a chain from it, whose
/// records are `&str`.
///
/// ```
/// use dstream::{Str, prelude::*, source::{TextStream, text_stream}};
///
/// fn word_counts(
///     ssc: &StreamingContext,
///     lines: impl TextStream,
/// ) -> dstream::Result<StreamHandle<(Str, u64)>> {
///     dstream::stream!(ssc, {
///         let words = text_stream(lines).flat_map(|line| line.split(' '));
///         words.map(|word| (word, 1u64)).reduce_by_key(|a, b| a + b)
///     })
/// }
///
/// # fn main() -> dstream::Result<()> {
/// let ssc = StreamingContext::new(std::time::Duration::from_secs(1))?;
/// let counts = word_counts(&ssc, queue_stream(vec![vec!["to be", "to"]]))?;
/// let live = word_counts(&ssc, socket_text_stream("localhost", 9999))?;
/// # let out = Collected::new();
/// # dstream::stream!(ssc, { counts.union(live).collect_to(&out); })?;
/// # ssc.run_batches(1)?;
/// # assert_eq!(out.values()[0].len(), 2);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stream of text",
    note = "sources of text are one (`socket_text_stream`, `text_file_stream`, `queue_stream` of `&str` or \
            `String`, ..), and a `StreamHandle` of `Str` or `String`",
    note = "a source of your own is one if its blocks are `dstream::source::TextRecords`; a receiver, by \
            `receiver_stream(receiver)`"
)]
pub trait TextStream: Sealed {
    /// What its blocks come from.
    type Input: ChainInput<Block: TextRecords>;

    /// Turns the value into that.
    fn into_input(self) -> Self::Input;
}

impl<S: Source<Block: TextRecords>> Sealed for S {}

#[diagnostic::do_not_recommend]
impl<S: Source<Block: TextRecords>> TextStream for S {
    type Input = Input<S>;

    fn into_input(self) -> Input<S> {
        Input::new(self)
    }
}

macro_rules! received {
    ($($receiver:ty),*) => {$(
        impl Sealed for $receiver {}

        impl TextStream for $receiver {
            type Input = Input<ReceiverStream<$receiver>>;

            fn into_input(self) -> Self::Input {
                Input::new(receiver_stream(self))
            }
        }
    )*};
}

received!(SocketTextStream, ListenTextStream);

impl<T> Sealed for StreamHandle<T> {}

impl<T: Data + AsRef<str>> TextStream for StreamHandle<T> {
    type Input = StreamHandle<T>;

    fn into_input(self) -> StreamHandle<T> {
        self
    }
}

impl<T> Sealed for &StreamHandle<T> {}

impl<T: Data + AsRef<str>> TextStream for &StreamHandle<T> {
    type Input = StreamHandle<T>;

    fn into_input(self) -> StreamHandle<T> {
        self.clone()
    }
}

/// Starts a chain from any stream of text: its records are `&str`, borrowed from whatever owns them.
///
/// See [`TextStream`] for an example.
pub fn text_stream<S: TextStream>(lines: S) -> TextInput<S::Input> {
    TextInput(lines.into_input())
}

/// See [`text_stream`].
#[derive(Debug)]
pub struct TextInput<F>(F);

/// Marks a [`text_stream`] in [`IntoSource`].
#[derive(Debug)]
pub struct FromText;

#[diagnostic::do_not_recommend]
impl<F: ChainInput<Block: TextRecords>> IntoSource<FromText> for TextInput<F> {
    type Input = TextInput<F>;

    fn into_source(self) -> TextInput<F> {
        self
    }
}

impl<F: ChainInput<Block: TextRecords>> ChainInput for TextInput<F> {
    type Block = Borrowed<F::Block>;

    fn name(&self) -> String {
        self.0.name()
    }

    fn register(&self, context: ContextId) -> Result<Option<SourceOf>> {
        self.0.register(context)
    }

    fn blocks(&self, batch: &Batch<'_>, op: &OpMeta) -> Step<Vec<Borrowed<F::Block>>> {
        Ok(self.0.blocks(batch, op)?.into_iter().map(Borrowed).collect())
    }

    fn slide(&self) -> Option<Duration> {
        self.0.slide()
    }
}

/// A block whose records are text, whoever owns it.
pub trait TextRecords: Block {
    /// The records as `&str`. This or one of the two below is called, once for a block, in place of
    /// [`Block::records`].
    fn lines(&mut self) -> impl Iterator<Item = &str>;

    /// As [`Block::texts`].
    fn line_texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.lines().map(Text::One)
    }

    /// As [`Block::records_with`].
    fn lines_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        let _ = part;
        self.lines()
    }
}

macro_rules! borrows_already {
    ($($block:ty),*) => {$(
        impl TextRecords for $block {
            fn lines(&mut self) -> impl Iterator<Item = &str> {
                self.records()
            }

            fn line_texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
                self.texts()
            }

            fn lines_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
                self.records_with(part)
            }
        }
    )*};
}

borrows_already!(TextBlock, TextFile);

impl<T: AsRef<str> + Send> TextRecords for Vec<T> {
    fn lines(&mut self) -> impl Iterator<Item = &str> {
        self.iter().map(AsRef::as_ref)
    }
}

impl<T: AsRef<str> + Clone + Send + Sync> TextRecords for RddBlock<T> {
    fn lines(&mut self) -> impl Iterator<Item = &str> {
        self.as_slice().iter().map(AsRef::as_ref)
    }
}

/// A block of text as one whose records borrow from it.
#[derive(Debug)]
pub struct Borrowed<B>(B);

impl<B: TextRecords> Block for Borrowed<B> {
    type Record<'a>
        = &'a str
    where
        Self: 'a;

    fn open(&mut self) -> Result<()> {
        self.0.open()
    }

    fn records(&mut self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }

    fn texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.0.line_texts()
    }

    fn records_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        self.0.lines_with(part)
    }

    fn weight(&self) -> usize {
        self.0.weight()
    }

    fn has_more(&self) -> bool {
        self.0.has_more()
    }

    fn advance(&mut self) -> Result<()> {
        self.0.advance()
    }
}
