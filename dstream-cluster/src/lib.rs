//! One dstream program as several processes, on one machine or on many: none of its pipelines changes.
//!
//! The processes exchange what has to meet over [timely](https://docs.rs/timely_communication)'s connections.
//! See [`Cluster`] for how a program says which process it is. The program `dstream-launch` starts several of
//! them on one machine:
//!
//! ```sh
//! dstream-launch -n 3 -- ./word_count in checkpoint out
//! ```

mod exchange;
mod handshake;
mod join;
mod link;
mod mailbox;
mod settings;
mod transport;

pub use settings::{Cluster, ConfigCluster};
