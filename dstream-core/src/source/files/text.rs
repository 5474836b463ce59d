//! `text_file_stream`: the lines of files.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use super::{FileStream, FoundFile, OpenFile, PIECE, open::is_compressed};
use crate::{Block, Result, Text, TextBlock};

/// The lines of the text files that appear in a folder, or in the folders that match a pattern such as `logs/2026-*`.
///
/// See [`FileStream`] for which files these are and when. A line ends in `\n` or `\r\n`, and the last one of a file may do
/// without; bytes that are not UTF-8 are replaced by U+FFFD. Lines may have any length, but a partition holds its own whole.
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
        })
        .collect()
}

/// A partition of a [`text_file_stream`]: the lines that begin in one piece of a file.
#[derive(Debug)]
pub struct TextFile {
    file: Arc<FoundFile>,
    piece: Range<u64>,
    lines: TextBlock,
}

impl TextFile {
    fn read(&self) -> io::Result<Vec<u8>> {
        let FoundFile { path, len, .. } = &*self.file;
        if is_compressed(path) {
            let mut bytes = Vec::new();
            OpenFile::new(path, *len)?.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
        let file = File::open(path)?;
        let bytes = lines_from(file.take(0), &self.piece, *len)?;
        Ok(bytes)
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
        self.file.weight(self.piece.end - self.piece.start)
    }
}
