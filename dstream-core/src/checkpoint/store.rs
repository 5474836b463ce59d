//! Where the objects of a checkpoint are: the seam for object stores, and a local directory.

use std::{
    any::Any,
    fmt,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::{
    CheckpointError, Policy,
    fs::{Fs, Lock, OsFs, is_full},
    wal::LogOptions,
};

/// Immutable objects with names, all in one place. Nothing is ever appended or overwritten, so that an object store can be one:
/// `docs/checkpoint-format.md` says what is asked of it.
pub trait CheckpointStore: Send + Sync + fmt::Debug {
    /// Makes the object `name` of what `write` writes. When this returns, the object is there and survives a loss of power; if
    /// it fails, no part of the object can be seen, unless what failed is the very last step: then it is there as a whole.
    ///
    /// No name is asked for twice; if there is such an object all the same, it stays, and the error is
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists). After that error, or any that is not [`CheckpointError::Io`], nothing more is
    /// written; after the others the same is tried again under a new name.
    fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError>;

    /// Reads an object from its beginning. [`NotFound`](io::ErrorKind::NotFound) only if it is not there: a program then looks for an
    /// older checkpoint, and after any other error it does not start.
    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// The names of all objects that begin with `prefix`, in any order; of what was put before, all.
    fn list(&self, prefix: &str) -> io::Result<Vec<String>>;

    /// Removes an object.
    fn delete(&self, name: &str) -> io::Result<()>;

    /// Makes this process the only one that writes, until the result is dropped or the process ends.
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, CheckpointError>;

    /// The place as a person writes it, or that of the object `name` if it is not empty.
    fn describe(&self, name: &str) -> String;
}

/// Where a program keeps its checkpoints, and how.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) policy: Policy,
    pub(crate) log: LogOptions,
}

impl Default for Storage {
    fn default() -> Storage {
        Storage { fs: Arc::new(OsFs), policy: Policy::default(), log: LogOptions::default() }
    }
}

/// A local directory.
///
/// An object is written under another name, brought to the disk, and renamed; then the directory is brought to the
/// disk. After a sync that failed every later write fails, until the directory is opened again: the system may have
/// dropped what it could not write and says so only once, so that a second sync would promise what is not there. Where
/// a sync finds the disk full, only the new file is lost, and nothing else had been promised.
pub struct LocalDir {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    poisoned: OnceLock<String>,
}

/// Begins the names of files that are being written.
const TEMPORARY: &str = ".tmp-";
const LOCK: &str = ".lock";

impl LocalDir {
    /// The directory `dir`, which is made if it is not there.
    pub fn open(dir: impl Into<PathBuf>) -> Result<LocalDir, CheckpointError> {
        LocalDir::with_fs(Arc::new(OsFs), dir.into())
    }

    /// The directory `dir`, to be read only.
    pub(super) fn existing(dir: &Path) -> LocalDir {
        LocalDir { fs: Arc::new(OsFs), dir: dir.to_owned(), poisoned: OnceLock::new() }
    }

    pub(crate) fn with_fs(fs: Arc<dyn Fs>, dir: PathBuf) -> Result<LocalDir, CheckpointError> {
        fs.create_dir(&dir)
            // What the last process renamed but could not sync is made safe before anything builds on it.
            .and_then(|()| fs.sync_dir(&dir))
            .map_err(|e| CheckpointError::io(format_args!("opening checkpoint `{}`", dir.display()), e))?;
        Ok(LocalDir { fs, dir, poisoned: OnceLock::new() })
    }

    /// `Err` if a sync has failed before.
    fn check(&self, what: impl FnOnce() -> String) -> Result<(), CheckpointError> {
        let unsynced = |why: &String| CheckpointError::Unsynced { what: what(), why: why.clone() };
        self.poisoned.get().map_or(Ok(()), |why| Err(unsynced(why)))
    }

    fn poison(&self, what: String, error: io::Error) -> CheckpointError {
        // Only the first failure is the cause.
        let why = self.poisoned.get_or_init(|| error.to_string()).clone();
        CheckpointError::Unsynced { what, why }
    }
}

impl CheckpointStore for LocalDir {
    fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let what = || format!("writing `{}`", self.describe(name));
        let failed = |e| CheckpointError::io(what(), e);
        self.check(what)?;
        let temporary = self.dir.join(format!("{TEMPORARY}{name}"));
        let written = (|| {
            let mut out = BufWriter::with_capacity(1 << 16, self.fs.create(&temporary).map_err(failed)?);
            write(&mut out)?;
            let mut file = out.into_inner().map_err(|e| failed(e.into_error()))?;
            file.sync().map_err(|e| if is_full(&e) { failed(e) } else { self.poison(what(), e) })?;
            drop(file);
            self.fs.rename(&temporary, &self.dir.join(name)).map_err(failed)
        })();
        if written.is_err() {
            // Gives its space back. If that fails too, the next start tries again.
            let _ = self.fs.remove(&temporary);
        }
        written?;
        self.fs.sync_dir(&self.dir).map_err(|e| self.poison(what(), e))
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        self.fs.open(&self.dir.join(name))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = self.fs.list(&self.dir)?;
        // Our own hidden files, other directories, and what other programs hide are no objects.
        names.retain(|name| !name.starts_with('.') && !name.ends_with('/') && name.starts_with(prefix));
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.check(|| format!("deleting `{}`", self.describe(name))).map_err(io::Error::other)?;
        self.fs.remove(&self.dir.join(name))
    }

    fn lock(&self) -> Result<Lock, CheckpointError> {
        let path = self.dir.join(LOCK);
        let failed = |e| CheckpointError::io(format_args!("locking `{}`", path.display()), e);
        let lock = self.fs.lock(&path).map_err(failed)?;
        let lock = lock.map_err(|owner| CheckpointError::Busy { place: self.describe(""), owner })?;
        // Now that nobody writes them any more, half-written files of a killed process can go.
        for name in self.fs.list(&self.dir).map_err(failed)? {
            if name.starts_with(TEMPORARY) {
                self.fs.remove(&self.dir.join(name)).map_err(failed)?;
            }
        }
        Ok(lock)
    }

    fn describe(&self, name: &str) -> String {
        if name.is_empty() {
            self.dir.display().to_string()
        } else {
            self.dir.join(name).display().to_string()
        }
    }
}

impl fmt::Debug for LocalDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalDir").field(&self.dir).finish()
    }
}
