//! What dstream asks of a source, a sink and a store.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use dstream::{
    Str,
    testing::{SinkFixture, check_sink, check_source, check_store},
};
use dstream_outside::{
    journal::Journals,
    ledger::{Ledger, batches},
    objects::Objects,
};

#[test]
fn journals_are_a_source() {
    let folder = tempfile::tempdir().unwrap();
    let arrive = |batch: usize| {
        for journal in 0..2 {
            let path = folder.path().join(format!("journal-{journal}"));
            let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
            // The second line is whole with the next batch.
            write!(file, "of journal {journal}\nbatch {batch}, line ").unwrap();
        }
    };
    check_source(|| Journals::new(folder.path()), arrive).unwrap();
}

struct Place {
    path: PathBuf,
}

impl SinkFixture for Place {
    type Record = (Str, u64);
    type Sink = Ledger;

    fn sink(&mut self) -> Ledger {
        Ledger::new(&self.path)
    }

    fn record(&mut self, n: u64) -> (Str, u64) {
        (format!("word{n}").into(), n)
    }

    fn read(&mut self) -> Vec<(Str, u64)> {
        let rows = batches(&self.path).into_iter().flatten();
        rows.map(|(word, n)| (word.into(), n)).collect()
    }

    fn is_shared(&self) -> bool {
        false
    }
}

#[test]
fn a_ledger_is_a_sink() {
    let folder = tempfile::tempdir().unwrap();
    check_sink(Place { path: folder.path().join("ledger") }).unwrap();
}

#[test]
fn objects_are_a_store() {
    let folder = tempfile::tempdir().unwrap();
    check_store(|| Objects::new(folder.path())).unwrap();
}
