//! `file_stream`: files read by a function.

use std::{
    error::Error as StdError,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
};

use super::{FileStream, FoundFile, OpenFile};
use crate::{Result, block::Block, panics::panic_text};

/// The records that `reader` finds in the files that appear in a folder, or in the folders that match a
/// pattern.
///
/// See [`FileStream`] for which files these are and when. The reader is given one file after the other,
/// decompressed, and runs in the tasks that use the records. If it fails or panics, that is reported and the
/// file has no records.
///
/// ```
/// use dstream::prelude::*;
/// use std::io::{BufRead, BufReader};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("lengths.csv"), "3,4\n5\n")?;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let numbers = file_stream(folder.path(), |file| {
///         let mut numbers = Vec::new();
///         for line in BufReader::new(file).lines() {
///             for number in line?.split(',') {
///                 numbers.push(number.parse::<u32>()?);
///             }
///         }
///         Ok(numbers)
///     });
///     numbers.reduce(|a, b| a + b).collect_to(&out);
/// })?;
/// ssc.run_to_end()?;
/// assert_eq!(out.values(), [[12]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn file_stream<T, F>(folder: impl Into<PathBuf>, reader: F) -> FileStream<FileRecords<T>>
where
    T: Send + 'static,
    F: Fn(OpenFile) -> std::result::Result<Vec<T>, Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
{
    let reader: Reader<T> = Arc::new(reader);
    FileStream::new("file_stream", folder.into(), move |file| {
        vec![FileRecords { file: Arc::clone(file), reader: Arc::clone(&reader), records: Vec::new() }]
    })
}

/// One virtual call a file.
type Reader<T> =
    Arc<dyn Fn(OpenFile) -> std::result::Result<Vec<T>, Box<dyn StdError + Send + Sync>> + Send + Sync>;

/// A partition of a [`file_stream`]: one file.
pub struct FileRecords<T> {
    file: Arc<FoundFile>,
    reader: Reader<T>,
    records: Vec<T>,
}

impl<T> fmt::Debug for FileRecords<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileRecords").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<T: Send> Block for FileRecords<T> {
    type Record<'a>
        = T
    where
        T: 'a;

    fn open(&mut self) -> Result<()> {
        let content =
            OpenFile::new(&self.file.path, self.file.len).map_err(|error| self.file.error(error))?;
        // A reader is somebody's code, and a file that it can't stand must not cost the others of the batch.
        self.records = catch_unwind(AssertUnwindSafe(|| (self.reader)(content)))
            .map_err(|panic| self.file.error(format_args!("the reader panicked: {}", panic_text(&*panic))))?
            .map_err(|error| self.file.error(error))?;
        Ok(())
    }

    fn records(&mut self) -> impl Iterator<Item = T> {
        std::mem::take(&mut self.records).into_iter()
    }

    fn weight(&self) -> usize {
        self.file.weight(self.file.len)
    }
}
