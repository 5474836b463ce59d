//! Programs whose standard output, or standard error too, is a pipe that nobody reads any more.
#![cfg(unix)]

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use dstream::prelude::*;

const LIMIT: Duration = Duration::from_secs(30);
const ASKED: &str = "DSTREAM_PIPES_PROGRAM";

/// What the tests start: it is this same binary. Ends with status 3 if the context ends with an error.
#[test]
#[ignore = "is started by the other tests"]
fn program() {
    let Ok(kind) = env::var(ASKED) else { return };
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let ended = match &*kind {
        "prints" => prints(),
        _ => logs(),
    };
    // Nothing is printed at the end of this process, as the harness would.
    std::process::exit(if ended.is_ok() { 0 } else { 3 });
}

/// Prints each batch, until nobody reads.
fn prints() -> dstream::Result<()> {
    let ssc = dstream::stream!(batch = 20ms, {
        rate_stream(1000).count().print();
    })?;
    ssc.start()?;
    ssc.await_termination()
}

/// Logs an error in each batch, until it is stopped.
fn logs() -> dstream::Result<()> {
    let ssc = dstream::stream!(batch = 20ms, {
        rate_stream(1000).count().foreach_rdd(|_rdd| Err::<(), _>("no luck"));
    })?;
    ssc.start()?;
    // A failure of a batch is not the end.
    while let Err(failure) = ssc.await_termination() {
        if !matches!(failure, dstream::Error::Job(_)) {
            return Err(failure);
        }
    }
    Ok(())
}

fn start(kind: &str) -> Child {
    Command::new(env::current_exe().unwrap_or_default())
        .args(["program", "--exact", "--ignored", "--nocapture"])
        .env(ASKED, kind)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("the program can't be started: {error}"))
}

/// Waits for the end; one that does not come is an error, and no program is left behind.
fn wait(mut child: Child) -> Option<ExitStatus> {
    let (end, ended) = mpsc::channel();
    let id = child.id();
    thread::spawn(move || end.send(child.wait()));
    let status = ended.recv_timeout(LIMIT).ok().and_then(Result::ok);
    if status.is_none() {
        let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
    }
    status
}

#[test]
fn a_closed_standard_output_ends_a_program_quietly() {
    let mut child = start("prints");
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("Time: ") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    drop(stdout);
    let mut log = String::new();
    let mut stderr = child.stderr.take().unwrap();
    let log = thread::spawn(move || stderr.read_to_string(&mut log).map(|_| log));
    let status = wait(child);
    let log = log.join().unwrap().unwrap();
    assert!(status.is_some_and(|status| status.success()), "{status:?}\n{log}");
    assert!(log.contains("standard output is closed"), "{log}");
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

#[test]
fn a_program_that_can_neither_print_nor_log_ends_at_a_signal() {
    let mut child = start("logs");
    // The first failure is logged: the context runs.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("no luck") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    drop(stderr);
    drop(child.stdout.take());
    // From here on batches fail and can't say so, and neither can the stop.
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(asked.is_ok_and(|status| status.success()));
    let status = wait(child);
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}
