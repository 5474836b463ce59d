//! `flat_map`; and what `line.split(' ')` is in it, if `line` is a `&str`.

use super::split::{Byte, Pieces, pieces};
use crate::DStream;

impl<T> DStream<T> {
    /// Passes each record through `f` and yields every item of what it returns.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let lines = queue_stream(vec![vec!["to be", "or not"]]);
    ///     lines.flat_map(|line| line.split(' ')).collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [vec!["to", "be", "or", "not"]]);
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn flat_map<I: IntoIterator>(self, f: impl Fn(T) -> I) -> DStream<I::Item> {
        drop(f);
        DStream::typed()
    }
}

/// A record that is split at a character. [`SplitText`] or, by one reference less, [`SplitAny`] says how.
#[derive(Debug)]
pub struct Splits<'r, T>(pub &'r T);

/// Of a `&str`, the pieces are found as by the operator `split`.
pub trait SplitText<'a> {
    /// What [`str::split`] would give for this ASCII character.
    fn pieces<I>(&self, at: u8, split: impl FnOnce() -> I) -> StrPieces<'a>;
}

impl<'a> SplitText<'a> for &Splits<'_, &'a str> {
    #[inline]
    fn pieces<I>(&self, at: u8, _: impl FnOnce() -> I) -> StrPieces<'a> {
        let text: &'a str = self.0;
        StrPieces(pieces(text, at))
    }
}

/// Of anything else, as it says itself.
pub trait SplitAny {
    /// What `split` gives.
    fn pieces<I>(&self, at: u8, split: impl FnOnce() -> I) -> I;
}

impl<T> SplitAny for Splits<'_, T> {
    #[inline]
    fn pieces<I>(&self, _: u8, split: impl FnOnce() -> I) -> I {
        split()
    }
}

/// The pieces of a text, as texts.
#[derive(Debug)]
pub struct StrPieces<'a>(Pieces<'a, Byte>);

impl<'a> Iterator for StrPieces<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        self.0.next().map(|piece| piece.as_str())
    }
}
