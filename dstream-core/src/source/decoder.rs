//! Decoders: what cuts the bytes of a connection into records.

use std::error::Error as StdError;

use bytes::{Buf, Bytes, BytesMut};

/// Cuts bytes into records, as they arrive. It has the shape of tokio-util's `Decoder`.
///
/// ```
/// use dstream::source::{BytesMut, Decoder};
/// use std::error::Error;
///
/// /// Numbers of two bytes.
/// #[derive(Clone)]
/// struct Numbers;
///
/// impl Decoder for Numbers {
///     type Item = u16;
///
///     fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<u16>, Box<dyn Error + Send + Sync>> {
///         Ok((buf.len() >= 2).then(|| u16::from_be_bytes([buf[0], buf.split_to(2)[1]])))
///     }
/// }
///
/// let mut buf = BytesMut::from(&[1, 0, 0, 7, 9][..]);
/// assert_eq!(Numbers.decode(&mut buf)?, Some(256));
/// assert_eq!(Numbers.decode(&mut buf)?, Some(7));
/// assert_eq!(Numbers.decode(&mut buf)?, None);
/// assert!(Numbers.decode_eof(&mut buf).is_err());
/// # Ok::<(), Box<dyn Error + Send + Sync>>(())
/// ```
pub trait Decoder: Send + 'static {
    /// A record. For [`socket_stream`](crate::source::socket_stream()) it must be one that serde can write
    /// and read, since it is kept over a crash; if it can't be, yield [`Bytes`] and make records of them with
    /// a `map`.
    type Item: Send + 'static;

    /// Takes one record off the front of `buf`; `None` if there is no whole one yet.
    ///
    /// An error ends the connection, because nobody knows where the next record begins.
    fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Self::Item>, Box<dyn StdError + Send + Sync>>;

    /// Like `decode`, when nothing more will come; called until it returns `None`. By itself it is an error
    /// if bytes are left.
    fn decode_eof(
        &mut self,
        buf: &mut BytesMut,
    ) -> Result<Option<Self::Item>, Box<dyn StdError + Send + Sync>> {
        let item = self.decode(buf)?;
        if item.is_none() && !buf.is_empty() {
            return Err(
                format!("the connection ended inside a record: {} bytes of it are lost", buf.len()).into()
            );
        }
        Ok(item)
    }
}

const MAX_LENGTH: usize = 16 << 20;

/// Records that end in a byte which is not part of them. The last record of a connection may do without.
///
/// ```
/// use dstream::source::{BytesMut, Decoder, DelimiterDecoder};
///
/// let mut decoder = DelimiterDecoder::new(b'\0');
/// let mut buf = BytesMut::from("to\0be");
/// assert_eq!(decoder.decode(&mut buf)?.as_deref(), Some(&b"to"[..]));
/// assert_eq!(decoder.decode(&mut buf)?, None);
/// assert_eq!(decoder.decode_eof(&mut buf)?.as_deref(), Some(&b"be"[..]));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DelimiterDecoder {
    delimiter: u8,
    max_length: usize,
    /// So many bytes at the front have no delimiter: a long record is not searched again with each read.
    searched: usize,
}

impl DelimiterDecoder {
    /// Records that end in `delimiter`.
    pub fn new(delimiter: u8) -> DelimiterDecoder {
        DelimiterDecoder { delimiter, max_length: MAX_LENGTH, searched: 0 }
    }

    /// How long a record may be; a longer one is an error. Default: 16 MiB.
    pub fn max_length(mut self, bytes: usize) -> DelimiterDecoder {
        self.max_length = bytes;
        self
    }
}

impl Decoder for DelimiterDecoder {
    type Item = Bytes;

    fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, Box<dyn StdError + Send + Sync>> {
        let found = memchr::memchr(self.delimiter, &buf[self.searched..]).map(|at| self.searched + at);
        if found.unwrap_or(buf.len()) > self.max_length {
            return Err(format!(
                "no delimiter {:#04x} after {} bytes: is this the right delimiter? (see \
                 `DelimiterDecoder::max_length`)",
                self.delimiter, self.max_length
            )
            .into());
        }
        self.searched = if found.is_some() { 0 } else { buf.len() };
        Ok(found.map(|at| {
            let record = buf.split_to(at).freeze();
            buf.advance(1);
            record
        }))
    }

    fn decode_eof(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, Box<dyn StdError + Send + Sync>> {
        let item = self.decode(buf)?;
        self.searched = 0;
        Ok(item.or_else(|| (!buf.is_empty()).then(|| buf.split().freeze())))
    }
}

/// Records with their length before them, as a big-endian number that does not count itself.
///
/// ```
/// use dstream::source::{BytesMut, Decoder, LengthDecoder};
///
/// let mut buf = BytesMut::from(&b"\0\x02to\0\x02be\0\x06or n"[..]);
/// let mut decoder = LengthDecoder::u16();
/// assert_eq!(decoder.decode(&mut buf)?.as_deref(), Some(&b"to"[..]));
/// assert_eq!(decoder.decode(&mut buf)?.as_deref(), Some(&b"be"[..]));
/// assert_eq!(decoder.decode(&mut buf)?, None);
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Clone, Debug)]
pub struct LengthDecoder {
    prefix: usize,
    max_length: usize,
}

impl LengthDecoder {
    /// The length has one byte.
    pub fn u8() -> LengthDecoder {
        LengthDecoder { prefix: 1, max_length: MAX_LENGTH }
    }

    /// The length has two bytes.
    pub fn u16() -> LengthDecoder {
        LengthDecoder { prefix: 2, max_length: MAX_LENGTH }
    }

    /// The length has four bytes.
    pub fn u32() -> LengthDecoder {
        LengthDecoder { prefix: 4, max_length: MAX_LENGTH }
    }

    /// The length has eight bytes.
    pub fn u64() -> LengthDecoder {
        LengthDecoder { prefix: 8, max_length: MAX_LENGTH }
    }

    /// How long a record may be; a longer one is an error. Default: 16 MiB.
    pub fn max_length(mut self, bytes: usize) -> LengthDecoder {
        self.max_length = bytes;
        self
    }
}

impl Decoder for LengthDecoder {
    type Item = Bytes;

    fn decode(&mut self, buf: &mut BytesMut) -> Result<Option<Bytes>, Box<dyn StdError + Send + Sync>> {
        let Some(prefix) = buf.get(..self.prefix) else { return Ok(None) };
        let found = prefix.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let length = usize::try_from(found).unwrap_or(usize::MAX);
        if length > self.max_length {
            return Err(format!(
                "a record of {found} bytes, but at most {} are expected: is its length a big-endian number \
                 of {} bytes? (see `LengthDecoder::max_length`)",
                self.max_length, self.prefix
            )
            .into());
        }
        if buf.len() - self.prefix < length {
            return Ok(None);
        }
        buf.advance(self.prefix);
        Ok(Some(buf.split_to(length).freeze()))
    }
}
