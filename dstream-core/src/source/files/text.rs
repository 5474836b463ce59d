//! `text_file_stream`: the lines of files.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use super::{FileStream, FoundFile, PIECE, open::is_compressed, pieces::Pieces};
use crate::{
    Result,
    block::{Block, Text, TextBlock},
};

/// The lines of the text files that appear in a folder, or in the folders that match a pattern such as
/// `logs/2026-*`.
///
/// See [`FileStream`] for which files these are and when. A line ends in `\n` or `\r\n`, and the last one of
/// a file may do without; bytes that are not UTF-8 are replaced by U+FFFD. Lines may have any length, but a
/// partition holds its own whole; a large compressed file with a line that is longer than
/// [`Config::max_line_bytes`](crate::Config::max_line_bytes) is reported and left out.
///
/// ```
/// use dstream::prelude::*;
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("a.txt"), "to be\nor not\n")?;
/// std::fs::write(folder.path().join("_b.txt"), "ignored\n")?;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     text_file_stream(folder.path()).collect_to(&out);
/// })?;
/// ssc.run_to_end()?;
/// assert_eq!(out.values(), [["to be", "or not"]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn text_file_stream(folder: impl Into<PathBuf>) -> FileStream<TextFile> {
    FileStream::new("text_file_stream", folder.into(), pieces)
}

fn pieces(file: &Arc<FoundFile>) -> Vec<TextFile> {
    let len = file.len;
    let size = if is_compressed(&file.path) { len.max(1) } else { PIECE };
    let starts = (0..len.div_ceil(size)).map(|at| at * size);
    starts
        .map(|start| TextFile {
            file: Arc::clone(file),
            piece: start..start.saturating_add(size).min(len),
            lines: TextBlock::new(""),
            left: None,
        })
        .collect()
}

/// A partition of a [`text_file_stream`]: the lines that begin in one piece of a file.
#[derive(Debug)]
pub struct TextFile {
    file: Arc<FoundFile>,
    piece: Range<u64>,
    lines: TextBlock,
    /// What is left of a large compressed file.
    left: Option<Pieces>,
}

impl TextFile {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let FoundFile { path, len, context, .. } = &*self.file;
        if !is_compressed(path) {
            return lines_from(File::open(path)?.take(0), &self.piece, *len);
        }
        match Pieces::open(&self.file, longest_line(context.config.max_line_bytes))? {
            Ok(bytes) => Ok(bytes),
            Err(mut pieces) => {
                let bytes = pieces.next(whole_lines)?;
                self.left = Some(pieces);
                Ok(bytes)
            }
        }
    }
}

/// How many of these bytes are whole lines.
fn whole_lines(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)
}

/// Refuses lines of more than `max` bytes in what it is shown part by part.
fn longest_line(max: usize) -> impl FnMut(&[u8]) -> io::Result<()> {
    let mut open = 0;
    move |bytes| {
        let ends = memchr::memchr_iter(b'\n', bytes);
        let mut begin = 0;
        for end in ends.chain([bytes.len()]) {
            open += end - begin;
            if open > max {
                return Err(io::Error::other(format!(
                    "has a line of more than {max} bytes: of a large compressed file no longer one is held \
                     (see `Config::max_line_bytes`)"
                )));
            }
            if end < bytes.len() {
                open = 0;
            }
            begin = end + 1;
        }
        Ok(())
    }
}

/// The lines that begin in `piece` of a file that is `len` bytes long, with the end of the last of them.
///
/// A line begins behind a line end, so what is read begins one byte before the piece.
fn lines_from(mut file: io::Take<File>, piece: &Range<u64>, len: u64) -> io::Result<Vec<u8>> {
    let from = piece.start.saturating_sub(1);
    file.get_mut().seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    read_more(&mut file, piece.end - from, &mut bytes)?;
    let begin = match piece.start {
        0 => 0,
        _ => match memchr::memchr(b'\n', &bytes) {
            Some(at) => at + 1,
            None => return Ok(Vec::new()),
        },
    };
    let mut at = piece.end;
    let mut searched = bytes.len() - 1;
    loop {
        if let Some(end) = memchr::memchr(b'\n', &bytes[searched..]) {
            bytes.truncate(searched + end + 1);
            break;
        }
        if at == len {
            break;
        }
        searched = bytes.len();
        let more = (len - at).min(64 << 10);
        read_more(&mut file, more, &mut bytes)?;
        at += more;
    }
    bytes.drain(..begin);
    Ok(bytes)
}

fn read_more(file: &mut io::Take<File>, n: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    file.set_limit(n);
    bytes.reserve(usize::try_from(n).unwrap_or(0));
    if (file.read_to_end(bytes)? as u64) < n {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "is shorter than when it was listed"));
    }
    Ok(())
}

impl Block for TextFile {
    type Record<'a> = &'a str;

    fn open(&mut self) -> Result<()> {
        self.lines = TextBlock::new(self.read().map_err(|error| self.file.error(error))?);
        Ok(())
    }

    fn records(&mut self) -> impl Iterator<Item = &str> {
        self.lines.records()
    }

    fn texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        self.lines.texts()
    }

    fn records_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        self.lines.records_with(part)
    }

    fn weight(&self) -> usize {
        match self.lines.weight() {
            0 => self.file.weight(self.piece.end - self.piece.start),
            read => read,
        }
    }

    fn has_more(&self) -> bool {
        self.left.as_ref().is_some_and(Pieces::has_more)
    }

    fn advance(&mut self) -> Result<()> {
        let Some(pieces) = &mut self.left else { return Ok(()) };
        // Before the next piece is there: one is enough.
        self.lines = TextBlock::new("");
        let bytes = pieces.next(whole_lines).map_err(|error| self.file.changed(error))?;
        self.lines = TextBlock::new(bytes);
        Ok(())
    }
}
