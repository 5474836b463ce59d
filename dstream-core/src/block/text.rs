//! Text: blocks of whole lines, as received; the lines are found while the stage runs.

use std::{mem, ops::Deref};

use bytes::{Bytes, BytesMut};
use memchr::memmem;

use super::{Block, Text};
use crate::clock::Throttled;

/// A block of text, whose records are its lines.
///
/// A line ends in `\n` or `\r\n`, which are not part of it; the last line may do without. Bytes that are not
/// UTF-8 are replaced by U+FFFD, once for the block, and counted in a warning at most once a minute. A line
/// is a piece of the block: none is allocated.
///
/// ```
/// use dstream::source::{Block, TextBlock};
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

    fn text(&mut self) -> &str {
        match simdutf8::basic::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(_) => {
                self.replaced = replace_invalid(&self.bytes);
                &self.replaced
            }
        }
    }

    pub(crate) fn received(bytes: BytesMut) -> TextBlock {
        TextBlock { bytes: Raw::Received(bytes), replaced: String::new() }
    }

    /// The bytes, which are shared and don't grow any more.
    pub(crate) fn share(&mut self) -> Bytes {
        if let Raw::Received(bytes) = &mut self.bytes {
            self.bytes = Raw::Whole(mem::take(bytes).freeze());
        }
        match &self.bytes {
            Raw::Whole(bytes) => bytes.clone(),
            Raw::Received(_) => Bytes::new(),
        }
    }

    /// Takes in `more` if it lies right behind this block in memory, as the pieces of one receive buffer do,
    /// so that nothing is copied, or if both are so small that a copy costs less than one more block. Gives
    /// it back if not, or if it would lengthen the last line.
    pub(crate) fn extend(&mut self, more: BytesMut) -> Option<BytesMut> {
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
        Lines(self.text())
    }

    fn texts(&mut self) -> impl Iterator<Item = Text<'_, &str>> {
        let text = self.text();
        let line = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        (!text.is_empty()).then_some(Text::Lines(line.unwrap_or(text))).into_iter()
    }

    fn records_with(&mut self, part: &str) -> impl Iterator<Item = &str> {
        LinesWith { lines: Lines(self.text()), part: memmem::Finder::new(part), run: 1, left: 0 }
    }

    fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn record_count(&self) -> Option<u64> {
        Some(line_count(&self.bytes))
    }

    /// Counts the lines at the beginning, and takes it that the others are as long.
    fn record_estimate(&self) -> Option<u64> {
        const LOOKED_AT: usize = 16 << 10;
        let bytes = &self.bytes;
        if bytes.len() <= LOOKED_AT {
            return self.record_count();
        }
        let counted = line_count(&bytes[..LOOKED_AT]);
        Some(u64::try_from(u128::from(counted) * bytes.len() as u128 / LOOKED_AT as u128).unwrap_or(u64::MAX))
    }
}

/// How many lines these bytes have.
pub(crate) fn line_count(bytes: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', bytes).count() as u64;
    ends + u64::from(bytes.last().is_some_and(|last| *last != b'\n'))
}

/// The lines of a text, without their ends.
struct Lines<'a>(&'a str);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        match memchr::memchr(b'\n', self.0.as_bytes()) {
            Some(end) => {
                let line = &self.0[..end];
                self.0 = &self.0[end + 1..];
                Some(line.strip_suffix('\r').unwrap_or(line))
            }
            None => Some(mem::take(&mut self.0)).filter(|rest| !rest.is_empty()),
        }
    }
}

/// The lines of a text in which a part of it lies, and others.
///
/// The text is searched as a whole; only around a hit the line is looked for. Where one line after the other
/// has a hit, that is more work than to ask each line, so more and more of them are handed on without a
/// search.
struct LinesWith<'a, 'p> {
    /// Those from the next one on.
    lines: Lines<'a>,
    part: memmem::Finder<'p>,
    /// How many lines are handed on after a search, and how many of them are left.
    run: usize,
    left: usize,
}

impl<'a> Iterator for LinesWith<'a, '_> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        if self.left == 0 {
            self.left = self.search()?;
        }
        self.left -= 1;
        self.lines.next()
    }
}

impl LinesWith<'_, '_> {
    /// Goes on to the line of the next hit. How many lines to hand on from there.
    #[inline(never)]
    fn search(&mut self) -> Option<usize> {
        const LONGEST_RUN: usize = 32;
        let text = self.lines.0.as_bytes();
        let hit = self.part.find(text)?;
        self.run = (2 * self.run).min(LONGEST_RUN);
        if let Some(end) = memchr::memrchr(b'\n', &text[..hit]) {
            self.lines.0 = &self.lines.0[end + 1..];
            self.run = 1;
        }
        Some(self.run)
    }
}

#[cold]
fn replace_invalid(bytes: &[u8]) -> String {
    static INVALID: Throttled = Throttled::new();
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
        crate::logs::warn!("received {n} bytes that are not utf-8: they are replaced by U+FFFD");
    });
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{ops::split::pieces, record::Word};

    proptest! {
        #[test]
        fn lines_are_those_of_the_standard_library(text in "([ab\r\n]{0,20}|[a-c]{60,70}|\r\n|\n){0,8}") {
            let mut block = TextBlock::new(text.clone());
            prop_assert_eq!(block.records().collect::<Vec<_>>(), text.lines().collect::<Vec<_>>());
        }

        #[test]
        fn a_search_leaves_out_no_line_with_a_hit(
            text in "(ab|[ab\r\n]{0,12}|c{20}\n|(ab\n){1,9}|\r\n){0,12}",
            part in "[ab]{1,3}|[abc\r\n]{0,3}|c{19}",
        ) {
            let naive: Vec<&str> = text.lines().filter(|line| line.contains(&part)).collect();
            let mut block = TextBlock::new(text.clone());
            let found: Vec<&str> = block.records_with(&part).collect();
            let mut lines = text.lines();
            prop_assert!(found.iter().all(|line| lines.any(|other| other == *line)), "{:?} are not \
                lines", &found);
            prop_assert_eq!(found.into_iter().filter(|line| line.contains(&part)).collect::<Vec<_>>(), naive);
        }

        #[test]
        fn invalid_bytes_are_replaced_before_anything_is_looked_for(
            bytes in prop::collection::vec(prop::sample::select(b" a\n\r\xff\xc3\xa9".to_vec()), 0..90),
        ) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let naive: Vec<&str> = text.lines().flat_map(|line| line.split(' ')).collect();
            let mut block = TextBlock::new(bytes.clone());
            let texts: Vec<_> = block.texts().collect();
            let words = texts.iter().flat_map(|text| pieces(text, b' '));
            prop_assert_eq!(words.map(Word::as_str).collect::<Vec<_>>(), naive);
            let naive: Vec<&str> = text.lines().filter(|line| line.contains("a\u{fffd}")).collect();
            let mut block = TextBlock::new(bytes);
            let found = block.records_with("a\u{fffd}").filter(|line| line.contains("a\u{fffd}"));
            prop_assert_eq!(found.collect::<Vec<_>>(), naive);
        }
    }

    #[test]
    fn a_search_hands_on_little_beside_hits() {
        let text = "a\nb\nb\na\nb\n".repeat(10);
        assert_eq!(TextBlock::new(text.clone()).records_with("c").count(), 0);
        assert_eq!(
            TextBlock::new(text).records_with("a").count(),
            21,
            "twenty, and the line behind the first"
        );
        assert_eq!(TextBlock::new("a\n".repeat(100)).records_with("a").count(), 100);
    }

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
