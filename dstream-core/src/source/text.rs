//! Text: blocks of whole lines, as received; the lines are found while the stage runs.

use std::ops::Deref;

use bytes::{Bytes, BytesMut};

use super::Block;
use crate::clock::Occasionally;

/// A block of text, whose records are its lines.
///
/// A line ends in `\n` or `\r\n`, which are not part of it; the last line may do without. Bytes that are not UTF-8
/// are replaced by U+FFFD, once for the block, and counted in a warning at most once a minute. A line is a piece of the block: none is
/// allocated.
///
/// ```
/// use dstream::{Block, TextBlock};
///
/// let mut block = TextBlock::new("to be\r\nor not\n\nto be");
/// assert_eq!(block.records().collect::<Vec<_>>(), ["to be", "or not", "", "to be"]);
/// ```
#[derive(Clone, Debug)]
pub struct TextBlock {
    bytes: Raw,
    /// The text, if `bytes` is not all UTF-8.
    replaced: String,
}

#[derive(Clone, Debug)]
enum Raw {
    Whole(Bytes),
    /// Still growing: see [`TextBlock::extend`].
    Received(BytesMut),
}

impl Deref for Raw {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Raw::Whole(bytes) => bytes,
            Raw::Received(bytes) => bytes,
        }
    }
}

impl TextBlock {
    /// A block of whole lines. A line that is continued in another block would become two.
    pub fn new(bytes: impl Into<Bytes>) -> TextBlock {
        TextBlock { bytes: Raw::Whole(bytes.into()), replaced: String::new() }
    }

    pub(super) fn received(bytes: BytesMut) -> TextBlock {
        TextBlock { bytes: Raw::Received(bytes), replaced: String::new() }
    }

    /// The bytes, which are shared and don't grow any more.
    pub(crate) fn share(&mut self) -> Bytes {
        if let Raw::Received(bytes) = &mut self.bytes {
            self.bytes = Raw::Whole(std::mem::take(bytes).freeze());
        }
        match &self.bytes {
            Raw::Whole(bytes) => bytes.clone(),
            Raw::Received(_) => Bytes::new(),
        }
    }

    /// Takes in `more` if it lies right behind this block in memory, as the pieces of one receive buffer do, so that
    /// nothing is copied, or if both are so small that a copy costs less than one more block. Gives it back if not, or
    /// if it would lengthen the last line.
    pub(super) fn extend(&mut self, more: BytesMut) -> Option<BytesMut> {
        const SMALL_PIECE: usize = 4 << 10;
        const SMALL_BLOCK: usize = 64 << 10;
        match &mut self.bytes {
            Raw::Received(bytes) if bytes.last() == Some(&b'\n') => {
                if bytes.as_ptr_range().end == more.as_ptr() {
                    bytes.unsplit(more);
                    None
                } else if more.len() <= SMALL_PIECE && bytes.len() <= SMALL_BLOCK {
                    bytes.extend_from_slice(&more);
                    None
                } else {
                    Some(more)
                }
            }
            _ => Some(more),
        }
    }
}

impl Block for TextBlock {
    type Record<'a> = &'a str;

    fn records(&mut self) -> impl Iterator<Item = &str> {
        let text = match simdutf8::basic::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(_) => {
                self.replaced = replace_invalid(&self.bytes);
                &self.replaced
            }
        };
        Lines { text, start: 0, ends: memchr::memchr_iter(b'\n', text.as_bytes()) }
    }

    fn weight(&self) -> usize {
        self.bytes.len()
    }
}

/// The lines of a text, without their ends.
struct Lines<'a> {
    text: &'a str,
    start: usize,
    ends: memchr::Memchr<'a>,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        match self.ends.next() {
            Some(end) => {
                let line = &self.text[self.start..end];
                self.start = end + 1;
                Some(line.strip_suffix('\r').unwrap_or(line))
            }
            None => {
                let rest = &self.text[self.start..];
                self.start = self.text.len();
                (!rest.is_empty()).then_some(rest)
            }
        }
    }
}

#[cold]
fn replace_invalid(bytes: &[u8]) -> String {
    static INVALID: Occasionally = Occasionally::new();
    let mut text = String::with_capacity(bytes.len());
    let mut invalid = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            invalid += chunk.invalid().len() as u64;
        }
    }
    INVALID.count(invalid, |n| {
        tracing::warn!("received {n} bytes that are not utf-8: they are replaced by U+FFFD");
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_that_lie_behind_it_join_a_block() {
        let pieces = |mut buffer: BytesMut, at| {
            let first = buffer.split_to(at);
            let mut block = TextBlock::received(first);
            let left = block.extend(buffer);
            (block.records().map(str::to_owned).collect::<Vec<_>>(), left)
        };
        assert_eq!(pieces(BytesMut::from("a\nb\n"), 2), (vec!["a".to_owned(), "b".to_owned()], None));
        // A line that was cut ends here.
        assert_eq!(pieces(BytesMut::from("ab\n"), 1), (vec!["a".to_owned()], Some(BytesMut::from("b\n"))));
        let large = BytesMut::from("b\n".repeat(3 << 10).as_str());
        let mut block = TextBlock::received(BytesMut::from("a\n"));
        assert_eq!(block.extend(large.clone()), Some(large), "not behind it, and too large to copy");
        assert_eq!(block.extend(BytesMut::from("c\n")), None);
        assert_eq!(block.records().collect::<Vec<_>>(), ["a", "c"]);
    }
}
