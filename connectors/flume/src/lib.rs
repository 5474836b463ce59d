//! Events of Apache Flume as a source of [dstream](https://docs.rs/dstream), by Avro and by Thrift: see
//! [`flume_stream`].

mod avro;
mod block;
mod event;
mod server;
mod settings;
mod store;
mod thrift;
mod wire;

pub use block::FlumeBlock;
pub use event::{FlumeEvent, FlumeEventOwned, Headers};
pub use settings::{Flume, FlumeStream, flume_stream};
