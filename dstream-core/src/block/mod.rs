//! Blocks: partitions of raw input, which turn into records while a stage reads them.

mod text;

use crate::Result;

pub use text::TextBlock;
pub(crate) use text::line_count;

/// One partition of raw input: what a source hands to a batch.
///
/// The records may borrow from the block. They live as long as the stage that reads them; what leaves the
/// stage is owned first (see [`Record`](crate::Record)).
pub trait Block: Send {
    /// A record; `&'a str` for text.
    type Record<'a>
    where
        Self: 'a;

    /// Called once, before `records`, in the task that reads the block: the place to open a file.
    ///
    /// The error decides what becomes of the batch. With [`Error::Unreadable`](crate::Error::Unreadable) it
    /// fails: its checkpoint is not written, so that a restart runs it again, and no record is left out in
    /// silence. That is right for what must count, such as a range of a log that a broker should still have;
    /// a fault that passes is better waited for here, for a limited time. With any other error the block is
    /// reported (see [`Config::on_report`](crate::Config::on_report)) and left out, and the batch goes on
    /// with the others. That is right where one bad input must not hold up the rest, such as a file that
    /// nobody may read.
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

    /// As `records`, where the operator behind the source is `filter(|record| record.contains(part))`:
    /// records that, as text, do not contain `part` may be left out. The filter is applied to the others.
    ///
    /// By itself none is left out. A block around a [`TextBlock`] should hand the call on.
    fn records_with(&mut self, part: &str) -> impl Iterator<Item = Self::Record<'_>> {
        let _ = part;
        self.records()
    }

    /// About how many bytes the block holds. Small neighbouring blocks are processed as one partition.
    fn weight(&self) -> usize;

    /// Whether the records that it has yielded were not all: a block that is too large to be held at once has
    /// them in pieces. After the first one, [`advance`](Block::advance) goes on to each next one, which is
    /// read like a block of its own; the partitions of the pieces are one behind the other. A block around
    /// another one should hand both calls on.
    fn has_more(&self) -> bool {
        false
    }

    /// Goes on to the next piece, of which there is one. An error fails the batch, since some of the records
    /// have been read.
    fn advance(&mut self) -> Result<()> {
        Ok(())
    }

    /// How many records the block holds, if that is known before they are read. Asked of the blocks that a
    /// receiver stores, if there is a limit (see [`Config::max_rate`](crate::Config::max_rate)); a block that
    /// does not know counts as one record. Asked of an open block, in its task, if somebody
    /// [listens](crate::events).
    fn record_count(&self) -> Option<u64> {
        None
    }

    /// About how many records the block holds, if that is known before they are read. Asked of each block
    /// that is planned, for [back-pressure](crate::backpressure), so it should cost next to nothing, and need
    /// not be exact. By itself it is [`record_count`](Block::record_count).
    fn record_estimate(&self) -> Option<u64> {
        self.record_count()
    }
}

/// What [`Block::texts`] yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Text<'a, R> {
    /// One record.
    One(R),
    /// Several records, all of which are lines of text: they end in `\n` or `\r\n`, which is no part of them.
    /// The last one does without, so text that ends in `\n` has an empty line behind it.
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

    fn record_count(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

/// Cuts a batch into up to 16 partitions of at least 1,024 records, in order.
pub(crate) fn partition<T>(batch: Vec<T>) -> Vec<Vec<T>> {
    if batch.is_empty() {
        return Vec::new();
    }
    let size = partition_size(batch.len());
    if batch.len() <= size {
        return vec![batch];
    }
    let mut parts = Vec::with_capacity(batch.len().div_ceil(size));
    let mut rest = batch.into_iter();
    loop {
        let part: Vec<T> = rest.by_ref().take(size).collect();
        if part.is_empty() {
            return parts;
        }
        parts.push(part);
    }
}

/// How many of `records` records go into one partition.
pub(crate) fn partition_size(records: usize) -> usize {
    const SMALLEST: usize = 1024;
    const MOST: usize = 16;
    records.div_ceil(MOST).max(SMALLEST)
}
