//! HTTP as a source of [dstream](https://docs.rs/dstream): what web hooks, devices and scripts post, answered
//! when it is stored. See [`http_stream`] and [`http_json`].

mod access;
mod answer;
mod format;
mod json;
mod request;
mod server;
mod source;

pub use format::{Format, Lines};
pub use json::{Json, JsonBlock};
pub use source::{HttpStream, http_json, http_stream};
