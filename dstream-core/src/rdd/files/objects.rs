//! Object files: records in a compact binary form, with their type and a checksum.
//!
//! | bytes | |
//! |---|---|
//! | 8 | `dsobject` |
//! | 4 | version of this layout: 2, little-endian as all that follows |
//! | 4, then as many | the shape of the type, in UTF-8 |
//! | for each record: 8, then as many | the record in `postcard`'s format |
//! | 8 | how many records there are |
//! | 4 | CRC-32 of everything before |
//!
//! The shape has the names of structs, fields and variants, and the kinds of values (see `shape.rs`). So a
//! type may move, and one whose fields have changed is refused.
//!
//! Version 1 had the type's Rust name without module paths in place of the shape. It is read still; nothing
//! is written with it.

use std::{
    any::type_name,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use serde::Serialize;

use super::{folder, shape::shape};
use crate::{
    Error, Rdd, Record, Result,
    rdd::{RddOps, run::run_items},
    record::Portable,
};

const MAGIC: &[u8; 8] = b"dsobject";
const VERSION: u32 = 2;

/// Writes the folder of [`save_as_object_file`](crate::rdd::RddActions::save_as_object_file).
pub(crate) fn save_objects<R>(rdd: R, path: &Path) -> Result<()>
where
    R: RddOps<Item: Record<Owned: Portable> + Serialize>,
{
    let records = rdd.size_hint();
    folder::write(path, rdd.into_parts(), records, write_objects)
}

/// Writes one file of it.
pub(crate) fn write_objects<T: Record<Owned: Portable> + Serialize>(
    records: impl IntoIterator<Item = T>,
    out: &mut BufWriter<File>,
) -> io::Result<()> {
    let shape = shape::<T::Owned>();
    let mut out = Checked { out, crc: crc32fast::Hasher::new() };
    out.write_all(MAGIC)?;
    out.write_all(&VERSION.to_le_bytes())?;
    // No type has a shape of four gigabytes.
    out.write_all(&(shape.len() as u32).to_le_bytes())?;
    out.write_all(shape.as_bytes())?;
    let mut count = 0u64;
    let mut bytes = Vec::new();
    records.into_iter().try_for_each(|record| -> io::Result<()> {
        bytes.clear();
        bytes = postcard::to_extend(&record, std::mem::take(&mut bytes)).map_err(io::Error::other)?;
        count += 1;
        out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        out.write_all(&bytes)
    })?;
    out.write_all(&count.to_le_bytes())?;
    let crc = out.crc.finalize();
    out.out.write_all(&crc.to_le_bytes())
}

/// Adds what passes to a checksum.
struct Checked<W> {
    out: W,
    crc: crc32fast::Hasher,
}

impl<W: Write> Write for Checked<&mut BufWriter<W>> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        self.crc.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<T: Portable> Rdd<T> {
    /// The records of a folder written by `save_as_object_file`, or of one file of it.
    ///
    /// A file of another type, of another program, cut off or damaged is an error that names the file. The
    /// type is known by its name without module paths; a struct whose fields have changed needs a new name.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// # let folder = std::env::temp_dir().join(format!("dstream-doc-read-{}", std::process::id()));
    /// Rdd::parallelize_in(vec![("a", 1u64), ("b", 2)], 2).save_as_object_file(&folder)?;
    /// // What was a `&str` is read as any kind of owned string.
    /// let pairs: Rdd<(String, u64)> = Rdd::object_file(&folder)?;
    /// assert_eq!(pairs.num_partitions(), 2);
    /// assert_eq!(pairs.collect_as_map()["b"], 2);
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn object_file(path: impl AsRef<Path>) -> Result<Rdd<T>> {
        let files = folder::parts(path.as_ref())?;
        let parts = run_items(files, false, |file| {
            let bytes =
                fs::read(&file).map_err(|e| Error::io(format_args!("reading `{}`", file.display()), e))?;
            read(&bytes).map_err(|what| Error::Invalid(format!("object file `{}` {what}", file.display())))
        });
        Ok(Rdd::from_partitions(parts.into_iter().collect::<Result<Vec<_>>>()?))
    }
}

/// The records of one file, or what is wrong with it.
fn read<T: Portable>(file: &[u8]) -> Result<Vec<T>, String> {
    let cut_off = || "is cut off: its end is missing".to_owned();
    if !file.starts_with(&MAGIC[..file.len().min(MAGIC.len())]) {
        return Err("is not one: expected a file written by `save_as_object_file`".to_owned());
    }
    let (rest, crc) = file.split_last_chunk().ok_or_else(cut_off)?;
    let (found, expected) = (crc32fast::hash(rest), u32::from_le_bytes(*crc));
    if found != expected {
        return Err(format!("is damaged or cut off: its checksum is {found:08x}, expected {expected:08x}"));
    }
    let mut rest = rest.get(MAGIC.len()..).ok_or_else(cut_off)?;
    let version = u32::from_le_bytes(chunk(&mut rest).ok_or_else(cut_off)?);
    let wanted = match version {
        1 => type_text::<T>(),
        VERSION => shape::<T>(),
        _ => {
            return Err(format!(
                "has version {version}, expected {VERSION} or 1: it was written by another version of dstream"
            ));
        }
    };
    let length = u32::from_le_bytes(chunk(&mut rest).ok_or_else(cut_off)?);
    let name = String::from_utf8_lossy(bytes(&mut rest, u64::from(length)).ok_or_else(cut_off)?);
    if name != wanted {
        return Err(format!("holds records of type `{name}`, expected `{wanted}`"));
    }
    let (mut rest, count) = rest.split_last_chunk().ok_or_else(cut_off)?;
    let count = u64::from_le_bytes(*count);
    let mut records = Vec::new();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(chunk(&mut rest).ok_or_else(cut_off)?);
        let record = bytes(&mut rest, length).ok_or_else(cut_off)?;
        records.push(decode(record).map_err(|what| {
            format!(
                "has a record (number {}) that is no `{wanted}`: {what}; have its fields changed?",
                records.len()
            )
        })?);
    }
    if records.len() as u64 != count {
        return Err(format!("has {} records, expected {count}", records.len()));
    }
    Ok(records)
}

fn decode<T: Portable>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((record, [])) => Ok(record),
        Ok((_, rest)) => Err(format!("{} of its {} bytes are left over", rest.len(), bytes.len())),
        Err(error) => Err(error.to_string()),
    }
}

fn chunk<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*chunk)
}

fn bytes<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (bytes, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(bytes)
}

/// The name of a type without module paths: `(String, Vec<Word>)`, as files of version 1 have it.
fn type_text<T>() -> String {
    let mut text = String::new();
    let mut word = 0;
    for c in type_name::<T>().chars() {
        match c {
            ':' => text.truncate(word),
            c => {
                text.push(c);
                if !(c.is_alphanumeric() || c == '_') {
                    word = text.len();
                }
            }
        }
    }
    // As it was called then.
    let words = text.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_');
    words
        .map(|word| {
            if word.trim_end_matches([',', '>', ')', ']', ';']) == "Str" {
                word.replace("Str", "String")
            } else {
                word.into()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1, as it was written: the name of the type, and one record.
    fn first_version(name: &str, record: &[u8]) -> Vec<u8> {
        let mut file = MAGIC.to_vec();
        file.extend(1u32.to_le_bytes());
        file.extend((name.len() as u32).to_le_bytes());
        file.extend(name.as_bytes());
        file.extend((record.len() as u64).to_le_bytes());
        file.extend(record);
        file.extend(1u64.to_le_bytes());
        file.extend(crc32fast::hash(&file).to_le_bytes());
        file
    }

    #[test]
    fn files_of_the_first_version_are_read_still() {
        let file = first_version("(String, u64)", b"\x02ab\x07");
        assert_eq!(read::<(String, u64)>(&file), Ok(vec![("ab".to_owned(), 7)]));
        let error = read::<(String, u32)>(&file).unwrap_err();
        assert!(error.contains("`(String, u64)`, expected `(String, u32)`"), "{error}");
    }

    #[test]
    fn types_are_named_without_paths() {
        assert_eq!(type_text::<(u8, Vec<Option<String>>)>(), "(u8, Vec<Option<String>>)");
        assert_eq!(type_text::<(crate::Str, String)>(), "(String, String)");
        assert_eq!(type_text::<[crate::Time; 3]>(), "[Time; 3]");
        assert_eq!(type_text::<()>(), "()");
    }
}
