//! Checkpoints: what a program keeps between batches, on a disk or in an object store.
//!
//! A program says where with the setting `checkpoint`, or with
//! [`Config::checkpoint`](crate::Config::checkpoint): a folder, a [`LocalDir`] with options, or a
//! [`CheckpointStore`] of its own. [`inspect_checkpoint`] shows a person what is in one. A source keeps its
//! place by being [`Stateful`].
//!
//! `docs/checkpoint-format.md` describes what is written.

mod changes;
mod compact;
mod encode;
mod error;
mod frame;
mod fs;
mod inspect;
mod local;
mod manifest;
mod merge;
mod migrate;
mod recovery;
mod segment;
pub(crate) mod sim;
pub(crate) mod store;
mod tail;
#[cfg(test)]
mod tests;
mod wal;
mod writer;

pub use changes::{Changes, decode};
pub use error::CheckpointError;
pub use inspect::inspect_checkpoint;
pub use local::LocalDir;
pub use store::{Appender, CheckpointStore, IntoCheckpointStore, StoreLock};

pub(crate) use encode::encode;
pub(crate) use manifest::{PendingBatch, Progress};
pub(crate) use migrate::Migration;
#[cfg(test)]
pub(crate) use recovery::Restored;
pub(crate) use recovery::{Recovered, Session, Slot};
pub(crate) use store::Storage;
#[cfg(test)]
pub(crate) use wal::Found;
pub(crate) use wal::{
    LogBlock, LogOptions, LogPosition, LogReader, Place, UsedUp, WriteAheadLog, log_reaches,
};
pub(crate) use writer::{Checkpointer, Policy};

/// What an operator or a source keeps between batches. A checkpoint holds it as a map from keys to values,
/// both in bytes.
pub trait Stateful: Send {
    /// The types that are kept, as a person reads them; compared on recovery. By convention from
    /// [`type_name`](std::any::type_name).
    fn fingerprint(&self) -> String;

    /// Writes what changed since the last call.
    fn changes(&mut self, out: &mut Changes);

    /// The fingerprint of the entries that are about to come back.
    fn found(&mut self, _fingerprint: &str) {}

    /// Takes back one entry of a checkpoint, as it was put last; called once for every entry there is, in no
    /// order that means anything. `Err` says what does not fit.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String>;

    /// All entries are back.
    fn restored(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Whether entries came back as another type than they were written in. The next changes then begin with
    /// a [`clear`](Changes::clear), and until they are written, the checkpoint keeps the fingerprint of the
    /// entries that it has.
    fn converted(&self) -> bool {
        false
    }

    /// How many keys it has, or how many records or partial results, for people who watch it. It is asked
    /// after each batch, if somebody listens, so it must be cheap. `None`, the default, if nobody counts
    /// them.
    fn keys(&self) -> Option<u64> {
        None
    }
}
