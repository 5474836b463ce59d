//! `split`: the pieces between single bytes; and the search for separators, sixteen bytes at a time.

use wide::u8x16;

use crate::{DStream, block::Text, inline_key::InlineKey, record::Word};

impl<T: AsRef<str>> DStream<T> {
    /// The pieces of each text between the bytes `separator`, as [`str::split`] has them: two separators in a
    /// row have an empty piece between them. `separator` is an ASCII character; no other byte separates
    /// anything.
    ///
    /// The text is searched by SIMD instructions, and a piece is ready to be a key, so `lines.split(b' ')`
    /// takes a fraction of the time of `lines.flat_map(|line| line.split(' '))`. Nothing is allocated: a
    /// [`Word`] borrows from the text. Directly behind a source of text one pass finds separators and the
    /// ends of lines.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec!["7;;x", ""]]).split(b';').collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec!["7", "", "x", ""]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn split(self, separator: u8) -> DStream<Word<'static>> {
        let _ = separator;
        DStream::typed()
    }
}

impl<'a> Word<'a> {
    /// The pieces of a text inside a closure, as the operator [`split`](crate::DStream::split) has them.
    #[inline]
    pub fn split(text: &'a str, separator: u8) -> impl Iterator<Item = Word<'a>> {
        pieces(text, separator)
    }
}

/// The pieces of `text` between the bytes `separator`. Of several lines, those of one after the other.
#[inline]
pub fn pieces<T: Cut + ?Sized>(text: &T, separator: u8) -> Pieces<'_, Byte> {
    let separator = if separator.is_ascii() { separator } else { NOWHERE };
    let (text, several) = text.cut();
    let (line_end, first_half) = if several { (b'\n', b'\r') } else { (NOWHERE, NOWHERE) };
    Pieces::new(text, Byte { separator, line_end, first_half })
}

/// What has pieces.
#[diagnostic::on_unimplemented(
    message = "only text has words and pieces",
    label = "this operator needs a stream of `&str`, `String` or another text",
    note = "map the records to text first, for example `.map(|record| record.name)`"
)]
pub trait Cut {
    /// The text, and whether it is several lines.
    fn cut(&self) -> (&str, bool);
}

impl<T: AsRef<str> + ?Sized> Cut for T {
    #[inline]
    fn cut(&self) -> (&str, bool) {
        (self.as_ref(), false)
    }
}

impl<R: Cut> Cut for Text<'_, R> {
    #[inline]
    fn cut(&self) -> (&str, bool) {
        match self {
            Text::One(record) => record.cut(),
            Text::Lines(text) => (text, true),
        }
    }
}

/// What separates pieces of a text: ASCII characters.
pub trait Separators: Copy {
    /// Whether there are pieces without a byte.
    const EMPTY: bool;

    /// Which of the bytes separate.
    fn among(self, bytes: u8x16) -> u8x16;

    /// The byte that separates only as the first half of a line end. Without empty pieces it makes no
    /// difference which half does.
    fn first_half(self) -> u8 {
        NOWHERE
    }
}

/// One byte, and the ends of lines, if the text has several.
#[derive(Debug, Clone, Copy)]
pub struct Byte {
    separator: u8,
    line_end: u8,
    first_half: u8,
}

/// A byte that no text has.
const NOWHERE: u8 = 0xff;

impl Separators for Byte {
    const EMPTY: bool = true;

    #[inline(always)]
    fn among(self, bytes: u8x16) -> u8x16 {
        is(bytes, self.separator) | is(bytes, self.line_end)
    }

    #[inline(always)]
    fn first_half(self) -> u8 {
        self.first_half
    }
}

#[inline(always)]
pub(super) fn is(bytes: u8x16, byte: u8) -> u8x16 {
    bytes.simd_eq(u8x16::splat(byte))
}

/// The pieces of a text.
///
/// 64 bytes are searched at a time, all separators in them at once. Every read is of sixteen bytes; near the
/// end of the text these are its last ones, shifted.
#[derive(Debug, Clone)]
pub struct Pieces<'a, S> {
    text: &'a str,
    separators: S,
    /// Where the next piece begins.
    start: usize,
    /// Where to search next. Behind the end of the text there is nothing left.
    next: usize,
    found: Found,
}

/// What is found in the window before `next`, a bit a byte.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// The separators that no piece has ended at yet. The end of the text is one.
    ends: u64,
    /// Those of them that no piece lies before: the second halves of `\r\n`.
    second: u64,
}

const READ: usize = 16;
const WINDOW: usize = 64;

impl<'a, S: Separators> Pieces<'a, S> {
    #[inline]
    pub(super) fn new(text: &'a str, separators: S) -> Pieces<'a, S> {
        Pieces { text, separators, start: 0, next: 0, found: Found { ends: 0, second: 0 } }
    }

    #[inline(always)]
    fn piece(&self, start: usize, end: usize) -> Word<'a> {
        let text = self.text.as_bytes();
        let short = match text.get(start..).and_then(<[u8]>::first_chunk) {
            Some(read) => InlineKey::of_prefix(u128::from_le_bytes(*read), end - start),
            None => self.last_piece(start, end),
        };
        Word::within(self.text, start..end, short)
    }

    /// The inline form of a piece near the end of the text.
    #[inline(always)]
    fn last_piece(&self, start: usize, end: usize) -> Option<InlineKey> {
        let text = self.text.as_bytes();
        match text.last_chunk::<READ>() {
            Some(last) => {
                let before = (READ - (text.len() - start)) as u32;
                InlineKey::of_prefix(u128::from_le_bytes(*last).unbounded_shr(8 * before), end - start)
            }
            None => InlineKey::text(&text[start..end]),
        }
    }
}

/// Searches the window at `base`. Takes and gives values that fit into registers, so that [`Pieces`] can stay
/// in them, too.
#[inline(never)]
fn search<S: Separators>(text: &str, base: usize, separators: S) -> Found {
    let mut found = Found { ends: mask(text, base, |bytes| separators.among(bytes)), second: 0 };
    if S::EMPTY {
        let bytes = text.as_bytes();
        let first = mask(text, base, |bytes| is(bytes, separators.first_half()));
        let before = base > 0 && bytes[base - 1] == separators.first_half();
        if first != 0 || before {
            // `\r\n` ends a line as a whole: the piece before it ends at the `\r`, and there is none between
            // the two.
            let second = mask(text, base, |bytes| is(bytes, b'\n'));
            let behind = bytes.get(base + WINDOW) == Some(&b'\n');
            found.ends |= first & (second >> 1 | u64::from(behind) << (WINDOW - 1));
            found.second = second & (first << 1 | u64::from(before));
        }
    }
    let left = text.len() - base;
    if left < WINDOW {
        found.ends |= 1 << left;
    }
    found
}

/// Which bytes of the window at `base` are such: bit `n` is for byte `n`.
#[inline(always)]
fn mask(text: &str, base: usize, such: impl Fn(u8x16) -> u8x16) -> u64 {
    let such = |read: &[u8; READ]| u64::from(such(u8x16::new(*read)).to_bitmask());
    let text = text.as_bytes();
    let ahead = &text[base..];
    if let Some(window) = ahead.first_chunk::<WINDOW>() {
        let (reads, _) = window.as_chunks();
        return such(&reads[0]) | such(&reads[1]) << 16 | such(&reads[2]) << 32 | such(&reads[3]) << 48;
    }
    let (reads, rest) = ahead.as_chunks();
    let last = match text.last_chunk() {
        Some(last) => such(last) >> (READ - rest.len()),
        None => {
            let mut last = [0; READ];
            last[..rest.len()].copy_from_slice(rest);
            such(&last) & ((1 << rest.len()) - 1)
        }
    };
    reads.iter().rev().fold(last, |mask, read| mask << READ | such(read))
}

impl<'a, S: Separators> Iterator for Pieces<'a, S> {
    type Item = Word<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            while self.found.ends == 0 {
                if self.next > self.text.len() {
                    return None;
                }
                self.found = search(self.text, self.next, self.separators);
                self.next += WINDOW;
            }
            let at = self.found.ends.trailing_zeros();
            let (start, end) = (self.start, self.next - WINDOW + at as usize);
            self.found.ends &= self.found.ends - 1;
            self.start = end + 1;
            if if S::EMPTY { self.found.second >> at & 1 == 0 } else { start < end } {
                return Some(self.piece(start, end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::words::words, *};
    use crate::{
        Key,
        block::{Block, TextBlock},
    };

    fn check(text: &str, separator: u8) {
        check_lines(text, separator);
        let naive: Vec<&str> = text.split(char::from(separator)).collect();
        let ours: Vec<Word<'_>> = pieces(text, separator).collect();
        assert_eq!(ours, naive);
        ours.iter().for_each(|word| assert_eq!(word.inline_key(), word.as_str().inline_key(), "{word:?}"));
        let ours: Vec<Word<'_>> = words(text).collect();
        assert_eq!(ours, text.split_ascii_whitespace().collect::<Vec<_>>());
        ours.iter().for_each(|word| assert_eq!(word.inline_key(), word.as_str().inline_key(), "{word:?}"));
    }

    /// A block as a whole, against its lines one by one.
    fn check_lines(text: &str, separator: u8) {
        let mut block = TextBlock::new(text.to_owned());
        let texts: Vec<_> = block.texts().collect();
        assert!(texts.iter().all(|text| matches!(text, Text::Lines(_))) && texts.len() <= 1);
        let separators: &[char] = if separator.is_ascii() { &[char::from(separator)] } else { &[] };
        let naive: Vec<&str> = text.lines().flat_map(|line| line.split(separators)).collect();
        let ours: Vec<Word<'_>> = texts.iter().flat_map(|text| pieces(text, separator)).collect();
        assert_eq!(ours, naive, "{text:?} at {separator}");
        ours.iter().for_each(|word| assert_eq!(word.inline_key(), word.as_str().inline_key(), "{word:?}"));
        let ours: Vec<Word<'_>> = texts.iter().flat_map(words).collect();
        assert_eq!(ours, text.split_ascii_whitespace().collect::<Vec<_>>());
    }

    /// Pieces of a few kinds, so that separators and line ends fall on all places of a window.
    fn text() -> impl Strategy<Value = String> {
        "([ a-cé\t\n\u{b}\u{c}\r]{0,40}|[a-h]{60,150}|[ ;]{1,3}|(\r|\n|\r\n){1,3}){0,8}"
    }

    proptest! {
        #[test]
        fn pieces_are_those_of_the_standard_library(text in text()) {
            check(&text, b' ');
            check(&text, b';');
            check(&text, 0);
            check(&text, b'\n');
            check(&text, b'\r');
            check_lines(&text, 0xa9);
        }
    }

    #[test]
    fn every_place_of_an_end_is_found() {
        const ENDS: [&str; 7] = [" ", "\n", "\r", "\r\n", "\r\r\n", "\r\n\n", "\r\n\r\n"];
        for len in 0..200 {
            let text = "x".repeat(len);
            check(&text, b' ');
            for at in 0..len {
                let end = ENDS[(len + at) % ENDS.len()];
                let mut cut = text.clone();
                cut.replace_range(at..=at, end);
                check(&cut, b' ');
                check_lines(&cut, b'\r');
            }
        }
    }

    #[test]
    fn only_characters_separate() {
        assert_eq!(pieces("é", 0xa9).collect::<Vec<_>>(), ["é"]);
    }
}
