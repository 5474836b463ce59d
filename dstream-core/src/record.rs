//! Records, and how a borrowed one becomes an owned one.
//!
//! Inside a stage a record may borrow from the block it was read from. Where it leaves the stage (a shuffle's
//! table, an `Rdd`, a window, state) it is owned, once, and looked up by its borrowed form before that.

mod containers;
mod foreign;
mod str;
mod word;

use std::{
    borrow::Cow,
    hash::Hash,
    net, num,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Time, inline_key::InlineKey, sealed::Sealed};

pub use self::str::Str;
pub use word::Word;

/// Something that flows through a pipeline.
///
/// | the record | its owned form |
/// |---|---|
/// | `&str`, `Cow<str>`, [`Word`] | [`Str`]: up to 24 bytes inline, derefs to `str` |
/// | `&[u8]` | `Vec<u8>` |
/// | `&T` | that of `T`, cloned |
/// | numbers, `bool`, `char`, `()`, `String`, `Box<str>`, `Bytes`, `Duration`, `Time`, `SystemTime`, `PathBuf`, IP and socket addresses, `NonZeroU64` and the like | itself |
/// | tuples up to 8, `Option`, `Result` | element by element |
/// | `Vec`, `VecDeque`, `LinkedList`, `BinaryHeap`, `BTreeSet`, `BTreeMap`, `HashSet`, `HashMap`, `[T; N]`, `Box`, `Arc`, `Reverse` of owned records | itself |
/// | with the feature of its crate: types of `jiff`, `chrono`, `uuid`, `serde_json` | itself |
/// | structs and enums with `#[derive(Record)]` | themselves; the twin that the derive writes, if they borrow |
///
/// ```
/// use dstream::prelude::*;
///
/// #[derive(Record)]
/// struct Visit<'a> {
///     page: &'a str,
///     millis: u64,
/// }
///
/// let slow = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let visits = queue_stream(vec![vec![("/", 12), ("/search", 950)]])
///         .map(|(page, millis)| Visit { page, millis });
///     visits.filter(|visit| visit.millis > 500).collect_to(&slow);
/// })?;
/// ssc.run_batches(1)?;
/// let slow: Vec<VisitOwned> = slow.values().concat();
/// assert_eq!((slow.len(), slow[0].page.as_str()), (1, "/search"));
/// # Ok::<(), dstream::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record: it can't leave its stage",
    label = "a record that is kept beyond its stage must implement `dstream::Record`",
    note = "a type of your own: write `#[derive(Clone, dstream::Record)]` above it",
    note = "a foreign type: map it to a record first, or wrap it: `#[derive(Clone, dstream::Record)] struct \
            Mine({Self});`",
    note = "a type parameter: bound it by `{Self}: dstream::Data`, and, if it is a key, by `dstream::Key`"
)]
pub trait Record: Sized {
    /// The form that lives as long as it is needed.
    type Owned: Data;

    /// Makes the record independent of the block it was read from.
    fn own(self) -> Self::Owned;

    /// The record as text, if it is text: what a text file has as a line. Anything else has its `Debug` form
    /// there.
    fn as_text(&self) -> Option<&str> {
        None
    }
}

/// A record that owns all it has: it can be shared between threads and kept. Implemented by itself.
pub trait Data: Record<Owned = Self> + Clone + Send + Sync + 'static {}

impl<T: Record<Owned = T> + Clone + Send + Sync + 'static> Data for T {}

/// Owned data that can cross a shuffle, to another process too, and be kept in a checkpoint. Implemented by
/// itself.
///
/// It is written as MessagePack, which can't tell a `Some` of nothing, as `Some(())` or `Some(None)`, from
/// `None`. A value that has one is refused with an error when it is written: use an enum of your own in place
/// of such an `Option`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't cross a shuffle: it can't be serialised",
    note = "a type of your own: write `#[derive(Clone, serde::Serialize, serde::Deserialize, \
            dstream::Record)]` above it",
    note = "a foreign type: the same above `struct Mine({Self});`, with the feature `serde` of its crate",
    note = "a type parameter: bound it by `{Self}: dstream::record::Portable`"
)]
pub trait Portable: Data + Serialize + DeserializeOwned {}

impl<T: Data + Serialize + DeserializeOwned> Portable for T {}

/// A record that can be a key: its hash and its equality are those of its owned form.
///
/// For a struct or an enum, `#[derive(Record)]` with `#[record(key)]` implements it. A type that borrows
/// needs only `Hash` beside it; a handwritten one must hash what the derived one would.
///
/// ```
/// use dstream::prelude::*;
///
/// #[derive(Hash, Record)]
/// #[record(key)]
/// struct Page<'a> {
///     host: &'a str,
///     path: &'a str,
/// }
///
/// let hits = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let urls = queue_stream(vec![vec!["a.org/x", "b.org/", "a.org/x"]]);
///     let pages = urls.flat_map(|url| url.split_once('/')).map(|(host, path)| Page { host, path });
///     pages.count_by_value().filter(|(_, n)| *n > 1).collect_to(&hits);
/// })?;
/// ssc.run_batches(1)?;
/// assert_eq!(hits.values(), [vec![(PageOwned { host: "a.org".into(), path: "x".into() }, 2)]]);
/// # Ok::<(), dstream::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a key",
    label = "keys are hashed and compared",
    note = "a type of your own: write `#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, \
            dstream::Record)] #[record(key)]` above it; if it borrows, `#[derive(Clone, Hash, \
            dstream::Record)] #[record(key)]`",
    note = "a foreign type: wrap it: `#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, \
            dstream::Record)] #[record(key)] struct Id({Self});`",
    note = "a type parameter: bound it by `{Self}: dstream::Data + dstream::Key`",
    note = "floating-point numbers are no keys: map them to an integer or to their bits"
)]
pub trait Key: Record<Owned: Portable + Eq + Hash> + Hash {
    /// Whether `self` and `owned` are the same key. Must agree with `Eq` of the owned form.
    fn same_key(&self, owned: &Self::Owned) -> bool;

    /// The whole key in two words, if it fits: the same for equal keys, borrowed or owned, and for no others.
    #[doc(hidden)]
    #[inline]
    fn inline_key(&self) -> Option<InlineKey> {
        None
    }

    /// The owned key of which this is the inline form.
    #[doc(hidden)]
    fn from_inline(_key: InlineKey) -> Self::Owned {
        unreachable!("a key of this type has no inline form")
    }
}

/// A `(key, value)` record. Implemented by two-element tuples, and by references to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a (key, value) pair",
    label = "this operator needs a stream of pairs",
    note = "map the records to `(key, value)` first, for example `.map(|word| (word, 1u64))`"
)]
pub trait Pair: Sealed {
    /// The first element.
    type Key;
    /// The second element.
    type Value;

    /// The two, apart.
    fn into_pair(self) -> (Self::Key, Self::Value);
}

impl<K, V> Sealed for (K, V) {}

impl<K, V> Pair for (K, V) {
    type Key = K;
    type Value = V;

    fn into_pair(self) -> (K, V) {
        self
    }
}

impl<K, V> Sealed for &(K, V) {}

impl<'a, K, V> Pair for &'a (K, V) {
    type Key = &'a K;
    type Value = &'a V;

    fn into_pair(self) -> (&'a K, &'a V) {
        (&self.0, &self.1)
    }
}

macro_rules! plain {
    (
        text: $($text:ty),* $(,)?;
        numbers: $($number:ty),* $(,)?;
        keys: $($key:ty),* $(,)?;
        values: $($value:ty),* $(,)?
    ) => {
        $(plain!(@record $text {
            fn as_text(&self) -> Option<&str> {
                Some(self)
            }
        });)*
        $(plain!(@record $number {});)*
        $(plain!(@record $key {});)*
        $(plain!(@record $value {});)*
        $(plain!(@key $text {
            #[inline]
            fn inline_key(&self) -> Option<InlineKey> {
                InlineKey::text(self.as_bytes())
            }

            fn from_inline(key: InlineKey) -> $text {
                text_of(key)
            }
        });)*
        $(plain!(@key $number {
            #[inline]
            fn inline_key(&self) -> Option<InlineKey> {
                // Sign and width are those of the type: the bits are enough.
                Some(InlineKey::number(*self as u64))
            }

            fn from_inline(key: InlineKey) -> $number {
                key.to_number() as $number
            }
        });)*
        $(plain!(@key $key {});)*
    };
    (@record $t:ty { $($as_text:tt)* }) => {
        impl Record for $t {
            type Owned = $t;

            fn own(self) -> $t {
                self
            }

            $($as_text)*
        }
    };
    (@key $t:ty { $($short:tt)* }) => {
        impl Key for $t {
            fn same_key(&self, owned: &$t) -> bool {
                self == owned
            }

            $($short)*
        }
    };
}

plain! {
    text: String, Str;
    numbers: u8, u16, u32, u64, usize, i8, i16, i32, i64, isize;
    keys: u128, i128, bool, char, Duration, Time, SystemTime, Bytes, PathBuf, net::IpAddr, net::Ipv4Addr,
        net::Ipv6Addr, net::SocketAddr, net::SocketAddrV4, net::SocketAddrV6, num::NonZeroU8, num::NonZeroU16,
        num::NonZeroU32, num::NonZeroU64, num::NonZeroU128, num::NonZeroUsize, num::NonZeroI8,
        num::NonZeroI16, num::NonZeroI32,
        num::NonZeroI64, num::NonZeroI128, num::NonZeroIsize;
    values: f32, f64
}

/// The text of which this is the inline form.
fn text_of<T: for<'a> From<&'a str>>(key: InlineKey) -> T {
    let (bytes, len) = key.to_text();
    T::from(std::str::from_utf8(&bytes[..len]).unwrap_or_default())
}

impl Record for &str {
    type Owned = Str;

    fn own(self) -> Str {
        self.into()
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Key for &str {
    fn same_key(&self, owned: &Str) -> bool {
        *self == owned.as_str()
    }

    #[inline]
    fn inline_key(&self) -> Option<InlineKey> {
        InlineKey::text(self.as_bytes())
    }

    fn from_inline(key: InlineKey) -> Str {
        text_of(key)
    }
}

impl Record for Cow<'_, str> {
    type Owned = Str;

    fn own(self) -> Str {
        self.into()
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Key for Cow<'_, str> {
    fn same_key(&self, owned: &Str) -> bool {
        self.as_ref() == owned.as_str()
    }

    #[inline]
    fn inline_key(&self) -> Option<InlineKey> {
        InlineKey::text(self.as_bytes())
    }

    fn from_inline(key: InlineKey) -> Str {
        text_of(key)
    }
}

impl Record for Box<str> {
    type Owned = Box<str>;

    fn own(self) -> Box<str> {
        self
    }

    fn as_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl Key for Box<str> {
    fn same_key(&self, owned: &Box<str>) -> bool {
        self == owned
    }

    #[inline]
    fn inline_key(&self) -> Option<InlineKey> {
        InlineKey::text(self.as_bytes())
    }

    fn from_inline(key: InlineKey) -> Box<str> {
        text_of(key)
    }
}

impl Record for &[u8] {
    type Owned = Vec<u8>;

    fn own(self) -> Vec<u8> {
        self.to_vec()
    }
}

impl Key for &[u8] {
    fn same_key(&self, owned: &Vec<u8>) -> bool {
        *self == owned.as_slice()
    }
}

impl<T: Record + Clone> Record for &T {
    type Owned = T::Owned;

    fn own(self) -> T::Owned {
        self.clone().own()
    }

    fn as_text(&self) -> Option<&str> {
        T::as_text(self)
    }
}

impl<T: Key + Clone> Key for &T {
    fn same_key(&self, owned: &T::Owned) -> bool {
        T::same_key(self, owned)
    }

    #[inline]
    fn inline_key(&self) -> Option<InlineKey> {
        T::inline_key(self)
    }

    fn from_inline(key: InlineKey) -> T::Owned {
        T::from_inline(key)
    }
}

impl<T: Record> Record for Option<T> {
    type Owned = Option<T::Owned>;

    fn own(self) -> Option<T::Owned> {
        self.map(T::own)
    }
}

impl<T: Key> Key for Option<T> {
    fn same_key(&self, owned: &Option<T::Owned>) -> bool {
        match (self, owned) {
            (Some(a), Some(b)) => a.same_key(b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<T: Record, E: Record> Record for Result<T, E> {
    type Owned = Result<T::Owned, E::Owned>;

    fn own(self) -> Result<T::Owned, E::Owned> {
        self.map(T::own).map_err(E::own)
    }
}

impl<T: Key, E: Key> Key for Result<T, E> {
    fn same_key(&self, owned: &Result<T::Owned, E::Owned>) -> bool {
        match (self, owned) {
            (Ok(a), Ok(b)) => a.same_key(b),
            (Err(a), Err(b)) => a.same_key(b),
            _ => false,
        }
    }
}

macro_rules! tuple {
    ($($t:ident $i:tt),*) => {
        impl<$($t: Record),*> Record for ($($t,)*) {
            type Owned = ($($t::Owned,)*);

            #[allow(clippy::unused_unit)]
            fn own(self) -> Self::Owned {
                ($(self.$i.own(),)*)
            }
        }

        impl<$($t: Key),*> Key for ($($t,)*) {
            fn same_key(&self, _owned: &Self::Owned) -> bool {
                true $(&& self.$i.same_key(&_owned.$i))*
            }
        }
    };
}

tuple!();
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
