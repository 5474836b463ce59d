//! Folders of Parquet files, one a batch.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::PathBuf,
    sync::Arc,
};

use arrow_schema::{FieldRef, Schema};
use dstream_core::{
    Data,
    sink::{BatchFolders, Begin, Partition, Sink, SinkBatch, SinkContext, SinkError},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{self, ZstdLevel},
    file::properties::WriterProperties,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{errors::io_error, schema::columns_of};

/// How many rows are encoded at a time.
const ROWS: usize = 8 << 10;

/// About how many encoded bytes a task holds until they are on the disk, as one row group.
const ROW_GROUP: usize = 64 << 20;

/// Writes each batch into a folder `prefix-TIME` of Parquet files, `part-00000.parquet` and so on; `TIME` is
/// the batch's time in milliseconds.
///
/// A partition is a file, a record a row, and a field a [column](crate). The folder appears whole, with
/// `_SUCCESS` in it; a batch that is run again replaces it. A type without columns is an error when the
/// context starts.
///
/// ```
/// use dstream::{parquet::{Compression, save_as_parquet}, prelude::*};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Record, Serialize, Deserialize)]
/// struct Count {
///     word: String,
///     count: u64,
/// }
///
/// let folder = tempfile::tempdir()?;
/// let files = save_as_parquet(folder.path().join("counts")).compression(Compression::Zstd);
/// let ssc = dstream::stream!(batch = 1s, {
///     let words = queue_stream(vec![vec!["to", "be", "to"]]);
///     let counts = words.map(|word| (word.to_string(), 1u64)).reduce_by_key(|a, b| a + b);
///     counts.map(|(word, count)| Count { word, count }).write_to(files);
/// })?;
/// ssc.run_batches(1)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_as_parquet(prefix: impl Into<PathBuf>) -> ParquetFiles {
    let prefix = prefix.into();
    ParquetFiles {
        folders: BatchFolders::new(prefix, ""),
        compression: Compression::Snappy,
        columns: Vec::new(),
    }
}

/// How the pages of a Parquet file are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// Fast, and read by everything.
    #[default]
    Snappy,
    /// Smaller files.
    Zstd,
}

/// The sink of [`save_as_parquet`].
#[derive(Debug)]
pub struct ParquetFiles {
    folders: BatchFolders,
    compression: Compression,
    /// From `open` on.
    columns: Vec<FieldRef>,
}

impl ParquetFiles {
    /// How the files are compressed. Default: [`Compression::Snappy`].
    pub fn compression(mut self, compression: Compression) -> ParquetFiles {
        self.compression = compression;
        self
    }

    /// Whether an empty batch writes nothing. Default: it writes a folder with the columns,
    /// and no rows.
    pub fn skip_empty(mut self, skip: bool) -> ParquetFiles {
        self.folders = self.folders.skip_empty(skip);
        self
    }

    fn write_part<T: Serialize>(&self, records: &[T], out: &mut BufWriter<File>) -> io::Result<()> {
        let compression = match self.compression {
            Compression::None => basic::Compression::UNCOMPRESSED,
            Compression::Snappy => basic::Compression::SNAPPY,
            Compression::Zstd => basic::Compression::ZSTD(ZstdLevel::default()),
        };
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_max_row_group_bytes(Some(ROW_GROUP))
            .build();
        let schema = Arc::new(Schema::new(self.columns.clone()));
        let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).map_err(io_error)?;
        for rows in records.chunks(ROWS) {
            let batch = serde_arrow::to_record_batch(&self.columns, &rows).map_err(|error| {
                let message = format!("a record does not fit the columns of its type: {error}");
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?;
            writer.write(&batch).map_err(io_error)?;
        }
        writer.close().map(drop).map_err(io_error)
    }
}

impl<T: Data + Serialize + DeserializeOwned> Sink<T> for ParquetFiles {
    type Part = ();

    fn open(&mut self, _: &SinkContext) -> Result<(), SinkError> {
        self.columns = columns_of::<T>().map_err(SinkError::permanent)?;
        Ok(())
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        self.folders.begin(batch)
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, T>) -> Result<(), SinkError> {
        let records = partition.iter().as_slice();
        self.folders.write(partition.index(), ".parquet", |out| self.write_part(records, out))
    }

    fn commit(&mut self, _: &SinkBatch, parts: Vec<()>) -> Result<(), SinkError> {
        // Readers learn the columns from a file.
        if parts.is_empty() {
            self.folders.write(0, ".parquet", |out| self.write_part::<T>(&[], out))?;
        }
        self.folders.commit()
    }

    fn abort(&mut self, _: &SinkBatch) {
        self.folders.abort();
    }
}
