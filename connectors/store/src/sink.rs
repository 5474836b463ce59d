//! Folders of text objects, one a batch.

use std::{collections::BTreeSet, io::Write, sync::Arc};

use dstream_core::{
    Data, Result,
    rdd::TextLine,
    sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError},
};
use object_store::{ObjectStoreExt, PutPayload, path::Path};

use crate::{
    IntoStore, Store,
    errors::{io_error, sink_error},
};

/// Writes each batch into a folder `prefix-TIME` of text objects, `part-00000` and so on; `TIME` is the
/// batch's time in milliseconds. `place` is a [`Store`] or a URL, whose last part is the prefix:
/// `s3://bucket/out/words`.
///
/// A record is a line, a partition an object, which is held in memory while it is written. `_SUCCESS` comes
/// last: before that a reader should not take the folder. A batch that is run again leaves a
/// folder that is whole as it is; what stands in one without `_SUCCESS` is deleted, and the same is written.
///
/// ```
/// use dstream::prelude::*;
/// use dstream_store::save_as_text_files;
///
/// let folder = tempfile::tempdir()?;
/// let prefix = folder.path().join("nums").display().to_string();
/// let ssc = dstream::stream!(batch = 1s, {
///     queue_stream(vec![vec![1, 2]]).write_to(save_as_text_files(prefix));
/// })?;
/// ssc.run_batches(1)?;
/// let batch = std::fs::read_dir(folder.path())?.next().ok_or("no folder")??.path();
/// assert_eq!(std::fs::read_to_string(batch.join("part-00000"))?, "1\n2\n");
/// assert!(batch.join("_SUCCESS").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_as_text_files(place: impl IntoStore) -> TextFiles {
    TextFiles { place: place.into_store(), skip_empty: false }
}

/// The sink of [`save_as_text_files`].
#[derive(Debug)]
pub struct TextFiles {
    place: Result<Store>,
    skip_empty: bool,
}

impl TextFiles {
    /// Whether an empty batch writes nothing. Default: it writes a folder with its `_SUCCESS`.
    pub fn skip_empty(mut self, skip: bool) -> TextFiles {
        self.skip_empty = skip;
        self
    }

    fn store(&self) -> Result<&Store, SinkError> {
        self.place.as_ref().map_err(|error| SinkError::permanent(error.clone()))
    }

    /// The folder of a batch, beside the prefix and not in it.
    fn folder(&self, batch: &SinkBatch) -> Result<Path, SinkError> {
        let base = self.store()?.base.as_ref();
        let folder = format!("{base}-{}", batch.time().as_millis());
        Path::parse(&folder).map_err(|error| SinkError::permanent(format!("`{folder}` is no name: {error}")))
    }

    fn put(&self, path: Path, bytes: Vec<u8>) -> Result<(), SinkError> {
        let store = self.store()?;
        let objects = Arc::clone(&store.objects);
        let place = path.to_string();
        let request = async move { objects.put(&path, PutPayload::from(bytes)).await };
        store.requests.ask(request).map(drop).map_err(|error| sink_error(&place, &error))
    }

    fn is_whole(&self, folder: &Path) -> Result<bool, SinkError> {
        let store = self.store()?;
        let objects = Arc::clone(&store.objects);
        let path = folder.clone().join("_SUCCESS");
        let place = path.to_string();
        match store.requests.ask(async move { objects.head(&path).await }) {
            Ok(_) => Ok(true),
            Err(error) if io_error(&error).kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(sink_error(&place, &error)),
        }
    }

    /// Deletes what an earlier attempt has left.
    fn clear(&self, folder: &Path) -> Result<(), SinkError> {
        let store = self.store()?;
        let objects = Arc::clone(&store.objects);
        let (place, path) = (folder.to_string(), folder.clone());
        let listed = store.requests.ask({
            let objects = Arc::clone(&objects);
            async move { objects.list_with_delimiter(Some(&path)).await }
        });
        let found = listed.map_err(|error| sink_error(&place, &error))?.objects;
        for path in found.into_iter().map(|object| object.location).collect::<BTreeSet<_>>() {
            let outcome = store.requests.ask(Store::remove(Arc::clone(&objects), path));
            if let Err(error) = outcome
                && io_error(&error).kind() != std::io::ErrorKind::NotFound
            {
                return Err(sink_error(&place, &error));
            }
        }
        Ok(())
    }
}

impl<T: Data + TextLine> Sink<T> for TextFiles {
    type Part = ();

    fn open(&mut self, _: &SinkContext) -> Result<(), SinkError> {
        match self.store()?.base.is_root() {
            false => Ok(()),
            true => Err(SinkError::permanent(
                "the URL has no prefix: expected one, as in `s3://bucket/out/words`",
            )),
        }
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        if self.skip_empty && batch.records() == 0 {
            return Ok(Begin::AlreadyWritten);
        }
        if batch.may_be_written() {
            let folder = self.folder(batch)?;
            // What is whole stays: a reader may be at it.
            if self.is_whole(&folder)? {
                return Ok(Begin::AlreadyWritten);
            }
            self.clear(&folder)?;
        }
        Ok(Begin::Write)
    }

    fn write(&self, batch: &SinkBatch, partition: Partition<'_, T>) -> Result<(), SinkError> {
        let name = format!("part-{:05}", partition.index());
        let mut text = Vec::new();
        for record in partition {
            match record.as_text() {
                Some(line) => text.extend_from_slice(line.as_bytes()),
                None => write!(text, "{record:?}")?,
            }
            text.push(b'\n');
        }
        self.put(self.folder(batch)?.join(name), text)
    }

    fn commit(&mut self, batch: &SinkBatch, _: Vec<()>) -> Result<(), SinkError> {
        self.put(self.folder(batch)?.join("_SUCCESS"), Vec::new())
    }
}
