//! The network examples with windows, state and recovery: the real programs, against real sockets.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        LazyLock,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before the test fails; a loaded machine is slow, not wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where the examples are. `cargo test` has built them, but `cargo test --test` has not: asking again takes a
/// moment.
static EXAMPLES: LazyLock<PathBuf> = LazyLock::new(|| {
    // target/<profile>/deps/<this test>
    let test = env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--profile", profile, "--target-dir"]).arg(directory.parent().unwrap());
    for kind in ["windowed", "stateful", "recoverable"] {
        build.args(["--example", &format!("{kind}_network_word_count")]);
    }
    assert!(build.status().unwrap().success());
    directory.join("examples")
});

fn example(kind: &str) -> Command {
    let mut command =
        Command::new(EXAMPLES.join(format!("{kind}_network_word_count{}", env::consts::EXE_SUFFIX)));
    command.env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::null());
    command
}

fn listen() -> (TcpListener, String) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    (server, port)
}

fn accept(server: &TcpListener) -> TcpStream {
    server.accept().unwrap().0
}

/// A running program, and the lines that it prints.
struct Program {
    child: Child,
    output: Receiver<String>,
}

impl Program {
    fn start(kind: &str, args: &[&str]) -> Program {
        let mut child = example(kind).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Program { child, output: receiver }
    }

    /// The records of the next batch that is printed, in alphabetical order.
    fn batch(&self) -> Vec<String> {
        let lines = || self.output.recv_timeout(DEADLINE).expect("a line");
        while !lines().starts_with("Time: ") {}
        lines();
        let mut records: Vec<String> =
            std::iter::repeat_with(lines).take_while(|line| !line.is_empty()).collect();
        records.sort();
        records
    }

    /// The next batch that is not like `before`.
    fn after(&self, before: &[String]) -> Vec<String> {
        std::iter::repeat_with(|| self.batch()).find(|batch| batch != before).unwrap()
    }

    fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_word_is_in_every_window_that_reaches_back_to_it() {
    let (server, port) = listen();
    let program = Program::start("windowed", &["127.0.0.1", &port, "4", "2"]);
    let mut netcat = accept(&server);
    netcat.write_all(b"hello hello world\n").unwrap();
    let first = program.after(&[]);
    assert_eq!(first, [r#"("hello", 2)"#, r#"("world", 1)"#]);
    assert_eq!(program.batch(), first, "a window is as long as two slides");
    assert!(program.batch().is_empty());
}

#[test]
fn a_window_that_does_not_fit_the_batches_is_an_error_that_names_it() {
    let run = |window, slide| -> Output {
        example("windowed").args(["localhost", "9", window, slide]).stderr(Stdio::piped()).output().unwrap()
    };
    for (window, slide, value) in [("2.5", "1", "2.5s"), ("2", "0.5", "500ms"), ("2", "0", "0ns")] {
        let output = run(window, slide);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("`reduce_by_key_and_window`") && error.contains(value), "{error}");
    }
    assert_eq!(run("two", "1").status.code(), Some(2));
}

#[test]
fn totals_begin_with_the_initial_ones() {
    let (server, port) = listen();
    let program = Program::start("stateful", &["127.0.0.1", &port]);
    let initial = program.batch();
    assert_eq!(initial, [r#"("hello", 1)"#, r#"("world", 1)"#]);
    accept(&server).write_all(b"hello aaa\n").unwrap();
    assert_eq!(program.after(&initial), [r#"("aaa", 1)"#, r#"("hello", 2)"#, r#"("world", 1)"#]);
}

#[test]
fn totals_go_on_after_a_kill() {
    let (server, port) = listen();
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, output) = (folder.path().join("checkpoint"), folder.path().join("totals"));
    let args = ["127.0.0.1", &port, checkpoint.to_str().unwrap(), output.to_str().unwrap()];

    let mut program = Program::start("recoverable", &args);
    // Open until the end: the killed program has not connected again, so the next client is the new program.
    let mut netcat = accept(&server);
    netcat.write_all(b"hello hello world\n").unwrap();
    // The line of the next batch is written after that of this one is in the checkpoint.
    wait_for(&output, r#"{"hello": 2, "world": 1}"#, 2);
    program.kill();

    let _program = Program::start("recoverable", &args);
    accept(&server).write_all(b"hello\n").unwrap();
    wait_for(&output, r#"{"hello": 3, "world": 1}"#, 1);
}

/// Waits until `times` lines of the file end like this.
fn wait_for(file: &Path, end: &str, times: usize) {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.lines().filter(|line| line.ends_with(end)).count() >= times {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "no {end} in:\n{text}");
        thread::sleep(Duration::from_millis(20));
    }
}
