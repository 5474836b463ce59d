//! Records as messages: what makes them, and what they are until they are sent.

use std::{fmt, ops::Range};

use dstream_core::{Bytes, Str, Time};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
};

use crate::record::{Headers, write_header};

/// What the key, the value or a header of a message may be made from: bytes and text; `None` is null.
pub trait Payload {
    /// Appends the bytes; returns whether there are any, or null.
    fn put(self, out: &mut Vec<u8>) -> bool;
}

macro_rules! payloads {
    ($($t:ty),*) => {$(
        impl Payload for $t {
            fn put(self, out: &mut Vec<u8>) -> bool {
                out.extend_from_slice(self.as_ref());
                true
            }
        }
    )*};
}

payloads!(String, Vec<u8>, Bytes, Str, &str, &[u8]);

impl<P: Payload> Payload for Option<P> {
    fn put(self, out: &mut Vec<u8>) -> bool {
        self.is_some_and(|payload| payload.put(out))
    }
}

type Encode<T> = Box<dyn Fn(&T, &mut Vec<u8>) -> bool + Send + Sync>;
type Of<T, O> = Box<dyn Fn(&T) -> O + Send + Sync>;

/// How a record becomes a message.
pub(super) struct Encoder<T> {
    pub(super) key: Option<Encode<T>>,
    pub(super) value: Option<Encode<T>>,
    pub(super) headers: Option<Encode<T>>,
    pub(super) partition: Option<Of<T, i32>>,
    pub(super) timestamp: Option<Of<T, Option<Time>>>,
}

impl<T> Default for Encoder<T> {
    fn default() -> Encoder<T> {
        Encoder { key: None, value: None, headers: None, partition: None, timestamp: None }
    }
}

impl<T> Encoder<T> {
    pub(super) fn encode(&self, record: &T, rows: &mut Rows) {
        let mut encode = |encode: &Option<Encode<T>>| {
            let start = rows.data.len();
            let some = encode.as_ref().is_some_and(|encode| encode(record, &mut rows.data));
            some.then_some(start..rows.data.len())
        };
        let (key, value) = (encode(&self.key), encode(&self.value));
        let headers = encode(&self.headers);
        let partition = self.partition.as_ref().map(|partition| partition(record));
        let timestamp = self.timestamp.as_ref().and_then(|timestamp| timestamp(record));
        let timestamp = timestamp.and_then(|time| i64::try_from(time.as_millis()).ok());
        rows.messages.push(Row { key, value, headers, partition, timestamp });
    }
}

/// What encodes the headers that `headers` makes.
pub(super) fn encode_headers<T, H, N, P>(headers: impl Fn(&T) -> H + Send + Sync + 'static) -> Encode<T>
where
    H: IntoIterator<Item = (N, P)>,
    N: AsRef<str>,
    P: Payload,
{
    Box::new(move |record, out| {
        let before = out.len();
        headers(record).into_iter().for_each(|(name, value)| write_header(out, name.as_ref(), value));
        out.len() > before
    })
}

/// The messages of a partition, encoded.
#[derive(Default)]
pub struct Rows {
    data: Vec<u8>,
    messages: Vec<Row>,
}

struct Row {
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Option<Range<usize>>,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

impl Rows {
    /// What is sent to a topic, in order.
    pub(super) fn messages<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = BaseRecord<'a, [u8], [u8]>> {
        let bytes = |range: &Option<Range<usize>>| range.clone().and_then(|range| self.data.get(range));
        self.messages.iter().map(move |row| {
            let mut message = BaseRecord::to(topic);
            (message.key, message.payload) = (bytes(&row.key), bytes(&row.value));
            (message.partition, message.timestamp) = (row.partition, row.timestamp);
            message.headers = bytes(&row.headers).map(|headers| {
                let headers = Headers::new(headers);
                headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }))
            });
            message
        })
    }
}
