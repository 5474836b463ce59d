//! The few calls of a file system that checkpoints are made with, so that tests can let each of them fail.

use std::{
    any::Any,
    fmt,
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::Path,
    process,
};

/// Held while the lock is.
pub(crate) type Lock = Box<dyn Any + Send + Sync>;

/// A file system.
pub(crate) trait Fs: Send + Sync + fmt::Debug {
    /// Makes a directory that is not there yet, and those above it.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes an empty file.
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// Reads a file from its beginning.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;
    /// Reads a file from a byte on.
    fn open_at(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = self.open(path)?;
        io::copy(&mut (&mut file).take(offset), &mut io::sink())?;
        Ok(file)
    }
    /// Whether there is a file of this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Names a file anew, in the same directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names of the files in a directory; other entries with a slash behind.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Brings the names in a directory to the medium.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes a lock that ends with the process at the latest, or says who has it.
    fn lock(&self, path: &Path) -> io::Result<Result<Lock, String>>;
}

/// A file that is written.
pub(crate) trait FsFile: Write + Send {
    /// Brings what was written to the medium.
    fn sync(&mut self) -> io::Result<()>;
}

/// Whether there is no space.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The operating system's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OsFs;

impl Fs for OsFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.create_dir(parent)?;
        match fs::create_dir(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        self.sync_dir(parent)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(path)?))
    }

    fn open_at(&self, path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(path)?;
        file.seek(io::SeekFrom::Start(offset))?;
        Ok(Box::new(file))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .map(|entry| {
                let entry = entry?;
                let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
                Ok(entry.file_name().to_string_lossy().into_owned() + slash)
            })
            .collect()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // Windows can't open a directory; NTFS brings names to the disk in order by itself.
        if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
    }

    fn lock(&self, path: &Path) -> io::Result<Result<Lock, String>> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // For the message of who comes second; the lock itself is the system's.
                file.set_len(0)?;
                file.rewind()?;
                write!(file, "process {}", process::id())?;
                Ok(Ok(Box::new(file)))
            }
            Err(fs::TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Where locks are mandatory the owner can't be read.
                let known = file.read_to_string(&mut owner).is_ok() && !owner.is_empty();
                Ok(Err(if known { owner } else { "another process".to_owned() }))
            }
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }
}

impl FsFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
