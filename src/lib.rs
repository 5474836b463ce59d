//! x
#[doc(hidden)]
pub use dstream_core::private as __private;
pub use dstream_core::*;
pub use dstream_macros::{Record, stream};

/// What a file with a pipeline needs: `use dstream::prelude::*`.
pub mod prelude {
    pub use dstream_core::prelude::*;
    pub use dstream_macros::Record;
}

/// The programs in README.md are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
