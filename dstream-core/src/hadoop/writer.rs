//! Writes SequenceFiles.

use std::{
    hash::{BuildHasher, RandomState},
    io::{self, Write},
};

#[cfg(feature = "gzip")]
use super::codec::{Codec, compress};
use super::{Compression, Writable, varint};

/// About how many bytes stand between two sync markers, as in Hadoop.
const SYNC_INTERVAL: usize = 100 * 1024;

/// About how many bytes of records are compressed as one block.
#[cfg(feature = "gzip")]
const BLOCK: usize = 1 << 20;

/// Writes the pairs of a partition as a file.
pub(crate) fn write_part<'a, K: Writable + 'a, V: Writable + 'a>(
    pairs: impl IntoIterator<Item = &'a (K, V)>,
    compression: Compression,
    out: &mut impl Write,
) -> io::Result<()> {
    let sync = marker();
    out.write_all(&header::<K, V>(compression, &sync))?;
    match compression {
        Compression::None => write_records(pairs, sync, out, Ok),
        #[cfg(feature = "gzip")]
        Compression::Record => write_records(pairs, sync, out, |value| compress(&value)),
        #[cfg(feature = "gzip")]
        Compression::Block => write_blocks(pairs, sync, out),
    }
}

/// A random number: two files have different ones, so that none is taken for data of the other.
fn marker() -> [u8; 16] {
    let mut marker = [0; 16];
    let random = || RandomState::new().hash_one(std::process::id()).to_be_bytes();
    marker[..8].copy_from_slice(&random());
    marker[8..].copy_from_slice(&random());
    marker
}

fn header<K: Writable, V: Writable>(compression: Compression, sync: &[u8; 16]) -> Vec<u8> {
    let mut header = b"SEQ\x06".to_vec();
    varint::put_text(&mut header, K::CLASS);
    varint::put_text(&mut header, V::CLASS);
    match compression {
        Compression::None => header.extend_from_slice(&[0, 0]),
        #[cfg(feature = "gzip")]
        Compression::Record | Compression::Block => {
            header.extend_from_slice(&[1, u8::from(compression == Compression::Block)]);
            varint::put_text(&mut header, Codec::DEFAULT);
        }
    }
    // No metadata.
    header.extend_from_slice(&[0; 4]);
    header.extend_from_slice(sync);
    header
}

fn write_records<'a, K: Writable + 'a, V: Writable + 'a>(
    pairs: impl IntoIterator<Item = &'a (K, V)>,
    sync: [u8; 16],
    out: &mut impl Write,
    finish: impl Fn(Vec<u8>) -> io::Result<Vec<u8>>,
) -> io::Result<()> {
    let (mut key, mut since) = (Vec::new(), 0);
    for pair in pairs {
        key.clear();
        let mut value = Vec::new();
        pair.0.write(&mut key).map_err(|what| refused("key", &what))?;
        pair.1.write(&mut value).map_err(|what| refused("value", &what))?;
        let value = finish(value)?;
        if since >= SYNC_INTERVAL {
            out.write_all(&(-1i32).to_be_bytes())?;
            out.write_all(&sync)?;
            since = 0;
        }
        out.write_all(&length(key.len() + value.len())?)?;
        out.write_all(&length(key.len())?)?;
        out.write_all(&key)?;
        out.write_all(&value)?;
        since += 8 + key.len() + value.len();
    }
    Ok(())
}

/// The records of a block that is not written yet.
#[cfg(feature = "gzip")]
#[derive(Default)]
struct Block {
    records: i64,
    key_lengths: Vec<u8>,
    keys: Vec<u8>,
    value_lengths: Vec<u8>,
    values: Vec<u8>,
}

#[cfg(feature = "gzip")]
impl Block {
    fn write(&mut self, sync: &[u8; 16], out: &mut impl Write) -> io::Result<()> {
        if self.records == 0 {
            return Ok(());
        }
        let mut head = (-1i32).to_be_bytes().to_vec();
        head.extend_from_slice(sync);
        varint::put(&mut head, self.records);
        out.write_all(&head)?;
        for part in [&self.key_lengths, &self.keys, &self.value_lengths, &self.values] {
            let compressed = compress(part)?;
            let mut length = Vec::new();
            varint::put(&mut length, compressed.len() as i64);
            out.write_all(&length)?;
            out.write_all(&compressed)?;
        }
        *self = Block::default();
        Ok(())
    }
}

#[cfg(feature = "gzip")]
fn write_blocks<'a, K: Writable + 'a, V: Writable + 'a>(
    pairs: impl IntoIterator<Item = &'a (K, V)>,
    sync: [u8; 16],
    out: &mut impl Write,
) -> io::Result<()> {
    let mut block = Block::default();
    for (key, value) in pairs {
        let (keys, values) = (block.keys.len(), block.values.len());
        key.write(&mut block.keys).map_err(|what| refused("key", &what))?;
        value.write(&mut block.values).map_err(|what| refused("value", &what))?;
        varint::put(&mut block.key_lengths, (block.keys.len() - keys) as i64);
        varint::put(&mut block.value_lengths, (block.values.len() - values) as i64);
        block.records += 1;
        if block.keys.len() + block.values.len() >= BLOCK {
            block.write(&sync, out)?;
        }
    }
    block.write(&sync, out)
}

fn refused(what: &str, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a {what} can't be written: {why}"))
}

fn length(bytes: usize) -> io::Result<[u8; 4]> {
    let length = i32::try_from(bytes).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a record of {bytes} bytes is too long for a SequenceFile"),
        )
    })?;
    Ok(length.to_be_bytes())
}
