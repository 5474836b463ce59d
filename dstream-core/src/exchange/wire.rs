//! What tasks hand to other processes, as bytes.
//!
//! A message is framed as below; numbers are little-endian.
//!
//! | bytes | |
//! |---|---|
//! | 4 | `DSX1` |
//! | 4 | CRC-32 of all that follows |
//! | 4 | length of the header |
//! | | the [`Header`], in the encoding of checkpoints |
//! | for each part: 8, then as many | a part: what the sender has for one bucket of the receiver, in the encoding of checkpoints |

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::DeserializeOwned,
    ser::{Error as _, SerializeSeq},
};

use crate::checkpoint::{decode, encode};

const MAGIC: &[u8; 4] = b"DSX1";

/// What a task has for one bucket, and can be sent.
pub(crate) trait Wire: Serialize + DeserializeOwned + Send {
    /// Whether nothing is lost if this is left out.
    fn is_nothing(&self) -> bool {
        false
    }

    /// Whether what was received can be used as if it had been made here.
    fn is_sound(&self) -> bool {
        true
    }
}

/// A number that every process has, such as a count.
impl Wire for u64 {}

impl<T: Serialize + DeserializeOwned + Send> Wire for Vec<T> {
    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

/// What a message is about; both sides must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// In milliseconds since the epoch.
    pub(crate) batch: u64,
    pub(crate) step: u32,
    pub(crate) operator: String,
    pub(crate) buckets: u64,
    pub(crate) seed: u64,
    /// A checksum of the name of the type that is exchanged.
    pub(crate) types: u32,
    /// Why the sender has nothing: its own input failed.
    pub(crate) failed: Option<String>,
}

/// Writes what the tasks of this process have for one bucket, but for what is nothing.
pub(crate) fn encode_tasks<E: Wire>(mut tasks: Vec<E>) -> Result<Vec<u8>, String> {
    tasks.retain(|task| !task.is_nothing());
    if tasks.is_empty() {
        return Ok(Vec::new());
    }
    encode(&tasks)
}

/// Reads what [`encode_tasks`] wrote.
pub(crate) fn decode_tasks<E: Wire>(bytes: &[u8]) -> Result<Vec<E>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let tasks: Vec<E> = decode(bytes)?;
    match tasks.iter().all(E::is_sound) {
        true => Ok(tasks),
        false => Err("it contradicts itself".to_owned()),
    }
}

/// A whole message.
pub(crate) fn frame<'a>(
    header: &Header,
    parts: impl Iterator<Item = &'a [u8]> + Clone,
) -> Result<Bytes, String> {
    let header = rmp_serde::to_vec_named(header).map_err(|error| error.to_string())?;
    let size: usize = parts.clone().map(|part| part.len() + 8).sum();
    let mut message = Vec::with_capacity(12 + header.len() + size);
    message.extend_from_slice(MAGIC);
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&(header.len() as u32).to_le_bytes());
    message.extend_from_slice(&header);
    for part in parts {
        message.extend_from_slice(&(part.len() as u64).to_le_bytes());
        message.extend_from_slice(part);
    }
    let crc = crc32fast::hash(&message[8..]);
    message[4..8].copy_from_slice(&crc.to_le_bytes());
    Ok(message.into())
}

/// Takes a message apart; `Err` says what is wrong with it, to be read behind "process 1".
pub(crate) fn unframe(mut message: Bytes) -> Result<(Header, Vec<Bytes>), String> {
    const DAMAGED: &str = "has sent a message that arrived damaged";
    let take = |message: &mut Bytes, n: usize| {
        (message.len() >= n).then(|| message.split_to(n)).ok_or_else(|| DAMAGED.to_owned())
    };
    let number = |bytes: Bytes| bytes.iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte)) as usize;
    if take(&mut message, 4)? != MAGIC[..] {
        return Err(
            "has sent no message of this version of dstream: all processes must run the same one".into()
        );
    }
    let crc = take(&mut message, 4)?;
    if number(crc) != crc32fast::hash(&message) as usize {
        return Err(DAMAGED.to_owned());
    }
    let len = number(take(&mut message, 4)?);
    let header = decode(&take(&mut message, len)?).map_err(
        |_| "has sent a header of another version of dstream: all processes must run the same one",
    )?;
    let mut parts = Vec::new();
    while !message.is_empty() {
        let len = number(take(&mut message, 8)?);
        parts.push(take(&mut message, len)?);
    }
    Ok((header, parts))
}

/// Writes records as one sequence, wherever they are; there must be `len` of them.
pub(crate) fn collect_seq<S: Serializer, T: Serialize>(
    serializer: S,
    len: usize,
    records: impl Iterator<Item = T>,
) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(len))?;
    let mut written = 0;
    for record in records {
        seq.serialize_element(&record)?;
        written += 1;
    }
    match written == len {
        true => seq.end(),
        false => Err(S::Error::custom("a value is missing")),
    }
}

/// Reads what [`collect_seq`] wrote: all in one chunk, or none.
pub(crate) fn chunks_of<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<Vec<T>>, D::Error> {
    let records = Vec::deserialize(deserializer)?;
    Ok(if records.is_empty() { Vec::new() } else { vec![records] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            batch: 1_000,
            step: 3,
            operator: "reduce_by_key".into(),
            buckets: 16,
            seed: 5,
            types: 9,
            failed: None,
        }
    }

    #[test]
    fn a_message_comes_back() {
        let parts: [&[u8]; 3] = [b"abc", b"", b"0123456789"];
        let message = frame(&header(), parts.into_iter()).unwrap();
        let (found, back) = unframe(message).unwrap();
        assert_eq!(found, header());
        assert_eq!(back, parts);
    }

    /// Whatever is done to a message, it is refused with a reason, and nothing panics.
    #[test]
    fn a_damaged_message_is_refused() {
        let message = frame(&header(), [&b"abc"[..], b"0123456789"].into_iter()).unwrap();
        for at in 0..message.len() {
            assert!(unframe(message.slice(..at)).is_err(), "cut at {at}");
            for bit in 0..8 {
                let mut bytes = message.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(unframe(bytes.into()).is_err(), "bit {bit} of byte {at}");
            }
        }
        assert!(unframe([&message[..], b"x"].concat().into()).is_err());
    }
}
