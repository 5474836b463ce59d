//! `words`: the pieces of a text between white space.

use wide::u8x16;

use super::split::{Pieces, Separators};
use crate::{DStream, Word};

impl<T: AsRef<str>> DStream<T> {
    /// The words of each text: what stands between white space, as [`str::split_ascii_whitespace`] has it. None is empty.
    ///
    /// The text is searched by SIMD instructions, and a word is ready to be a key, so `lines.words()` takes a fraction of the time of
    /// `lines.flat_map(|line| line.split_whitespace())`. Nothing is allocated: a [`Word`] borrows from the text.
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

/// The words of `text`.
#[inline]
pub fn words<T: AsRef<str> + ?Sized>(text: &T) -> Pieces<'_, WhiteSpace> {
    Pieces::new(text.as_ref(), WhiteSpace)
}

/// ASCII white space.
#[derive(Debug, Clone)]
pub struct WhiteSpace;

impl Separators for WhiteSpace {
    const EMPTY: bool = false;

    #[inline(always)]
    fn among(&self, bytes: u8x16) -> u64 {
        let is = |byte| bytes.simd_eq(u8x16::splat(byte));
        u64::from((is(b' ') | is(b'\t') | is(b'\n') | is(0x0c) | is(b'\r')).to_bitmask())
    }
}
