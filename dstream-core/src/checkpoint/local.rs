//! A local directory as a checkpoint store.

use std::{
    fmt,
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::{
    Appender, CheckpointError, CheckpointStore, StoreLock,
    fs::{Fs, FsFile, OsFs, is_full},
    wal::LOG_PREFIX,
};

/// A local directory.
///
/// An object is written under another name, brought to the disk, and renamed; then the directory is brought
/// to the disk. After a sync that failed every later write fails, until the directory is opened again: the
/// system may have dropped what it could not write and says so only once, so that a second sync would promise
/// what is not there. Where a sync finds the disk full, only the new file is lost, and nothing else had been
/// promised.
#[derive(Clone)]
#[must_use = "has an effect where it is given to a context: `checkpoint = ..`"]
pub struct LocalDir {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    poisoned: Arc<OnceLock<String>>,
}

/// Begins the names of files that are being written.
const TEMPORARY: &str = ".tmp-";
const LOCK: &str = ".lock";
/// The sub-directory of the log.
const LOG_DIR: &str = "log";

impl LocalDir {
    /// The directory `dir`, which is made when it is locked, if it is not there.
    pub fn new(dir: impl Into<PathBuf>) -> LocalDir {
        LocalDir::with_fs(Arc::new(OsFs), dir.into())
    }

    pub(crate) fn with_fs(fs: Arc<dyn Fs>, dir: PathBuf) -> LocalDir {
        LocalDir { fs, dir, poisoned: Arc::default() }
    }

    /// The file of an object.
    fn path(&self, name: &str) -> PathBuf {
        self.parent(name).join(name)
    }

    fn parent(&self, name: &str) -> PathBuf {
        if name.starts_with(LOG_PREFIX) { self.dir.join(LOG_DIR) } else { self.dir.clone() }
    }

    fn failed(&self, doing: &str, name: &str, error: io::Error) -> CheckpointError {
        CheckpointError::io(format_args!("{doing} `{}`", self.describe(name)), error)
    }

    /// `Err` if a sync has failed before.
    fn check(&self, doing: &str, name: &str) -> Result<(), CheckpointError> {
        let what = || format!("{doing} `{}`", self.describe(name));
        let unsynced = |why: &String| CheckpointError::Unsynced { what: what(), why: why.clone() };
        self.poisoned.get().map_or(Ok(()), |why| Err(unsynced(why)))
    }

    /// Only the first failure is the cause.
    fn poison(&self, name: &str, error: &io::Error) -> CheckpointError {
        let why = self.poisoned.get_or_init(|| error.to_string()).clone();
        CheckpointError::Unsynced { what: format!("writing `{}`", self.describe(name)), why }
    }

    /// Where the sync of a new file finds no space, only that file is lost.
    fn failed_sync(&self, name: &str, error: io::Error) -> CheckpointError {
        if is_full(&error) { self.failed("writing", name, error) } else { self.poison(name, &error) }
    }

    /// Writes a file under another name and brings it to the disk; renames it to its own.
    fn replace(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
        may_exist: bool,
    ) -> Result<(), CheckpointError> {
        let failed = |e| self.failed("writing", name, e);
        let (parent, path) = (self.parent(name), self.path(name));
        let temporary = parent.join(format!("{TEMPORARY}{name}"));
        let written = (|| {
            let mut out = BufWriter::with_capacity(1 << 16, self.fs.create(&temporary).map_err(failed)?);
            write(&mut out)?;
            let mut file = out.into_inner().map_err(|e| failed(e.into_error()))?;
            file.sync().map_err(|e| self.failed_sync(name, e))?;
            drop(file);
            // Nobody else writes while the lock is held, so nothing comes in between.
            if !may_exist && self.fs.exists(&path).map_err(failed)? {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            self.fs.rename(&temporary, &path).map_err(failed)
        })();
        if written.is_err() {
            // Gives its space back. If that fails too, the next start tries again.
            let _ = self.fs.remove(&temporary);
        }
        written?;
        self.fs.sync_dir(&parent).map_err(|e| self.poison(name, &e))
    }

    /// Makes the directory of the log, if this object belongs there.
    fn create_parent(&self, name: &str) -> Result<(), CheckpointError> {
        match name.starts_with(LOG_PREFIX) {
            true => self.fs.create_dir(&self.parent(name)).map_err(|e| self.failed("writing", name, e)),
            false => Ok(()),
        }
    }

    /// The files of a directory that are objects.
    fn files(&self, dir: &Path, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = self.fs.list(dir)?;
        // Our own hidden files, other directories, and what other programs hide are no objects.
        names.retain(|name| !name.starts_with('.') && !name.ends_with('/') && name.starts_with(prefix));
        Ok(names)
    }
}

impl CheckpointStore for LocalDir {
    fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        self.check("writing", name)?;
        self.create_parent(name)?;
        self.replace(name, write, false)
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        self.fs.open(&self.path(name))
    }

    fn get_from(&self, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        self.fs.open_at(&self.path(name), offset)
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let in_log = prefix.starts_with(LOG_PREFIX);
        let mut names = if in_log { Vec::new() } else { self.files(&self.dir, prefix)? };
        if in_log || LOG_PREFIX.starts_with(prefix) {
            match self.files(&self.dir.join(LOG_DIR), prefix) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                log => names.append(&mut log?),
            }
        }
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.check("deleting", name).map_err(io::Error::other)?;
        self.fs.remove(&self.path(name))
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>, CheckpointError> {
        self.fs
            .create_dir(&self.dir)
            // What the last process renamed but could not sync is made safe before anything builds on it.
            .and_then(|()| self.fs.sync_dir(&self.dir))
            .map_err(|e| {
                CheckpointError::io(format_args!("opening checkpoint `{}`", self.describe("")), e)
            })?;
        let path = self.dir.join(LOCK);
        let failed = |e| CheckpointError::io(format_args!("locking `{}`", path.display()), e);
        let lock = self.fs.lock(&path).map_err(failed)?;
        let lock = lock.map_err(|owner| CheckpointError::Busy { place: self.describe(""), owner })?;
        // Now that nobody writes them any more, half-written files of a killed process can go.
        for dir in [self.dir.clone(), self.dir.join(LOG_DIR)] {
            let names = match self.fs.list(&dir) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
                names => names.map_err(failed)?,
            };
            for name in names.iter().filter(|name| name.starts_with(TEMPORARY)) {
                self.fs.remove(&dir.join(name)).map_err(failed)?;
            }
        }
        Ok(Box::new(FileLock { _file: lock }))
    }

    fn append(&self, name: &str) -> Result<Option<Box<dyn Appender>>, CheckpointError> {
        self.check("writing", name)?;
        self.create_parent(name)?;
        let failed = |e| self.failed("writing", name, e);
        if self.fs.exists(&self.path(name)).map_err(failed)? {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let file = self.fs.create(&self.path(name)).map_err(failed)?;
        Ok(Some(Box::new(LocalLog { dir: self.clone(), name: name.to_owned(), file, named: false })))
    }

    /// A sync would not help where one has failed in the last process, so the bytes are written again.
    fn seal(&self, name: &str, length: u64) -> Result<(), CheckpointError> {
        let copy = |out: &mut dyn Write| {
            let mut kept = self.get(name)?.take(length);
            io::copy(&mut kept, out)
        };
        self.replace(name, &mut |out| copy(out).map(drop).map_err(|e| self.failed("writing", name, e)), true)
    }

    fn describe(&self, name: &str) -> String {
        let path = if name.is_empty() { self.dir.clone() } else { self.path(name) };
        path.display().to_string()
    }
}

impl fmt::Debug for LocalDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalDir").field(&self.dir).finish()
    }
}

/// The system's lock of a file, which ends with the process.
struct FileLock {
    _file: super::fs::Lock,
}

impl StoreLock for FileLock {}

/// A file of the log.
struct LocalLog {
    dir: LocalDir,
    name: String,
    file: Box<dyn FsFile>,
    /// Whether its name is on the disk.
    named: bool,
}

impl Write for LocalLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Appender for LocalLog {
    fn sync(&mut self) -> Result<(), CheckpointError> {
        let LocalLog { dir, name, .. } = self;
        dir.check("writing", name)?;
        self.file.sync().map_err(|e| dir.failed_sync(name, e))?;
        if !self.named {
            dir.fs.sync_dir(&dir.parent(name)).map_err(|e| dir.poison(name, &e))?;
            self.named = true;
        }
        Ok(())
    }
}
