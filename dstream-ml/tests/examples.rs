//! The two examples, run as a user runs them, with files that arrive while they run.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// A running example. It is killed with the test.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn start(example: &str, args: &[&str]) -> Running {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "dstream", "--features", "ml", "--example", example])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{example} can't be built");
    let here = std::env::current_exe().expect("a path");
    let mut child = Command::new(here.with_file_name("../examples").join(example))
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{example}: {error}"));
    let stdout = child.stdout.take().expect("a pipe");
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|l| send.send(l))
    });
    Running { child, lines }
}

fn put(folder: &Path, name: &str, text: &str) {
    let hidden = folder.join(format!(".{name}"));
    fs::write(&hidden, text)
        .and_then(|()| fs::rename(&hidden, folder.join(name)))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// Puts files into both folders until what is printed satisfies `done`, which sees it line by line.
fn feed(
    running: &Running,
    (train, points): (&Path, &str),
    (test, probes): (&Path, &str),
    mut done: impl FnMut(&str) -> bool,
) {
    let deadline = Instant::now() + Duration::from_secs(60);
    for n in 0.. {
        assert!(Instant::now() < deadline, "what was expected is not printed");
        put(train, &format!("{n}.txt"), points);
        put(test, &format!("{n}.txt"), probes);
        while let Ok(line) = running.lines.recv_timeout(Duration::from_millis(500)) {
            if done(&line) {
                return;
            }
        }
    }
}

#[test]
fn streaming_kmeans() {
    let dir = tempfile::tempdir().expect("a folder");
    let (train, test) = (dir.path().join("train"), dir.path().join("test"));
    fs::create_dir(&train).and_then(|()| fs::create_dir(&test)).expect("folders");
    let running =
        start("streaming_kmeans", &[&train.to_string_lossy(), &test.to_string_lossy(), "1", "2", "2"]);
    let points = "[0.0,0.1]\n[0.2,0.0]\nno point\n[1.0]\n[-0.1,0.0]\n[9.0,9.1]\n[9.2,9.0]\n[8.9,9.0]\n";
    let (mut near, mut far) = (None, None);
    feed(&running, (&train, points), (&test, "(1,[0.1,0.1])\n(2,[9.0,9.0])\n"), |line| {
        let cluster = |label: &str| Some(line.strip_prefix(label)?.strip_suffix(')')?.to_owned());
        near = cluster("(1.0, ").or(near.take());
        far = cluster("(2.0, ").or(far.take());
        near.is_some() && far.is_some() && near != far
    });
}

#[test]
fn streaming_linear_regression() {
    let dir = tempfile::tempdir().expect("a folder");
    let (train, test) = (dir.path().join("train"), dir.path().join("test"));
    fs::create_dir(&train).and_then(|()| fs::create_dir(&test)).expect("folders");
    let running = start("streaming_linear_regression", &[&train.to_string_lossy(), &test.to_string_lossy()]);
    let points = "(2.0,[1.0,0.0,0.0])\n(-1.0,[0.0,1.0,0.0])\n(3.0,[0.0,0.0,1.0])\n(4.0,[1.0,1.0,1.0])\n";
    feed(&running, (&train, points), (&test, "(5.0,[1.0,0.0,1.0])\n"), |line| {
        let found = line.strip_prefix("(5.0, ").and_then(|rest| rest.strip_suffix(')'));
        found.and_then(|found| found.parse::<f64>().ok()).is_some_and(|found| (found - 5.0).abs() < 0.5)
    });
}
