//! A real server in a process of its own, which tests start, kill and start again.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use postgres::{Client, NoTls};

pub(crate) struct Server {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

/// Runs a program as somebody whom the server accepts: not as root.
fn command(program: &Path) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
    if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        return command;
    }
    Command::new(program)
}

impl Server {
    /// Starts a server with an empty database. Where none can be installed, says so and returns `None`: the
    /// test is skipped.
    pub(crate) fn start() -> Option<Server> {
        // Checking passwords takes long in a program that is built for tests.
        Server::start_with("trust")
    }

    /// The same, with this way to tell who connects.
    pub(crate) fn start_with(auth: &str) -> Option<Server> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../postgres/tests/install.sh");
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
        std::fs::create_dir_all(&cache).ok()?;
        // One test installs, the others wait.
        let lock = File::create(cache.join("postgres.lock")).ok()?;
        lock.lock().ok()?;
        let installed = Command::new("bash").arg(script).output().ok()?;
        drop(lock);
        let programs = PathBuf::from(String::from_utf8_lossy(&installed.stdout).trim());
        if !installed.status.success() || !programs.join("initdb").is_file() {
            let why = String::from_utf8_lossy(&installed.stderr).into_owned();
            say(&format!("SKIPPED: PostgreSQL can't be installed here: {why}"));
            return None;
        }
        let folder = tempfile::tempdir().ok()?;
        let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), everyone).ok()?;
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let mut server = Server { programs, folder, port, process: None };
        let password = server.folder.path().join("password");
        std::fs::write(&password, "secret").ok()?;
        let made = command(&server.programs.join("initdb"))
            .args(["--username=postgres", "--no-sync", "--encoding=UTF8"])
            .arg(format!("--auth={auth}"))
            .arg(format!("--pwfile={}", password.display()))
            .arg(server.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.restart();
        Some(server)
    }

    /// Makes a certificate for 127.0.0.1, and starts the server again with TLS; returns the file of the
    /// certificate, which has signed itself.
    #[allow(dead_code, reason = "other tests use it")]
    pub(crate) fn with_tls(&mut self) -> PathBuf {
        self.run("ALTER SYSTEM SET ssl = on");
        self.kill();
        let certificate = self.data().join("server.crt");
        let made = command(Path::new("openssl"))
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=postgres"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-out"])
            .arg(&certificate)
            .arg("-keyout")
            .arg(self.data().join("server.key"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.restart();
        certificate
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres:secret@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it with the data that it has, and waits until it answers.
    pub(crate) fn restart(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log.txt")).unwrap();
        // What a killed one has left does not keep the next one from starting.
        let process = command(&self.programs.join("postgres"))
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", &format!("unix_socket_directories={}", self.folder.path().display())])
            .args(["-c", "shared_buffers=64MB", "-c", "max_connections=20"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        let begun = std::time::Instant::now();
        while Client::connect(&self.url(), NoTls).is_err() {
            if begun.elapsed().as_secs() > 60 {
                let log = std::fs::read_to_string(self.folder.path().join("log.txt"));
                panic!("the server does not answer: {log:?}");
            }
        }
    }

    /// `kill -9`: of the server, and so of all its connections.
    pub(crate) fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let parent = process.id().to_string();
        let children = Command::new("pgrep").args(["-P", &parent]).output().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        // Those that it leaves end by themselves, but not at once; they hold its shared memory until then.
        for child in String::from_utf8_lossy(&children.stdout).split_whitespace() {
            Command::new("kill").args(["-9", child]).stderr(Stdio::null()).status().unwrap();
            while Path::new("/proc").join(child).join("exe").read_link().is_ok() {}
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.url(), NoTls).unwrap()
    }

    pub(crate) fn run(&self, sql: &str) {
        self.client().batch_execute(sql).unwrap();
    }

    /// The rows of a query, each as text.
    pub(crate) fn rows(&self, sql: &str) -> Vec<String> {
        let rows = self.client().simple_query(sql).unwrap();
        let rows = rows.iter().filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| {
            let cells = (0..row.len()).map(|at| row.get(at).unwrap_or("NULL"));
            cells.collect::<Vec<_>>().join("|")
        })
        .collect()
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
