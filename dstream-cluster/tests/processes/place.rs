//! The example as a process of its own, or as several, and the folder that they work on.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) type Counts = BTreeMap<String, u64>;

/// A folder with the input, the checkpoint and the outputs.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    pub(crate) expected: Counts,
    files: usize,
}

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        Place { folder, expected: Counts::new(), files: 0 }
    }

    /// Another file of words.
    pub(crate) fn add(&mut self, words: usize) {
        let words: Vec<_> = (0..words).map(|n| format!("w{}", (n * n + self.files * 7) % 101)).collect();
        words.iter().for_each(|word| *self.expected.entry(word.clone()).or_default() += 1);
        let written = self.folder.path().join("writing");
        fs::write(&written, words.join("\n")).unwrap();
        fs::rename(written, self.folder.path().join(format!("in/{}.txt", self.files))).unwrap();
        self.files += 1;
    }

    pub(crate) fn arguments(&self) -> [PathBuf; 3] {
        ["in", "checkpoint", "out/totals"].map(|name| self.folder.path().join(name))
    }

    /// The totals of the newest batch.
    pub(crate) fn totals(&self) -> Counts {
        let folders = fs::read_dir(self.folder.path().join("out")).into_iter().flatten().flatten();
        let whole = folders.map(|folder| folder.path()).filter(|folder| folder.join("_SUCCESS").exists());
        let Some(newest) = whole.max_by_key(|path| path.file_name().map(ToOwned::to_owned)) else {
            return Counts::new();
        };
        let parts = fs::read_dir(newest).unwrap().flatten().map(|part| part.path());
        let parts = parts.filter(|part| {
            part.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"part-"))
        });
        let mut totals = Counts::new();
        for line in parts.flat_map(|part| read_lines(&part)) {
            let (word, n) = line.trim_matches(['(', ')']).rsplit_once(',').unwrap();
            let before = totals.insert(word.trim_matches('"').to_owned(), n.trim().parse().unwrap());
            assert_eq!(before, None, "`{word}` has two owners");
        }
        totals
    }

    #[track_caller]
    pub(crate) fn wait_for_all(&self, launched: &Launched) {
        let deadline = Instant::now() + LONG;
        while self.totals() != self.expected {
            assert!(
                Instant::now() < deadline,
                "{:?} of {:?}\n{}",
                self.totals(),
                self.expected,
                launched.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn read_lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

pub(crate) fn example() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join("../examples/cluster_word_count")
}

/// `dstream-launch`, or one process alone.
pub(crate) struct Launched {
    pub(crate) process: Child,
    log: tempfile::NamedTempFile,
}

impl Launched {
    pub(crate) fn spawn(command: &mut Command) -> Launched {
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = command
            .stdin(Stdio::null())
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Launched { process, log }
    }

    pub(crate) fn launch(place: &Place, processes: usize, timeout: &str) -> Launched {
        Launched::spawn(
            Command::new(env!("CARGO_BIN_EXE_dstream-launch"))
                .args(["-n", &processes.to_string(), "--restarts", "1000", "--"])
                .arg(example())
                .args(place.arguments())
                .env("DSTREAM_TIMEOUT", timeout),
        )
    }

    /// One process of several, without the launcher.
    pub(crate) fn one(place: &Place, hosts: &str, index: usize, secret: &str) -> Launched {
        Launched::spawn(
            Command::new(example())
                .args(place.arguments())
                .env("DSTREAM_HOSTS", hosts)
                .env("DSTREAM_INDEX", index.to_string())
                .env("DSTREAM_SECRET", secret),
        )
    }

    pub(crate) fn log(&self) -> String {
        let mut log = String::new();
        self.log.reopen().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + LONG;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "`{text}` is not in {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The processes of the program.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let children =
            fs::read_dir(format!("/proc/{}/task", self.process.id())).into_iter().flatten().flatten();
        let mut pids: Vec<u32> = children
            .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
            .flat_map(|pids| pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect();
        pids.sort_unstable();
        pids
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) {
        signal(self.process.id(), "TERM");
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        for pid in self.pids() {
            signal(pid, "KILL");
        }
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A process that has ended already is no failure of the test.
pub(crate) fn signal(pid: u32, signal: &str) {
    let mut kill = Command::new("kill");
    drop(kill.args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status());
}

pub(crate) fn hosts(n: usize) -> String {
    let listeners: Vec<_> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
    addresses.join(",")
}
