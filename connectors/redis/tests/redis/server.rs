//! A real server in a process of its own, which tests start, kill and start again.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use redis::Connection;

pub(crate) struct Server {
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Starts an empty server. Where none can be installed, says so and returns `None`: the test is skipped.
    pub(crate) fn start() -> Option<Server> {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/redis");
        std::fs::create_dir_all(cache.parent()?).ok()?;
        // One test installs, the others wait.
        let lock = File::create(cache.with_extension("lock")).ok()?;
        lock.lock().ok()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install.sh");
        let installed = Command::new("bash").arg(script).arg(&cache).output().ok()?;
        drop(lock);
        let program = PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim());
        if !installed.status.success() || !program.exists() {
            let why = String::from_utf8_lossy(&installed.stderr).into_owned();
            say(&format!("SKIPPED: Redis can't be installed here: {why}"));
            return None;
        }
        let folder = tempfile::tempdir().ok()?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut server = Server { program, folder, port, process: None };
        server.restart();
        Some(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:secret@127.0.0.1:{}", self.port)
    }

    /// Starts it with the data that it has, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log.txt")).unwrap();
        let process = Command::new(&self.program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--requirepass", "secret"])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            .arg("--dir")
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let begun = std::time::Instant::now();
        let client = redis::Client::open(self.url()).unwrap();
        let answers = || redis::cmd("DBSIZE").query::<i64>(&mut client.get_connection()?);
        while answers().is_err() {
            assert!(begun.elapsed().as_secs() < 60, "the server does not answer");
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        redis::Client::open(self.url()).unwrap().get_connection().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not tested")]
fn say(text: &str) {
    eprintln!("{text}");
}
