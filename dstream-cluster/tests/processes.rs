//! The example as processes of their own, which are killed, stopped and cut off.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

const LONG: Duration = Duration::from_secs(60);

type Counts = BTreeMap<String, u64>;

/// A folder with the input, the checkpoint and the outputs.
struct Place {
    folder: tempfile::TempDir,
    expected: Counts,
    files: usize,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        Place { folder, expected: Counts::new(), files: 0 }
    }

    /// Another file of words.
    fn add(&mut self, words: usize) {
        let words: Vec<_> = (0..words).map(|n| format!("w{}", (n * n + self.files * 7) % 101)).collect();
        words.iter().for_each(|word| *self.expected.entry(word.clone()).or_default() += 1);
        let written = self.folder.path().join("writing");
        fs::write(&written, words.join("\n")).unwrap();
        fs::rename(written, self.folder.path().join(format!("in/{}.txt", self.files))).unwrap();
        self.files += 1;
    }

    fn arguments(&self) -> [PathBuf; 3] {
        ["in", "checkpoint", "out/totals"].map(|name| self.folder.path().join(name))
    }

    /// The totals of the newest batch.
    fn totals(&self) -> Counts {
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
    fn wait_for_all(&self, launched: &Launched) {
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

fn example() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().join("../examples/cluster_word_count")
}

/// `dstream-launch`, or one process alone.
struct Launched {
    process: Child,
    log: tempfile::NamedTempFile,
}

impl Launched {
    fn spawn(command: &mut Command) -> Launched {
        let log = tempfile::NamedTempFile::new().unwrap();
        let process = command
            .stdin(Stdio::null())
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        Launched { process, log }
    }

    fn launch(place: &Place, processes: usize, timeout: &str) -> Launched {
        Launched::spawn(
            Command::new(env!("CARGO_BIN_EXE_dstream-launch"))
                .args(["-n", &processes.to_string(), "--restarts", "1000", "--"])
                .arg(example())
                .args(place.arguments())
                .env("DSTREAM_TIMEOUT", timeout),
        )
    }

    /// One process of several, without the launcher.
    fn one(place: &Place, hosts: &str, index: usize, secret: &str) -> Launched {
        Launched::spawn(
            Command::new(example())
                .args(place.arguments())
                .env("DSTREAM_HOSTS", hosts)
                .env("DSTREAM_INDEX", index.to_string())
                .env("DSTREAM_SECRET", secret),
        )
    }

    fn log(&self) -> String {
        let mut log = String::new();
        self.log.reopen().unwrap().read_to_string(&mut log).unwrap();
        log
    }

    #[track_caller]
    fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + LONG;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "`{text}` is not in {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The processes of the program.
    fn pids(&self) -> Vec<u32> {
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
    fn stop(&mut self) {
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
fn signal(pid: u32, signal: &str) {
    let mut kill = Command::new("kill");
    drop(kill.args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status());
}

fn hosts(n: usize) -> String {
    let listeners: Vec<_> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap().to_string()).collect();
    addresses.join(",")
}

#[test]
fn processes_that_die_cost_nothing_but_time() {
    let mut place = Place::new();
    let mut random = SmallRng::seed_from_u64(7);
    let kills = std::env::var("CLUSTER_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12);
    let mut launched = Launched::launch(&place, 3, "1");
    let mut recoveries = Vec::new();
    for kill in 0..kills {
        place.add(random.random_range(1..2_000));
        if random.random_bool(0.5) {
            place.wait_for_all(&launched);
            place.add(50);
        }
        let pids = launched.pids();
        if !pids.is_empty() {
            // One that hangs is noticed after the timeout.
            let how = if kill % 4 == 3 { "STOP" } else { "KILL" };
            signal(pids[random.random_range(0..pids.len())], how);
        }
        place.add(50);
        let began = Instant::now();
        place.wait_for_all(&launched);
        recoveries.push(began.elapsed());
    }
    recoveries.sort_unstable();
    println!("recovery: median {:?}, longest {:?}", recoveries[recoveries.len() / 2], recoveries.last());
    launched.stop();
    assert_eq!(place.totals(), place.expected);
    // Others go on with it: more processes, and one alone.
    for processes in [4, 1] {
        place.add(700);
        let mut launched = Launched::launch(&place, processes, "10");
        place.wait_for_all(&launched);
        launched.stop();
    }
    place.add(80);
    let alone = Launched::spawn(Command::new(example()).args(place.arguments()));
    place.wait_for_all(&alone);
}

#[test]
fn strangers_are_refused_and_disturb_nobody() {
    let mut place = Place::new();
    place.add(100);
    let hosts = hosts(2);
    let address = hosts.split(',').next().unwrap().to_owned();
    let mut first = Launched::one(&place, &hosts, 0, "open sesame");
    let deadline = Instant::now() + LONG;
    let mut garbage = loop {
        match TcpStream::connect(&address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    // Some say nothing, some say something else.
    let _silent: Vec<_> = (0..20).map(|_| TcpStream::connect(&address).unwrap()).collect();
    garbage.write_all(&[0xA5; 4096]).unwrap();
    first.wait_for_log("is no process of a dstream program");
    let mut stranger = Launched::one(&place, &hosts, 1, "friend");
    first.wait_for_log("has another secret");
    signal(stranger.process.id(), "TERM");
    // It waits for the others, and ends all the same.
    drop(stranger.process.wait());
    let second = Launched::one(&place, &hosts, 1, "open sesame");
    place.wait_for_all(&first);
    // Whoever is told to stop, all do.
    signal(second.process.id(), "TERM");
    assert!(first.process.wait().unwrap().success(), "{}", first.log());
    drop(second);
}

#[test]
fn who_is_missing_is_said_and_a_launcher_gives_up_on_a_program_that_fails() {
    let place = Place::new();
    let hosts = hosts(2);
    let mut first = Launched::one(&place, &hosts, 0, "");
    first.wait_for_log("process 0 waits for process 1 at 127.0.0.1:");
    signal(first.process.id(), "TERM");
    assert!(!first.process.wait().unwrap().success(), "it has not started");

    let mut failing = Launched::spawn(Command::new(env!("CARGO_BIN_EXE_dstream-launch")).args([
        "-n",
        "2",
        "--restarts",
        "2",
        "--",
        "sh",
        "-c",
        "exit 3",
    ]));
    assert_eq!(failing.process.wait().unwrap().code(), Some(3));
    failing.wait_for_log("giving up, since the program has failed 3 times in a row");
}
