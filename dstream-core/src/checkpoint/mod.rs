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
pub(crate) mod estimate;
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

pub(crate) use changes::SentChanges;
pub use changes::{Changes, decode};
pub use error::CheckpointError;
pub use estimate::KeptBytes;
pub use inspect::inspect_checkpoint;
pub use local::LocalDir;
pub use store::{Appender, CheckpointStore, IntoCheckpointStore, StoreLock};

use crate::Time;

pub(crate) use encode::encode;
pub(crate) use manifest::{PendingBatch, Progress};
pub(crate) use migrate::Migration;
#[cfg(test)]
pub(crate) use recovery::Restored;
pub(crate) use recovery::{Recovered, Session, Slot, restore_only};
pub(crate) use store::Storage;
#[cfg(test)]
pub(crate) use wal::RecoveredBlock;
pub(crate) use wal::{
    BlockLocation, LogBlock, LogOptions, LogPosition, LogReader, ReceiverOffset, WriteAheadLog, log_reaches,
};
pub(crate) use writer::{Checkpointer, Policy};

/// What an operator or a source keeps between batches. A checkpoint holds it as a map from keys to values,
/// both in bytes.
pub trait Stateful: Send {
    /// The types of the keys and values, in a readable form; compared on recovery. By convention from
    /// [`type_name`](std::any::type_name).
    fn fingerprint(&self) -> String;

    /// Adds the changes since the last call to the changelog of the next commit.
    fn changes(&mut self, out: &mut Changes);

    /// Called before the entries are restored, with the fingerprint that they were written with.
    fn begin_restore(&mut self, _fingerprint: &str) {}

    /// Restores one entry, as it was put last. Called once for each entry of the checkpoint, in arbitrary
    /// order. `Err` says what does not fit.
    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<(), String>;

    /// Called when all entries are restored.
    fn finish_restore(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Whether entries were converted to another type than they were written in. The next changes must then
    /// begin with a [`clear`](Changes::clear). Until these are written, the checkpoint keeps the old
    /// fingerprint.
    fn is_converted(&self) -> bool {
        false
    }

    /// The number of keys, records or partial results, for monitoring. It is called after each batch if there
    /// is a listener, so it must be cheap. `None`, the default, if they are not counted.
    fn keys(&self) -> Option<u64> {
        None
    }

    /// About how many bytes of memory all of it takes, for monitoring; called as `keys` is. `None`, the
    /// default, if nobody estimates it.
    fn estimated_bytes(&self) -> Option<u64> {
        None
    }

    /// The batch of what is oldest in it, for monitoring; called as `keys` is. `None`, the default, if nobody
    /// knows it.
    fn oldest(&mut self) -> Option<Time> {
        None
    }

    /// What it keeps of a key, which is given in MessagePack, for somebody who wants to see it. `None`, the
    /// default, if it can't be asked. It must be quick: batches wait for it.
    fn look_up(&self, key: &[u8]) -> Option<Result<KeptBytes, String>> {
        let _ = key;
        None
    }
}
