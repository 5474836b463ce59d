//! `sequence_file_stream`: pairs of Hadoop's SequenceFiles.

use std::path::PathBuf;

use super::{FileRecords, FileStream, file_stream};
use crate::hadoop::{SequenceReader, Writable};

/// The pairs of the [SequenceFiles](crate::hadoop) that appear in a folder, or in the folders that match a
/// pattern.
///
/// See [`FileStream`] for which files these are and when. A file whose keys or values are of another class
/// than `K` and `V` is reported, with both, and has no records; so is one that is damaged.
///
/// ```
/// use dstream::prelude::*;
///
/// let folder = tempfile::tempdir()?;
/// let counts = Rdd::parallelize(vec![("a".to_owned(), 1i64), ("b".to_owned(), 2)]);
/// counts.save_as_sequence_file(folder.path().join("counts"))?;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     let counts = sequence_file_stream::<String, i64>(folder.path().join("counts"));
///     counts.map(|(word, n)| (word, n * 10)).collect_to(&out);
/// })?;
/// ssc.run_to_end()?;
/// let mut counts = out.values().concat();
/// counts.sort();
/// assert_eq!(counts, [("a".to_owned(), 10), ("b".to_owned(), 20)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn sequence_file_stream<K, V>(folder: impl Into<PathBuf>) -> FileStream<FileRecords<(K, V)>>
where
    K: Writable + Send + 'static,
    V: Writable + Send + 'static,
{
    file_stream(folder, |file| {
        SequenceReader::new(file)?.collect::<Result<Vec<(K, V)>, _>>().map_err(Into::into)
    })
    .called("sequence_file_stream")
}
