//! Sketches: bounded summaries of many records, which can be merged.
//!
//! Each is a record that says what it knows of one value, and of two such records one is made by `merge`. So
//! they go wherever records are reduced: `reduce`, `reduce_by_key`, windows, state.

mod heavy_hitters;
mod hyper_log_log;
mod quantiles;

pub use heavy_hitters::HeavyHitters;
pub use hyper_log_log::HyperLogLog;
pub use quantiles::Quantiles;
