//! A program with a transactional sink: a folder of files, and a list of those that count, which is replaced
//! in one step.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use dstream::{
    prelude::*,
    sink::{Begin, Partition, Sink, SinkBatch, SinkError},
};

use crate::{process::Program, text};

/// Lines in files with names that are never used twice: what a batch has written stays there in a second run.
struct Ledger {
    folder: PathBuf,
    files: u64,
}

impl Ledger {
    fn list(&self) -> PathBuf {
        self.folder.join("list")
    }
}

fn key(batch: &SinkBatch) -> String {
    let context = batch.context();
    format!("{} {} {}", context.application(), context.output(), batch.time().as_millis())
}

/// The batches that count, as `key file`.
fn listed(list: &Path) -> io::Result<Vec<(String, String)>> {
    let text = match fs::read_to_string(list) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let entries = text.lines().filter_map(|line| line.rsplit_once(' '));
    Ok(entries.map(|(key, file)| (key.to_owned(), file.to_owned())).collect())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

impl Sink<String> for Ledger {
    type Part = String;

    fn begin(&mut self, batch: &SinkBatch) -> Result<Begin, SinkError> {
        let key = key(batch);
        let written = batch.may_be_written() && listed(&self.list())?.iter().any(|(other, _)| *other == key);
        Ok(if written { Begin::AlreadyWritten } else { Begin::Write })
    }

    fn write(&self, _: &SinkBatch, partition: Partition<'_, String>) -> Result<String, SinkError> {
        Ok(partition.iter().map(|line| format!("{line}\n")).collect())
    }

    fn commit(&mut self, batch: &SinkBatch, parts: Vec<String>) -> Result<(), SinkError> {
        self.files += 1;
        let file = format!("lines-{}-{}", process::id(), self.files);
        write(&self.folder.join(&file), &parts.concat())?;
        let mut list: String =
            listed(&self.list())?.iter().map(|(key, file)| format!("{key} {file}\n")).collect();
        list += &format!("{} {file}\n", key(batch));
        let new = self.folder.join(".list");
        write(&new, &list)?;
        Ok(fs::rename(new, self.list())?)
    }
}

/// Writes the lines of all files into a ledger, and how many there were of each batch into folders.
pub(crate) fn run(dir: &Path) -> dstream::Result<()> {
    let conf = Config::new().threads(2).partitions(2);
    let (input, totals_to) = (dir.join("input"), text(dir, "out/totals"));
    let ledger = Ledger { folder: dir.join("ledger"), files: 0 };
    let ssc =
        dstream::stream!(batch = 50ms, name = "ledger", conf = conf, checkpoint = dir.join("checkpoint"), {
            let lines = (text_file_stream(input).new_files_only(false).settle(Duration::ZERO));
            lines.map(|line| line.to_owned()).write_to(ledger);
            lines.count().save_as_text_files(totals_to, "");
        })?;
    ssc.start()?;
    ssc.await_termination()
}

/// The lines of the batches that count.
fn lines(program: &Program) -> Vec<String> {
    let folder = program.dir.join("ledger");
    let batches = listed(&folder.join("list")).unwrap_or_default();
    let keys: BTreeSet<_> = batches.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), batches.len(), "a batch is there twice\n{}", program.log());
    let texts = batches.iter().map(|(_, file)| fs::read_to_string(folder.join(file)).unwrap_or_default());
    let mut lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

#[test]
fn every_batch_is_in_a_transactional_sink_once() {
    let mut program = Program::new("ledger");
    let input = program.dir.join("input");
    for folder in [&input, &program.dir.join("ledger")] {
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{error}"));
    }
    let mut expected = Vec::new();
    program.start();
    for round in 0..crate::process::kills() {
        let text: Vec<_> = (0..5).map(|n| format!("line {n} of file {round}\n")).collect();
        crate::put(&input, &format!("file{round:04}"), &text.concat());
        expected.extend(text.iter().map(|line| line.trim_end().to_owned()));
        program.kill();
    }
    expected.sort();
    program.wait_until(|program| lines(program).len() >= expected.len());
    program.stop();
    program.start();
    program.wait_for_batches(3);
    program.stop();
    assert_eq!(lines(&program), expected, "{}", program.log());
    program.report("lines in a ledger", expected.len());
}
