//! The example `network_word_count`: the real program, against real sockets.

use std::{
    env,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{
        LazyLock,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before the test fails; a loaded machine is slow, not wrong.
const DEADLINE: Duration = Duration::from_secs(60);
const RULE: &str = "-------------------------------------------";

#[test]
fn counts_words_once_a_second() {
    let server = listen(0);
    let program = Program::connected_to(port(&server));
    let mut netcat = accept(&server);

    say(&mut netcat, "hello hello world\n");
    assert_eq!(program.counts(), [r#"("hello", 2)"#, r#"("world", 1)"#]);
    assert_eq!(program.batch(), Some(vec![]), "a quiet second has a header and no records");

    say(&mut netcat, "aaa bbb ccc ccc ddd\n");
    assert_eq!(program.counts(), [r#"("aaa", 1)"#, r#"("bbb", 1)"#, r#"("ccc", 2)"#, r#"("ddd", 1)"#]);
}

#[test]
fn waits_for_a_server_that_is_not_there_yet() {
    let port = port(&listen(0));
    let program = Program::connected_to(port);
    program.warns(port, "refused");
    let server = listen(port);
    say(&mut accept(&server), "late\n");
    assert_eq!(program.counts(), [r#"("late", 1)"#]);
}

#[test]
fn reconnects_to_a_server_that_went_away() {
    let server = listen(0);
    let port = port(&server);
    let program = Program::connected_to(port);
    let mut netcat = accept(&server);
    say(&mut netcat, "before\n");
    assert_eq!(program.counts(), [r#"("before", 1)"#]);

    drop((netcat, server));
    program.warns(port, "closed the connection");
    let server = listen(port);
    say(&mut accept(&server), "after\n");
    assert_eq!(program.counts(), [r#"("after", 1)"#]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_when_all_is_counted() {
    let server = listen(0);
    let mut program = Program::connected_to(port(&server));
    let mut netcat = accept(&server);
    // It is up: the interrupt must not meet a program that still starts.
    assert_eq!(program.batch(), Some(vec![]));

    // The last line has no end, as if somebody were typing it. A batch may end before it, so no word stands
    // in both.
    say(&mut netcat, "one two\nthree");
    program.interrupt();
    let mut counts = Vec::new();
    while let Some(records) = program.batch() {
        counts.extend(records);
    }
    counts.sort();
    assert_eq!(counts, [r#"("one", 1)"#, r#"("three", 1)"#, r#"("two", 1)"#]);
    assert_eq!(program.exit_code(), Some(0));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_without_a_server_too() {
    let port = port(&listen(0));
    let mut program = Program::connected_to(port);
    assert_eq!(program.batch(), Some(vec![]));
    program.warns(port, "refused");
    program.interrupt();
    while program.batch().is_some() {}
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn replaces_bytes_that_are_not_utf_8() {
    let server = listen(0);
    let program = Program::connected_to(port(&server));
    accept(&server).write_all(b"caf\xe9 caf\xe9\n").unwrap();
    assert_eq!(program.counts(), ["(\"caf\u{fffd}\", 2)"]);
    program.logs(&["WARN", "not utf-8"]);
}

#[test]
fn demonstrates_itself() {
    let program = Program::start(&[]);
    program.logs(&["localhost 9999"]);
    assert!(program.counts().iter().any(|count| count.starts_with(r#"("hello", "#)));
}

#[test]
fn refuses_arguments_that_make_no_sense() {
    for args in [
        &["localhost", "http"][..],
        &["localhost", "0"],
        &["localhost", "65536"],
        &["localhost"],
        &["localhost", "9999", "more"],
        &["--port", "9999"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("Usage: network_word_count [HOST PORT]"),
            "{args:?}"
        );
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn explains_itself() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: network_word_count [HOST PORT]"));
}

/// A listening socket in netcat's place; 0 is any free port.
fn listen(port: u16) -> TcpListener {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            // A program that another test is just starting still has a copy of the socket that was closed
            // here.
            Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < DEADLINE => {
                thread::yield_now();
            }
            bound => return bound.unwrap(),
        }
    }
}

fn port(server: &TcpListener) -> u16 {
    server.local_addr().unwrap().port()
}

fn accept(server: &TcpListener) -> TcpStream {
    server.accept().unwrap().0
}

/// One write, so that the line comes in one batch.
fn say(netcat: &mut TcpStream, text: &str) {
    netcat.write_all(text.as_bytes()).unwrap();
}

fn run(args: &[&str]) -> Output {
    Command::new(&*BINARY).args(args).stdin(Stdio::null()).output().unwrap()
}

/// The example's binary. `cargo test` has built it, but `cargo test --test` has not: asking again takes a
/// moment.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    // target/<profile>/deps/<this test>
    let test = env::current_exe().unwrap();
    let directory = test.ancestors().nth(2).unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "network_word_count", "--profile", profile, "--target-dir"])
        .arg(directory.parent().unwrap())
        .status()
        .unwrap();
    assert!(built.success());
    directory.join("examples").join(format!("network_word_count{}", env::consts::EXE_SUFFIX))
});

/// The running program, and the lines that it writes.
struct Program {
    child: Child,
    output: Receiver<String>,
    log: Receiver<String>,
}

impl Program {
    fn start(args: &[&str]) -> Program {
        let mut child = Command::new(&*BINARY)
            .args(args)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = lines(child.stdout.take().unwrap());
        let log = lines(child.stderr.take().unwrap());
        Program { child, output, log }
    }

    fn connected_to(port: u16) -> Program {
        Program::start(&["127.0.0.1", &port.to_string()])
    }

    /// The records of the next batch, after a check of the layout around them; `None` at the end of the
    /// output.
    fn batch(&self) -> Option<Vec<String>> {
        let next = || match self.output.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing was printed in {DEADLINE:?}"),
        };
        assert_eq!(next()?, RULE);
        let time = next().unwrap();
        let digits: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(digits, "Time: 0000-00-00 00:00:00");
        assert_eq!(next().unwrap(), RULE);
        let mut records = Vec::new();
        loop {
            let line = next().unwrap();
            if line.is_empty() {
                return Some(records);
            }
            records.push(line);
        }
    }

    /// The records of the next batch that has any, in alphabetical order.
    fn counts(&self) -> Vec<String> {
        loop {
            let mut records = self.batch().expect("the program has ended");
            if !records.is_empty() {
                records.sort();
                return records;
            }
        }
    }

    /// Waits for a warning about the server at `port`, with the reason and the next try.
    fn warns(&self, port: u16, reason: &str) {
        self.logs(&["WARN", &format!("127.0.0.1:{port}"), reason, "next try in "]);
    }

    /// Waits for a line on standard error that holds all of `parts`.
    fn logs(&self, parts: &[&str]) {
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(DEADLINE) {
                Ok(line) if parts.iter().all(|part| line.contains(part)) => return,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line with {parts:?} ({error}) in {seen:#?}"),
            }
        }
    }

    /// Ctrl-C.
    #[cfg(unix)]
    fn interrupt(&self) {
        let sent = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code of a program whose output has ended.
    #[cfg(unix)]
    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines on a thread of its own, so that waiting for one can have a limit.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}
