//! `dstream-launch -n 4 -- ./program args`: one program as several processes on this machine.
//!
//! Each process gets `DSTREAM_HOSTS`, `DSTREAM_INDEX` and `DSTREAM_SECRET`, and listens on loopback. What they
//! print has their number in front. If one of them ends by an error, all are ended and started again; if the
//! program does so at once several times in a row, the launcher gives up. SIGINT and SIGTERM are passed on,
//! and the launcher ends when all processes have.

#![allow(clippy::print_stderr, clippy::print_stdout)]

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

const USAGE: &str = "usage: dstream-launch -n PROCESSES [--restarts N] -- PROGRAM [ARGUMENT ..]

  -n PROCESSES   how many processes of the program to start
  --restarts N   how often a program may fail within ten seconds of its start, in a row, before
                 the launcher gives up (default 5)";

/// How often the processes are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How long the others have to end by themselves when one has failed, which they notice at once, and when one
/// has ended well, as all do in a stop.
const GRACE_FAILED: Duration = Duration::from_secs(3);
const GRACE: Duration = Duration::from_secs(15);

/// A program that fails sooner has not done anything.
const SHORT_LIFE: Duration = Duration::from_secs(10);

struct Arguments {
    processes: usize,
    restarts: u32,
    command: Vec<String>,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let (mut processes, mut restarts) = (None, 5);
        let mut arguments = arguments;
        let number = |name: &str, value: Option<String>| match value {
            Some(value) => value.parse::<u32>().map_err(|_| format!("`{name} {value}`: expected a number")),
            None => Err(format!("`{name}` needs a number behind it")),
        };
        let mut command = Vec::new();
        while let Some(argument) = arguments.next() {
            match &*argument {
                "-n" => processes = Some(number("-n", arguments.next())? as usize),
                "--restarts" => restarts = number("--restarts", arguments.next())?,
                "--" => command.extend(arguments.by_ref()),
                "-h" | "--help" => return Err(String::new()),
                other if other.starts_with('-') => return Err(format!("unknown option `{other}`")),
                _ => {
                    command.push(argument);
                    command.extend(arguments.by_ref());
                }
            }
        }
        match processes {
            None | Some(0) => Err("say how many processes, at least 1: `-n 3`".to_owned()),
            Some(processes @ 1..=1024) if !command.is_empty() => {
                Ok(Arguments { processes, restarts, command })
            }
            Some(1..=1024) => Err("say which program, behind `--`".to_owned()),
            Some(processes) => Err(format!("{processes} processes are too many: at most 1024")),
        }
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) if problem.is_empty() => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("dstream-launch: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match launch(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("dstream-launch: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the program until it ends, and returns its exit code.
fn launch(arguments: &Arguments) -> io::Result<u8> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (signalled, stop) = mpsc::channel();
    thread::spawn(move || signals.forever().all(|_| signalled.send(()).is_ok()));
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let mut life = Life::start(arguments)?;
        let end = life.watch(&stop)?;
        let code = match end {
            End::Stopped(code) => return Ok(code),
            End::Failed { process, status } => {
                eprintln!("dstream-launch: process {process} has ended ({status})");
                status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
            }
        };
        failures = if began.elapsed() < SHORT_LIFE { failures + 1 } else { 1 };
        if failures > arguments.restarts {
            eprintln!("dstream-launch: giving up, since the program has failed {failures} times in a row");
            return Ok(code);
        }
        let delay = Duration::from_millis(50 << failures.min(4));
        eprintln!("dstream-launch: all processes are started again");
        if stop.recv_timeout(delay) != Err(RecvTimeoutError::Timeout) {
            return Ok(code);
        }
    }
}

/// The processes from their start until all have ended.
struct Life {
    running: Vec<Option<Child>>,
    printers: Vec<thread::JoinHandle<()>>,
}

enum End {
    /// All have ended without an error, or as they were told to.
    Stopped(u8),
    Failed {
        process: usize,
        status: ExitStatus,
    },
}

impl Life {
    fn start(arguments: &Arguments) -> io::Result<Life> {
        let hosts = addresses(arguments.processes)?;
        let secret = secret()?;
        let mut life = Life { running: Vec::new(), printers: Vec::new() };
        for index in 0..arguments.processes {
            let mut command = Command::new(&arguments.command[0]);
            command
                .args(&arguments.command[1..])
                .env("DSTREAM_HOSTS", hosts.join(","))
                .env("DSTREAM_INDEX", index.to_string())
                .env("DSTREAM_SECRET", &secret)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                // A Ctrl-C is for the launcher, which passes it on once.
                .process_group(0);
            let mut child = command.spawn().map_err(|error| {
                io::Error::new(error.kind(), format!("`{}` can't be started: {error}", arguments.command[0]))
            })?;
            if let Some(out) = child.stdout.take() {
                life.printers.push(prefixed(index, out, io::stdout));
            }
            if let Some(err) = child.stderr.take() {
                life.printers.push(prefixed(index, err, io::stderr));
            }
            life.running.push(Some(child));
        }
        Ok(life)
    }

    /// Waits until all have ended. When one has, the others have some time to.
    fn watch(&mut self, stop: &Receiver<()>) -> io::Result<End> {
        let mut first: Option<(usize, ExitStatus)> = None;
        let (mut stopped, mut deadline) = (false, None);
        loop {
            let mut fails = false;
            for (process, slot) in self.running.iter_mut().enumerate() {
                let Some(child) = slot else { continue };
                let Some(status) = child.try_wait()? else { continue };
                *slot = None;
                // One whose stop was over before the signal came is ended by it.
                let told = stopped && status.signal() == Some(SIGTERM);
                let failed = !status.success() && !told;
                if failed && first.as_ref().is_none_or(|(_, first)| first.success()) {
                    first = Some((process, status));
                    fails = true;
                }
                if !told {
                    first.get_or_insert((process, status));
                }
                let grace = if failed { GRACE_FAILED } else { GRACE };
                deadline.get_or_insert(Instant::now() + grace);
            }
            if self.running.iter().all(Option::is_none) {
                self.printers.drain(..).for_each(|printer| drop(printer.join()));
                return Ok(match first {
                    Some((process, status)) if !status.success() && !stopped => {
                        End::Failed { process, status }
                    }
                    Some((_, status)) => End::Stopped(exit_code(status)),
                    None => End::Stopped(0),
                });
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.running.iter_mut().flatten().for_each(|child| drop(child.kill()));
            }
            if stop.recv_timeout(LOOK).is_ok() {
                // A second one does not wait.
                let signal = if stopped { Signal::KILL } else { Signal::TERM };
                stopped = true;
                self.signal(signal);
            } else if fails {
                // They notice by themselves, unless they still wait for that one to come.
                self.signal(Signal::TERM);
            }
        }
    }

    fn signal(&self, signal: Signal) {
        for child in self.running.iter().flatten() {
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                // It may have ended just now.
                let _ = kill_process(pid, signal);
            }
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        for child in self.running.iter_mut().flatten() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Free ports of loopback, which are not handed out again soon.
fn addresses(n: usize) -> io::Result<Vec<String>> {
    let listeners = (0..n).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.to_string())).collect()
}

fn secret() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Prints the lines of a process with its number in front of each.
fn prefixed<W: Write>(
    process: usize,
    from: impl Read + Send + 'static,
    to: impl Fn() -> W + Send + 'static,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            let mut whole = format!("[{process}] ").into_bytes();
            whole.append(&mut line);
            // Somebody may have closed it, as `| head` does; the program must not end by that.
            let _ = to().write_all(&whole);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Arguments, String> {
        Arguments::parse(arguments.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_behind_the_dashes_is_the_programs() {
        let arguments = parse("-n 3 -- ./program -n 4").unwrap();
        assert_eq!(
            (arguments.processes, &arguments.command[..]),
            (3, &["./program", "-n", "4"].map(String::from)[..])
        );
        assert_eq!(parse("-n 2 ./program -- x").unwrap().command, ["./program", "--", "x"]);
    }

    #[test]
    fn mistakes_are_said() {
        let problem = |arguments| parse(arguments).err().unwrap();
        assert!(problem("-- ./program").contains("-n 3"));
        assert!(problem("-n 0 -- ./program").contains("at least 1"));
        assert!(problem("-n two -- ./program").contains("expected a number"));
        assert!(problem("-n 2").contains("which program"));
        assert!(problem("--processes 2 -- x").contains("`--processes`"));
    }
}
