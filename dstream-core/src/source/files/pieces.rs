//! The content of a compressed file, in pieces of whole records.
//!
//! How much a compressed file holds is known when it has been decompressed. A small one is decompressed once
//! and held whole. A large one is decompressed twice, so that its size never matters: first to its end,
//! keeping nothing, since nothing of a damaged file may count; then piece by piece.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek},
    mem,
};

use super::{FoundFile, OpenFile, PIECE};

/// How many bytes of content are held whole.
const WHOLE: u64 = 4 * PIECE;

/// What is left of a large file.
#[derive(Debug)]
pub(super) struct Pieces {
    content: OpenFile,
    /// Read already: the beginning of a record, or of the next piece.
    rest: Vec<u8>,
    ended: bool,
}

impl Pieces {
    /// The content of a file, if it is small. If not, it is whole as far as can be told, `check` has been
    /// shown all of it, and its pieces can be read.
    pub(super) fn open(
        file: &FoundFile,
        mut check: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Result<Vec<u8>, Pieces>> {
        let mut opened = File::open(&file.path)?;
        let mut content = OpenFile::of(opened.try_clone()?, &file.path, file.len)?;
        let mut bytes = Vec::new();
        content.by_ref().take(WHOLE).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < WHOLE {
            return Ok(Ok(bytes));
        }
        check(&bytes)?;
        bytes.truncate(64 << 10);
        bytes.shrink_to_fit();
        loop {
            match content.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => check(&bytes[..n])?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // The same file, whatever has its name by now.
        opened.rewind()?;
        let content = OpenFile::of(opened, &file.path, file.len)?;
        Ok(Err(Pieces { content, rest: Vec::new(), ended: false }))
    }

    /// Whether there is another piece.
    pub(super) fn has_more(&self) -> bool {
        !self.ended || !self.rest.is_empty()
    }

    /// The next piece. `whole` says how many of some bytes are whole records; the last piece may end in a
    /// part of one.
    pub(super) fn next(&mut self, whole: impl Fn(&[u8]) -> usize) -> io::Result<Vec<u8>> {
        let mut piece = mem::take(&mut self.rest);
        let mut size = PIECE;
        while self.fill(&mut piece, size)? {
            let end = whole(&piece);
            if end > 0 {
                self.rest = piece.split_off(end);
                break;
            }
            size += PIECE;
        }
        if self.rest.is_empty() {
            // Whether there is more is known before it is asked for.
            let mut rest = mem::take(&mut self.rest);
            self.fill(&mut rest, 1)?;
            self.rest = rest;
        }
        Ok(piece)
    }

    /// Reads until there are `size` bytes; `false` if there are not so many.
    fn fill(&mut self, bytes: &mut Vec<u8>, size: u64) -> io::Result<bool> {
        let missing = size.saturating_sub(bytes.len() as u64);
        bytes.reserve_exact(usize::try_from(missing).unwrap_or(0));
        let read = self.content.by_ref().take(missing).read_to_end(bytes)? as u64;
        self.ended |= read < missing;
        Ok(!self.ended)
    }
}
