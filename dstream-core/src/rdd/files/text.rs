//! Text files: a record a line.

use std::{
    fmt::Debug,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use bytes::Bytes;

use super::folder;
use crate::{
    Error, Rdd, Record, Result, Str,
    block::{Block, TextBlock},
    rdd::{
        RddOps,
        run::{FEW, run_items},
    },
};

/// A record that can be a line of a text file: every [`Record`] that is `Debug`.
///
/// Text is written as it is; what is text is decided by [`Record::as_text`]. Anything else is written in its
/// `Debug` form, as `print` shows it. A line break inside a text makes two lines of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be written as a line of text",
    note = "derive `Debug` for it, or map the records to strings first"
)]
pub trait TextLine: Record + Debug {}

impl<T: Record + Debug> TextLine for T {}

/// Writes the folder of [`save_as_text_file`](crate::rdd::RddActions::save_as_text_file).
pub(crate) fn save_text<R: RddOps<Item: TextLine>>(rdd: R, path: &Path) -> Result<()> {
    let records = rdd.size_hint();
    folder::write(path, rdd.into_parts(), records, write_text)
}

/// Writes one file of it.
pub(crate) fn write_text<T: TextLine>(
    records: impl IntoIterator<Item = T>,
    out: &mut BufWriter<File>,
) -> io::Result<()> {
    records.into_iter().try_for_each(|record| match record.as_text() {
        Some(text) => out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")),
        None => writeln!(out, "{record:?}"),
    })
}

impl Rdd<Str> {
    /// The lines of a text file, or of the files in a folder, in order of their names; names that begin with
    /// `_` or `.` are left out, and so are folders in it.
    ///
    /// A large file has several partitions. Lines are those of [`TextBlock`]: without their ends, and what is
    /// not UTF-8 replaced.
    ///
    /// ```
    /// use dstream::prelude::*;
    ///
    /// # let path = std::env::temp_dir().join(format!("dstream-doc-lines-{}", std::process::id()));
    /// std::fs::write(&path, "to be\nor not\n")?;
    /// let lines = Rdd::text_file(&path)?;
    /// // By reference, so that words are pieces of their lines.
    /// let words = lines.by_ref().flat_map(|line| line.split(' '));
    /// assert_eq!(words.count(), 4);
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn text_file(path: impl AsRef<Path>) -> Result<Rdd<Str>> {
        let mut blocks = Vec::new();
        for file in folder::parts(path.as_ref())? {
            let text =
                fs::read(&file).map_err(|e| Error::io(format_args!("reading `{}`", file.display()), e))?;
            cut(text.into(), &mut blocks);
        }
        let few = blocks.len() < FEW && blocks.iter().map(Block::weight).sum::<usize>() < FEW;
        let lines = |mut block: TextBlock| block.records().map(Str::from).collect::<Vec<_>>();
        Ok(Rdd::from_partitions(run_items(blocks, few, lines)))
    }
}

/// Cuts a text behind a line about every four megabytes.
fn cut(mut text: Bytes, blocks: &mut Vec<TextBlock>) {
    const LARGE: usize = 4 << 20;
    while text.len() > LARGE {
        let Some(end) = memchr::memchr(b'\n', &text[LARGE..]) else { break };
        blocks.push(TextBlock::new(text.split_to(LARGE + end + 1)));
    }
    // An empty file is an empty partition.
    blocks.push(TextBlock::new(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_text_is_cut_behind_lines() {
        let line = "x".repeat(1 << 20) + "\n";
        let text = line.repeat(9) + "end";
        let mut blocks = Vec::new();
        cut(text.clone().into(), &mut blocks);
        assert_eq!(blocks.len(), 3);
        let lines = |blocks: &mut [TextBlock]| {
            blocks
                .iter_mut()
                .flat_map(|b| b.records().map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        assert_eq!(lines(&mut blocks), text.lines().collect::<Vec<_>>());
    }
}
