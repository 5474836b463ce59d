//! `binary_records_stream`: records of fixed length.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;

use super::{FileStream, FoundFile, PIECE, open::is_compressed, pieces::Pieces};
use crate::{Error, Result, block::Block};

/// The records of `length` bytes each out of the files that appear in a folder, or in the folders that match
/// a pattern.
///
/// See [`FileStream`] for which files these are and when. If the last record of a file is too short, it is
/// reported and left out.
///
/// ```
/// use dstream::prelude::*;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("readings"), [0, 7, 0, 9])?;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let readings = binary_records_stream(folder.path(), 2);
///     readings.map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]])).collect_to(&out);
/// })?;
/// ssc.run_to_end()?;
/// assert_eq!(out.values(), [[7, 9]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn binary_records_stream(folder: impl Into<PathBuf>, length: usize) -> FileStream<BinaryRecords> {
    let mut stream =
        FileStream::new("binary_records_stream", folder.into(), move |file| pieces(file, length));
    if length == 0 {
        stream.invalid =
            Some(Error::source(&stream.name, "records are 0 bytes long, but must have at least 1"));
    }
    stream
}

fn pieces(file: &Arc<FoundFile>, length: usize) -> Vec<BinaryRecords> {
    let length = length.max(1) as u64;
    // Whole records, at least one.
    let size = if is_compressed(&file.path) { file.len } else { length * (PIECE / length).max(1) };
    let piece = |start: u64| BinaryRecords {
        file: Arc::clone(file),
        piece: start..start.saturating_add(size).min(file.len),
        length: length as usize,
        bytes: Bytes::new(),
        left: None,
    };
    (0..file.len.div_ceil(size.max(1))).map(|at| piece(at * size)).collect()
}

/// A partition of a [`binary_records_stream`].
#[derive(Debug)]
pub struct BinaryRecords {
    file: Arc<FoundFile>,
    piece: Range<u64>,
    length: usize,
    bytes: Bytes,
    /// What is left of a large compressed file.
    left: Option<Pieces>,
}

impl BinaryRecords {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let FoundFile { path, .. } = &*self.file;
        if is_compressed(path) {
            return match Pieces::open(&self.file, |_| Ok(()))? {
                Ok(bytes) => Ok(bytes),
                Err(mut pieces) => {
                    let bytes = pieces.next(|bytes| whole_records(bytes, self.length))?;
                    self.left = Some(pieces);
                    Ok(bytes)
                }
            };
        }
        let mut bytes = Vec::new();
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.piece.start))?;
        let n = self.piece.end - self.piece.start;
        if (file.take(n).read_to_end(&mut bytes)? as u64) < n {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "is shorter than when it was listed"));
        }
        Ok(bytes)
    }
}

/// How many of these bytes are whole records.
fn whole_records(bytes: &[u8], length: usize) -> usize {
    bytes.len() / length * length
}

impl BinaryRecords {
    fn check_end(&self) {
        let left = self.bytes.len() - whole_records(&self.bytes, self.length);
        if left > 0 {
            self.file.context.report(self.file.error(format_args!(
                "ends in {left} bytes that are no whole record of {} bytes: they are left out",
                self.length
            )));
        }
    }
}

impl Block for BinaryRecords {
    type Record<'a> = Bytes;

    fn open(&mut self) -> Result<()> {
        self.bytes = self.read().map_err(|error| self.file.error(error))?.into();
        self.check_end();
        Ok(())
    }

    fn records(&mut self) -> impl Iterator<Item = Bytes> {
        let BinaryRecords { bytes, length, .. } = self;
        (0..bytes.len() / *length).map(|at| bytes.slice(at * *length..(at + 1) * *length))
    }

    fn weight(&self) -> usize {
        match self.bytes.len() {
            0 => self.file.weight(self.piece.end - self.piece.start),
            read => read,
        }
    }

    fn has_more(&self) -> bool {
        self.left.as_ref().is_some_and(Pieces::has_more)
    }

    fn advance(&mut self) -> Result<()> {
        let Some(pieces) = &mut self.left else { return Ok(()) };
        let whole = |bytes: &[u8]| whole_records(bytes, self.length);
        self.bytes = pieces.next(whole).map_err(|error| self.file.changed(error))?.into();
        self.check_end();
        Ok(())
    }
}
