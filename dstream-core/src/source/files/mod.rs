//! Streams of the files that appear in a folder.

mod binary;
mod listing;
mod open;
mod records;
mod text;
#[cfg(feature = "zstd")]
mod zstd;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use binary::{BinaryRecords, binary_records_stream};
pub use open::OpenFile;
pub use records::{FileRecords, file_stream};
pub use text::{TextFile, text_file_stream};

use self::listing::{Listing, Rules, Seen};
use super::{Block, Source, SourceContext};
use crate::{
    Bytes, Clock, Error, Result, Time,
    checkpoint::{Stateful, decode},
    clock::Occasionally,
    report::Reports,
};

/// About how many bytes of a large file that is not compressed go into one partition.
const PIECE: u64 = 4 << 20;

/// A stream of the files that appear in a folder, or in the folders that match a pattern such as `logs/2026-*`.
///
/// Made by [`text_file_stream`], [`binary_records_stream`] and [`file_stream`].
///
/// # Which files
///
/// At each batch time the folders are listed, one level deep, and the batch takes what has appeared, the oldest first
/// (by time of modification, then by path). Nothing is lost, and nothing is taken twice:
///
/// - A file is taken when it has not been modified for the time that [`settle`](FileStream::settle) says, by default one
///   second, so that a file that is still being written is not read half. A writer that pauses longer should write under a
///   name that begins with `_`, and rename the file when it is done. Renaming keeps the time of modification: if that is old
///   enough by then, the next batch has the file. A file without content is not taken yet.
/// - Names that begin with `_` or `.` are ignored, and so is what is not a file.
/// - A file whose time of modification is later than the batch's waits for that time.
/// - A path is taken once. A file that is written anew is not taken again. One that was gone when a batch was made, and
///   came back, is a new file.
/// - What was there before the start is left, unless it is modified after the start, or
///   [`new_files_only(false)`](FileStream::new_files_only) asks for it. A file that is moved in after the start is taken,
///   however old.
/// - A folder that is missing or can't be listed is a warning, at most once a minute, and has no files; it may appear later.
///
/// # How they are read
///
/// Opening and reading happens in the tasks that use the records. A file holds what it held when it was listed: what is
/// appended later is not read. Files of text or fixed records are cut into partitions of about 4 MiB; each other file is one.
///
/// Files that end in `.gz` and `.zst` are decompressed (features `gzip` and `zstd`, both on by default). Such a file is one
/// partition, and as a whole in memory while that is processed.
///
/// A file that can't be read is reported with its path (see [`Config::on_report`](crate::Config::on_report)) and has no
/// records; the other files of the batch do. If compressed content is cut off or damaged, nothing of it counts.
pub struct FileStream<B> {
    name: String,
    folders: PathBuf,
    rules: Rules,
    new_files_only: bool,
    seen: Arc<Mutex<Seen>>,
    /// The files of the last batch.
    latest: Vec<(PathBuf, u64)>,
    clock: Option<Arc<dyn Clock>>,
    interval: Duration,
    /// All files are taken at once, and then the stream ends.
    to_end: bool,
    ended: bool,
    reports: Reports,
    unlisted: Occasionally,
    /// Cuts a file into partitions, without opening it.
    cut: Cut<B>,
    invalid: Option<Error>,
}

/// One virtual call a file.
type Cut<B> = Box<dyn Fn(&Arc<FoundFile>) -> Vec<B> + Send>;

impl<B> FileStream<B> {
    fn new(
        call: &str,
        folders: PathBuf,
        cut: impl Fn(&Arc<FoundFile>) -> Vec<B> + Send + 'static,
    ) -> FileStream<B> {
        FileStream {
            name: format!("{call}({})", folders.display()),
            folders,
            rules: Rules { settle: Duration::from_secs(1), filter: None },
            new_files_only: true,
            seen: Arc::default(),
            latest: Vec::new(),
            clock: None,
            interval: Duration::ZERO,
            to_end: false,
            ended: false,
            reports: Reports::default(),
            unlisted: Occasionally::new(),
            cut: Box::new(cut),
            invalid: None,
        }
    }

    /// Whether files that were there before the start are left. `false` takes all there are, however old.
    /// Default: `true`.
    pub fn new_files_only(mut self, only: bool) -> Self {
        self.new_files_only = only;
        self
    }

    /// Takes only files for whose path `accept` says so. A file that is refused is asked about again at each batch.
    pub fn filter(mut self, accept: impl Fn(&Path) -> bool + Send + 'static) -> Self {
        self.rules.filter = Some(Box::new(accept));
        self
    }

    /// For how long a file must not have been modified before it is taken. Zero takes each file at once: for
    /// folders that files are only moved into. Default: one second.
    pub fn settle(mut self, time: Duration) -> Self {
        self.rules.settle = time;
        self
    }
}

impl<B> FileStream<B> {
    fn list(&self) -> Listing {
        let now = || self.clock.as_ref().map_or(Time::default(), |clock| clock.now());
        let began = now();
        let listing = Listing::of(&self.folders);
        let took = now().since(began);
        if took > self.interval {
            tracing::warn!("{}: listing the files took {took:?}, longer than a batch", self.name);
        }
        for problem in &listing.problems {
            self.unlisted.count(1, |_| {
                tracing::warn!("{}: {problem}; batches lack its files until that changes", self.name);
            });
        }
        listing
    }
}

impl<B> fmt::Debug for FileStream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStream")
            .field("name", &self.name)
            .field("new_files_only", &self.new_files_only)
            .field("settle", &self.rules.settle)
            .finish_non_exhaustive()
    }
}

/// A file that a batch has taken.
#[derive(Debug)]
struct FoundFile {
    path: PathBuf,
    /// How many bytes it had when it was listed.
    len: u64,
    stream: String,
    reports: Reports,
}

impl FoundFile {
    /// Says what is wrong with the file.
    fn error(&self, message: impl fmt::Display) -> Error {
        Error::source(&self.stream, format_args!("`{}`: {message}", self.path.display()))
    }

    /// About how much work a part of the file is: opening it costs something too.
    fn weight(&self, bytes: u64) -> usize {
        const OPENING: u64 = 4 << 10;
        const INFLATION: u64 = 4;
        let bytes = if open::is_compressed(&self.path) { bytes.saturating_mul(INFLATION) } else { bytes };
        usize::try_from(bytes.saturating_add(OPENING)).unwrap_or(usize::MAX)
    }
}

impl<B> FileStream<B> {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partitions of the files of the last batch.
    fn blocks(&self) -> Vec<B> {
        let files = self.latest.iter().map(|(path, len)| {
            let (stream, reports) = (self.name.clone(), self.reports.clone());
            Arc::new(FoundFile { path: path.clone(), len: *len, stream, reports })
        });
        files.flat_map(|file| (self.cut)(&file)).collect()
    }
}

impl<B: Block + 'static> Source for FileStream<B> {
    type Block = B;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        if let Some(error) = &self.invalid {
            return Err(error.clone());
        }
        listing::check(&self.folders)
            .map_err(|error| Error::source(&self.name, format_args!("the pattern can't be read: {error}")))?;
        self.clock = Some(Arc::clone(&context.clock));
        self.interval = context.interval;
        self.reports = context.config.reports.clone();
        self.to_end = context.to_end;
        if self.new_files_only && !self.to_end {
            let listing = self.list();
            self.seen().leave(&listing, context.clock.now());
        }
        Ok(())
    }

    fn batch(&mut self, time: Time) -> Result<Vec<B>> {
        self.latest.clear();
        if self.ended {
            return Ok(Vec::new());
        }
        self.ended = self.to_end;
        let listing = self.list();
        if self.to_end
            && let Some(problem) = listing.problems.first()
        {
            return Err(Error::source(&self.name, problem));
        }
        let (found, broken) = match self.to_end {
            true => self.seen().take_all(&listing, &self.rules),
            false => self.seen().take(&listing, time, &self.rules),
        };
        for (path, error) in broken {
            self.reports.report(Error::source(&self.name, format_args!("`{}`: {error}", path.display())));
        }
        self.latest = found;
        Ok(self.blocks())
    }

    fn state(&self) -> Option<Arc<Mutex<dyn Stateful>>> {
        Some(Arc::clone(&self.seen) as Arc<Mutex<dyn Stateful>>)
    }

    fn taken(&self) -> Option<Bytes> {
        let files: Vec<(OsString, u64)> =
            self.latest.iter().map(|(path, len)| (path.clone().into(), *len)).collect();
        // Plain names and numbers can always be written.
        (!files.is_empty()).then(|| rmp_serde::to_vec(&files).ok().map(Bytes::from)).flatten()
    }

    fn replay(&mut self, _time: Time, taken: &[u8]) -> Result<Vec<B>> {
        let files: Vec<(OsString, u64)> = decode(taken).map_err(|error| {
            Error::source(&self.name, format_args!("the files of a begun batch can't be read: {error}"))
        })?;
        self.latest = files.into_iter().map(|(path, len)| (path.into(), len)).collect();
        Ok(self.blocks())
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        Some(self.ended)
    }
}
