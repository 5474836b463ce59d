//! `split`: the pieces between single bytes; and the search for separators, sixteen bytes at a time.

use wide::u8x16;

use crate::{DStream, Word, short::Short};

impl<T: AsRef<str>> DStream<T> {
    /// The pieces of each text between the bytes `separator`, as [`str::split`] has them: two separators in a row have an
    /// empty piece between them. `separator` is an ASCII character; no other byte separates anything.
    ///
    /// The text is searched by SIMD instructions, and a piece is ready to be a key, so `lines.split(b' ')` takes a fraction of the time of
    /// `lines.flat_map(|line| line.split(' '))`. Nothing is allocated: a [`Word`] borrows from the text.
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

/// The pieces of `text` between the bytes `separator`.
#[inline]
pub fn pieces<T: AsRef<str> + ?Sized>(text: &T, separator: u8) -> Pieces<'_, Byte> {
    let ascii = if separator.is_ascii() { u64::MAX } else { 0 };
    Pieces::new(text.as_ref(), Byte { separator, ascii })
}

/// What separates pieces of a text: ASCII characters.
pub trait Separators {
    /// Whether there are pieces without a byte.
    const EMPTY: bool;

    /// Bit `n` says whether byte `n` separates.
    fn among(&self, bytes: u8x16) -> u64;
}

/// One byte.
#[derive(Debug, Clone)]
pub struct Byte {
    separator: u8,
    /// All bits, if it is a character.
    ascii: u64,
}

impl Separators for Byte {
    const EMPTY: bool = true;

    #[inline(always)]
    fn among(&self, bytes: u8x16) -> u64 {
        u64::from(bytes.simd_eq(u8x16::splat(self.separator)).to_bitmask()) & self.ascii
    }
}

/// The pieces of a text.
///
/// 64 bytes are searched at a time, from the beginning of a piece on, so that no piece is cut that is shorter.
/// Every read is of sixteen bytes. Near the end of the text these are taken from a copy of its last sixteen, with zeros behind.
#[derive(Debug, Clone)]
pub struct Pieces<'a, S> {
    text: &'a str,
    separators: S,
    /// Where the next piece begins. Behind the end, there is none.
    start: usize,
    /// Where the bits of `ends` begin.
    base: usize,
    /// The separators found that no piece has ended at yet. The end of the text is one.
    ends: u64,
    last: [u8; 2 * READ],
}

const READ: usize = 16;
const WINDOW: usize = 64;

impl<'a, S: Separators> Pieces<'a, S> {
    #[inline]
    pub(super) fn new(text: &'a str, separators: S) -> Pieces<'a, S> {
        let bytes = text.as_bytes();
        let mut last = [0; 2 * READ];
        match bytes.last_chunk::<READ>() {
            Some(chunk) => last[..READ].copy_from_slice(chunk),
            None => last[..bytes.len()].copy_from_slice(bytes),
        }
        Pieces { text, separators, start: 0, base: 0, ends: 0, last }
    }

    /// Searches on from the next piece. `false` at the end.
    #[inline]
    fn search(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        let Some(ahead) = bytes.get(self.start..) else { return false };
        self.base = self.start;
        self.ends = 0;
        let mut at = 0;
        for chunk in ahead.chunks_exact(READ).take(WINDOW / READ) {
            self.ends |= self.among(chunk) << at;
            at += READ;
        }
        if ahead.len() >= WINDOW {
            if self.ends == 0 {
                self.search_far(&ahead[WINDOW..]);
            }
            return true;
        }
        // What is left of less than a read: of the last sixteen bytes, those that lie behind.
        let copied = bytes.len().saturating_sub(READ);
        let last = self.among(&self.last[..READ]);
        self.ends |= match copied.checked_sub(self.base) {
            Some(behind) => last << behind,
            None => last >> (self.base - copied),
        };
        // The zeros of a text that is shorter than a read are no part of it.
        self.ends &= (1 << ahead.len()) - 1;
        self.ends |= 1 << ahead.len();
        true
    }

    /// The end of a piece that is longer than a window.
    #[cold]
    fn search_far(&mut self, ahead: &[u8]) {
        let mut at = 0;
        let mut chunks = ahead.chunks_exact(READ);
        for chunk in &mut chunks {
            let found = self.among(chunk);
            if found != 0 {
                at += found.trailing_zeros() as usize;
                break;
            }
            at += READ;
        }
        if at == ahead.len() - chunks.remainder().len() {
            let mut rest = [0; READ];
            rest[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
            let found = self.among(&rest) | 1 << chunks.remainder().len();
            at += found.trailing_zeros() as usize;
        }
        self.base = self.start + WINDOW + at;
        self.ends = 1;
    }

    #[inline(always)]
    fn among(&self, bytes: &[u8]) -> u64 {
        bytes.first_chunk::<READ>().map_or(0, |bytes| self.separators.among(u8x16::new(*bytes)))
    }

    #[inline(always)]
    fn piece(&self, start: usize, end: usize) -> Word<'a> {
        let bytes = self.text.as_bytes();
        let read = match bytes[start..].first_chunk::<READ>() {
            Some(chunk) => Some(chunk),
            None => {
                let copied = bytes.len().saturating_sub(READ);
                self.last.get(start - copied..).and_then(<[u8]>::first_chunk)
            }
        };
        let short = read.and_then(|read| Short::of_prefix(read, end - start));
        Word::with_short(&self.text[start..end], short)
    }
}

impl<'a, S: Separators> Iterator for Pieces<'a, S> {
    type Item = Word<'a>;

    #[inline]
    fn next(&mut self) -> Option<Word<'a>> {
        loop {
            if self.ends == 0 && !self.search() {
                return None;
            }
            let start = self.start;
            let end = self.base + self.ends.trailing_zeros() as usize;
            self.ends &= self.ends - 1;
            self.start = end + 1;
            if S::EMPTY || start < end {
                return Some(self.piece(start, end));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::words::words, *};
    use crate::Key;

    fn check(text: &str, separator: u8) {
        let naive: Vec<&str> = text.split(char::from(separator)).collect();
        let ours: Vec<Word<'_>> = pieces(text, separator).collect();
        assert_eq!(ours, naive);
        ours.iter().for_each(|word| assert_eq!(word.short(), word.as_str().short(), "{word:?}"));
        let ours: Vec<Word<'_>> = words(text).collect();
        assert_eq!(ours, text.split_ascii_whitespace().collect::<Vec<_>>());
        ours.iter().for_each(|word| assert_eq!(word.short(), word.as_str().short(), "{word:?}"));
    }

    proptest! {
        #[test]
        fn pieces_are_those_of_the_standard_library(text in "([ a-cé\t\n\u{b}\u{c}\r]{0,40}|[a-h]{60,150}|[ ;]{1,3}){0,6}") {
            check(&text, b' ');
            check(&text, b';');
            check(&text, 0);
        }
    }

    #[test]
    fn every_place_of_an_end_is_found() {
        for len in 0..200 {
            let text = "x".repeat(len);
            check(&text, b' ');
            for at in 0..len {
                let mut cut = text.clone();
                cut.replace_range(at..=at, " ");
                check(&cut, b' ');
            }
        }
    }

    #[test]
    fn only_characters_separate() {
        assert_eq!(pieces("é", 0xa9).collect::<Vec<_>>(), ["é"]);
    }
}
