//! Programs that are killed with SIGKILL a hundred times each, at random moments, and end with the files of
//! one that never was.
//!
//! `DSTREAM_KILLS=500 DSTREAM_SEED=7 cargo test --release --test kills -- --nocapture` kills more often, and
//! says how it went.
#![cfg(unix)]

#[path = "kills/ledger.rs"]
mod ledger;
#[path = "kills/messages.rs"]
mod messages;
#[path = "kills/process.rs"]
mod process;

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use dstream::prelude::*;

use self::process::Program;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no temporary folder: {error}"))
}

/// What the tests start, and kill: it is this same binary.
#[test]
#[ignore = "is started by the other tests"]
fn program() -> dstream::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let Some((dir, kind)) = process::asked() else { return Ok(()) };
    match kind.strip_prefix("messages:").map(str::parse) {
        Some(Ok(port)) => messages::run(&dir, port),
        _ if kind == "ledger" => ledger::run(&dir),
        _ => count_files(&dir),
    }
}

/// Saves the lines of all files, and how often each word was there.
fn count_files(dir: &Path) -> dstream::Result<()> {
    let conf = Config::new().threads(2).partitions(2);
    let (input, lines_to, totals_to) = (dir.join("input"), text(dir, "out/lines"), text(dir, "out/totals"));
    let ssc = dstream::stream!(batch = 50ms, conf = conf, checkpoint = dir.join("checkpoint"), {
        let lines = (text_file_stream(input).new_files_only(false).settle(Duration::ZERO));
        lines.save_as_text_files(lines_to, "");
        let totals = lines
            .flat_map(|line| line.split_whitespace())
            .map(|word| (word, 1u64))
            .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
        totals.save_as_text_files(totals_to, "");
    })?;
    ssc.start()?;
    ssc.await_termination()
}

fn text(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

/// What a program has written: all lines, sorted, and the newest totals, sorted.
#[derive(PartialEq, Eq)]
struct Written {
    lines: Vec<String>,
    totals: Vec<String>,
}

impl Written {
    fn by(program: &Program) -> Written {
        let out = program.dir.join("out");
        let mut lines: Vec<String> = process::folders(&out, "lines-").iter().flat_map(|f| read(f)).collect();
        let mut totals = process::folders(&out, "totals-").last().map(|f| read(f)).unwrap_or_default();
        lines.sort();
        totals.sort();
        Written { lines, totals }
    }

    /// Where this is not what an undisturbed program has written.
    fn check(&self, undisturbed: &Written, program: &Program) {
        let set = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
        let (found, expected) = (set(&self.lines), set(&undisturbed.lines));
        let lost: Vec<_> = expected.difference(&found).take(5).collect();
        let foreign: Vec<_> = found.difference(&expected).take(5).collect();
        assert!(
            *self == *undisturbed,
            "{} lines, expected {}; lost: {lost:?}, foreign: {foreign:?}\ntotals {:?}\nexpected {:?}\n{}",
            self.lines.len(),
            undisturbed.lines.len(),
            self.totals,
            undisturbed.totals,
            program.log()
        );
    }
}

/// The lines of an output.
fn read(folder: &Path) -> Vec<String> {
    let parts = fs::read_dir(folder).into_iter().flatten().flatten();
    let text = parts.map(|part| fs::read_to_string(part.path()).unwrap_or_else(|error| panic!("{error}")));
    text.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Puts a file into a folder in one step.
fn put(folder: &Path, name: &str, text: &str) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, text)
        .and_then(|()| fs::rename(&hidden, folder.join(name)))
        .unwrap_or_else(|e| panic!("{name}: {e}"));
}

#[test]
fn every_line_of_every_file_is_written_once() {
    let run = |kills: u64| {
        let mut program = Program::new("files");
        let input = program.dir.join("input");
        fs::create_dir_all(&input).unwrap_or_else(|error| panic!("{error}"));
        let mut lines = 0;
        program.start();
        for round in 0..process::kills() {
            let text: Vec<_> =
                (0..5).map(|n| format!("line {n} of file {round} and {}\n", round % 7)).collect();
            put(&input, &format!("file{round:04}"), &text.concat());
            lines += text.len();
            if round < kills {
                program.kill();
            }
        }
        program.wait_until(|program| Written::by(program).lines.len() >= lines);
        // What is done is not done again.
        program.stop();
        program.start();
        program.wait_for_batches(3);
        program.stop();
        (Written::by(&program), program)
    };
    let (undisturbed, _) = run(0);
    let (written, program) = run(process::kills());
    written.check(&undisturbed, &program);
    program.report("lines", written.lines.len());
}
