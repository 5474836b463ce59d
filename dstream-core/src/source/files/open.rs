//! Opening files, and what compressed ones hold.

use std::{
    fmt,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

/// A file that is open for reading, decompressed if its name says so.
///
/// Its bytes are had by the methods of [`Read`].
pub struct OpenFile {
    path: PathBuf,
    content: Box<dyn Read + Send>,
}

impl OpenFile {
    /// The first `len` bytes of a file are all that belongs to it.
    pub(super) fn new(path: &Path, len: u64) -> io::Result<OpenFile> {
        OpenFile::of(File::open(path)?, path, len)
    }

    /// As `new`, for a file that is open.
    pub(super) fn of(file: File, path: &Path, len: u64) -> io::Result<OpenFile> {
        let file = BufReader::with_capacity(64 << 10, file.take(len));
        let content: Box<dyn Read + Send> = match compression(path) {
            None => Box::new(file),
            #[cfg(feature = "gzip")]
            Some(Compression::Gzip) => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
            #[cfg(feature = "zstd")]
            Some(Compression::Zstd) => Box::new(super::zstd::ZstdReader::new(file)),
            #[allow(unreachable_patterns, reason = "all features are on")]
            Some(compression) => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("is compressed, and dstream was built without its feature `{compression}`"),
                ));
            }
        };
        Ok(OpenFile { path: path.to_owned(), content })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Read for OpenFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.content.read(buf)
    }
}

impl fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

enum Compression {
    Gzip,
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        })
    }
}

fn compression(path: &Path) -> Option<Compression> {
    match path.extension()?.to_str()? {
        "gz" => Some(Compression::Gzip),
        "zst" => Some(Compression::Zstd),
        _ => None,
    }
}

pub(super) fn is_compressed(path: &Path) -> bool {
    compression(path).is_some()
}
