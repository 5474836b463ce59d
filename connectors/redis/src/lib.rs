//! Redis as an output of [dstream](https://docs.rs/dstream), exactly once: [`Redis`].

mod commands;
mod errors;
mod sink;

pub use commands::{Argument, Commands};
pub use sink::Redis;
