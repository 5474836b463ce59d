//! A real broker, mosquitto, in a process of its own, and its own client as the one that sends.

use std::{
    fs::{self, File},
    io::Write,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Broker {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/mosquitto")
}

fn command(program: &str) -> Command {
    let mut command = Command::new(cache().join("usr").join(program));
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu"];
    let libraries = libraries.map(|folder| cache().join(folder).display().to_string());
    command.env("LD_LIBRARY_PATH", libraries.join(":"));
    command
}

impl Broker {
    /// Starts an empty broker. Where none can be had, says so and returns `None`: the test is skipped.
    pub(crate) fn start(port: u16, settings: &str) -> Option<Broker> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install.sh");
        fs::create_dir_all(cache().parent()?).ok()?;
        // One test installs, the others wait.
        let lock = File::create(cache().with_extension("lock")).ok()?;
        lock.lock().ok()?;
        let installed = Command::new("bash").arg(script).arg(cache()).output().ok()?;
        drop(lock);
        if !installed.status.success() {
            let why = String::from_utf8_lossy(&installed.stderr).into_owned();
            say(&format!("SKIPPED: mosquitto can't be had here: {why}"));
            return None;
        }
        let folder = tempfile::tempdir().ok()?;
        let dir = folder.path().display();
        let config = format!(
            "listener {port} 127.0.0.1\nuser root\npersistence true\npersistence_location {dir}/\n\
             log_dest file {dir}/log\nmax_queued_messages 0\n{settings}\n"
        );
        fs::write(folder.path().join("broker.conf"), config).ok()?;
        let mut broker = Broker { folder, port, process: None };
        broker.restart();
        Some(broker)
    }

    /// Starts it with the sessions that it has, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        let mut broker = command("sbin/mosquitto");
        broker.arg("-c").arg(self.folder.path().join("broker.conf")).stdin(Stdio::null());
        self.process = Some(broker.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "the broker does not answer: {log}");
            std::thread::yield_now();
        }
    }

    /// Has it write down its sessions, as it does by itself every half an hour: what it has not written is
    /// lost when it is killed.
    pub(crate) fn save(&self) {
        let file = self.folder.path().join("mosquitto.db");
        let changed = || fs::metadata(&file).and_then(|file| file.modified()).ok();
        let before = changed();
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-USR1", &id]).status().unwrap().success());
        let begun = Instant::now();
        while changed() == before {
            assert!(begun.elapsed() < Duration::from_secs(60), "the broker does not save");
            std::thread::yield_now();
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().and_then(|()| process.wait()).unwrap();
        }
    }
}

/// Sends a message for each line, with more arguments; whether the broker has taken them all.
pub(crate) fn publish(port: u16, topic: &str, arguments: &[&str], lines: &[String]) -> bool {
    let mut client = command("bin/mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-t", topic, "-l"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let written = client.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes());
    client.wait().unwrap().success() && written.is_ok()
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill().and_then(|()| process.wait());
        }
    }
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not tested")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
