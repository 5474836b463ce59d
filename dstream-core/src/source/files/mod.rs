//! Streams of the files that appear in a folder.

mod binary;
mod listing;
mod open;
mod pieces;
mod records;
mod sequence;
mod text;
#[cfg(feature = "zstd")]
mod zstd;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use binary::{BinaryRecords, binary_records_stream};
pub use open::OpenFile;
pub use records::{FileRecords, file_stream};
pub use sequence::sequence_file_stream;
pub use text::{TextFile, text_file_stream};

use self::listing::{Listing, Rules, Seen};
use super::{Block, Limits, Source, SourceContext};
use crate::{Error, Result, Time, checkpoint::Stateful, clock::Throttled};

/// About how many bytes of a large file that is not compressed go into one partition.
const PIECE: u64 = 4 << 20;

/// A stream of the files that appear in a folder, or in the folders that match a pattern such as
/// `logs/2026-*`.
///
/// Made by [`text_file_stream`], [`binary_records_stream`] and [`file_stream`].
///
/// # Which files
///
/// At each batch time the folders are listed, one level deep, and the batch takes what has appeared, the
/// oldest first (by time of modification, then by path). Nothing is lost, and nothing is taken twice:
///
/// - A file is taken when it has not been modified for the time that [`settle`](FileStream::settle) says, by
///   default one second, so that a file that is still being written is not read half. A writer that pauses
///   longer should write under a name that begins with `_`, and rename the file when it is done. Renaming
///   keeps the time of modification: if that is old enough by then, the next batch has the file. A file
///   without content is not taken yet.
/// - Names that begin with `_` or `.` are ignored, and so is what is not a file.
/// - A file whose time of modification is later than the batch's waits for that time.
/// - A path is taken once. A file that is written anew is not taken again. One that was gone when a batch was
///   made, and came back, is a new file.
/// - What was there before the start is left, unless it is modified after the start, or
///   [`new_files_only(false)`](FileStream::new_files_only) asks for it; how many files that are is logged,
///   once for a folder. A file that is moved in after the start is taken, however old. With a checkpoint only
///   the first start counts: what comes while the program is down is taken after the restart.
/// - A folder that is missing or can't be listed is a warning, at most once a minute, and has no files; it
///   may appear later.
///
/// # How they are read
///
/// Opening and reading happens in the tasks that use the records. A file holds what it held when it was
/// listed: what is appended later is not read. Files of text or fixed records are cut into partitions of
/// about 4 MiB; each other file is one.
///
/// Files that end in `.gz` and `.zst` are decompressed (features `gzip` and `zstd`, both on by default), by
/// one task. If text or fixed records come to more than 16 MiB, the task reads the file twice: once to its
/// end, to see that it is whole, and once more in pieces of about 4 MiB, each a partition. So it may hold
/// more than the memory. What a reader of [`file_stream`] makes of a file is held whole.
///
/// A file that can't be read is reported with its path (see [`Config::on_report`](crate::Config::on_report))
/// and has no records; the other files of the batch do. If compressed content is cut off or damaged, nothing
/// of it counts.
#[must_use = "a source does nothing until a chain of a pipeline starts at it"]
pub struct FileStream<B> {
    name: String,
    folders: PathBuf,
    rules: Rules,
    new_files_only: bool,
    seen: Seen,
    /// From the start on.
    context: Option<Arc<SourceContext>>,
    /// All files were taken, by `run_to_end`.
    ended: bool,
    /// How many bytes the batches so far had too much, if there is a limit.
    debt: u64,
    /// Whether it was said what is left.
    told: bool,
    unlisted: Throttled,
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
            seen: Seen::default(),
            context: None,
            ended: false,
            debt: 0,
            told: false,
            unlisted: Throttled::new(),
            cut: Box::new(cut),
            invalid: None,
        }
    }

    /// The same stream under the name of another call, for a function that makes one of it.
    pub fn called(mut self, call: &str) -> Self {
        self.name = format!("{call}({})", self.folders.display());
        self
    }

    /// Whether files that were there before the start, with a checkpoint the first one, are left. `false`
    /// takes all there are, however old: with a checkpoint once, without one at every start. Default: `true`,
    /// a live stream is of what comes.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let folder = tempfile::tempdir()?;
    /// std::fs::write(folder.path().join("a.txt"), "from before\n")?;
    ///
    /// let out = Collected::new();
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     (text_file_stream(folder.path()).new_files_only(false).settle(std::time::Duration::ZERO))
    ///         .collect_to(&out);
    /// })?;
    /// ssc.run_batches(1)?;
    /// assert_eq!(out.values(), [["from before"]]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new_files_only(mut self, only: bool) -> Self {
        self.new_files_only = only;
        self
    }

    /// Takes only files for whose path `accept` says so. A file that is refused is asked about again at each
    /// batch.
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
    fn list(&self, context: &SourceContext) -> Listing {
        let began = context.clock.now();
        let listing = Listing::of(&self.folders);
        let took = context.clock.now().since(began);
        if took > context.interval {
            crate::logs::warn!("{}: listing the files took {took:?}, longer than a batch", self.name);
        }
        for problem in &listing.problems {
            self.unlisted.count(1, |_| {
                crate::logs::warn!("{}: {problem}; batches lack its files until that changes", self.name);
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
    context: Arc<SourceContext>,
}

/// A file as a plan has it, and a checkpoint: what is appended to it later belongs to no batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedFile {
    path: OsString,
    len: u64,
}

impl FoundFile {
    /// Says what is wrong with the file.
    fn error(&self, message: impl fmt::Display) -> Error {
        Error::source(&self.stream, format_args!("`{}`: {message}", self.path.display()))
    }

    /// It could be read to its end, and can't be any more.
    fn changed(&self, error: std::io::Error) -> Error {
        self.error(format_args!("has changed while it was read: {error}"))
    }

    /// About how much work a part of the file is: opening it costs something too.
    fn weight(&self, bytes: u64) -> usize {
        const OPENING: u64 = 4 << 10;
        const INFLATION: u64 = 4;
        let bytes = if open::is_compressed(&self.path) { bytes.saturating_mul(INFLATION) } else { bytes };
        usize::try_from(bytes.saturating_add(OPENING)).unwrap_or(usize::MAX)
    }
}

impl<B: Block + 'static> Source for FileStream<B> {
    type Block = B;
    type Plan = Vec<PlannedFile>;

    fn name(&self) -> String {
        self.name.clone()
    }

    fn start(&mut self, context: &SourceContext) -> Result<()> {
        if let Some(error) = &self.invalid {
            return Err(error.clone());
        }
        listing::check(&self.folders)
            .map_err(|error| Error::source(&self.name, format_args!("the pattern can't be read: {error}")))?;
        if self.new_files_only && !context.to_end {
            let listing = self.list(context);
            self.seen.leave(&listing, context.clock.now());
        }
        self.context = Some(Arc::new(context.clone()));
        Ok(())
    }

    fn plan(&mut self, time: Time, limits: &Limits) -> Result<Option<Vec<PlannedFile>>> {
        // A file is not cut, so the batches behind a large one have fewer.
        let allowed = limits.bytes.map(|bytes| bytes.saturating_sub(self.debt));
        self.debt = limits.bytes.map_or(0, |bytes| self.debt.saturating_sub(bytes));
        if allowed == Some(0) {
            return Ok(None);
        }
        let Some(context) = self.context.clone().filter(|_| !self.ended) else { return Ok(None) };
        self.ended = context.to_end;
        if !std::mem::replace(&mut self.told, true) {
            for (folder, files) in self.seen.left(&self.rules) {
                crate::logs::info!(
                    "{}: {files} files in `{}` were there before the start and are left; \
                     `new_files_only(false)` takes them",
                    self.name,
                    folder.display()
                );
            }
        }
        let listing = self.list(&context);
        if context.to_end
            && let Some(problem) = listing.problems.first()
        {
            return Err(Error::source(&self.name, problem));
        }
        let (found, broken) = match context.to_end {
            true => self.seen.take_all(&listing, &self.rules),
            false => self.seen.take(&listing, time, &self.rules, allowed),
        };
        if let Some(allowed) = allowed {
            let bytes = found.iter().map(|(_, len)| *len).fold(0, u64::saturating_add);
            self.debt += bytes.saturating_sub(allowed);
        }
        for (path, error) in broken {
            context.report(Error::source(&self.name, format_args!("`{}`: {error}", path.display())));
        }
        let files = found.into_iter().map(|(path, len)| PlannedFile { path: path.into(), len });
        Ok(Some(files.collect()).filter(|files: &Vec<_>| !files.is_empty()))
    }

    fn blocks(&mut self, _time: Time, files: &Vec<PlannedFile>) -> Result<Vec<B>> {
        let Some(context) = &self.context else { return Ok(Vec::new()) };
        let files = files.iter().map(|PlannedFile { path, len }| {
            let (stream, context) = (self.name.clone(), Arc::clone(context));
            Arc::new(FoundFile { path: path.into(), len: *len, stream, context })
        });
        Ok(files.flat_map(|file| (self.cut)(&file)).collect())
    }

    fn details(&self, files: &Vec<PlannedFile>) -> Vec<String> {
        files.iter().map(|file| Path::new(&file.path).display().to_string()).collect()
    }

    fn can_divide(&self) -> bool {
        true
    }

    fn state(&mut self) -> Option<&mut dyn Stateful> {
        Some(&mut self.seen)
    }

    fn is_exhausted(&mut self) -> Option<bool> {
        Some(self.ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::decode;

    /// Before plans were values with named fields, these were pairs.
    #[test]
    fn the_files_that_an_earlier_version_has_planned_are_read() {
        let earlier: Vec<(OsString, u64)> = vec![("/in/a".into(), 7), ("/in/b.gz".into(), 1 << 40)];
        let bytes = rmp_serde::to_vec(&earlier).unwrap();
        let files: Vec<PlannedFile> = decode(&bytes).unwrap();
        let pairs: Vec<_> = files.iter().map(|file| (file.path.clone(), file.len)).collect();
        assert_eq!(pairs, earlier);
        let now = rmp_serde::to_vec_named(&files).unwrap();
        assert_eq!(decode::<Vec<PlannedFile>>(&now).unwrap().len(), 2);
        assert!(decode::<Vec<PlannedFile>>(&rmp_serde::to_vec(&[1, 2]).unwrap()).is_err());
    }
}
