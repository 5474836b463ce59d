//! Folders of files, one a batch.

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
pub struct TextFiles(Folders);

impl TextFiles {
    /// Writes to `prefix-TIME.suffix`; without a suffix, to `prefix-TIME`.
    pub fn new(prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> TextFiles {
        TextFiles(Folders::new(prefix.into(), suffix.into()))
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder of empty files.
    pub fn skip_empty(mut self, skip: bool) -> TextFiles {
        self.0.skip_empty = skip;
        self
    }
}

/// Writes each batch into a folder of object files: the sink of
/// [`save_as_object_files`](crate::DStream::save_as_object_files), which has the details.
#[derive(Debug)]
pub struct ObjectFiles(Folders);

impl ObjectFiles {
    /// Writes to `prefix-TIME.suffix`; without a suffix, to `prefix-TIME`.
    pub fn new(prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> ObjectFiles {
        ObjectFiles(Folders::new(prefix.into(), suffix.into()))
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder of files without records.
    pub fn skip_empty(mut self, skip: bool) -> ObjectFiles {
        self.0.skip_empty = skip;
        self
    }
}

/// Writes each batch of pairs into a folder of Hadoop's SequenceFiles: the sink of
/// [`save_as_hadoop_files`](crate::DStream::save_as_hadoop_files), which has the details.
#[derive(Debug)]
pub struct HadoopFiles {
    folders: Folders,
    compression: Compression,
}

impl HadoopFiles {
    /// Writes to `prefix-TIME.suffix`; without a suffix, to `prefix-TIME`.
    pub fn new(prefix: impl Into<PathBuf>, suffix: impl Into<String>) -> HadoopFiles {
        let folders = Folders::new(prefix.into(), suffix.into());
        HadoopFiles { folders, compression: Compression::None }
    }

    /// What is compressed. Default: nothing.
    pub fn compression(mut self, compression: Compression) -> HadoopFiles {
        self.compression = compression;
        self
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder of files without records.
    pub fn skip_empty(mut self, skip: bool) -> HadoopFiles {
        self.folders.skip_empty = skip;
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
        self.folders.write(partition.index(), |out| write_part(partition, self.compression, out))
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        self.folders.commit()
    }

    fn abort(&mut self, _: &SinkBatch) {
        self.folders.writer = None;
    }
}

impl<T: Data + TextLine> Sink<T> for TextFiles {
    type Part = ();

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.0.begin(batch)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<(), SinkError> {
        self.0.write(partition.index(), |out| write_text(partition, out))
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        self.0.commit()
    }

    fn abort(&mut self, _: &SinkBatch) {
        self.0.writer = None;
    }
}

impl<T: Data + Serialize + DeserializeOwned> Sink<T> for ObjectFiles {
    type Part = ();

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.0.begin(batch)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<(), SinkError> {
        self.0.write(partition.index(), |out| write_objects(partition, out))
    }

    fn commit(&mut self, _: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        self.0.commit()
    }

    fn abort(&mut self, _: &SinkBatch) {
        self.0.writer = None;
    }
}

/// The folders of an output, and the one that is being written.
#[derive(Debug)]
struct Folders {
    prefix: PathBuf,
    suffix: String,
    skip_empty: bool,
    writer: Option<FolderWriter>,
}

impl Folders {
    fn new(prefix: PathBuf, suffix: String) -> Folders {
        Folders { prefix, suffix, skip_empty: false, writer: None }
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        if self.skip_empty && batch.records() == 0 {
            return Ok(Begin::AlreadyWritten);
        }
        // A batch that is there already is written anew, and replaced by the same.
        self.writer = Some(FolderWriter::create(&batch_path(&self.prefix, &self.suffix, batch.time()))?);
        Ok(Begin::Write)
    }

    fn write(
        &self,
        index: usize,
        write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> Result<(), SinkError> {
        let writer = self.writer.as_ref().ok_or("a partition without a batch")?;
        Ok(writer.write(index, write)?)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        let writer = self.writer.take().ok_or("a commit without a batch")?;
        Ok(writer.commit()?)
    }
}
