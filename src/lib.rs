//! x
#[doc(hidden)]
pub use dstream_core::private as __private;
pub use dstream_core::*;
pub use dstream_macros::stream;

/// The programs in README.md are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
