//! The entries of a part of the state: by operator, and of each operator in the order of their keys.

use std::{
    io::{self, Read, Write},
    mem,
    ops::Range,
};

use super::{
    Changes, CheckpointError, CheckpointStore,
    frame::{FrameReader, FrameWriter, Kind, ReadError, put_number, take_bytes, take_number},
    manifest::{Segment, parse_name, tag},
};

/// Entries are gathered to frames of about this many bytes: what has to be in memory at once.
const FRAME: usize = 1 << 16;

/// Writes the file of a segment.
pub(super) struct SegmentWriter<W> {
    frames: FrameWriter<W>,
    operator: Option<String>,
    frame: Vec<u8>,
    entries: u64,
    bytes: u64,
}

impl<W: Write> SegmentWriter<W> {
    pub(super) fn new(out: W, kind: Kind, name: &str) -> io::Result<SegmentWriter<W>> {
        let frames = FrameWriter::new(out, kind, name)?;
        Ok(SegmentWriter { frames, operator: None, frame: Vec::with_capacity(FRAME), entries: 0, bytes: 0 })
    }

    /// Writes the manifest, before everything else.
    pub(super) fn manifest(&mut self, encoded: &[u8]) -> io::Result<()> {
        self.frames.frame(&[&[tag::MANIFEST], encoded].concat())
    }

    /// Writes an entry; operators and their keys must come in order. `None` for a value is a key that was
    /// deleted.
    pub(super) fn entry(&mut self, operator: &str, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        if self.operator.as_deref() != Some(operator) {
            self.flush()?;
            self.frames.frame(&[&[tag::OPERATOR], operator.as_bytes()].concat())?;
            self.operator = Some(operator.to_owned());
        }
        if self.frame.is_empty() {
            self.frame.push(tag::ENTRIES);
        }
        put_number(&mut self.frame, key.len() as u64);
        put_number(&mut self.frame, value.map_or(0, |value| value.len() as u64 + 1));
        self.frame.extend_from_slice(key);
        self.frame.extend_from_slice(value.unwrap_or_default());
        self.entries += 1;
        self.bytes += entry_bytes(key, value);
        if self.frame.len() >= FRAME { self.flush() } else { Ok(()) }
    }

    /// Writes the end; returns how many entries there are, and their bytes.
    pub(super) fn finish(mut self) -> io::Result<(u64, u64)> {
        self.flush()?;
        let mut end = vec![tag::END];
        end.extend(self.entries.to_le_bytes());
        self.frames.frame(&end)?;
        Ok((self.entries, self.bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            self.frames.frame(&self.frame)?;
            self.frame.clear();
        }
        Ok(())
    }
}

/// What an entry counts when the sizes of segments are compared.
pub(super) fn entry_bytes(key: &[u8], value: Option<&[u8]>) -> u64 {
    key.len() as u64 + value.map_or(0, |value| value.len() as u64)
}

/// How many entries and bytes a segment of these changes will have.
pub(super) fn measure<'a>(changes: impl Iterator<Item = &'a Changes>) -> (u64, u64) {
    changes
        .flat_map(Changes::iter)
        .fold((0, 0), |(entries, bytes), (key, value)| (entries + 1, bytes + entry_bytes(key, value)))
}

/// Reads the entries of a segment, one after the other, with little memory.
pub(super) struct SegmentReader {
    /// Of the file, for messages.
    place: String,
    frames: FrameReader<Box<dyn Read + Send>>,
    frame: Vec<u8>,
    at: usize,
    operator: String,
    key: Range<usize>,
    value: Option<Range<usize>>,
    /// Of the same operator, to check their order: keys of the same segment never meet again otherwise.
    previous: Vec<u8>,
    started: bool,
    entries: u64,
    expected: u64,
}

impl SegmentReader {
    pub(super) fn open(
        store: &dyn CheckpointStore,
        segment: &Segment,
    ) -> Result<SegmentReader, CheckpointError> {
        let name = &segment.object;
        let place = store.describe(name);
        let kind = parse_name(name).map(|(kind, _)| kind);
        let frames = match kind {
            Some(kind) => {
                store.get(name).map_err(ReadError::Io).and_then(|file| FrameReader::new(file, kind, name))
            }
            None => Err(ReadError::Damaged(
                "is no name of an object, expected `checkpoint-` or `merged-` and a number".to_owned(),
            )),
        };
        Ok(SegmentReader {
            frames: frames.map_err(|error| error.in_file(place.clone()))?,
            place,
            frame: Vec::new(),
            at: 0,
            operator: String::new(),
            key: 0..0,
            value: None,
            previous: Vec::new(),
            started: false,
            entries: 0,
            expected: segment.entries,
        })
    }

    /// Goes to the next entry; `false` at the end of a whole segment.
    pub(super) fn advance(&mut self) -> Result<bool, CheckpointError> {
        self.step().map_err(|error| error.in_file(self.place.clone()))
    }

    pub(super) fn operator(&self) -> &str {
        &self.operator
    }

    pub(super) fn key(&self) -> &[u8] {
        self.frame.get(self.key.clone()).unwrap_or_default()
    }

    pub(super) fn value(&self) -> Option<&[u8]> {
        self.value.clone().map(|value| self.frame.get(value).unwrap_or_default())
    }

    fn step(&mut self) -> Result<bool, ReadError> {
        if self.started {
            let key = self.frame.get(self.key.clone()).unwrap_or_default();
            self.previous.clear();
            self.previous.extend_from_slice(key);
        }
        while self.at >= self.frame.len() {
            if !self.next_frame()? {
                return Ok(false);
            }
        }
        let error = |what| ReadError::at(self.frames.offset(), format_args!("{what} in the entries before"));
        let all = self.frame.len();
        let mut rest = self.frame.get(self.at..).unwrap_or_default();
        let mut take = || {
            let (key, value) = (take_number(&mut rest)?, take_number(&mut rest)?);
            let start = all - rest.len();
            take_bytes(&mut rest, key)?;
            let middle = all - rest.len();
            take_bytes(&mut rest, value.saturating_sub(1))?;
            let end = all - rest.len();
            Some((start..middle, (value > 0).then_some(middle..end), end))
        };
        (self.key, self.value, self.at) = take().ok_or_else(|| error("a length does not fit"))?;
        if self.started && self.key() <= &self.previous[..] {
            return Err(error("keys are not in order"));
        }
        self.started = true;
        self.entries += 1;
        Ok(true)
    }

    /// Reads up to the next entries; `false` at the end.
    fn next_frame(&mut self) -> Result<bool, ReadError> {
        let offset = self.frames.offset();
        let error = |what: &str| ReadError::at(offset, what);
        if !self.frames.next(&mut self.frame)? {
            return Err(ReadError::Truncated(offset));
        }
        self.at = self.frame.len();
        match self.frame.split_first() {
            Some((&tag::MANIFEST, _)) => Ok(true),
            Some((&tag::OPERATOR, name)) => {
                let name =
                    str::from_utf8(name).map_err(|_| error("the name of an operator is no text"))?.to_owned();
                let previous = mem::replace(&mut self.operator, name);
                if self.entries > 0 && self.operator <= previous {
                    return Err(error("operators are not in order"));
                }
                self.started = false;
                Ok(true)
            }
            Some((&tag::ENTRIES, _)) => {
                self.at = 1;
                Ok(true)
            }
            Some((&tag::END, count)) => {
                let count = count.try_into().map_or(0, u64::from_le_bytes);
                if count != self.entries || count != self.expected {
                    let (found, expected) = (self.entries, self.expected);
                    return Err(error(&format!(
                        "found {found} entries, expected {expected}, of which {count} were written"
                    )));
                }
                if self.frames.next(&mut self.frame)? {
                    return Err(error("more follows after the end"));
                }
                Ok(false)
            }
            _ => Err(error("a frame of no known kind")),
        }
    }
}
