//! Owned text.

use std::{
    borrow::{Borrow, Cow},
    convert::Infallible,
    ffi::OsStr,
    fmt,
    ops::Deref,
    path::Path,
    str::FromStr,
};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A piece of text that owns its bytes: the owned form of a record `&str`, and so what a word count has as
/// its keys.
///
/// It is as large as a `String`, but up to 24 bytes are held in the value itself, without an allocation. It
/// derefs to `str`, compares with text of any kind, and is made of it by `from` and `into`.
///
/// ```
/// use dstream::Str;
///
/// let word = Str::from("to be");
/// assert!(word == "to be" && word.starts_with("to"));
/// assert_eq!(String::from(word), "to be");
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Str(CompactString);

impl Str {
    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The text as a `String`, which has the same bytes if they were allocated.
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl Deref for Str {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

macro_rules! as_refs {
    ($($t:ty),*) => {$(
        impl AsRef<$t> for Str {
            #[inline]
            fn as_ref(&self) -> &$t {
                self.as_str().as_ref()
            }
        }
    )*};
}

as_refs!(str, [u8], OsStr, Path);

// Its hash, equality and order are those of the text.
impl Borrow<str> for Str {
    #[inline]
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

macro_rules! from {
    ($($t:ty),*) => {$(
        impl From<$t> for Str {
            #[inline]
            fn from(text: $t) -> Str {
                Str(text.into())
            }
        }
    )*};
}

from!(&str, String, Box<str>, Cow<'_, str>);

impl From<&String> for Str {
    #[inline]
    fn from(text: &String) -> Str {
        text.as_str().into()
    }
}

impl From<Str> for String {
    fn from(text: Str) -> String {
        text.into_string()
    }
}

impl From<Str> for Box<str> {
    fn from(text: Str) -> Box<str> {
        text.into_string().into()
    }
}

impl FromStr for Str {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Str, Infallible> {
        Ok(text.into())
    }
}

macro_rules! collected {
    ($($t:ty),*) => {$(
        impl FromIterator<$t> for Str {
            fn from_iter<I: IntoIterator<Item = $t>>(pieces: I) -> Str {
                Str(CompactString::from_iter(pieces))
            }
        }
    )*};
}

collected!(char, String);

impl<'a> FromIterator<&'a str> for Str {
    fn from_iter<I: IntoIterator<Item = &'a str>>(pieces: I) -> Str {
        Str(CompactString::from_iter(pieces))
    }
}

macro_rules! equals {
    ($($t:ty),*) => {$(
        impl PartialEq<$t> for Str {
            #[inline]
            fn eq(&self, other: &$t) -> bool {
                let other: &str = other.as_ref();
                self.as_str() == other
            }
        }

        impl PartialEq<Str> for $t {
            #[inline]
            fn eq(&self, other: &Str) -> bool {
                other == self
            }
        }
    )*};
}

equals!(str, &str, String, Cow<'_, str>);
