//! A server that speaks S3, in a process of its own. It keeps its objects in memory.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Server {
    process: Child,
    port: u16,
}

/// What programs find in their environment.
pub(crate) type Environment = Vec<(&'static str, String)>;

impl Server {
    /// Starts an empty server with the bucket `bucket`. Where none can be installed, says so and returns
    /// `None`: the test is skipped.
    pub(crate) fn start() -> Option<Server> {
        Server::with("/bucket", &[], " 200 ")
    }

    /// Starts one that knows no credentials, and so refuses all.
    pub(crate) fn start_strict() -> Option<Server> {
        Server::with("/bucket", &[("INITIAL_NO_AUTH_ACTION_COUNT", "0")], "HTTP/1.1 ")
    }

    fn with(path: &str, variables: &[(&str, &str)], ready: &str) -> Option<Server> {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/moto");
        std::fs::create_dir_all(cache.parent()?).ok()?;
        // One test installs, the others wait.
        let lock = File::create(cache.with_extension("lock")).ok()?;
        lock.lock().ok()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install.sh");
        let installed = Command::new("bash").arg(script).arg(&cache).output().ok()?;
        drop(lock);
        if !installed.status.success() {
            let why = String::from_utf8_lossy(&installed.stderr).into_owned();
            say(&format!("SKIPPED: moto, a server that speaks S3, can't be installed here: {why}"));
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let process = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .env("PYTHONPATH", &cache)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let server = Server { process, port };
        let begun = Instant::now();
        while !server.put(path).is_ok_and(|answer| answer.contains(ready)) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not answer");
        }
        Some(server)
    }

    fn put(&self, path: &str) -> io::Result<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        let header = "Host: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n";
        write!(connection, "PUT {path} HTTP/1.1\r\n{header}\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub(crate) fn environment(&self) -> Environment {
        vec![
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
        ]
    }

    /// The bucket, for a test to look into.
    pub(crate) fn bucket(&self) -> object_store::aws::AmazonS3 {
        object_store::aws::AmazonS3Builder::new()
            .with_endpoint(format!("http://127.0.0.1:{}", self.port))
            .with_allow_http(true)
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .with_bucket_name("bucket")
            .build()
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not tested")]
fn say(text: &str) {
    eprintln!("{text}");
}
