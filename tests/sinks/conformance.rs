//! `check_sink`, on the sinks of this crate, on one of a user, and on such with faults.

use std::path::PathBuf;

use dstream::{
    Rdd,
    sink::{ObjectFiles, Sink, TextFiles},
    testing::{SinkFixture, check_sink},
};

use crate::table::{Database, Fault, Table};

struct Tables(Database, Fault);

impl SinkFixture for Tables {
    type Record = u64;
    type Sink = Table;

    fn sink(&mut self) -> Table {
        self.0.sink(self.1)
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    fn read(&mut self) -> Vec<u64> {
        self.0.rows()
    }

    fn disturb(&mut self, broken: bool) -> bool {
        self.0.lock().broken = broken;
        true
    }
}

#[test]
fn a_transactional_sink_conforms() {
    assert_eq!(check_sink(Tables(Database::default(), Fault::None)), Ok(()));
}

#[test]
fn sinks_with_faults_do_not_conform() {
    for (fault, says) in [
        (Fault::Forgets, "then the batch twice: a reader sees"),
        (Fault::WritesAtOnce, "before the first commit of a batch: a reader sees 6 records, expected 0"),
        (Fault::KnowsTimesOnly, "a batch of the output `other` of the application `app`: a reader sees"),
        (Fault::KnowsTheLastOnly, "a batch that failed, older than the last one written: a reader sees"),
        (Fault::KeepsWhatWasAborted, "an attempt aborted after 1 partitions, and a second attempt: a reader"),
        (Fault::IsNeverTransient, "the sink's error is not transient: connection reset"),
        (Fault::LosesTheLastPartition, "a reader sees 5 records, expected 6; missing: [\"6\"]"),
        (Fault::Swallows, "the sink says that it has written a batch"),
    ] {
        let found = check_sink(Tables(Database::default(), fault)).err().unwrap_or_default();
        assert!(found.contains(says), "{fault:?}: {found}");
    }
}

struct Files<S> {
    folder: tempfile::TempDir,
    sink: fn(String) -> S,
    read: fn(PathBuf) -> dstream::Result<Vec<u64>>,
}

impl<S: Sink<u64>> SinkFixture for Files<S> {
    type Record = u64;
    type Sink = S;

    fn sink(&mut self) -> S {
        (self.sink)(self.folder.path().join("out/batch").display().to_string())
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    fn read(&mut self) -> Vec<u64> {
        let entries = std::fs::read_dir(self.folder.path().join("out")).into_iter().flatten().flatten();
        let whole = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        whole.flat_map(|entry| (self.read)(entry.path()).unwrap_or_else(|error| panic!("{error}"))).collect()
    }

    /// A process that is killed leaves what it was writing.
    fn crash(&mut self, sink: S) {
        std::mem::forget(sink);
    }

    fn is_shared(&self) -> bool {
        false
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_file_outputs_conform() {
    let text = Files {
        folder: folder(),
        sink: |prefix| TextFiles::new(prefix, "txt"),
        read: |path| Ok(Rdd::text_file(path)?.iter().filter_map(|line| line.parse().ok()).collect()),
    };
    assert_eq!(check_sink(text), Ok(()));
    let objects = Files {
        folder: folder(),
        sink: |prefix| ObjectFiles::new(prefix, "").skip_empty(true),
        read: |path| Ok(Rdd::object_file(path)?.collect()),
    };
    assert_eq!(check_sink(objects), Ok(()));
}
