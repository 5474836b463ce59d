//! Messages as records.

use std::{fmt, str::Utf8Error};

use dstream_core::{Bytes, Record, Str, Time};
use serde::{Deserialize, Serialize};

use crate::sink::Payload;

/// A message of a topic, as it was fetched: key, value and headers borrow from the buffer that it arrived in.
///
/// ```
/// use dstream_kafka::KafkaRecord;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Order<'a> {
///     article: &'a str,
///     pieces: u32,
/// }
///
/// fn pieces<'a>(record: &KafkaRecord<'a>) -> Option<(&'a str, u32)> {
///     // The text of `article` is not copied.
///     let order: Order<'a> = record.value_json().ok()?;
///     Some((order.article, order.pieces))
/// }
/// ```
#[derive(Clone, Copy)]
pub struct KafkaRecord<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: &'a [u8],
}

/// What stands for a time that a message does not have.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// Why a value is not what it was taken for.
#[derive(Debug)]
#[non_exhaustive]
pub enum ValueError {
    /// The message has no value: in a compacted topic that deletes its key.
    Null,
    /// It is no text.
    Text(Utf8Error),
    /// It is no JSON, or not of this form.
    Json(serde_json::Error),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueError::Null => f.write_str("the message has no value"),
            ValueError::Text(error) => write!(f, "the value of the message is no text: {error}"),
            ValueError::Json(error) => write!(f, "the value of the message does not fit: {error}"),
        }
    }
}

impl std::error::Error for ValueError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ValueError::Null => None,
            ValueError::Text(error) => Some(error),
            ValueError::Json(error) => Some(error),
        }
    }
}

impl<'a> KafkaRecord<'a> {
    /// The name of its topic.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// The number of its partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// Its place in the partition.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// When it was made, or appended, as the topic is set up; `None` for messages without a time.
    pub fn timestamp(&self) -> Option<Time> {
        u64::try_from(self.timestamp).ok().map(Time::from_millis)
    }

    /// Its key, if it has one.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// Its value; `None` is a null value, with which a compacted topic deletes a key.
    pub fn value(&self) -> Option<&'a [u8]> {
        self.value
    }

    /// Its key as text; `None` if it has none, or one that is no text.
    pub fn key_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.key?).ok()
    }

    /// Its value as text.
    pub fn value_str(&self) -> Result<&'a str, ValueError> {
        std::str::from_utf8(self.value.ok_or(ValueError::Null)?).map_err(ValueError::Text)
    }

    /// Its value as JSON; `T` may borrow from it.
    pub fn value_json<T: Deserialize<'a>>(&self) -> Result<T, ValueError> {
        serde_json::from_slice(self.value.ok_or(ValueError::Null)?).map_err(ValueError::Json)
    }

    /// Its headers, in order: names and values.
    pub fn headers(&self) -> Headers<'a> {
        Headers::new(self.headers)
    }
}

impl fmt::Debug for KafkaRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp())
            .field("key", &self.key.map(String::from_utf8_lossy))
            .field("value", &self.value.map(String::from_utf8_lossy))
            .finish_non_exhaustive()
    }
}

/// The headers of a message: pairs of name and value.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

/// Appends a header to those that [`Headers`] reads: lengths in four bytes, of a value that is null the
/// largest there is.
pub(crate) fn write_header(out: &mut Vec<u8>, name: &str, value: impl Payload) {
    out.extend((name.len() as u32).to_le_bytes());
    out.extend(name.as_bytes());
    let at = out.len();
    out.extend(u32::MAX.to_le_bytes());
    if value.put(out) {
        let len = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&len.to_le_bytes());
    }
}

impl<'a> Headers<'a> {
    /// Reads what [`write_header`] has written.
    pub(crate) fn new(bytes: &'a [u8]) -> Headers<'a> {
        Headers { rest: bytes }
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<u32> {
        self.take(4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.length()?;
        let name = std::str::from_utf8(self.take(name as usize)?).ok()?;
        let value = match self.length()? {
            u32::MAX => None,
            len => Some(self.take(len as usize)?),
        };
        Some((name, value))
    }
}

/// A [`KafkaRecord`] that owns what it has: what a message becomes where it leaves its stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KafkaMessage {
    /// The name of its topic.
    pub topic: Str,
    /// The number of its partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// When it was made, or appended.
    pub timestamp: Option<Time>,
    /// Its key, if it has one.
    pub key: Option<Bytes>,
    /// Its value, if it has one.
    pub value: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(Str, Option<Bytes>)>,
}

impl Record for KafkaRecord<'_> {
    type Owned = KafkaMessage;

    fn own(self) -> KafkaMessage {
        let bytes = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        KafkaMessage {
            topic: self.topic.into(),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp(),
            key: bytes(self.key),
            value: bytes(self.value),
            headers: self.headers().map(|(name, value)| (name.into(), bytes(value))).collect(),
        }
    }
}

impl Record for KafkaMessage {
    type Owned = KafkaMessage;

    fn own(self) -> KafkaMessage {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(value: Option<&'a [u8]>, headers: &'a [u8]) -> KafkaRecord<'a> {
        KafkaRecord { topic: "t", partition: 1, offset: 2, timestamp: NO_TIME, key: None, value, headers }
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        let mut bytes = Vec::new();
        let headers = [("a", Some(&b"1"[..])), ("", None), ("name", Some(b""))];
        headers.iter().for_each(|(name, value)| write_header(&mut bytes, name, *value));
        assert_eq!(record(None, &bytes).headers().collect::<Vec<_>>(), headers);
        // Cut anywhere, there are fewer of them.
        for len in 0..bytes.len() {
            assert!(record(None, &bytes[..len]).headers().count() < 3);
        }
        assert_eq!(record(None, &bytes).own().headers.len(), 3);
    }

    #[test]
    fn values_say_what_they_are_not() {
        assert!(matches!(record(None, &[]).value_str(), Err(ValueError::Null)));
        assert!(matches!(record(Some(b"\xff"), &[]).value_str(), Err(ValueError::Text(_))));
        assert!(matches!(record(Some(b"{"), &[]).value_json::<u8>(), Err(ValueError::Json(_))));
        assert_eq!(record(Some(b"[\"a\"]"), &[]).value_json::<Vec<&str>>().unwrap(), ["a"]);
    }
}
