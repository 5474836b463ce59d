//! The program is killed a hundred times, at any moment: every line counts once, in the sink and in the
//! state.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use dstream_outside::ledger;

/// A small generator of numbers: the same run each time, but for when the system lets the program run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

struct Program {
    process: Child,
    events: BufReader<ChildStdout>,
}

impl Program {
    fn start(folder: &Path) -> Program {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dstream-outside"))
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let events = BufReader::new(process.stdout.take().unwrap());
        Program { process, events }
    }

    /// Waits for the next event; its name.
    fn event(&mut self) -> String {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the program has ended: {:?}", self.process.wait());
        line.trim().to_owned()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn append(folder: &Path, dice: &mut Dice, produced: &mut BTreeMap<String, u64>) {
    for journal in 0..3 {
        let path = folder.join("journals").join(format!("journal-{journal}"));
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        let mut text = String::new();
        for _ in 0..dice.below(20) {
            let words = [format!("word{}", dice.below(50)), format!("from{journal}")];
            text += &format!("{}\n", words.join(" "));
            words.into_iter().for_each(|word| *produced.entry(word).or_default() += 1);
        }
        file.write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn every_line_counts_once_through_a_hundred_kills() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("journals")).unwrap();
    let mut dice = Dice(7);
    let mut produced = BTreeMap::new();
    for _ in 0..100 {
        let mut program = Program::start(folder.path());
        for _ in 0..dice.below(60) {
            if program.event().starts_with("BatchStarted") {
                append(folder.path(), &mut dice, &mut produced);
            }
        }
        program.kill();
    }
    let mut program = Program::start(folder.path());
    let (batches, running) = (folder.path().join("batches"), folder.path().join("running"));
    let sum = |rows: &BTreeMap<String, u64>| rows.values().sum::<u64>();
    // Until all of it is there, or for a thousand batches.
    let mut left = 1_000;
    while left > 0 && sum(&ledger::totals(&batches)) < sum(&produced) {
        left -= u32::from(program.event().starts_with("BatchCompleted"));
    }
    // One more batch: what counts twice would follow.
    while !program.event().starts_with("BatchCompleted") {}
    program.kill();
    assert_eq!(ledger::totals(&batches), produced);
    assert_eq!(ledger::batches(&running).last(), Some(&produced));
}
