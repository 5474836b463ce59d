//! Records that the Kinesis Producer Library has aggregated: several in one record of Kinesis.
//!
//! Such a record is four bytes, a message of protobuf and the MD5 of that:
//!
//! ```text
//! message AggregatedRecord {
//!     repeated string partition_key_table = 1;
//!     repeated string explicit_hash_key_table = 2;
//!     repeated Record records = 3;
//! }
//! message Record {
//!     required uint64 partition_key_index = 1;
//!     optional uint64 explicit_hash_key_index = 2;
//!     required bytes data = 3;
//!     repeated Tag tags = 4;
//! }
//! ```

use std::ops::Range;

use md5::{Digest, Md5};

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST: usize = 16;

/// What an aggregated record has.
#[derive(Debug, Default)]
pub(crate) struct Aggregated<'a> {
    pub(crate) keys: Vec<&'a str>,
    pub(crate) hashes: Vec<&'a str>,
    pub(crate) records: Vec<Sub>,
}

/// One of its records.
#[derive(Debug)]
pub(crate) struct Sub {
    /// Where its key is in the table of keys.
    pub(crate) key: usize,
    /// Where its hash is in the table of those that were given.
    pub(crate) hash: Option<usize>,
    /// Where its data are in the data of the whole.
    pub(crate) data: Range<usize>,
}

/// Takes a record apart. `None` if it is no aggregated one, which the digest decides: any data may begin with
/// the same four bytes.
pub(crate) fn parse(data: &[u8]) -> Result<Option<Aggregated<'_>>, String> {
    let Some((body, digest)) = data.strip_prefix(&MAGIC).and_then(|rest| rest.split_last_chunk::<DIGEST>())
    else {
        return Ok(None);
    };
    if Md5::digest(body)[..] != digest[..] {
        return Ok(None);
    }
    let mut found = Aggregated::default();
    let mut reader = Reader { data: body, at: 0 };
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Bytes(range)) => found.keys.push(text(body, range)?),
            (2, Value::Bytes(range)) => found.hashes.push(text(body, range)?),
            (3, Value::Bytes(range)) => found.records.push(sub(body, range)?),
            _ => {}
        }
    }
    if let Some(sub) = found.records.iter().find(|sub| sub.key >= found.keys.len()) {
        return Err(format!("the key {} of a record is not among {}", sub.key, found.keys.len()));
    }
    Ok(Some(found))
}

fn text(body: &[u8], range: Range<usize>) -> Result<&str, String> {
    let bytes = body.get(range).unwrap_or_default();
    std::str::from_utf8(bytes).map_err(|error| format!("a partition key is no text: {error}"))
}

fn sub(body: &[u8], range: Range<usize>) -> Result<Sub, String> {
    let (mut key, mut hash, mut data) = (None, None, None);
    let mut reader = Reader { data: body.get(..range.end).unwrap_or_default(), at: range.start };
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Number(index)) => key = usize::try_from(index).ok(),
            (2, Value::Number(index)) => hash = usize::try_from(index).ok(),
            (3, Value::Bytes(range)) => data = Some(range.start + MAGIC.len()..range.end + MAGIC.len()),
            _ => {}
        }
    }
    match (key, data) {
        (Some(key), Some(data)) => Ok(Sub { key, hash, data }),
        _ => Err("one of its records has no key or no data".to_owned()),
    }
}

enum Value {
    Number(u64),
    Bytes(Range<usize>),
    Skipped,
}

/// Reads fields of a message of protobuf.
struct Reader<'a> {
    data: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn field(&mut self) -> Result<Option<(u64, Value)>, String> {
        if self.at >= self.data.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let start = self.at;
                self.skip(length)?;
                Value::Bytes(start..self.at)
            }
            5 => self.skip(4)?,
            other => return Err(format!("found a field of the kind {other}, expected 0, 1, 2 or 5")),
        };
        Ok(Some((tag >> 3, value)))
    }

    fn skip(&mut self, length: usize) -> Result<Value, String> {
        match self.at.checked_add(length).filter(|end| *end <= self.data.len()) {
            Some(end) => {
                self.at = end;
                Ok(Value::Skipped)
            }
            None => Err(format!("a field of {length} bytes goes beyond the end")),
        }
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.data.get(self.at).ok_or("it ends in a number")?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number has more than ten bytes".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
        out.extend([field << 3 | 2, bytes.len() as u8 | 0x80, (bytes.len() >> 7) as u8]);
        out.extend(bytes);
    }

    /// An aggregated record of pairs of key and data.
    fn aggregate(records: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        records.iter().for_each(|(key, _)| put(&mut body, 1, key.as_bytes()));
        for (n, (_, data)) in records.iter().enumerate() {
            let mut record = vec![0x08, n as u8];
            put(&mut record, 3, data);
            put(&mut record, 4, b"a tag");
            put(&mut body, 3, &record);
        }
        sealed(&body)
    }

    fn sealed(body: &[u8]) -> Vec<u8> {
        [&MAGIC, body, &Md5::digest(body)[..]].concat()
    }

    /// What Amazon's `aws_kinesis_agg` 1.2.3 makes of three records, the second of which is given a hash.
    const FROM_AMAZON: &str = "f3899ac20a01610a016212033132331a0908001a0566697273741a06080110001a001a0908001a05746869\
        7264d1c7f05ec2d9999a4f23ab4f5e96d058";

    #[test]
    fn what_is_aggregated_is_taken_apart() {
        let digit = |at| u8::from_str_radix(&FROM_AMAZON[at..at + 2], 16).unwrap();
        let data: Vec<u8> = (0..FROM_AMAZON.len()).step_by(2).map(digit).collect();
        let found = parse(&data).unwrap().unwrap();
        let sub =
            |sub: &Sub| (found.keys[sub.key], sub.hash.map(|at| found.hashes[at]), &data[sub.data.clone()]);
        let records: Vec<_> = found.records.iter().map(sub).collect();
        assert_eq!(records, [("a", None, &b"first"[..]), ("b", Some("123"), b""), ("a", None, b"third")]);
    }

    #[test]
    fn other_data_are_one_record() {
        let whole = aggregate(&[("a", b"first")]);
        for len in 0..whole.len() {
            assert!(parse(&whole[..len]).unwrap().is_none(), "{len}");
        }
        let mut wrong = whole;
        wrong[9] ^= 1;
        assert!(parse(&wrong).unwrap().is_none());
    }

    #[test]
    fn what_is_sealed_and_malformed_is_an_error() {
        for body in [
            &[0x0a][..],
            &[0x0a, 0xff],
            &[0x0a, 5, b'a'],
            &[0xff; 12],
            &[0x0b],
            &[0x0a, 1, 0xff],
            &[0x1a, 2, 0x08, 0],
            &[0x1a, 4, 0x08, 0, 0x1a, 0],
            &[0x1a, 12, 0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0],
        ] {
            assert!(parse(&sealed(body)).is_err(), "{body:?}");
        }
        assert!(parse(&sealed(&[])).unwrap().unwrap().records.is_empty());
    }
}
