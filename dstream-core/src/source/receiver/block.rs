//! Blocks of receivers: how they are written to the write-ahead log, and recovered from it.

use serde::{Serialize, de::DeserializeOwned};

use std::sync::Arc;

use super::budget::Permit;
use crate::{
    Bytes, Error, Result,
    block::{Block, Text, TextBlock},
    checkpoint::{BlockLocation, LogReader, decode, encode},
    source::TextRecords,
};

/// A [`Block`] that a receiver can put into the write-ahead log, and get back from there after a crash.
///
/// Implemented for [`TextBlock`], and for a `Vec` of records that serde can write and read. What can't be
/// written, or need not be since the receiver can ask for it again, is a [`Volatile`] block.
///
/// ```
/// use dstream::{Bytes, receiver::WalBlock, source::Block};
///
/// /// A picture, as it was received.
/// struct Picture(Bytes);
///
/// impl Block for Picture {
///     type Record<'a> = &'a [u8];
///
///     fn records(&mut self) -> impl Iterator<Item = &[u8]> {
///         std::iter::once(&*self.0)
///     }
///
///     fn weight(&self) -> usize {
///         self.0.len()
///     }
/// }
///
/// impl WalBlock for Picture {
///     fn to_log(&mut self) -> Result<Option<Bytes>, String> {
///         Ok(Some(self.0.clone()))
///     }
///
///     fn from_log(bytes: Bytes) -> Result<Picture, String> {
///         Ok(Picture(bytes))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a receiver can't write `{Self}` to the log that keeps it over a crash",
    label = "blocks of receivers must implement `dstream::receiver::WalBlock`",
    note = "a `Vec` of records does if they can be serialised: write `#[derive(serde::Serialize, \
            serde::Deserialize)]` above their type",
    note = "records that can't be, or that the receiver can receive again, do without the log: `type Block = \
            dstream::receiver::Volatile<{Self}>;`",
    note = "a decoder for `socket_stream` can yield `dstream::Bytes`, and a `map` behind it makes records of \
            them"
)]
pub trait WalBlock: Block + Sized {
    /// The block as bytes, `None` if it is not for the log; `Err` says what can't be written. Called once the
    /// block is complete, and before its records are read.
    fn to_log(&mut self) -> Result<Option<Bytes>, String>;

    /// The block that was written as these bytes; `Err` says what does not fit.
    fn from_log(bytes: Bytes) -> Result<Self, String>;
}

impl WalBlock for TextBlock {
    fn to_log(&mut self) -> Result<Option<Bytes>, String> {
        Ok(Some(self.share()))
    }

    fn from_log(bytes: Bytes) -> Result<TextBlock, String> {
        Ok(TextBlock::new(bytes))
    }
}

// With the names of fields, like state: a later version of a type can read what an earlier one has left in
// the log.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send> WalBlock for Vec<T> {
    fn to_log(&mut self) -> Result<Option<Bytes>, String> {
        encode(self).map(|bytes| Some(bytes.into()))
    }

    fn from_log(bytes: Bytes) -> Result<Vec<T>, String> {
        decode(&bytes)
    }
}

/// A block that is not written to the log of receivers: a crash loses it, unless the receiver receives it
/// again.
///
/// For records that can't be serialised, and for a receiver that knows how far its batches are, as one that
/// reads from a queue that keeps everything.
///
/// ```
/// use dstream::receiver::{Receiver, ReceiverContext, Volatile};
/// use std::{error::Error, net::TcpStream};
///
/// /// Connections, which no disk can keep.
/// struct Connections;
///
/// impl Receiver for Connections {
///     type Block = Volatile<Vec<TcpStream>>;
///
///     fn name(&self) -> String {
///         "connections".into()
///     }
///
///     fn run(&mut self, ctx: &ReceiverContext<Self::Block>) -> Result<(), Box<dyn Error + Send + Sync>> {
///         while !ctx.is_stopping() {
///             ctx.store(TcpStream::connect("localhost:9999")?);
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Volatile<B>(pub B);

impl<B: Block> Block for Volatile<B> {
    type Record<'a>
        = B::Record<'a>
    where
        Self: 'a;

    fn open(&mut self) -> Result<()> {
        self.0.open()
    }

    fn records(&mut self) -> impl Iterator<Item = Self::Record<'_>> {
        self.0.records()
    }

    fn texts(&mut self) -> impl Iterator<Item = Text<'_, Self::Record<'_>>> {
        self.0.texts()
    }

    fn records_with(&mut self, part: &str) -> impl Iterator<Item = Self::Record<'_>> {
        self.0.records_with(part)
    }

    fn weight(&self) -> usize {
        self.0.weight()
    }

    fn record_count(&self) -> Option<u64> {
        self.0.record_count()
    }

    fn record_estimate(&self) -> Option<u64> {
        self.0.record_estimate()
    }

    fn has_more(&self) -> bool {
        self.0.has_more()
    }

    fn advance(&mut self) -> Result<()> {
        self.0.advance()
    }
}

impl<B: TextRecords> TextRecords for Volatile<B> {
    fn lines(&mut self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }

    fn line_texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.0.line_texts()
    }

    fn lines_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        self.0.lines_with(part)
    }
}

impl<B: Block> WalBlock for Volatile<B> {
    fn to_log(&mut self) -> Result<Option<Bytes>, String> {
        Ok(None)
    }

    fn from_log(_: Bytes) -> Result<Volatile<B>, String> {
        Err("the receiver's blocks are `Volatile` now".to_owned())
    }
}

/// A block of a receiver.
#[derive(Debug)]
pub struct Received<B> {
    held: Held<B>,
    /// Its number in the log.
    pub(super) number: Option<u64>,
}

#[derive(Debug)]
enum Held<B> {
    /// When it has been processed its bytes leave the receiver's buffer.
    Here { block: B, _permit: Option<Arc<Permit>> },
    /// Of an earlier run: it is read when it is processed, so that it takes no memory until then.
    InLog { log: LogReader, place: BlockLocation, weight: usize },
}

impl<B: WalBlock> Received<B> {
    pub(super) fn new(block: B, number: Option<u64>, permit: Arc<Permit>) -> Received<B> {
        Received { held: Held::Here { block, _permit: Some(permit) }, number }
    }

    /// A block of an earlier run; it is read once, so that a type that does not fit is an error before
    /// anything runs.
    pub(super) fn recovered(
        log: &LogReader,
        stream: &str,
        number: u64,
        place: BlockLocation,
    ) -> Result<Received<B>> {
        let weight = B::from_log(log.read(place)?).map_err(|what| {
            let file = log.describe(Some(place));
            Error::source(
                stream,
                format_args!(
                    "block {number} in `{file}`, which is in no finished batch, does not fit the types that \
                     the receiver has now: {what}; run it with the program that wrote it, or let it go with \
                     `forget = [\"{stream}\"]`"
                ),
            )
        })?;
        let weight = weight.weight();
        Ok(Received { held: Held::InLog { log: log.clone(), place, weight }, number: Some(number) })
    }

    fn block(&mut self) -> &mut B {
        match &mut self.held {
            Held::Here { block, .. } => block,
            Held::InLog { .. } => unreachable!("a block is opened before its records are read"),
        }
    }
}

impl<B: WalBlock> Block for Received<B> {
    type Record<'a>
        = B::Record<'a>
    where
        Self: 'a;

    fn open(&mut self) -> Result<()> {
        if let Held::InLog { log, place, .. } = &self.held {
            let block = B::from_log(log.read(*place)?).map_err(|what| {
                Error::Checkpoint(crate::checkpoint::CheckpointError::damaged(
                    log.describe(Some(*place)),
                    what,
                ))
            })?;
            self.held = Held::Here { block, _permit: None };
        }
        match &mut self.held {
            Held::Here { block, .. } => block.open(),
            Held::InLog { .. } => Ok(()),
        }
    }

    fn records(&mut self) -> impl Iterator<Item = Self::Record<'_>> {
        self.block().records()
    }

    fn texts(&mut self) -> impl Iterator<Item = Text<'_, Self::Record<'_>>> {
        self.block().texts()
    }

    fn records_with(&mut self, part: &str) -> impl Iterator<Item = Self::Record<'_>> {
        self.block().records_with(part)
    }

    fn record_count(&self) -> Option<u64> {
        match &self.held {
            Held::Here { block, .. } => block.record_count(),
            Held::InLog { .. } => None,
        }
    }

    fn record_estimate(&self) -> Option<u64> {
        match &self.held {
            Held::Here { block, .. } => block.record_estimate(),
            Held::InLog { .. } => None,
        }
    }

    fn weight(&self) -> usize {
        match &self.held {
            Held::Here { block, .. } => block.weight(),
            Held::InLog { weight, .. } => *weight,
        }
    }

    fn has_more(&self) -> bool {
        match &self.held {
            Held::Here { block, .. } => block.has_more(),
            Held::InLog { .. } => false,
        }
    }

    fn advance(&mut self) -> Result<()> {
        self.block().advance()
    }
}

impl<B: WalBlock + TextRecords> TextRecords for Received<B> {
    fn lines(&mut self) -> impl Iterator<Item = &str> {
        self.block().lines()
    }

    fn line_texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.block().line_texts()
    }

    fn lines_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        self.block().lines_with(part)
    }
}
