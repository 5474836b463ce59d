//! Hadoop's SequenceFiles of an `Rdd` of pairs.

use std::{fs::File, io::BufReader, path::Path};

use super::folder;
use crate::{
    Error, Rdd, Result,
    hadoop::{Compression, Writable, read_part, write_part},
    rdd::run_items,
};

impl<K: Writable + Send + Sync, V: Writable + Send + Sync> Rdd<(K, V)> {
    /// Writes a folder of Hadoop's [SequenceFiles](crate::hadoop), one a partition, not compressed.
    ///
    /// The folder appears with all that is in it, or not at all, and replaces one of part files that is there.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("counts");
    /// Rdd::parallelize(vec![("a".to_owned(), 1i64)]).save_as_sequence_file(&path)?;
    ///
    /// assert_eq!(Rdd::<(String, i64)>::sequence_file(&path)?.collect(), [("a".to_owned(), 1)]);
    /// let error = Rdd::<(String, i32)>::sequence_file(&path).unwrap_err().to_string();
    /// assert!(error.contains("LongWritable"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_as_sequence_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let parts = self.partitions().collect();
        folder::write(path.as_ref(), parts, self.count() as usize, |part, out| {
            write_part(part, Compression::None, out)
        })
    }

    /// The pairs of a folder of Hadoop's [SequenceFiles](crate::hadoop), or of one of them: a partition a file.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if a file is damaged, or its classes are not those of `K` and `V`.
    pub fn sequence_file(path: impl AsRef<Path>) -> Result<Rdd<(K, V)>> {
        let files = folder::parts(path.as_ref())?;
        let parts = run_items(files, false, |file| {
            let what = |error| Error::Invalid(format!("`{}`: {error}", file.display()));
            let open =
                File::open(&file).map_err(|e| Error::io(format_args!("reading `{}`", file.display()), e))?;
            read_part(BufReader::new(open)).map_err(what)
        });
        Ok(Rdd::from_partitions(parts.into_iter().collect::<Result<Vec<_>>>()?))
    }
}
