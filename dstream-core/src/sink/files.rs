//! BatchFolders of files, one a batch.

use std::{fs::File, io::BufWriter, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use super::{Begin, Sink, SinkBatch, SinkError};
use crate::{
    Data,
    hadoop::{Compression, Writable, write_part},
    rdd::{FolderWriter, TextLine, batch_path, write_objects, write_text},
    sink::Partition,
};

/// Writes each batch into a folder of text files: the sink of
/// [`save_as_text_files`](crate::DStream::save_as_text_files), which has the details.
#[derive(Debug)]
pub struct TextFiles(BatchFolders);

impl TextFiles {
    /// Writes to `prefix-TIME.suffix`; without a suffix, to `prefix-TIME`.
    pub fn new(prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> TextFiles {
        TextFiles(BatchFolders::new(prefix, suffix))
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder of empty files.
    pub fn skip_empty(mut self, skip: bool) -> TextFiles {
        self.0 = self.0.skip_empty(skip);
        self
    }
}

/// Writes each batch into a folder of object files: the sink of
/// [`save_as_object_files`](crate::DStream::save_as_object_files), which has the details.
#[derive(Debug)]
pub struct ObjectFiles(BatchFolders);

impl ObjectFiles {
    /// Writes to `prefix-TIME.suffix`; without a suffix, to `prefix-TIME`.
    pub fn new(prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> ObjectFiles {
        ObjectFiles(BatchFolders::new(prefix, suffix))
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder of files without records.
    pub fn skip_empty(mut self, skip: bool) -> ObjectFiles {
        self.0 = self.0.skip_empty(skip);
        self
    }
}

/// Writes each batch of pairs into a folder of Hadoop's SequenceFiles: the sink of
/// [`save_as_hadoop_files`](crate::DStream::save_as_hadoop_files), which has the details.
#[derive(Debug)]
pub struct HadoopFiles {
    folders: BatchFolders,
    compression: Compression,
}

impl HadoopFiles {
    /// Writes to `prefix-TIME.suffix`; without a suffix, to `prefix-TIME`.
    pub fn new(prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> HadoopFiles {
        let folders = BatchFolders::new(prefix, suffix);
        HadoopFiles { folders, compression: Compression::None }
    }

    /// What is compressed. Default: nothing.
    pub fn compression(mut self, compression: Compression) -> HadoopFiles {
        self.compression = compression;
        self
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder of files without records.
    pub fn skip_empty(mut self, skip: bool) -> HadoopFiles {
        self.folders = self.folders.skip_empty(skip);
        self
    }
}

impl<K, V> Sink<(K, V)> for HadoopFiles
where
    (K, V): Data,
    K: Writable,
    V: Writable,
{
    type Part = ();

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.folders.begin(batch)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, (K, V)>) -> Result<(), SinkError> {
        self.folders.write(partition.index(), "", |out| write_part(partition, self.compression, out))
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        self.folders.commit()
    }

    fn abort(&mut self, _: &SinkBatch) {
        self.folders.abort();
    }
}

impl<T: Data + TextLine> Sink<T> for TextFiles {
    type Part = ();

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.0.begin(batch)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<(), SinkError> {
        self.0.write(partition.index(), "", |out| write_text(partition, out))
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        self.0.commit()
    }

    fn abort(&mut self, _: &SinkBatch) {
        self.0.abort();
    }
}

impl<T: Data + Serialize + DeserializeOwned> Sink<T> for ObjectFiles {
    type Part = ();

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.0.begin(batch)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<(), SinkError> {
        self.0.write(partition.index(), "", |out| write_objects(partition, out))
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        self.0.commit()
    }

    fn abort(&mut self, _: &SinkBatch) {
        self.0.abort();
    }
}

/// A folder of part files for each batch, which appears whole: what a sink of a file format is made of.
///
/// `prefix-TIME.suffix` is the folder, where `TIME` is the batch's time in milliseconds. It is written under
/// a hidden name, brought to the disk and renamed, with `_SUCCESS` in it. A batch that is run again replaces
/// its folder; what is no folder of part files is never replaced.
///
/// Each method is called by the method of the same name of a [`Sink`].
///
/// ```
/// use dstream::{
///     prelude::*,
///     sink::{BatchFolders, Begin, Partition, Sink, SinkBatch, SinkError},
/// };
/// use std::io::Write;
///
/// /// Numbers as four bytes each.
/// struct Numbers(BatchFolders);
///
/// impl Sink<u32> for Numbers {
///     type Part = ();
///
///     fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
///         self.0.begin(batch)
///     }
///
///     fn write(&self, _: &SinkBatch, partition: Partition<'_, u32>) -> Result<(), SinkError> {
///         self.0.write(partition.index(), ".bin", |out| {
///             partition.iter().try_for_each(|number| out.write_all(&number.to_be_bytes()))
///         })
///     }
///
///     fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
///         self.0.commit()
///     }
///
///     fn abort(&mut self, _: &SinkBatch) {
///         self.0.abort();
///     }
/// }
///
/// let out = tempfile::tempdir()?;
/// let folders = BatchFolders::new(out.path().join("numbers"), "");
/// let ssc = dstream::stream!(batch = 1s, {
///     queue_stream(vec![vec![1u32, 2]]).write_to(Numbers(folders));
/// })?;
/// ssc.run_batches(1)?;
/// let folder = std::fs::read_dir(out.path())?.next().ok_or("no folder")??.path();
/// assert_eq!(std::fs::read(folder.join("part-00000.bin"))?, [0, 0, 0, 1, 0, 0, 0, 2]);
/// assert!(folder.join("_SUCCESS").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct BatchFolders {
    prefix: PathBuf,
    suffix: String,
    skip_empty: bool,
    writer: Option<FolderWriter>,
}

impl BatchFolders {
    /// Folders `prefix-TIME.suffix`; without a suffix, `prefix-TIME`.
    pub fn new(prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> BatchFolders {
        BatchFolders { prefix: prefix.into(), suffix: suffix.into(), skip_empty: false, writer: None }
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder.
    pub fn skip_empty(mut self, skip: bool) -> BatchFolders {
        self.skip_empty = skip;
        self
    }

    /// Begins the folder of a batch.
    ///
    /// # Errors
    ///
    /// If the folder can't be created, or something else stands in its place.
    pub fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        if self.skip_empty && batch.records() == 0 {
            return Ok(Begin::AlreadyWritten);
        }
        // A batch that is there already is written anew, and replaced by the same.
        self.writer = Some(FolderWriter::create(&batch_path(&self.prefix, &self.suffix, batch.time()))?);
        Ok(Begin::Write)
    }

    /// Writes the file of the partition `index`, `part-00000` and so on, whose name ends in `extension`, such
    /// as `.csv`; and brings it to the disk.
    ///
    /// # Errors
    ///
    /// If `write` fails, or the disk does.
    pub fn write(
        &self,
        index: usize,
        extension: &str,
        write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> Result<(), SinkError> {
        let writer = self.writer.as_ref().ok_or("a partition without a batch")?;
        Ok(writer.write(index, extension, write)?)
    }

    /// Puts the folder of the batch in its place.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn commit(&mut self) -> Result<(), SinkError> {
        let writer = self.writer.take().ok_or("a commit without a batch")?;
        Ok(writer.commit()?)
    }

    /// Removes what has been written of the batch.
    pub fn abort(&mut self) {
        self.writer = None;
    }
}
