//! `words`: the pieces of a text between white space.

use wide::u8x16;

use super::split::{Cut, Pieces, Separators, is};
use crate::{DStream, record::Word};

impl<T: AsRef<str>> DStream<T> {
    /// The words of each text: what stands between white space, as [`str::split_ascii_whitespace`] has it.
    /// None is empty.
    ///
    /// The text is searched by SIMD instructions, and a word is ready to be a key, so `lines.words()` takes a
    /// fraction of the time of `lines.flat_map(|line| line.split_whitespace())`. Nothing is allocated: a
    /// [`Word`] borrows from the text. Directly behind a source of text no lines are looked for.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let lines = queue_stream(vec![vec!["to be  or", " not to be "]]);
    ///     lines.words().count_by_value().filter(|(_, n)| *n > 1).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// let mut twice = out.values().concat();
    /// twice.sort();
    /// assert_eq!(twice, [("be".into(), 2), ("to".into(), 2)]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn words(self) -> DStream<Word<'static>> {
        DStream::typed()
    }
}

impl<'a> Word<'a> {
    /// The words of a text inside a closure, as the operator [`words`](crate::DStream::words) has them.
    ///
    /// ```
    /// use dstream::{prelude::*, record::Word};
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let lines = queue_stream(vec![vec!["to be or not", "to be"]]);
    ///     let longest = lines.flat_map(|line| Word::of(line).map(|word| (word, line.len())))
    ///         .reduce_by_key(usize::max);
    ///     longest.filter(|(word, _)| word == "to").collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec![("to".into(), 12)]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    #[inline]
    pub fn of(text: &'a str) -> impl Iterator<Item = Word<'a>> {
        words(text)
    }
}

/// The words of `text`, be it one line or several.
#[inline]
pub fn words<T: Cut + ?Sized>(text: &T) -> Pieces<'_, WhiteSpace> {
    // The end of a line is white space.
    let (text, _) = text.cut();
    Pieces::new(text, WhiteSpace)
}

/// ASCII white space.
#[derive(Debug, Clone, Copy)]
pub struct WhiteSpace;

impl Separators for WhiteSpace {
    const EMPTY: bool = false;

    #[inline(always)]
    fn among(self, bytes: u8x16) -> u8x16 {
        let is = |byte| is(bytes, byte);
        is(b' ') | is(b'\t') | is(b'\n') | is(0x0c) | is(b'\r')
    }
}
