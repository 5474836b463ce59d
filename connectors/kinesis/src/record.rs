//! Records of a stream.

use std::{fmt, str::Utf8Error};

use dstream_core::{Bytes, Record, Str, Time};
use serde::{Deserialize, Serialize};

/// A record of a stream, as it was fetched: all of it borrows from the buffer that it arrived in.
///
/// ```
/// use dstream_kinesis::KinesisRecord;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Order<'a> {
///     article: &'a str,
///     pieces: u32,
/// }
///
/// fn pieces<'a>(record: &KinesisRecord<'a>) -> Option<(&'a str, u32)> {
///     // The text of `article` is not copied.
///     let order: Order<'a> = record.json().ok()?;
///     Some((order.article, order.pieces))
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KinesisRecord<'a> {
    pub(crate) shard: &'a str,
    pub(crate) sequence_number: &'a str,
    pub(crate) sub_sequence_number: Option<u32>,
    pub(crate) partition_key: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) arrival: Option<u64>,
}

impl<'a> KinesisRecord<'a> {
    /// The shard that it was read from.
    pub fn shard(&self) -> &'a str {
        self.shard
    }

    /// Its number in the shard. Those of one aggregated record have the same.
    pub fn sequence_number(&self) -> &'a str {
        self.sequence_number
    }

    /// Which one it is of the aggregated record that it came in; `None` if it came alone.
    pub fn sub_sequence_number(&self) -> Option<u32> {
        self.sub_sequence_number
    }

    /// The partition key that its producer has given it.
    pub fn partition_key(&self) -> &'a str {
        self.partition_key
    }

    /// What the producer has sent.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Its data as text.
    pub fn text(&self) -> Result<&'a str, Utf8Error> {
        std::str::from_utf8(self.data)
    }

    /// Its data as JSON; `T` may borrow from them.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.data)
    }

    /// About when the service has received it.
    pub fn arrival(&self) -> Option<Time> {
        self.arrival.map(Time::from_millis)
    }
}

impl fmt::Debug for KinesisRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KinesisRecord")
            .field("shard", &self.shard)
            .field("sequence_number", &self.sequence_number)
            .field("sub_sequence_number", &self.sub_sequence_number)
            .field("arrival", &self.arrival())
            .field("partition_key", &self.partition_key)
            .field("data", &String::from_utf8_lossy(self.data))
            .finish()
    }
}

/// A [`KinesisRecord`] that owns what it has: what a record becomes where it leaves its stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KinesisMessage {
    /// The shard that it was read from.
    pub shard: Str,
    /// Its number in the shard.
    pub sequence_number: Str,
    /// Which one it is of the aggregated record that it came in.
    pub sub_sequence_number: Option<u32>,
    /// Its partition key.
    pub partition_key: Str,
    /// What the producer has sent.
    pub data: Bytes,
    /// About when the service has received it.
    pub arrival: Option<Time>,
}

impl Record for KinesisRecord<'_> {
    type Owned = KinesisMessage;

    fn own(self) -> KinesisMessage {
        KinesisMessage {
            shard: self.shard.into(),
            sequence_number: self.sequence_number.into(),
            sub_sequence_number: self.sub_sequence_number,
            partition_key: self.partition_key.into(),
            data: Bytes::copy_from_slice(self.data),
            arrival: self.arrival(),
        }
    }
}

impl Record for KinesisMessage {
    type Owned = KinesisMessage;

    fn own(self) -> KinesisMessage {
        self
    }
}
