//! What all files have in common: a header, and frames that each have a checksum.
//!
//! The checksum of a frame also covers where it stands and in which file, so that parts of files can't change
//! places unnoticed.

use std::{
    fmt,
    io::{self, BufReader, Read, Write},
};

use super::CheckpointError;

const MAGIC: &[u8; 8] = b"dschkpt\n";

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A manifest, and the changes of one batch.
    Checkpoint,
    /// What the changes of several batches come to.
    Merged,
    /// Blocks of receivers.
    Log,
}

impl Kind {
    fn code(self) -> [u8; 4] {
        match self {
            Kind::Checkpoint => *b"ckpt",
            Kind::Merged => *b"mrgd",
            Kind::Log => *b"rlog",
        }
    }

    /// The version of the format that files of this kind are written in; all older ones are read. See
    /// `docs/checkpoint-format.md` for when it changes.
    fn version(self) -> u32 {
        match self {
            // Version 1 knew the outputs of a pending batch by their positions.
            Kind::Checkpoint => 2,
            Kind::Merged | Kind::Log => 1,
        }
    }
}

/// Why a file can't be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The file ends within the frame that begins at this byte.
    Truncated(u64),
    /// The content is not as expected; says what was found and what was expected.
    Damaged(String),
    /// The format is newer than the newest one that this program knows.
    Newer { found: u32, known: u32 },
    /// The storage returned an error.
    Io(io::Error),
}

impl ReadError {
    pub(super) fn at(offset: u64, what: impl fmt::Display) -> ReadError {
        ReadError::Damaged(format!("is damaged at byte {offset}: {what}"))
    }

    pub(super) fn in_file(self, file: String) -> CheckpointError {
        match self {
            ReadError::Truncated(offset) => CheckpointError::damaged(
                file,
                format_args!("is cut off: what begins at byte {offset} has no end"),
            ),
            ReadError::Damaged(what) => CheckpointError::damaged(file, what),
            ReadError::Newer { found, known } => CheckpointError::Newer { file, found, known },
            ReadError::Io(e) if e.kind() == io::ErrorKind::NotFound => {
                CheckpointError::damaged(file, "is missing")
            }
            ReadError::Io(e) => CheckpointError::io(format_args!("reading `{file}`"), e),
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

/// The bytes before the first frame, in today's version.
pub(super) fn header(kind: Kind, name: &str) -> Vec<u8> {
    header_of(kind.version(), kind, name)
}

fn header_of(version: u32, kind: Kind, name: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend(kind.code());
    // Names are made here, and short.
    bytes.extend((name.len() as u32).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// Checks the length of a frame that begins at this offset of the file with this tag. Alone it finds a frame
/// in a damaged file, and keeps a damaged length from being believed.
fn head_checksum(tag: u32, offset: u64, length: u32) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&tag.to_le_bytes());
    crc.update(&offset.to_le_bytes());
    crc.update(&length.to_le_bytes());
    crc.finalize()
}

/// Checks the payload of a frame, and that it belongs to its head.
fn checksum(head: u32, payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head.to_le_bytes());
    crc.update(payload);
    crc.finalize()
}

/// The tag of a file is the checksum of its header.
fn tag_of(header: &[u8]) -> u32 {
    header.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc))
}

/// Writes a file.
pub(super) struct FrameWriter<W> {
    pub(super) out: W,
    tag: u32,
    offset: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(mut out: W, kind: Kind, name: &str) -> io::Result<FrameWriter<W>> {
        let header = header(kind, name);
        out.write_all(&header)?;
        Ok(FrameWriter { out, tag: tag_of(&header), offset: header.len() as u64 })
    }

    /// Writes a frame, in one piece.
    pub(super) fn frame(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(|_| {
            io::Error::other(format!("{} bytes in one piece, expected less than 4 GiB", payload.len()))
        })?;
        let head = head_checksum(self.tag, self.offset, length);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&head.to_le_bytes())?;
        self.out.write_all(payload)?;
        self.out.write_all(&checksum(head, payload).to_le_bytes())?;
        self.offset += frame_len(payload.len());
        Ok(())
    }

    /// How many bytes were written.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

/// How many bytes of a file a frame takes.
pub(super) fn frame_len(payload: usize) -> u64 {
    payload as u64 + 12
}

/// Where the payload of a frame begins, if the frame begins at `offset`.
pub(super) fn payload_at(offset: u64) -> u64 {
    offset + 8
}

/// Reads a file.
pub(super) struct FrameReader<R> {
    input: BufReader<R>,
    tag: u32,
    offset: u64,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(input: R, kind: Kind, name: &str) -> Result<FrameReader<R>, ReadError> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let mut found = Vec::with_capacity(24 + name.len());
        // The layout up to the name's length is the same in every version.
        (&mut input).take(20).read_to_end(&mut found)?;
        if !found.starts_with(MAGIC) {
            return Err(match found.is_empty() {
                true => ReadError::Damaged("is empty".to_owned()),
                false => {
                    ReadError::Damaged("is no checkpoint file: expected one that dstream wrote".to_owned())
                }
            });
        }
        let length = found.last_chunk().map_or(0, |n| u32::from_le_bytes(*n));
        (&mut input).take(u64::from(length).saturating_add(4)).read_to_end(&mut found)?;
        if found.len() < 24 || found.len() as u64 != 24 + u64::from(length) {
            return Err(ReadError::Truncated(0));
        }
        let known = (1..=kind.version()).any(|version| found == header_of(version, kind, name));
        if !known {
            return Err(header_error(&found, kind, name));
        }
        Ok(FrameReader { input, tag: tag_of(&found), offset: found.len() as u64 })
    }

    /// Reads the next frame into `payload`; `false` if the file ends here.
    pub(super) fn next(&mut self, payload: &mut Vec<u8>) -> Result<bool, ReadError> {
        payload.clear();
        let mut head = Vec::with_capacity(8);
        (&mut self.input).take(8).read_to_end(&mut head)?;
        if head.is_empty() {
            return Ok(false);
        }
        let Some((length, found)) = frame_head(&head) else { return Err(ReadError::Truncated(self.offset)) };
        let head = head_checksum(self.tag, self.offset, length);
        self.compare(found, head)?;
        // `take` and not `resize`: memory only for what is there.
        (&mut self.input).take(u64::from(length) + 4).read_to_end(payload)?;
        if payload.len() as u64 != u64::from(length) + 4 {
            return Err(ReadError::Truncated(self.offset));
        }
        let found = payload.split_off(length as usize).try_into().map_or(0, u32::from_le_bytes);
        self.compare(found, checksum(head, payload))?;
        self.offset += frame_len(payload.len());
        Ok(true)
    }

    fn compare(&self, found: u32, expected: u32) -> Result<(), ReadError> {
        if found == expected {
            return Ok(());
        }
        Err(ReadError::at(self.offset, format_args!("a checksum is {found:08x}, expected {expected:08x}")))
    }

    /// Where the next frame begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}

/// What is wrong with a header that is not the expected one.
fn header_error(found: &[u8], kind: Kind, name: &str) -> ReadError {
    let (body, crc) = found.split_at(found.len().saturating_sub(4));
    if tag_of(crc) != crc32fast::hash(body) {
        return ReadError::at(0, "the checksum of its header does not fit");
    }
    let part = |range| body.get::<std::ops::Range<usize>>(range).unwrap_or_default();
    let version = part(8..12).try_into().map_or(0, u32::from_le_bytes);
    if version > kind.version() {
        return ReadError::Newer { found: version, known: kind.version() };
    }
    let (was_kind, was) = (part(12..16).escape_ascii(), String::from_utf8_lossy(part(20..body.len())));
    let expected = kind.code().escape_ascii().to_string();
    ReadError::Damaged(format!(
        "was written as `{was}` of kind `{was_kind}`, expected `{name}` of kind `{expected}`: was it renamed \
         or copied?"
    ))
}

/// The length of a frame and its checksum.
fn frame_head(bytes: &[u8]) -> Option<(u32, u32)> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*length), u32::from_le_bytes(*rest.first_chunk()?)))
}

/// Whether a whole frame of the file begins anywhere from byte `from` on.
pub(super) fn frame_follows(file: &[u8], header: &[u8], from: u64) -> bool {
    let (tag, from) = (tag_of(header), usize::try_from(from).unwrap_or(usize::MAX));
    (from..file.len()).any(|at| {
        let Some((length, found)) = file.get(at..).and_then(frame_head) else { return false };
        let head = head_checksum(tag, at as u64, length);
        let mut rest = file.get(at + 8..).unwrap_or_default();
        found == head
            && take_bytes(&mut rest, u64::from(length)).is_some_and(|payload| {
                rest.first_chunk().is_some_and(|crc| u32::from_le_bytes(*crc) == checksum(head, payload))
            })
    })
}

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number off the front.
pub(super) fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        n |= bits << shift;
        if byte < 0x80 {
            return ((bits << shift) >> shift == bits).then_some(n);
        }
    }
    None
}

/// Takes as many bytes off the front.
pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}
