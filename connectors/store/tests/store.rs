//! Stores as checkpoints, sources and outputs: directories, and a real server that speaks S3.

#[path = "store/program.rs"]
mod program;
#[path = "store/server.rs"]
mod server;

use std::{
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dstream::testing::{SinkFixture, check_sink, check_source, check_store};
use dstream_store::{Store, TextFiles, save_as_text_files, text_file_stream};
use program::{Objects, Program, totals};
use server::Server;

/// Leases are short here: the tests that need them in time run one after another.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(url: &str) -> Store {
    Store::open(url).unwrap().lease(Duration::from_secs(4))
}

#[test]
fn a_directory_keeps_the_promises() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    check_store(|| open(&path("checkpoint"))).unwrap();
    let input = path("in put");
    std::fs::create_dir_all(&input).unwrap();
    let arrive = |batch: usize| {
        // The last one has several pieces, and a line over the edge of one.
        let line = "0123456789".repeat(10_000);
        let long = if batch == 3 { format!("{line}\n").repeat(60) } else { String::new() };
        std::fs::write(format!("{input}/{batch}.txt"), format!("to be {batch}\r\nor\n{long}not")).unwrap();
        std::fs::write(format!("{input}/_{batch}.txt"), "hidden\n").unwrap();
    };
    check_source(|| text_file_stream(&input), arrive).unwrap();
}

struct Numbers(tempfile::TempDir);

impl SinkFixture for Numbers {
    type Record = u64;
    type Sink = TextFiles;

    fn sink(&mut self) -> TextFiles {
        save_as_text_files(self.0.path().join("numbers").display().to_string())
    }

    fn record(&mut self, n: u64) -> u64 {
        n
    }

    /// The place is part of what the sink is made with.
    fn is_shared(&self) -> bool {
        false
    }

    fn read(&mut self) -> Vec<u64> {
        let names = |folder: &Path| {
            let mut names: Vec<_> =
                std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
            names.sort();
            names
        };
        let whole = names(self.0.path()).into_iter().filter(|folder| folder.join("_SUCCESS").exists());
        let parts = whole.flat_map(|folder| names(&folder)).filter(|part| !part.ends_with("_SUCCESS"));
        let text: String = parts.map(|part| std::fs::read_to_string(part).unwrap()).collect();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }
}

#[test]
fn each_batch_is_written_exactly_once() {
    check_sink(Numbers(tempfile::tempdir().unwrap())).unwrap();
}

/// Run by the next test, in a process whose environment names the server.
#[test]
#[ignore = "needs AWS_ENDPOINT; the test below runs it"]
fn s3_in_this_environment() {
    check_store(|| open("s3://bucket/checkpoint")).unwrap();
    let store = Store::open("s3://bucket/in").unwrap();
    let objects = Objects::from_env();
    let arrive = |batch: usize| objects.put(&format!("in/{batch}/a.txt"), &format!("to be {batch}\nor not"));
    check_source(|| text_file_stream(&store), arrive).unwrap();
}

#[test]
fn s3_keeps_the_promises() {
    let _turn = turn();
    let Some(server) = Server::start() else { return };
    let tests = std::env::current_exe().unwrap();
    let mut inner = Command::new(tests);
    inner.args(["--exact", "s3_in_this_environment", "--ignored"]).envs(server.environment());
    let output = inner.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

/// Lines of the object `n`, and how often each word is in the first `n` of them.
fn lines(n: u64) -> String {
    format!("every object\nword{} every\n", n % 7)
}

fn expected(objects: u64) -> Vec<(String, u64)> {
    let mut counts = vec![("every".to_owned(), 2 * objects), ("object".to_owned(), objects)];
    counts.extend((0..7).map(|word| {
        let count = (0..objects).filter(|n| n % 7 == word).count() as u64;
        (format!("word{word}"), count)
    }));
    counts.retain(|(_, n)| *n > 0);
    counts.sort();
    counts
}

#[test]
fn a_killed_word_count_is_exact() {
    let _turn = turn();
    let Some(server) = Server::start() else { return };
    let kills: u64 = std::env::var("DSTREAM_KILLS").map_or(10, |kills| kills.parse().unwrap());
    let objects = Objects::new(server.bucket());
    let mut put = 0;
    let mut program = Program::start(&server.environment(), "3");
    for kill in 0..kills {
        let folders = objects.names("out").len();
        let begun = Instant::now();
        // Objects come all the time, also while the program is down; it is killed anywhere in its batches.
        while objects.names("out").len() < folders + 3 {
            objects.put(&format!("in/{put:05}.txt"), &lines(put));
            put += 1;
            program.must_run();
            assert!(begun.elapsed() < Duration::from_secs(120), "no output: {}", program.log());
        }
        let until = Instant::now() + Duration::from_millis(kill * 37 % 200);
        while Instant::now() < until {
            objects.put(&format!("in/{put:05}.txt"), &lines(put));
            put += 1;
        }
        program.signal("KILL");
        program.wait();
        program = Program::start(&server.environment(), "3");
    }
    let begun = Instant::now();
    while totals(&objects) != expected(put) {
        program.must_run();
        let found = totals(&objects);
        assert!(begun.elapsed() < Duration::from_secs(120), "{found:?}, expected {:?}", expected(put));
    }
    program.signal("TERM");
    assert!(program.wait().success(), "{}", program.log());
    assert_eq!(totals(&objects), expected(put));
}

#[test]
fn a_writer_that_slept_over_its_lease_writes_nothing_more() {
    let _turn = turn();
    let Some(server) = Server::start() else { return };
    let objects = Objects::new(server.bucket());
    let wait_for_output = |program: &mut Program| {
        let (folders, begun) = (objects.names("out").len(), Instant::now());
        while objects.names("out").len() <= folders {
            program.must_run();
            assert!(begun.elapsed() < Duration::from_secs(120), "no output: {}", program.log());
        }
    };
    objects.put("in/a.txt", &lines(0));
    let mut first = Program::start(&server.environment(), "3");
    wait_for_output(&mut first);
    // While the first one lives, a second one is refused.
    let mut refused = Program::start(&server.environment(), "3");
    assert!(!refused.wait().success());
    assert!(refused.log().contains("is in use by process"), "{}", refused.log());

    first.signal("STOP");
    let mut second = Program::start(&server.environment(), "3");
    wait_for_output(&mut second);
    second.signal("TERM");
    assert!(second.wait().success(), "{}", second.log());
    let before = objects.all();
    first.signal("CONT");
    assert!(!first.wait().success());
    assert!(first.log().contains("has lost the lock"), "{}", first.log());
    assert_eq!(objects.all(), before);
}

#[test]
fn mistakes_are_named() {
    let _turn = turn();
    for (url, words) in [
        ("gs://bucket/in", "found the scheme `gs`"),
        ("s3:///in", "names no bucket"),
        ("file://in", "expected an absolute path"),
        ("", "it is empty"),
    ] {
        let error = Store::open(url).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let Some(server) = Server::start() else { return };
    let refused = |environment: &server::Environment, input: &str, words: &str| {
        let mut program = Program::with_input(environment, input, "2");
        assert!(!program.wait().success());
        assert!(program.log().contains(words), "{}", program.log());
    };
    refused(&server.environment(), "s3://missing/in", "there is no such bucket");
    let mut nobody = server.environment();
    nobody[0].1 = "http://127.0.0.1:1".to_owned();
    refused(&nobody, "s3://bucket/in", "the server does not answer");
    let mut encrypted = server.environment();
    encrypted[1].1 = "false".to_owned();
    refused(&encrypted, "s3://bucket/in", "set AWS_ALLOW_HTTP=true");
    let Some(strict) = Server::start_strict() else { return };
    refused(&strict.environment(), "s3://bucket/in", "the credentials are refused");
}
