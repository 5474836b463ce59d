//! A transactional sink: one file that rows are appended to, in which a line at the end of a batch makes it
//! count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use dstream::{
    Str, Time,
    sink::{Begin, Partition, Sink, SinkBatch, SinkContext, SinkError},
};

/// Counts of words. A batch is its rows, `word count`, and then `=commit OUTPUT TIME`.
pub struct Ledger {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    file: File,
    output: String,
    /// The batches that count.
    batches: BTreeSet<u64>,
    /// How many bytes count.
    length: u64,
}

impl Ledger {
    pub fn new(path: impl Into<PathBuf>) -> Ledger {
        Ledger { path: path.into(), open: None }
    }

    fn open_file(&self, output: &str) -> io::Result<Open> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let (mut length, mut at) = (0, 0);
        let mut batches = BTreeSet::new();
        for line in text.split_inclusive('\n') {
            at += line.len();
            if let Some((name, time)) = commit(line) {
                length = at as u64;
                if name == output {
                    batches.insert(time);
                }
            }
        }
        Ok(Open { file, output: output.to_owned(), batches, length })
    }
}

/// What a line of a commit says.
fn commit(line: &str) -> Option<(&str, u64)> {
    let (name, time) = line.strip_suffix('\n')?.strip_prefix("=commit ")?.rsplit_once(' ')?;
    Some((name, time.parse().ok()?))
}

/// The rows of each batch that counts.
pub fn batches(path: &Path) -> Vec<BTreeMap<String, u64>> {
    let (mut batches, mut rows) = (Vec::new(), BTreeMap::new());
    for line in std::fs::read_to_string(path).unwrap_or_default().split_inclusive('\n') {
        if commit(line).is_some() {
            batches.push(std::mem::take(&mut rows));
        } else if let Some((word, n)) = line.trim_end().rsplit_once(' ') {
            rows.insert(word.to_owned(), n.parse().unwrap_or(0));
        }
    }
    batches
}

/// The rows of all batches together.
pub fn totals(path: &Path) -> BTreeMap<String, u64> {
    let mut totals = BTreeMap::new();
    for (word, n) in batches(path).into_iter().flatten() {
        *totals.entry(word).or_default() += n;
    }
    totals
}

impl Sink<(Str, u64)> for Ledger {
    /// The rows of a partition.
    type Part = Vec<u8>;

    fn open(&mut self, context: &SinkContext) -> Result<(), SinkError> {
        self.open = Some(self.open_file(context.output())?);
        Ok(())
    }

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let open = self.open.as_mut().ok_or("the ledger is not open")?;
        if batch.may_be_written() && open.batches.contains(&batch.time().as_millis()) {
            return Ok(Begin::AlreadyWritten);
        }
        Ok(Begin::Write)
    }

    fn write(
        &self,
        _: &SinkBatch,
        partition: Partition<'_, (Str, u64)>,
    ) -> Result<Vec<u8>, SinkError> {
        let mut rows = Vec::new();
        for (word, n) in partition.iter() {
            writeln!(rows, "{word} {n}")?;
        }
        Ok(rows)
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<Vec<u8>>) -> Result<(), SinkError> {
        let open = self.open.as_mut().ok_or("the ledger is not open")?;
        let time: Time = batch.time();
        // What an attempt has left behind the last commit goes.
        open.file.set_len(open.length)?;
        open.file.seek(SeekFrom::Start(open.length))?;
        let mut rows = parts.concat();
        open.file.write_all(&rows)?;
        let last = format!("=commit {} {}\n", open.output, time.as_millis());
        open.file.write_all(last.as_bytes())?;
        open.file.sync_data()?;
        rows.extend(last.as_bytes());
        open.length += rows.len() as u64;
        open.batches.insert(time.as_millis());
        Ok(())
    }
}
