//! Folders of part files that appear whole.
//!
//! A folder is written beside its place under a hidden name, brought to the disk, and renamed. Where one
//! stands already, it is renamed away first: a reader finds the old one, for an instant none, then the new
//! one.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Error, Result,
    rdd::run::{FEW, run_items},
};

/// Writes a folder with a file for each of `parts`.
pub(super) fn write<P: Send>(
    path: &Path,
    parts: Vec<P>,
    records: usize,
    write: impl Fn(P, &mut BufWriter<File>) -> io::Result<()> + Sync,
) -> Result<()> {
    let writer = FolderWriter::create(path)?;
    let parts = parts.into_iter().enumerate().collect();
    let written =
        run_items(parts, records < FEW, |(index, part)| writer.write(index, "", |out| write(part, out)));
    written.into_iter().collect::<Result<()>>()?;
    writer.commit()
}

/// A folder that is being written; dropped without a commit, it is removed.
#[derive(Debug)]
pub(crate) struct FolderWriter {
    place: Place,
    temporary: Temporary,
}

impl FolderWriter {
    /// Begins a folder that is to stand at `path`.
    pub(crate) fn create(path: &Path) -> Result<FolderWriter> {
        let place = Place::new(path)?;
        place.check()?;
        fs::create_dir_all(&place.parent)
            .map_err(|e| Error::io(format_args!("creating `{}`", place.parent.display()), e))?;
        place.sweep();
        let temporary = Temporary::create(&place)?;
        Ok(FolderWriter { place, temporary })
    }

    /// Writes the file of one part, whose name ends in `extension`, and brings it to the disk.
    pub(crate) fn write(
        &self,
        index: usize,
        extension: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<()> {
        write_file(&self.temporary.0.join(format!("part-{index:05}{extension}")), write)
    }

    /// Puts the folder in its place.
    pub(crate) fn commit(self) -> Result<()> {
        let FolderWriter { place, temporary } = self;
        write_file(&temporary.0.join("_SUCCESS"), |_| Ok(()))?;
        let publish =
            sync(&temporary.0).and_then(|()| place.replace(&temporary.0)).and_then(|()| sync(&place.parent));
        publish.map_err(|e| Error::io(format_args!("writing `{}`", place.path.display()), e))
    }
}

/// The part files of a folder in order of their names, or the one file that `path` is.
pub(super) fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> io::Result<Vec<PathBuf>> {
        if !fs::metadata(path)?.is_dir() {
            return Ok(vec![path.to_owned()]);
        }
        let mut parts = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if !is_hidden(&entry.file_name()) && fs::metadata(entry.path())?.is_file() {
                parts.push(entry.path());
            }
        }
        parts.sort_by(|a, b| {
            // `part-100000` stands behind `part-99999`.
            let order = |p: &PathBuf| (p.as_os_str().len(), p.clone());
            match (is_part(a), is_part(b)) {
                (true, true) => order(a).cmp(&order(b)),
                _ => a.cmp(b),
            }
        });
        Ok(parts)
    };
    list().map_err(|e| Error::io(format_args!("reading `{}`", path.display()), e))
}

/// Names that begin so are no data, as in the original.
fn is_hidden(name: &std::ffi::OsStr) -> bool {
    matches!(name.as_encoded_bytes().first(), Some(b'_' | b'.'))
}

fn is_part(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"part-"))
}

/// Where a folder is to stand.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    parent: PathBuf,
    name: OsString,
}

impl Place {
    fn new(path: &Path) -> Result<Place> {
        let Some(name) = path.file_name() else {
            return Err(Error::Invalid(format!(
                "can't save to `{}`: expected the path of a folder",
                path.display()
            )));
        };
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Place { path: path.to_owned(), parent: parent.to_owned(), name: name.to_owned() })
    }

    /// Refuses to replace what is no output of this library: a mistyped path must not cost a home directory.
    fn check(&self) -> Result<()> {
        let found = match fs::metadata(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io(format_args!("looking at `{}`", self.path.display()), e)),
            Ok(at) if !at.is_dir() => Some("is a file".to_owned()),
            Ok(_) => {
                let entries = fs::read_dir(&self.path)
                    .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
                    .map_err(|e| Error::io(format_args!("looking at `{}`", self.path.display()), e))?;
                let foreign = entries.iter().find(|e| e.file_name() != "_SUCCESS" && !is_part(&e.path()));
                foreign.map(|e| format!("holds `{}`", e.file_name().display()))
            }
        };
        found.map_or(Ok(()), |found| {
            let path = self.path.display();
            Err(Error::Invalid(format!(
                "can't save to `{path}`: it {found}; expected nothing there, or a folder of part files to replace"
            )))
        })
    }

    /// A hidden name beside the place that nobody else uses.
    fn beside(&self, what: &str) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut name = self.hidden();
        name.push(format!("{what}-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        self.parent.join(name)
    }

    fn hidden(&self) -> OsString {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".tmp-");
        name
    }

    /// Removes what a process that died left behind. What can't be removed harms nobody.
    fn sweep(&self) {
        let ours = format!("-{}-", process::id());
        for entry in fs::read_dir(&self.parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let left = name.as_encoded_bytes().strip_prefix(self.hidden().as_encoded_bytes());
            // A folder of this process is one that another thread writes, for whatever reason.
            if left.is_some_and(|left| !String::from_utf8_lossy(left).contains(&ours)) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// Puts `folder` in the place of what is there.
    fn replace(&self, folder: &Path) -> io::Result<()> {
        let old = self.beside("old");
        match fs::rename(&self.path, &old) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return fs::rename(folder, &self.path),
            moved => moved?,
        }
        if let Err(error) = fs::rename(folder, &self.path) {
            // Better the old one than none.
            let _ = fs::rename(&old, &self.path);
            return Err(error);
        }
        fs::remove_dir_all(&old)
    }
}

/// A folder that is removed unless it was renamed.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Temporary {
    fn create(place: &Place) -> Result<Temporary> {
        let path = place.beside("new");
        fs::create_dir(&path).map_err(|e| Error::io(format_args!("creating `{}`", path.display()), e))?;
        Ok(Temporary(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename it is not there.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes one file and brings it to the disk.
fn write_file(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
    let all = || -> io::Result<()> {
        let mut out = BufWriter::with_capacity(64 << 10, File::create_new(path)?);
        write(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    };
    all().map_err(|e| Error::io(format_args!("writing `{}`", path.display()), e))
}

/// Brings the names in a folder to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder can't be opened, and need not be.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
