//! Spark Streaming in Rust, as a compiler: a live stream is cut into small batches by time, and [`stream!`]
//! turns a pipeline of operators into plain loops that are applied to each.
//!
//! ```
//! use dstream::prelude::*;
//!
//! let counts = Collected::new();
//! let ssc = dstream::stream!(batch = 1s, {
//!     let lines = queue_stream(vec![vec!["to be or not", "to be"]]);
//!     let pairs = lines.words().map(|word| (word, 1u64));
//!     pairs.reduce_by_key(|a, b| a + b).filter(|(word, _)| word == "be").collect_to(&counts);
//! })?;
//! ssc.run_batches(1)?;
//! assert_eq!(counts.values(), [[("be".into(), 2)]]);
//! # Ok::<(), dstream::Error>(())
//! ```
//!
//! * [`stream!`] says how a pipeline is written, [`DStream`] has the operators, each with an example.
//! * Streams begin at a [`source`], such as [`socket_text_stream`](source::socket_text_stream) or
//!   [`text_file_stream`](source::text_file_stream), or at a [`receiver`] of one's own.
//! * [`StreamingContext`] starts and stops them, [`Config`] has the settings.
//! * An output such as [`foreach_rdd`](DStream::foreach_rdd) is handed an [`Rdd`] a batch, which can also be
//!   had without a stream. A [`sink`] writes batches to another system.
//! * What is kept between batches is in a [`checkpoint`].
//! * [`events`] and the [`plan`] say what a program does, and a [`chart`] shows what is in a stream.
//! * [`testing`] helps to test a pipeline, without a clock.
//!
//! A file with a pipeline begins with `use dstream::prelude::*`. What else it says is here at the root; what
//! extends dstream (a source, a sink, a store) has its names in a module.

#[cfg(feature = "cluster")]
pub use dstream_cluster as cluster;
/// Not part of the public interface, and nothing writes it. Messages of the compiler name what an expansion
/// calls by the first path that there is: without this one they would say `dstream::__private::..`.
#[doc(hidden)]
pub use dstream_core::__private as runtime;
#[doc(hidden)]
pub use dstream_core::__private;
pub use dstream_core::{
    Bytes, Config, ContextState, DStream, Data, Error, JobError, Key, OnFailure, Rdd, Record, Result, Str,
    StreamHandle, StreamingContext, Time, backpressure, chart, checkpoint, clock, events, exchange, hadoop,
    model, ops, plan, rdd, receiver, record, sink, source, state, testing,
};
#[cfg(feature = "flume")]
pub use dstream_flume as flume;
#[cfg(feature = "http")]
pub use dstream_http as http;
#[cfg(feature = "kafka")]
pub use dstream_kafka as kafka;
#[cfg(feature = "kinesis")]
pub use dstream_kinesis as kinesis;
pub use dstream_macros::{Record, stream};
#[cfg(feature = "metrics")]
pub use dstream_metrics as metrics;
#[cfg(feature = "ml")]
pub use dstream_ml as ml;
#[cfg(feature = "mqtt")]
pub use dstream_mqtt as mqtt;
#[cfg(feature = "parquet")]
pub use dstream_parquet as parquet;
#[cfg(feature = "postgres")]
pub use dstream_postgres as postgres;
#[cfg(feature = "redis")]
pub use dstream_redis as redis;
#[cfg(feature = "sql")]
pub use dstream_sql as sql;
#[cfg(feature = "sqlite")]
pub use dstream_sqlite as sqlite;
#[cfg(feature = "store")]
pub use dstream_store as store;
#[cfg(feature = "ui")]
pub use dstream_ui as ui;

/// What a file with a pipeline needs: `use dstream::prelude::*`.
pub mod prelude {
    #[cfg(feature = "cluster")]
    pub use dstream_cluster::ConfigCluster;
    pub use dstream_core::prelude::*;
    pub use dstream_macros::Record;
    #[cfg(feature = "metrics")]
    pub use dstream_metrics::ConfigMetrics;
    #[cfg(feature = "ui")]
    pub use dstream_ui::ConfigUi;
}

/// The programs in README.md and in the pages of `docs/` are tests too.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[cfg(feature = "cluster")]
    #[doc = include_str!("../docs/cluster.md")]
    struct Cluster;
    #[doc = include_str!("../docs/dashboards.md")]
    struct Dashboards;
    #[doc = include_str!("../docs/functions.md")]
    struct Functions;
    #[cfg(feature = "metrics")]
    #[doc = include_str!("../docs/metrics.md")]
    struct Metrics;
    #[cfg(feature = "ml")]
    #[doc = include_str!("../docs/learning.md")]
    struct Learning;
    #[doc = include_str!("../docs/outputs.md")]
    struct Outputs;
    #[cfg(all(feature = "http", feature = "flume", feature = "mqtt"))]
    #[doc = include_str!("../docs/push.md")]
    struct Push;
    #[doc = include_str!("../docs/records.md")]
    struct Records;
    #[doc = include_str!("../docs/sources.md")]
    struct Sources;
    #[doc = include_str!("../docs/state.md")]
    struct State;
    #[doc = include_str!("../docs/testing.md")]
    struct Testing;
    #[doc = include_str!("../docs/watching.md")]
    struct Watching;
}
