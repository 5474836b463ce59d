//! The seam between checkpoints and where their objects are stored.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{CheckpointError, LocalDir, Policy, wal::LogOptions};

/// Where checkpoints and the write-ahead log of receivers are stored: immutable objects with flat names, all
/// in one place.
///
/// [`LocalDir`] stores them in a directory. Implement this to store them elsewhere, for instance in an object
/// store, and give the value to the program: `checkpoint = store` in `stream!`, or
/// [`Config::checkpoint`](crate::Config). Check an implementation with
/// [`testing::check_store`](crate::testing::check_store), which tests each promise below.
///
/// # Contract
///
/// - **Names** are up to 64 ASCII letters, digits and `-`, and begin with a letter. No name is put twice by
///   one program.
/// - **Create.** [`put`](CheckpointStore::put) makes an object whole or not at all, and only where there is
///   none of that name (`If-None-Match: *`). No rename is needed.
/// - **Durable.** What `put` has reported as stored is there for every later `get` and `list`, of this
///   process and of others, also after a loss of power.
/// - **Consistent.** `list` names every object that was put before and not deleted.
/// - **One writer.** See below.
///
/// # Lock, lease, and fencing
///
/// One process writes at a time. [`lock`](CheckpointStore::lock) either excludes every other process until
/// its result is dropped or the process ends, or fails with [`Busy`](CheckpointError::Busy). A store without
/// locks needs a *lease*, which its [`StoreLock`] renews from a thread of its own. [`StoreLock::lost`] is
/// asked before each commit, each append to the log, and each deletion; once it has named a reason, nothing
/// more is written and the program ends with [`LockLost`](CheckpointError::LockLost). So it must name
/// one *before* the lease can pass to another process: at the latest when the time that the lease was last
/// renewed for is over, by this machine's monotonic clock, less a margin for a call that is under way. And a
/// lease may only be granted when that time is over.
///
/// The conditional create is the second barrier (*fencing*): two writers that both believe to hold the lease
/// go on from the same last number, so that the later one of two `put`s fails with
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists), and its program ends. A store that numbers its leases can
/// do better, and refuse a `put` or `delete` under an older number.
pub trait CheckpointStore: Send + Sync + fmt::Debug + 'static {
    /// Makes the object `name` of the bytes that `write` writes. `write` may be called again to begin anew;
    /// its error is passed on.
    ///
    /// If it fails, no part of the object may be seen, but it may be there as a whole if the outcome is
    /// unknown, as after a timeout. An object of that name that is there stays, and the error is
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists). After that error, or any that is not
    /// [`CheckpointError::Io`], nothing more is written and the program ends; after the others the same
    /// content is tried again under a new name.
    fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError>;

    /// Reads an object from its beginning. [`NotFound`](io::ErrorKind::NotFound) only if it is not there: a
    /// program may then look for an older checkpoint, and after any other error it does not start.
    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// Reads an object from byte `offset` on; nothing if it ends before. Blocks of the log are read so.
    /// Provided: reads and skips what is before.
    fn get_from(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut object = self.get(name)?;
        io::copy(&mut (&mut object).take(offset), &mut io::sink())?;
        Ok(object)
    }

    /// The names of all objects that begin with `prefix`, in any order.
    fn list(&self, prefix: &str) -> io::Result<Vec<String>>;

    /// Removes an object. It need not be gone at once. One that is not there is no error, or
    /// [`NotFound`](io::ErrorKind::NotFound).
    fn delete(&self, name: &str) -> io::Result<()>;

    /// Makes this process the only one that writes, until the result is dropped or the process ends. The
    /// first call before anything is read or written: the place may be created here.
    fn lock(&self) -> Result<Box<dyn StoreLock>, CheckpointError>;

    /// Makes an empty object `name` that can be appended to, if the store has such: the log of receivers is
    /// then written with one append for each group of blocks. Provided: `None`, and each group of blocks is
    /// `put` as an object of its own.
    fn append(&self, _name: &str) -> Result<Option<Box<dyn Appender>>, CheckpointError> {
        Ok(None)
    }

    /// Cuts an object that an earlier process has appended to at `length` bytes and makes these durable.
    /// Called at the start for the last such object, before anything relies on it: what can be read may still
    /// be lost. Provided: nothing, as what was `put` is durable.
    fn seal(&self, _name: &str, _length: u64) -> Result<(), CheckpointError> {
        Ok(())
    }

    /// The place as a person writes it, or that of the object `name` if it is not empty. For messages.
    fn describe(&self, name: &str) -> String;
}

/// Held while a process is the only writer of a [`CheckpointStore`]; dropped when another may write.
pub trait StoreLock: Send + Sync {
    /// Why this process may not write any more: its lease has ended. `None` while it may. Asked often, so it
    /// must not do I/O. Provided: `None`, for a lock that can't be lost.
    fn lost(&self) -> Option<String> {
        None
    }
}

impl dyn StoreLock {
    /// `Err` if the lock is lost.
    pub(crate) fn check(&self, store: &dyn CheckpointStore) -> Result<(), CheckpointError> {
        let lost = |why| CheckpointError::LockLost { place: store.describe(""), why };
        self.lost().map_or(Ok(()), |why| Err(lost(why)))
    }
}

/// An object that is appended to. What is written is sure to be there only after the next
/// [`sync`](Appender::sync).
pub trait Appender: Write + Send {
    /// Makes everything that was written durable, with the name of the object. After any error nothing more
    /// is appended to this object; the errors mean what those of [`CheckpointStore::put`] mean.
    fn sync(&mut self) -> Result<(), CheckpointError>;
}

/// Removes an object, also if it is gone already.
pub(super) fn delete(store: &dyn CheckpointStore, name: &str) -> Result<(), CheckpointError> {
    match store.delete(name) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(CheckpointError::io(format_args!("deleting `{}`", store.describe(name)), e))
        }
        _ => Ok(()),
    }
}

/// Where a program stores its checkpoints, and how.
#[derive(Clone, Debug)]
pub struct Storage {
    pub(crate) store: Arc<dyn CheckpointStore>,
    pub(crate) policy: Policy,
    pub(crate) log: LogOptions,
}

impl Storage {
    fn new(store: Arc<dyn CheckpointStore>) -> Storage {
        Storage { store, policy: Policy::default(), log: LogOptions::default() }
    }
}

/// What `checkpoint = ..` takes: the path of a directory, or a [`CheckpointStore`], also in an [`Arc`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no place for checkpoints",
    label = "expected the path of a directory or a `CheckpointStore`",
    note = "a path is a `&str`, `String`, `&Path` or `PathBuf`; a store may be in an `Arc`"
)]
pub trait IntoCheckpointStore {
    /// The store, with how it is used.
    #[doc(hidden)]
    fn into_checkpoint_store(self) -> Storage;
}

impl<S: CheckpointStore> IntoCheckpointStore for S {
    fn into_checkpoint_store(self) -> Storage {
        Storage::new(Arc::new(self))
    }
}

impl<S: CheckpointStore> IntoCheckpointStore for Arc<S> {
    fn into_checkpoint_store(self) -> Storage {
        Storage::new(self)
    }
}

impl IntoCheckpointStore for Arc<dyn CheckpointStore> {
    fn into_checkpoint_store(self) -> Storage {
        Storage::new(self)
    }
}

impl IntoCheckpointStore for Storage {
    fn into_checkpoint_store(self) -> Storage {
        self
    }
}

macro_rules! paths {
    ($($path:ty),*) => {$(
        impl IntoCheckpointStore for $path {
            fn into_checkpoint_store(self) -> Storage {
                Storage::new(Arc::new(LocalDir::new(self)))
            }
        }
    )*};
}

paths!(&str, String, &String, &Path, PathBuf, &PathBuf, &OsStr, OsString);
