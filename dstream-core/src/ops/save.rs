//! `save_as_text_files`, `save_as_object_files` and `save_as_hadoop_files`: a folder a batch.

use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};

use crate::{DStream, Record, hadoop::Writable, ops::StreamOutput, rdd::TextLine};

impl<T: Record<Owned: TextLine>> DStream<T> {
    /// Writes each batch into a folder of text files, `prefix-TIME.suffix`, or `prefix-TIME` without a
    /// suffix; `TIME` is the batch's time in milliseconds.
    ///
    /// A record is a line, as in
    /// [`RddActions::save_as_text_file`](crate::rdd::RddActions::save_as_text_file), a partition a file
    /// `part-00000`, and `_SUCCESS` stands beside them. The folder appears with all that is in it, or not at
    /// all; a batch that is run again replaces it with the same files.
    ///
    /// Option `skip_empty = true`: an empty batch writes nothing, instead of a folder of empty files. Options
    /// `retry` and `on_error`: see [`sink`](crate::sink). The same files can be had as a sink,
    /// [`TextFiles`](crate::sink::TextFiles).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let folder = std::env::temp_dir().join(format!("dstream-doc-{}", std::process::id()));
    /// let prefix = folder.join("nums");
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![1, 2], vec![]]).save_as_text_files(prefix, "txt", skip_empty = true);
    /// })?;
    /// ssc.run_batches(2)?;
    /// assert_eq!(std::fs::read_dir(&folder).map(Iterator::count).ok(), Some(1));
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn save_as_text_files(self, prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> StreamOutput {
        let _: (PathBuf, String) = (prefix.into(), suffix.into());
        StreamOutput::typed()
    }
}

impl<T: Record<Owned: Serialize + DeserializeOwned>> DStream<T> {
    /// Writes each batch into a folder of binary files that [`Rdd::object_file`](crate::Rdd::object_file)
    /// reads back with their type.
    ///
    /// Folders and options are those of [`save_as_text_files`](DStream::save_as_text_files).
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let folder = std::env::temp_dir().join(format!("dstream-doc-objects-{}", std::process::id()));
    /// let prefix = folder.join("pairs");
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     queue_stream(vec![vec![(1u8, "one".to_owned())]]).save_as_object_files(prefix);
    /// })?;
    /// ssc.run_batches(1)?;
    /// for batch in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
    ///     let pairs: Rdd<(u8, String)> = Rdd::object_file(batch.path())?;
    ///     assert_eq!(pairs.collect(), [(1, "one".to_owned())]);
    /// }
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), dstream::Error>(())
    /// ```
    pub fn save_as_object_files(self, prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> StreamOutput {
        let _: (PathBuf, String) = (prefix.into(), suffix.into());
        StreamOutput::typed()
    }
}

impl<K: Writable, V: Writable, T: Record<Owned = (K, V)>> DStream<T> {
    /// Writes each batch of pairs into a folder of Hadoop's [SequenceFiles](crate::hadoop), as Spark, Hive
    /// and MapReduce read them.
    ///
    /// What keys and values are in the files says [`Writable`]. Folders and options are
    /// those of [`save_as_text_files`](DStream::save_as_text_files), and `compression = Compression::Block`
    /// or `Record` compresses them (see [`Compression`](crate::hadoop::Compression)).
    ///
    /// ```
    /// use dstream::{hadoop::Compression, prelude::*};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let prefix = folder.path().join("counts");
    /// let ssc = dstream::stream!(batch = 1s, {
    ///     let words = queue_stream(vec![vec!["a", "b", "a"]]);
    ///     words.count_by_value().save_as_hadoop_files(prefix, "seq", compression = Compression::Block);
    /// })?;
    /// ssc.run_batches(1)?;
    /// for batch in std::fs::read_dir(&folder)? {
    ///     let counts: Rdd<(String, u64)> = Rdd::sequence_file(batch?.path())?;
    ///     assert_eq!(counts.collect_as_map()["a"], 2);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_as_hadoop_files(self, prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> StreamOutput {
        let _: (PathBuf, String) = (prefix.into(), suffix.into());
        StreamOutput::typed()
    }
}
