//! What plays an agent of Flume: programs around the libraries that agents have, and others.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

#[derive(Clone, Copy)]
pub(crate) enum Peer {
    Java,
    Python,
    Node,
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/flume")
}

/// Which there are, installed once.
fn installed() -> &'static str {
    static INSTALLED: OnceLock<String> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/install.sh");
        let _ = std::fs::create_dir_all(cache());
        // Of several processes one installs, the others wait.
        let lock = File::create(cache().join("lock")).and_then(|file| file.lock().map(|()| file));
        let output = lock.and_then(|_lock| Command::new("bash").arg(script).arg(cache()).output());
        let output = output.unwrap_or_else(|error| panic!("bash is needed: {error}"));
        if !output.status.success() {
            say(&format!("agents can't be installed here: {}", String::from_utf8_lossy(&output.stderr)));
        }
        String::from_utf8_lossy(&output.stdout).into_owned()
    })
}

/// A client in a process of its own. Where there is none, says so and returns `None`: the test is skipped.
pub(crate) fn start(peer: Peer, arguments: &[&str]) -> Option<Client> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flume");
    let (name, mut command) = match peer {
        Peer::Java => ("java", Command::new("java")),
        Peer::Python => ("python", Command::new("python3")),
        Peer::Node => ("node", Command::new("node")),
    };
    if !installed().lines().any(|line| line == name) {
        say(&format!("SKIPPED: the client in {name} can't be installed here"));
        return None;
    }
    match peer {
        Peer::Java => {
            let jars = cache().join("java/*");
            command.arg("-Xmx512m").arg("-cp").arg(jars).arg(own.join("Agent.java"))
        }
        Peer::Python => command.env("PYTHONPATH", cache().join("python")).arg(own.join("agent.py")),
        Peer::Node => command.env("NODE_PATH", cache().join("node/node_modules")).arg(own.join("agent.js")),
    };
    let child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    Some(Client(Some(child.unwrap_or_else(|error| panic!("{name}: {error}")))))
}

/// It does not outlive its test, which may fail.
pub(crate) struct Client(Option<Child>);

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Waits for its end, which must be a good one; returns what it has printed.
pub(crate) fn finish(mut client: Client) -> String {
    let child = client.0.take().unwrap_or_else(|| panic!("it has been finished"));
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests must see what was not tested")]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}
