//! A program in a process of its own, which tests kill with SIGKILL and start again. It saves each batch into
//! a folder, once, by a checkpoint. Tests of other connectors use it, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const DIR: &str = "DSTREAM_PUSHED_DIR";
const ADDRESS: &str = "DSTREAM_PUSHED_ADDRESS";
const LIMIT: Duration = Duration::from_secs(120);

/// In the process that is to be the program: its folder, and the address of its source.
pub(crate) fn asked() -> Option<(PathBuf, String)> {
    Some((env::var_os(DIR)?.into(), env::var(ADDRESS).ok()?))
}

/// Where the program saves its batches to.
pub(crate) fn output(dir: &Path) -> PathBuf {
    dir.join("out/batch")
}

pub(crate) struct Program {
    folder: tempfile::TempDir,
    /// The same over all restarts: the log knows a receiver by it.
    pub(crate) address: String,
    process: Option<Child>,
    /// The batches that have been read, and what is in them.
    read: BTreeSet<PathBuf>,
    saved: BTreeMap<String, u32>,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.unwrap_or_else(|error| panic!("no port: {error}")).port()
}

impl Program {
    /// With a source at this address, which is not started yet.
    pub(crate) fn new(address: impl Into<String>) -> Program {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let (read, saved) = (BTreeSet::new(), BTreeMap::new());
        Program { folder, address: address.into(), process: None, read, saved }
    }

    /// Starts the test `program` of this binary.
    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let process = Command::new(env::current_exe().unwrap())
            .args(["program", "--exact", "--ignored", "--nocapture"])
            .env(DIR, self.folder.path())
            .env(ADDRESS, &self.address)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            assert_eq!(process.try_wait().unwrap(), None, "it has ended by itself: {}", self.log());
            process.kill().and_then(|()| process.wait()).unwrap();
        }
    }

    /// SIGTERM, on which it ends by itself.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        let told = Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        let ended = process.wait().unwrap();
        assert!(told.success() && ended.success(), "{ended}: {}", self.log());
    }

    /// What is in the batches that are saved as a whole: the records, and how often each is there.
    pub(crate) fn saved(&mut self) -> &BTreeMap<String, u32> {
        let folders = fs::read_dir(self.folder.path().join("out")).into_iter().flatten().flatten();
        for folder in folders {
            // While it is written it has another name.
            let named = folder.file_name().to_string_lossy().starts_with("batch-");
            let folder = folder.path();
            if named
                && !self.read.contains(&folder)
                && let Some(lines) = whole(&folder)
            {
                for line in lines {
                    *self.saved.entry(line).or_default() += 1;
                }
                self.read.insert(folder);
            }
        }
        &self.saved
    }

    /// Waits until so many different records are saved.
    pub(crate) fn wait_for(&mut self, records: usize) -> BTreeMap<String, u32> {
        let begun = Instant::now();
        let mut found = 0;
        while found < records {
            assert!(begun.elapsed() < LIMIT, "{found} records, expected {records}: {}", self.log());
            // It needs the processor itself.
            std::thread::sleep(Duration::from_millis(5));
            found = self.saved().len();
        }
        self.saved.clone()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// The lines of a batch that is saved as a whole. When a batch runs again, its folder is replaced by one that
/// is alike; `None` if that happens meanwhile.
fn whole(folder: &Path) -> Option<Vec<String>> {
    let changed = || fs::metadata(folder).and_then(|folder| folder.modified()).ok();
    let before = changed().filter(|_| folder.join("_SUCCESS").exists())?;
    let mut lines = Vec::new();
    for part in fs::read_dir(folder).ok()?.flatten() {
        lines.extend(fs::read_to_string(part.path()).ok()?.lines().map(str::to_owned));
    }
    (changed() == Some(before)).then_some(lines)
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill().and_then(|()| process.wait());
        }
    }
}
