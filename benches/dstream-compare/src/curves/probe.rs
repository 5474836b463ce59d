//! What needs a process of its own, so that nothing else is in its times and its memory: run as
//! `dstream-compare probe ..`.

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    net::TcpListener,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Subcommand;
use cpu_time::ProcessTime;
use dstream::prelude::*;

use super::growth::numbered;
use crate::{
    data::{Words, texts},
    ours::Ours,
    stats::Spread,
    workload::{Runner, Workload},
};

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Probe {
    /// Runs until the first batch has been printed
    FirstBatch,
    /// Waits on a silent socket at an interval of a second, and prints its share of a core
    Idle { seconds: u64 },
    /// A batch of 1,000 records each millisecond through a socket: prints the latencies
    Latency { seconds: u64 },
    /// A running count of so many words: prints the bytes a key
    Memory { keys: u64 },
    /// So many small batches through a state and a window: prints the resident memory ten times
    Flat { batches: usize },
}

/// Runs a probe in a process of its own: its figures, and how long it took to the first of them.
pub(super) fn ask(arguments: &[&str]) -> anyhow::Result<(Vec<f64>, Duration)> {
    let began = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .arg("probe")
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .context("can't run a probe")?;
    let mut figures = Vec::new();
    let mut first = Duration::ZERO;
    for line in io::BufReader::new(child.stdout.take().context("no output")?).lines() {
        if figures.is_empty() {
            first = began.elapsed();
        }
        figures.push(line?.trim().parse()?);
    }
    anyhow::ensure!(child.wait()?.success(), "the probe {arguments:?} failed");
    Ok((figures, first))
}

pub(crate) fn run(probe: Probe) -> anyhow::Result<()> {
    match probe {
        Probe::FirstBatch => first_batch(),
        Probe::Idle { seconds } => idle(seconds),
        Probe::Latency { seconds } => latency(seconds),
        Probe::Memory { keys } => memory(keys),
        Probe::Flat { batches } => flat(batches),
    }
}

fn first_batch() -> anyhow::Result<()> {
    let (send, first) = mpsc::channel();
    let ssc = dstream::stream!(batch = 1ms, {
        queue_stream(vec![vec![1u64]]).count().foreach_rdd(|rdd| {
            let _ = send.send(rdd.count());
        });
    })?;
    ssc.start()?;
    println!("{}", first.recv()?);
    Ok(())
}

fn idle(seconds: u64) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let ssc = dstream::stream!(batch = 1s, {
        let words = socket_text_stream("127.0.0.1", port).flat_map(|line| line.split(' '));
        words.count_by_value().foreach_rdd(|rdd| drop(rdd));
    })?;
    ssc.start()?;
    let _silent = listener.accept()?;
    let cpu = ProcessTime::now();
    ssc.await_termination_or_timeout(Duration::from_secs(seconds))?;
    println!("{}", cpu.elapsed().as_secs_f64() / seconds as f64);
    Ok(())
}

/// Each millisecond a thousand lines are written, of which the last has the time of the write.
fn latency(seconds: u64) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let began = Instant::now();
    let found = Arc::new(Mutex::new((Vec::new(), 0u64)));
    let out = found.clone();
    let ssc = dstream::stream!(batch = 1ms, {
        let lines = socket_text_stream("127.0.0.1", port);
        let times = lines
            .map(|line| line.parse::<u64>().unwrap_or(0))
            .map(|time| (time, 1u64))
            .reduce_by_key(|a, b| a + b);
        times.foreach_rdd(|rdd| {
            let now = began.elapsed().as_nanos() as u64;
            let mut found = out.lock().unwrap_or_else(PoisonError::into_inner);
            for (time, n) in rdd.iter() {
                found.1 += n;
                if *time > 0 {
                    found.0.push((now - time) as f64 / 1e6);
                }
            }
        });
    })?;
    ssc.start()?;
    let (mut socket, _) = listener.accept()?;
    socket.set_nodelay(true)?;
    let mut written = 0;
    let start = Instant::now();
    while start.elapsed().as_secs() < seconds {
        let mut lines = "0\n".repeat(999);
        lines += &format!("{}\n", began.elapsed().as_nanos());
        socket.write_all(lines.as_bytes())?;
        written += 1_000;
        thread::sleep(
            (start + Duration::from_millis(written / 1_000)).saturating_duration_since(Instant::now()),
        );
    }
    ssc.stop_gracefully();
    let (mut latencies, arrived): (Vec<f64>, u64) =
        std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    anyhow::ensure!(arrived == written, "{written} lines were written, {arrived} arrived");
    // If batches pile up, the end is later than the whole.
    let end = latencies.split_off(latencies.len() * 5 / 6);
    let late = percentile(end.clone(), 0.99);
    latencies.extend(end);
    for figure in [
        percentile(latencies.clone(), 0.5),
        percentile(latencies.clone(), 0.99),
        percentile(latencies, 1.0),
        late,
    ] {
        println!("{figure}");
    }
    Ok(())
}

fn percentile(mut figures: Vec<f64>, share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get((figures.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

fn memory(keys: u64) -> anyhow::Result<()> {
    const BATCHES: u64 = 20;
    let each = keys / BATCHES;
    // A batch is made when it is its turn, and dropped behind it.
    let begin = resident()?;
    let mut runner = Ours::over(Workload::W3UpdateReduced, vec![numbered(0..10)], 10, false)?;
    runner.run(1)?;
    drop(runner);
    let mut runner = Ours::made(Workload::W3UpdateReduced, move |batch| {
        if batch < BATCHES { numbered(batch * each..(batch + 1) * each) } else { Vec::new() }
    })?;
    let counted = runner.run(BATCHES as usize + 1)?.counts;
    anyhow::ensure!(counted == [each * BATCHES], "{counted:?} keys in place of {keys}");
    println!("{}", (resident()? - begin) / keys as f64);
    Ok(())
}

fn flat(batches: usize) -> anyhow::Result<()> {
    let texts = texts(&Words::uniform(1_000), 16, 100, 10);
    let mut runner = Ours::over(Workload::W7, texts.to_vec(), 10, false)?;
    runner.run(1_000)?;
    for _ in 0..10 {
        runner.run(batches / 10)?;
        println!("{}", resident()?);
    }
    Ok(())
}

/// Bytes of memory that the process has.
fn resident() -> anyhow::Result<f64> {
    let status =
        fs::read_to_string("/proc/self/status").context("only Linux says how much memory a process has")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? * 1024.0)
}

/// The middle of a figure of several processes.
pub(super) fn median_of(n: usize, mut figure: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    Ok(Spread::of((0..n).map(|_| figure()).collect::<anyhow::Result<Vec<f64>>>()?).median)
}
