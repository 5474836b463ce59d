//! A piece of text, as `words` and `split` find it.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::{Deref, Range},
};

use crate::{Key, Record, Str, inline_key::InlineKey};

/// A `&str` that is ready to be a key: its hash and its comparison don't look at the text again.
///
/// It derefs to `str`, and what holds for a `&str` as a record holds for it: its owned form is a
/// [`Str`].
///
/// ```
/// use dstream::prelude::*;
///
/// let long = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let words = queue_stream(vec![vec!["to be or", "not to be"]]).words();
///     words.filter(|word| word.len() > 2 && *word != "nor").collect_to(&long);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(long.values(), [vec!["not"]]);
/// # Ok::<(), dstream::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Word<'a> {
    /// The text around it. Cutting the piece out costs a look at its ends, which a key does not need.
    text: &'a str,
    start: usize,
    end: usize,
    /// The inline key of the piece; [`InlineKey::NONE`] if it is too long.
    key: InlineKey,
}

impl<'a> Word<'a> {
    /// A piece of `text`, which begins and ends with whole characters; `key` is its inline key.
    #[inline(always)]
    pub(crate) fn within(text: &'a str, piece: Range<usize>, key: Option<InlineKey>) -> Word<'a> {
        Word { text, start: piece.start, end: piece.end, key: key.unwrap_or(InlineKey::NONE) }
    }

    /// The text, for as long as the block it is in.
    #[inline]
    pub fn as_str(self) -> &'a str {
        &self.text[self.start..self.end]
    }
}

impl<'a> From<&'a str> for Word<'a> {
    fn from(text: &'a str) -> Word<'a> {
        Word::within(text, 0..text.len(), InlineKey::text(text.as_bytes()))
    }
}

impl<'a> From<Word<'a>> for &'a str {
    fn from(word: Word<'a>) -> &'a str {
        word.as_str()
    }
}

impl Deref for Word<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Word<'_> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Hash for Word<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialEq for Word<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Word<'_> {}

impl PartialOrd for Word<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialEq<str> for Word<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Word<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Record for Word<'_> {
    type Owned = Str;

    fn own(self) -> Str {
        self.as_str().own()
    }

    fn as_text(&self) -> Option<&str> {
        Some(self.as_str())
    }
}

impl Key for Word<'_> {
    fn same_key(&self, owned: &Str) -> bool {
        self.as_str() == owned.as_str()
    }

    #[inline]
    fn inline_key(&self) -> Option<InlineKey> {
        (self.key != InlineKey::NONE).then_some(self.key)
    }

    fn from_inline(key: InlineKey) -> Str {
        <&str as Key>::from_inline(key)
    }
}
