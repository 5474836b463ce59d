//! A program that is started, killed, and started again.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);
const ASKED: &str = "DSTREAM_CRASH_PROGRAM";

/// The folder and the kind of program, in the process that is to be one.
pub(crate) fn asked() -> Option<(PathBuf, String)> {
    let asked = env::var(ASKED).ok()?;
    let (kind, dir) = asked.split_once(' ')?;
    Some((dir.into(), kind.to_owned()))
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// How often each program is killed.
pub(crate) fn kills() -> u64 {
    number("DSTREAM_KILLS", 100)
}

/// The folders of whole outputs, in the order of their batches.
pub(crate) fn folders(out: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(out).into_iter().flatten().flatten();
    let mut folders: Vec<_> =
        entries.filter(|f| f.file_name().to_string_lossy().starts_with(prefix)).map(|f| f.path()).collect();
    folders.retain(|folder| folder.join("_SUCCESS").exists());
    folders.sort();
    folders
}

/// The moment of a kill.
#[derive(Clone, Copy)]
enum Moment {
    /// While the program starts.
    Early(Duration),
    /// When a checkpoint is being written, after this time.
    Writing(Duration),
    /// Whenever.
    After(Duration),
}

pub(crate) struct Program {
    pub(crate) dir: PathBuf,
    kind: String,
    seed: u64,
    random: u64,
    began: Instant,
    life: Option<Life>,
    /// How often it was killed, of these while it started, and while it wrote a checkpoint.
    killed: [u64; 3],
    _dir: tempfile::TempDir,
}

struct Life {
    child: Child,
    /// Ends with the process.
    ended: Receiver<()>,
}

impl Program {
    pub(crate) fn new(kind: &str) -> Program {
        let dir = super::folder();
        let seed = number("DSTREAM_SEED", 0x9e37_79b9_7f4a_7c15).max(1);
        fs::create_dir_all(dir.path().join("out")).unwrap_or_else(|error| panic!("{error}"));
        Program {
            dir: dir.path().to_owned(),
            kind: kind.to_owned(),
            seed,
            random: seed,
            began: Instant::now(),
            life: None,
            killed: [0; 3],
            _dir: dir,
        }
    }

    pub(crate) fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.dir.join("log"));
        let mut child = Command::new(env::current_exe().unwrap_or_default())
            .args(["program", "--exact", "--ignored", "--nocapture"])
            .env(ASKED, format!("{} {}", self.kind, self.dir.display()))
            .stdout(Stdio::piped())
            .stderr(log.map_or_else(|_| Stdio::null(), Stdio::from))
            .spawn()
            .unwrap_or_else(|error| panic!("the program can't be started: {error}"));
        let (end, ended) = mpsc::channel();
        let stdout = child.stdout.take();
        thread::spawn(move || {
            let _end = end;
            stdout.map(|mut stdout| stdout.read_to_end(&mut Vec::new()))
        });
        self.life = Some(Life { child, ended });
    }

    /// Lets it live for a time; it must not end by itself.
    fn live(&self, time: Duration) {
        if let Some(life) = &self.life
            && life.ended.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
        {
            panic!("seed {}: the program has ended by itself:\n{}", self.seed, self.log());
        }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }

    /// Kills it at a random moment, and starts it again.
    pub(crate) fn kill(&mut self) {
        let millis = |n| Duration::from_millis(n);
        let moment = match self.below(4) {
            0 => Moment::Early(millis(self.below(40))),
            1 => Moment::Writing(millis(self.below(200))),
            _ => Moment::After(millis(self.below(400))),
        };
        self.killed[0] += 1;
        match moment {
            Moment::Early(time) => {
                self.killed[1] += 1;
                self.live(time);
            }
            Moment::After(time) => self.live(time),
            Moment::Writing(time) => {
                self.live(time);
                let deadline = Instant::now() + millis(300);
                while Instant::now() < deadline {
                    if self.is_writing() {
                        self.killed[2] += 1;
                        break;
                    }
                }
            }
        }
        if let Some(mut life) = self.life.take() {
            life.child.kill().and_then(|()| life.child.wait()).unwrap_or_else(|error| panic!("{error}"));
        }
        self.start();
    }

    fn is_writing(&self) -> bool {
        let files = fs::read_dir(self.dir.join("checkpoint")).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with(".tmp-"))
    }

    /// Stops it as Ctrl-C does, once it runs: before, a signal is the end at once.
    pub(crate) fn stop(&mut self) {
        self.wait_for_batches(1);
        let Some(mut life) = self.life.take() else { return };
        let asked = Command::new("kill").args(["-TERM", &life.child.id().to_string()]).status();
        let ended = asked.and_then(|_| life.child.wait());
        assert!(ended.as_ref().is_ok_and(|status| status.success()), "{ended:?}\n{}", self.log());
    }

    pub(crate) fn wait_until(&self, done: impl Fn(&Program) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "seed {}: it has not come to its end:\n{}",
                self.seed,
                self.log()
            );
            self.live(Duration::from_millis(20));
        }
    }

    /// Waits until so many batches have run that were not there before.
    pub(crate) fn wait_for_batches(&self, batches: usize) {
        let batch = |program: &Program| folders(&program.dir.join("out"), "totals-").len();
        let before = batch(self);
        self.wait_until(|program| batch(program) >= before + batches);
    }

    /// The end of what it has logged.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// Says how it went, for people.
    pub(crate) fn report(&self, what: &str, count: usize) {
        let [killed, early, writing] = self.killed;
        tracing_subscriber::fmt().with_test_writer().try_init().unwrap_or(());
        tracing::info!(
            "{}: seed {}, killed {killed} times, {early} of them while it started and {writing} while it \
             wrote a checkpoint, in {:?}; {count} {what}, none lost, none twice",
            self.kind,
            self.seed,
            self.began.elapsed()
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut life) = self.life.take() {
            // A test has failed: nothing may outlive it.
            let _ = life.child.kill().and_then(|()| life.child.wait());
        }
    }
}
