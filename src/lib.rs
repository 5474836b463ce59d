//! x
#[doc(hidden)]
pub use dstream_core::private as __private;
pub use dstream_core::*;
pub use dstream_macros::stream;
