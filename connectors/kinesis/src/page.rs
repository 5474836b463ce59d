//! Records of one shard, side by side in one buffer: what an answer of the service becomes.

use std::{ops::Range, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use crate::{api::RecordAnswer, kpl, record::KinesisRecord};

/// A shard of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardId {
    pub(crate) name: String,
    pub(crate) hashes: HashRange,
}

/// The hashes of the partition keys that a shard has, from the first up to and with the last one.
///
/// A producer that aggregates may send a record to a shard that has been split meanwhile; it then sends it
/// once more, to the right one. So the copy in the wrong shard is left out, as Amazon's client library does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 4]", into = "[u64; 4]")]
pub(crate) struct HashRange {
    first: u128,
    last: u128,
}

impl HashRange {
    pub(crate) const ALL: HashRange = HashRange { first: 0, last: u128::MAX };

    /// Of decimal numbers; a number that is none leaves that side open.
    pub(crate) fn parse(first: &str, last: &str) -> HashRange {
        HashRange { first: first.parse().unwrap_or(0), last: last.parse().unwrap_or(u128::MAX) }
    }

    fn contains(&self, partition_key: &str, explicit: Option<&str>) -> bool {
        if *self == HashRange::ALL {
            return true;
        }
        let explicit = explicit.and_then(|hash| hash.parse().ok());
        let hash = explicit.unwrap_or_else(|| u128::from_be_bytes(Md5::digest(partition_key).into()));
        (self.first..=self.last).contains(&hash)
    }
}

impl std::convert::From<[u64; 4]> for HashRange {
    fn from([a, b, c, d]: [u64; 4]) -> HashRange {
        let join = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
        HashRange { first: join(a, b), last: join(c, d) }
    }
}

impl std::convert::From<HashRange> for [u64; 4] {
    fn from(range: HashRange) -> [u64; 4] {
        let HashRange { first, last } = range;
        [(first >> 64) as u64, first as u64, (last >> 64) as u64, last as u64]
    }
}

/// Neighbouring records of a shard. Those that a producer has aggregated are taken apart; a batch is cut only
/// between the records of Kinesis that they were in, since these alone have numbers.
#[derive(Debug)]
pub(crate) struct Page {
    shard: Arc<ShardId>,
    /// Sequence numbers and partition keys.
    text: String,
    data: Vec<u8>,
    entries: Vec<Entry>,
    records: Vec<Place>,
}

/// A record of Kinesis.
#[derive(Debug)]
struct Entry {
    sequence: Span,
    /// In milliseconds since the epoch.
    arrival: Option<u64>,
    /// Behind the last of its records.
    end: u32,
    aggregated: bool,
}

/// A record, which may be one of several in an entry.
#[derive(Debug)]
struct Place {
    key: Span,
    data: Span,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Answers are limited to a size that has room in 32 bits.
    pub(crate) fn new(range: Range<usize>) -> Span {
        Span { start: range.start as u32, end: range.end as u32 }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl Page {
    pub(crate) fn new(shard: &Arc<ShardId>) -> Page {
        Page {
            shard: Arc::clone(shard),
            text: String::new(),
            data: Vec::new(),
            entries: Vec::new(),
            records: Vec::new(),
        }
    }

    /// Adds what the service has sent.
    pub(crate) fn push(&mut self, record: &RecordAnswer<'_>) -> Result<(), String> {
        let sequence = self.push_text(&record.sequence_number);
        let start = self.data.len();
        STANDARD.decode_vec(record.data.as_bytes(), &mut self.data).map_err(|error| {
            let Self { shard, .. } = self;
            format!("{}, {}: the data are not in Base64: {error}", shard.name, record.sequence_number)
        })?;
        let decoded = self.data.get(start..).unwrap_or_default();
        let aggregated = match kpl::parse(decoded) {
            Ok(aggregated) => aggregated,
            Err(what) => {
                let (shard, number) = (&self.shard.name, &record.sequence_number);
                tracing::warn!(
                    "{shard}, {number}: an aggregated record can't be taken apart ({what}); it is one record"
                );
                None
            }
        };
        let is_aggregated = aggregated.is_some();
        match aggregated {
            None => {
                let key = self.push_text(&record.partition_key);
                self.records.push(Place { key, data: Span::new(start..self.data.len()) });
            }
            Some(aggregated) => {
                let keys: Vec<Span> =
                    aggregated.keys.iter().map(|key| push_text(&mut self.text, key)).collect();
                for user in &aggregated.records {
                    let (Some(key), Some(span)) = (aggregated.keys.get(user.key), keys.get(user.key)) else {
                        continue;
                    };
                    let explicit = user.hash.and_then(|hash| aggregated.hashes.get(hash)).copied();
                    if self.shard.hashes.contains(key, explicit) {
                        let data = start + user.data.start..start + user.data.end;
                        self.records.push(Place { key: *span, data: Span::new(data) });
                    }
                }
            }
        }
        let seconds = record.approximate_arrival_timestamp;
        self.entries.push(Entry {
            sequence,
            arrival: seconds
                .filter(|seconds| *seconds >= 0.0)
                .map(|seconds| (seconds * 1_000.0).round() as u64),
            end: self.records.len() as u32,
            aggregated: is_aggregated,
        });
        Ok(())
    }

    fn push_text(&mut self, text: &str) -> Span {
        push_text(&mut self.text, text)
    }

    /// The number of records of Kinesis.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of the entry at `at`.
    pub(crate) fn sequence(&self, at: usize) -> Option<&str> {
        self.entries.get(at).and_then(|entry| self.text.get(entry.sequence.range()))
    }

    /// How many records are in some entries.
    pub(crate) fn count(&self, entries: &Range<usize>) -> u64 {
        let span = self.places(entries);
        (span.end - span.start) as u64
    }

    pub(crate) fn bytes(&self, entries: &Range<usize>) -> usize {
        let places = self.records.get(self.places(entries)).unwrap_or_default();
        let data: usize = places.iter().map(|place| place.data.range().len()).sum();
        data + entries.len() * (size_of::<Entry>() + 100) + size_of_val(places)
    }

    /// All that the page holds in memory.
    pub(crate) fn held(&self) -> usize {
        self.text.capacity()
            + self.data.capacity()
            + self.entries.capacity() * size_of::<Entry>()
            + self.records.capacity() * size_of::<Place>()
    }

    fn places(&self, entries: &Range<usize>) -> Range<usize> {
        let end =
            |at: usize| at.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(0, |entry| entry.end);
        let (start, end) = (end(entries.start) as usize, end(entries.end) as usize);
        start..end.max(start)
    }

    /// The records of some entries.
    pub(crate) fn records(&self, entries: Range<usize>) -> impl Iterator<Item = KinesisRecord<'_>> {
        entries.flat_map(move |at| {
            let places = self.places(&(at..at + 1));
            let entry = self.entries.get(at);
            let places = self.records.get(places).unwrap_or_default().iter().enumerate();
            entry.into_iter().flat_map(move |entry| {
                places.clone().map(move |(sub, place)| KinesisRecord {
                    shard: &self.shard.name,
                    sequence_number: self.text.get(entry.sequence.range()).unwrap_or_default(),
                    sub_sequence_number: entry.aggregated.then_some(sub as u32),
                    partition_key: self.text.get(place.key.range()).unwrap_or_default(),
                    data: self.data.get(place.data.range()).unwrap_or_default(),
                    arrival: entry.arrival,
                })
            })
        })
    }
}

fn push_text(all: &mut String, text: &str) -> Span {
    let start = all.len();
    all.push_str(text);
    Span::new(start..all.len())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn shard(hashes: HashRange) -> Page {
        Page::new(&Arc::new(ShardId { name: "shardId-000000000000".into(), hashes }))
    }

    fn push(page: &mut Page, number: &str, data: &[u8]) -> Result<(), String> {
        let text = |text: &str| Cow::Owned(text.to_owned());
        let data = Cow::Owned(STANDARD.encode(data));
        page.push(&RecordAnswer {
            sequence_number: text(number),
            partition_key: text("key"),
            data,
            approximate_arrival_timestamp: Some(1.5),
        })
    }

    /// Of the keys `a` and `b`; see `kpl.rs`. The second one has the hash 123.
    const AGGREGATED: &[u8] = b"\xf3\x89\x9a\xc2\x0a\x01\x61\x0a\x01\x62\x12\x03123\x1a\x09\x08\x00\x1a\x05first\x1a\x06\x08\x01\x10\
        \x00\x1a\x00\x1a\x09\x08\x00\x1a\x05third\xd1\xc7\xf0\x5e\xc2\xd9\x99\x9a\x4f\x23\xab\x4f\x5e\x96\xd0\x58";

    #[test]
    fn aggregated_records_are_counted_by_themselves_and_cut_as_a_whole() {
        let mut page = shard(HashRange::ALL);
        push(&mut page, "1", b"alone").unwrap();
        push(&mut page, "2", AGGREGATED).unwrap();
        push(&mut page, "3", b"").unwrap();
        assert_eq!((page.len(), page.count(&(0..3)), page.count(&(1..2)), page.count(&(2..3))), (3, 5, 3, 1));
        let records: Vec<_> = page.records(1..3).collect();
        let fields = records
            .iter()
            .map(|r| (r.sequence_number(), r.sub_sequence_number(), r.partition_key(), r.data()));
        let expected: [(&str, Option<u32>, &str, &[u8]); 4] = [
            ("2", Some(0), "a", b"first"),
            ("2", Some(1), "b", b""),
            ("2", Some(2), "a", b"third"),
            ("3", None, "key", b""),
        ];
        assert_eq!(fields.collect::<Vec<_>>(), expected);
        assert_eq!(records[0].arrival().unwrap().as_millis(), 1_500);
    }

    #[test]
    fn records_that_were_aggregated_for_another_shard_are_left_out() {
        // The MD5 of `a` begins with 0x0cc1, that of `b` with 0x92eb: here it is the hash that was given.
        let halves = [
            ("0", "170141183460469231731687303715884105727"),
            ("170141183460469231731687303715884105728", "x"),
        ];
        let counts = halves.map(|(first, last)| {
            let mut page = shard(HashRange::parse(first, last));
            push(&mut page, "2", AGGREGATED).unwrap();
            push(&mut page, "3", b"alone").unwrap();
            (page.count(&(0..1)), page.count(&(1..2)))
        });
        assert_eq!(counts, [(3, 1), (0, 1)]);
    }

    #[test]
    fn ranges_of_hashes_come_back_from_a_checkpoint() {
        let range = HashRange::parse(
            "170141183460469231731687303715884105728",
            "340282366920938463463374607431768211455",
        );
        assert_eq!(HashRange::from(<[u64; 4]>::from(range)), range);
        assert!(!range.contains("a", None) && range.contains("b", None) && !range.contains("b", Some("7")));
    }

    #[test]
    fn data_that_are_not_in_base64_are_an_error() {
        let text = |text: &'static str| Cow::Borrowed(text);
        let record = RecordAnswer {
            sequence_number: text("7"),
            partition_key: text("key"),
            data: text("a*b"),
            approximate_arrival_timestamp: None,
        };
        let error = shard(HashRange::ALL).push(&record).unwrap_err();
        assert!(error.starts_with("shardId-000000000000, 7: the data are not in Base64"), "{error}");
    }
}
