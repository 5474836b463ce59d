//! Reads SequenceFiles.

use std::{
    io::{self, Read},
    marker::PhantomData,
};

use super::{Writable, codec::Codec, varint};

/// More than that is no record, and no block, but damage.
const LIMIT: usize = 1 << 30;

/// The pairs of a SequenceFile, one by one.
///
/// ```
/// use dstream::{hadoop::SequenceReader, prelude::*};
/// use std::{fs::File, io::BufReader};
///
/// let folder = tempfile::tempdir()?;
/// Rdd::parallelize(vec![(1i32, "one".to_owned())]).save_as_sequence_file(folder.path().join("numbers"))?;
///
/// let file = File::open(folder.path().join("numbers/part-00000"))?;
/// let numbers: Vec<(i32, String)> = SequenceReader::new(BufReader::new(file))?.collect::<Result<_, _>>()?;
/// assert_eq!(numbers, [(1, "one".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SequenceReader<R, K, V> {
    from: Counted<R>,
    sync: [u8; 16],
    records: Records,
    /// The rest of the block that is being read.
    block: Block,
    /// An error ends it.
    ended: bool,
    pairs: PhantomData<fn() -> (K, V)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Records {
    Plain,
    /// Each value is compressed.
    Compressed(Codec),
    Blocks(Codec),
}

#[derive(Debug, Default)]
struct Block {
    left: i64,
    key_lengths: Part,
    keys: Part,
    value_lengths: Part,
    values: Part,
}

/// Bytes, and how many of them have been read.
#[derive(Debug, Default)]
struct Part(Vec<u8>, usize);

impl Part {
    fn take(&mut self, length: i64) -> Result<&[u8], String> {
        let end = usize::try_from(length).ok().and_then(|length| self.1.checked_add(length));
        let taken = end.and_then(|end| self.0.get(self.1..end));
        let taken = taken.ok_or("a block whose lengths do not fit its content")?;
        self.1 += taken.len();
        Ok(taken)
    }

    fn number(&mut self) -> Result<i64, String> {
        let mut rest = &self.0[self.1..];
        let number = varint::take(&mut rest)?;
        self.1 = self.0.len() - rest.len();
        Ok(number)
    }
}

impl<R: Read, K: Writable, V: Writable> SequenceReader<R, K, V> {
    /// Reads the beginning of a file.
    ///
    /// # Errors
    ///
    /// If it is no SequenceFile, its keys or values are of other classes than those of `K` and `V`, or it is
    /// compressed by a codec that can't be read.
    pub fn new(from: R) -> io::Result<Self> {
        let mut from = Counted { from, at: 0 };
        let mut magic = [0; 4];
        from.read_exact(&mut magic)
            .map_err(|error| cut_off(error, "is no SequenceFile: it is shorter than 4 bytes"))?;
        match &magic {
            b"SEQ\x06" => {}
            [b'S', b'E', b'Q', version] => {
                return Err(invalid(format!(
                    "is a SequenceFile of version {version}: only version 6 can be read"
                )));
            }
            _ => {
                return Err(invalid(format!("is no SequenceFile: it begins with {magic:?}, expected `SEQ`")));
            }
        }
        let classes = (text(&mut from)?, text(&mut from)?);
        if (&*classes.0, &*classes.1) != (K::CLASS, V::CLASS) {
            return Err(invalid(format!(
                "has keys of `{}` and values of `{}`, and is read as `{}` and `{}`: give the reader the \
                 types that are in it",
                classes.0,
                classes.1,
                K::CLASS,
                V::CLASS
            )));
        }
        let [compressed, blocks] = bytes(&mut from)?;
        let codec = match compressed {
            0 => None,
            _ => Some(text(&mut from).and_then(|class| Codec::of(&class).map_err(invalid))?),
        };
        let records = match (codec, blocks) {
            (None, _) => Records::Plain,
            (Some(codec), 0) => Records::Compressed(codec),
            (Some(codec), _) => Records::Blocks(codec),
        };
        let entries = i32::from_be_bytes(bytes(&mut from)?);
        for _ in 0..entries.max(0) {
            text(&mut from)?;
            text(&mut from)?;
        }
        let sync = bytes(&mut from)?;
        Ok(SequenceReader { from, sync, records, block: Block::default(), ended: false, pairs: PhantomData })
    }

    fn pair(&mut self) -> io::Result<Option<(K, V)>> {
        let codec = match self.records {
            Records::Blocks(codec) => return self.pair_of_block(codec),
            Records::Compressed(codec) => Some(codec),
            Records::Plain => None,
        };
        let length = loop {
            let Some(length) = self.from.next_length()? else { return Ok(None) };
            if length != -1 {
                break length;
            }
            self.check_sync()?;
        };
        let key_length = i32::from_be_bytes(bytes(&mut self.from)?);
        if key_length < 0 || length < key_length {
            return Err(invalid(format!("has a record of {length} bytes with a key of {key_length}")));
        }
        let key = self.from.take_bytes(key_length as usize)?;
        let value = self.from.take_bytes((length - key_length) as usize)?;
        let value = match codec {
            None => value,
            Some(codec) => codec.decompress(&value, LIMIT)?,
        };
        Ok(Some((read("key", &key)?, read("value", &value)?)))
    }

    fn pair_of_block(&mut self, codec: Codec) -> io::Result<Option<(K, V)>> {
        while self.block.left == 0 {
            match self.from.next_length()? {
                None => return Ok(None),
                Some(-1) => self.check_sync()?,
                Some(found) => return Err(invalid(format!("has {found} where a block begins, expected -1"))),
            }
            let left = varint::read(&mut self.from)?;
            if left < 0 {
                return Err(invalid(format!("has a block of {left} records")));
            }
            let mut part = || -> io::Result<Part> {
                let length = varint::read(&mut self.from)?;
                let length = usize::try_from(length)
                    .map_err(|_| invalid(format!("has a part of a block of {length} bytes")))?;
                let compressed = self.from.take_bytes(length)?;
                Ok(Part(codec.decompress(&compressed, LIMIT)?, 0))
            };
            let (key_lengths, keys, value_lengths, values) = (part()?, part()?, part()?, part()?);
            self.block = Block { left, key_lengths, keys, value_lengths, values };
        }
        let block = &mut self.block;
        let key = block.key_lengths.number().and_then(|length| block.keys.take(length)).map_err(invalid)?;
        let value =
            block.value_lengths.number().and_then(|length| block.values.take(length)).map_err(invalid)?;
        let pair = (read("key", key)?, read("value", value)?);
        block.left -= 1;
        Ok(Some(pair))
    }

    fn check_sync(&mut self) -> io::Result<()> {
        match bytes(&mut self.from)? == self.sync {
            true => Ok(()),
            false => Err(invalid("has something else where its sync marker is expected".to_owned())),
        }
    }
}

impl<R: Read, K: Writable, V: Writable> Iterator for SequenceReader<R, K, V> {
    type Item = io::Result<(K, V)>;

    fn next(&mut self) -> Option<io::Result<(K, V)>> {
        if self.ended {
            return None;
        }
        let pair = self.pair().map_err(|error| {
            self.ended = true;
            let what = match error.kind() {
                io::ErrorKind::UnexpectedEof => "is cut off".to_owned(),
                _ => error.to_string(),
            };
            io::Error::new(error.kind(), format!("the SequenceFile {what} (at byte {})", self.from.at))
        });
        pair.transpose()
    }
}

/// The pairs of one part file.
pub(crate) fn read_part<K: Writable, V: Writable>(from: impl Read) -> io::Result<Vec<(K, V)>> {
    SequenceReader::new(from)?.collect()
}

/// Knows how much has been read.
#[derive(Debug)]
struct Counted<R> {
    from: R,
    at: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl<R: Read> Counted<R> {
    /// A length, or nothing where the file ends.
    fn next_length(&mut self) -> io::Result<Option<i32>> {
        let mut length = [0; 4];
        let mut have = 0;
        while have < 4 {
            match self.read(&mut length[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(i32::from_be_bytes(length)))
    }

    /// So many bytes; memory is reserved as they come, since the length may be damaged.
    fn take_bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > LIMIT {
            return Err(invalid(format!("says that something in it has {length} bytes")));
        }
        let mut bytes = Vec::with_capacity(length.min(64 << 10));
        self.by_ref().take(length as u64).read_to_end(&mut bytes)?;
        match bytes.len() == length {
            true => Ok(bytes),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text<R: Read>(from: &mut Counted<R>) -> io::Result<String> {
    let length = varint::read(from)?;
    let length = usize::try_from(length)
        .map_err(|_| invalid(format!("has a text of {length} bytes in its header")))?;
    String::from_utf8(from.take_bytes(length)?)
        .map_err(|_| invalid("has a text in its header that is not UTF-8".to_owned()))
}

fn read<T: Writable>(what: &str, bytes: &[u8]) -> io::Result<T> {
    T::read(bytes).map_err(|why| invalid(format!("has a {what} that is no `{}`: {why}", T::CLASS)))
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn cut_off(error: io::Error, what: &str) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => invalid(what),
        _ => error,
    }
}
