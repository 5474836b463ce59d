//! The example while it is killed and its shards are split and merged.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::server::{Server, server};

struct Program {
    process: Child,
    log: tempfile::NamedTempFile,
}

impl Program {
    fn start(server: &Server, folder: &Path) -> Program {
        let tests = std::env::current_exe().unwrap();
        let example: PathBuf = tests.parent().unwrap().join("../examples/kinesis_word_count");
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = Command::new(example)
            .arg("killed")
            .args([folder.join("checkpoint"), folder.join("out").join("totals")])
            .envs([("AWS_ENDPOINT_URL", server.url().as_str()), ("AWS_REGION", "us-east-1")])
            .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "secret")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Program { process, log }
    }

    fn must_run(&mut self) {
        let ended = self.process.try_wait().unwrap();
        assert!(ended.is_none(), "{ended:?}: {}", self.log());
    }

    fn log(&self) -> String {
        let mut log = String::new();
        self.log.reopen().unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The folders of batches that are whole, in their order.
fn batches(folder: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(folder.join("out")).into_iter().flatten().flatten();
    let mut whole: Vec<PathBuf> =
        folders.map(|entry| entry.path()).filter(|path| path.join("_SUCCESS").exists()).collect();
    whole.sort();
    whole
}

/// The totals of the newest batch.
fn totals(folder: &Path) -> BTreeMap<String, u64> {
    let Some(newest) = batches(folder).pop() else { return BTreeMap::new() };
    let parts = fs::read_dir(newest).unwrap().map(|entry| entry.unwrap().path());
    let text: String = parts.map(|part| fs::read_to_string(part).unwrap()).collect();
    let pair = |line: &str| line.split_once(' ').map(|(word, n)| (word.to_owned(), n.parse().unwrap()));
    text.lines().filter_map(pair).collect()
}

#[test]
fn a_killed_word_count_is_exact_over_splits_and_merges() {
    let Some(server) = server() else { return };
    let kills: u64 = std::env::var("DSTREAM_KILLS").map_or(5, |kills| kills.parse().unwrap());
    server.create("killed", 2);
    let folder = tempfile::tempdir().unwrap();
    let mut sent = 0;
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    let mut put = || {
        let records: Vec<_> =
            (sent..sent + 50).map(|n: u64| (format!("key{n}"), format!("every w{} record", n % 7))).collect();
        let words = records.iter().flat_map(|(_, text)| text.split(' '));
        words.for_each(|word| *expected.entry(word.to_owned()).or_default() += 1);
        sent += 50;
        server.put("killed", records);
        expected.clone()
    };
    let mut program = Program::start(server, folder.path());
    for kill in 0..kills {
        let (before, begun) = (batches(folder.path()).len(), Instant::now());
        // Records come all the time, also while the program is down; it is killed anywhere in its batches.
        let shards = server.open_shards("killed");
        match kill % 2 {
            0 => server.split("killed", &shards[kill as usize % shards.len()]),
            _ => server.merge("killed", &shards[0].0, &shards[1].0),
        }
        while batches(folder.path()).len() < before + 3 {
            put();
            program.must_run();
            assert!(begun.elapsed() < Duration::from_secs(120), "no output: {}", program.log());
        }
        let until = Instant::now() + Duration::from_millis(kill * 37 % 200);
        while Instant::now() < until {
            put();
        }
        drop(program);
        put();
        program = Program::start(server, folder.path());
    }
    let (expected, begun) = (put(), Instant::now());
    while totals(folder.path()) != expected {
        program.must_run();
        let found = totals(folder.path());
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "{found:?}, expected {expected:?}: {}",
            program.log()
        );
    }
    // Nothing comes twice later.
    let whole = batches(folder.path()).len();
    while batches(folder.path()).len() < whole + 5 {
        program.must_run();
        assert!(begun.elapsed() < Duration::from_secs(240), "no output: {}", program.log());
    }
    assert_eq!(totals(folder.path()), expected);
}
