//! A store for checkpoints that has objects and no append, as an object store in the cloud.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::PathBuf,
};

use dstream::checkpoint::{CheckpointError, CheckpointStore, StoreLock};

/// Objects in a folder; each is made whole, and only where there is none of its name.
#[derive(Debug)]
pub struct Objects {
    folder: PathBuf,
}

impl Objects {
    pub fn new(folder: impl Into<PathBuf>) -> Objects {
        Objects { folder: folder.into() }
    }
}

struct Locked(#[expect(dead_code, reason = "the file is locked as long as it is open")] File);

impl StoreLock for Locked {}

impl CheckpointStore for Objects {
    fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CheckpointError>,
    ) -> Result<(), CheckpointError> {
        let failed = |error| CheckpointError::io(format_args!("putting `{name}`"), error);
        let mut object = Vec::new();
        write(&mut object)?;
        let temporary = self.folder.join(format!(".{name}"));
        let put = || {
            let mut file = File::create(&temporary)?;
            file.write_all(&object)?;
            file.sync_all()?;
            // Fails where there is one of this name.
            fs::hard_link(&temporary, self.folder.join(name))?;
            fs::remove_file(&temporary)?;
            File::open(&self.folder)?.sync_all()
        };
        put().map_err(failed)
    }

    fn get(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(File::open(self.folder.join(name))?))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(prefix) && !name.starts_with('.') {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.folder.join(name))
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>, CheckpointError> {
        let failed = |error| CheckpointError::io("locking the objects", error);
        fs::create_dir_all(&self.folder).map_err(failed)?;
        let file = File::create(self.folder.join(".lock")).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(Locked(file))),
            Err(fs::TryLockError::WouldBlock) => {
                Err(CheckpointError::busy(self.describe(""), "another program"))
            }
            Err(fs::TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    fn describe(&self, name: &str) -> String {
        format!("objects://{}/{name}", self.folder.display())
    }
}
