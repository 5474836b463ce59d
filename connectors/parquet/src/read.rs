//! Reads Parquet files.

use std::{
    any::type_name,
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use dstream_core::{
    Data, Error, Rdd, Result,
    source::{FileRecords, FileStream, file_stream},
};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde::de::DeserializeOwned;

use crate::{
    errors::io_error,
    schema::{columns_of, in_words},
};

/// How many rows are decoded at a time.
const ROWS: usize = 8 << 10;

/// The records of the Parquet files that appear in a folder, or in the folders that match a pattern.
///
/// See [`FileStream`] for which files these are and when. A field of `T` is read from the column of its name;
/// other columns are not read. The records of a file are held whole, as a partition. A file that is damaged,
/// or whose columns do not fit, is reported with them and has no records.
///
/// ```
/// use dstream::{parquet::{parquet_file_stream, save_as_parquet}, prelude::*};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
/// struct Visit {
///     page: String,
///     millis: Option<u32>,
/// }
///
/// let folder = tempfile::tempdir()?;
/// let visits = vec![Visit { page: "/".into(), millis: Some(7) }, Visit { page: "/a".into(), millis: None }];
/// let ssc = dstream::stream!(batch = 1s, {
///     queue_stream(vec![visits.clone()]).write_to(save_as_parquet(folder.path().join("visits")));
/// })?;
/// ssc.run_batches(1)?;
///
/// let out = Collected::new();
/// let ssc = dstream::stream!(batch = 1s, {
///     parquet_file_stream::<Visit>(folder.path().join("visits-*")).collect_to(&out);
/// })?;
/// ssc.run_to_end()?;
/// assert_eq!(out.values(), [visits]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parquet_file_stream<T>(folder: impl Into<PathBuf>) -> FileStream<FileRecords<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    // The end of a file is read first: it is opened once more, as it is on the disk.
    file_stream(folder, |file| Ok(read_file(File::open(file.path())?)?)).called("parquet_file_stream")
}

/// The records of a Parquet file, or of the files in a folder, in order of their names; names that begin with
/// `_` or `.` are left out, and so are folders in it.
///
/// ```
/// use dstream::{parquet::{read_parquet, save_as_parquet}, prelude::*};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Record, Serialize, Deserialize)]
/// struct Price {
///     item: String,
///     price: f64,
/// }
///
/// let folder = tempfile::tempdir()?;
/// let prices = vec![Price { item: "tea".into(), price: 2.5 }];
/// let ssc = dstream::stream!(batch = 1s, {
///     queue_stream(vec![prices.clone()]).write_to(save_as_parquet(folder.path().join("prices")));
/// })?;
/// ssc.run_batches(1)?;
///
/// let saved = std::fs::read_dir(folder.path())?.next().ok_or("no folder")??.path();
/// assert_eq!(read_parquet::<Price>(&saved)?.collect(), prices);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If a file can't be read, is damaged, or has columns that do not fit `T`.
pub fn read_parquet<T: Data + DeserializeOwned>(path: impl AsRef<Path>) -> Result<Rdd<T>> {
    let path = path.as_ref();
    let files =
        files(path).map_err(|error| Error::io(format_args!("reading `{}`", path.display()), error))?;
    let mut records = Vec::new();
    for file in files {
        let read = File::open(&file).and_then(read_file);
        records.extend(read.map_err(|error| Error::io(format_args!("reading `{}`", file.display()), error))?);
    }
    Ok(Rdd::parallelize(records))
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let hidden = matches!(entry.file_name().as_encoded_bytes().first(), Some(b'_' | b'.'));
        if !hidden && fs::metadata(entry.path())?.is_file() {
            files.push(entry.path());
        }
    }
    // `part-100000` stands behind `part-99999`.
    files.sort_by_key(|file| (file.as_os_str().len(), file.clone()));
    Ok(files)
}

/// Reads all records of a file.
fn read_file<T: DeserializeOwned>(file: File) -> io::Result<Vec<T>> {
    // What the format's own code does with damaged bytes is not in our hands.
    catch_unwind(AssertUnwindSafe(|| read_records(file))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(invalid(format!("is a damaged Parquet file: reading it has panicked: {text}")))
    })
}

fn read_records<T: DeserializeOwned>(file: File) -> io::Result<Vec<T>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(|error| named(io_error(error), "is no Parquet file, or a damaged one"))?;
    let columns = in_words(builder.schema().fields().iter().map(AsRef::as_ref));
    // A type whose columns are not known before it is read gets all there are.
    let mask = match columns_of::<T>() {
        Err(_) => ProjectionMask::all(),
        Ok(wanted) => {
            let fields = builder.schema().fields().iter().enumerate();
            let used = fields.filter(|(_, field)| wanted.iter().any(|wanted| wanted.name() == field.name()));
            let used: Vec<usize> = used.map(|(at, _)| at).collect();
            // Rows without columns can't be counted.
            if used.is_empty() {
                let (record, wanted) = (type_name::<T>(), in_words(wanted.iter().map(AsRef::as_ref)));
                return Err(invalid(format!(
                    "has no column of `{record}`, {wanted}; its columns are {columns}"
                )));
            }
            ProjectionMask::roots(builder.parquet_schema(), used)
        }
    };
    let rows = builder.metadata().file_metadata().num_rows();
    let reader = builder.with_projection(mask).with_batch_size(ROWS).build().map_err(io_error)?;
    let mut records = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| invalid(format!("is a damaged Parquet file: {error}")))?;
        let rows: Vec<T> = serde_arrow::from_record_batch(&batch).map_err(|error| {
            let record = type_name::<T>();
            invalid(format!("has columns that do not fit `{record}`: {error}; its columns are {columns}"))
        })?;
        records.extend(rows);
    }
    match i64::try_from(records.len()) == Ok(rows) {
        true => Ok(records),
        false => {
            Err(invalid(format!("is a damaged Parquet file: it has {} rows, expected {rows}", records.len())))
        }
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn named(error: io::Error, what: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
