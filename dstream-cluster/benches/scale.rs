//! One program as 1, 2 and 4 processes of one thread each, every one on a core of its own while there are
//! some: how long the same files take, and how long a batch takes that has nothing or little in it.
//!
//! `cargo bench -p dstream-cluster`. Ratios of one run are what counts.

#![allow(clippy::print_stdout)]

use std::{
    env, fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use dstream::{
    cluster::Cluster,
    events::{BatchCompleted, Listener},
    prelude::*,
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};

const WORKLOADS: [&str; 3] = ["count words", "keep totals", "join"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Ok(workload) = env::var("SCALE_WORKLOAD") {
        return child(&workload, Path::new(&env::var("SCALE_INPUT")?));
    }
    let input = tempfile::tempdir()?;
    let megabytes: usize = env::var("MEGABYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(128);
    write_words(input.path(), megabytes)?;
    println!("| | 1 process | 2 processes | ratio | 4 processes |\n|---|---|---|---|---|");
    for workload in WORKLOADS {
        let [one, two, four] = [1, 2, 4].map(|n| best(workload, input.path(), n));
        println!(
            "| {workload}, {megabytes} MB | {one:.2?} | {two:.2?} | {:.2} | {four:.2?} |",
            one.as_secs_f64() / two.as_secs_f64()
        );
    }
    for workload in ["empty batches", "batches of 1,000 records"] {
        let [one, two, four] = [1, 2, 4].map(|n| best(workload, input.path(), n));
        println!("| {workload} | {one:.2?} | {two:.2?} | | {four:.2?} |");
    }
    Ok(())
}

/// Text files of words that are as frequent as in a language.
fn write_words(folder: &Path, megabytes: usize) -> std::io::Result<()> {
    let mut random = SmallRng::seed_from_u64(1);
    for file in 0..megabytes.div_ceil(8) {
        let mut text = String::with_capacity(8 << 20);
        while text.len() < 8 << 20 {
            for _ in 0..10 {
                let rank = (50_000f64).powf(random.random_range(0.0..1.0));
                text.push_str(&format!("word{rank:.0} "));
            }
            text.push('\n');
        }
        fs::write(folder.join(format!("{file}.txt")), text)?;
    }
    Ok(())
}

/// The shortest of three runs.
fn best(workload: &str, input: &Path, processes: usize) -> Duration {
    (0..3).map(|_| run(workload, input, processes)).min().unwrap_or_default()
}

fn run(workload: &str, input: &Path, processes: usize) -> Duration {
    let listeners: Vec<_> =
        (0..processes).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    let hosts: Vec<_> = listeners.iter().map(|l| l.local_addr().expect("an address").to_string()).collect();
    drop(listeners);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let program = env::current_exe().expect("this program");
    let children: Vec<Child> = (0..processes)
        .map(|index| {
            let mut command = Command::new("taskset");
            command.args(["-c", &(index % cores).to_string()]).arg(&program);
            command.env("SCALE_WORKLOAD", workload).env("SCALE_INPUT", input);
            if processes > 1 {
                command.env("DSTREAM_HOSTS", hosts.join(",")).env("DSTREAM_INDEX", index.to_string());
            }
            command.stdout(Stdio::piped()).spawn().expect("taskset")
        })
        .collect();
    let outputs: Vec<_> =
        children.into_iter().map(|child| child.wait_with_output().expect("its end")).collect();
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    let printed = String::from_utf8_lossy(&outputs[0].stdout);
    let seconds = printed.lines().last().and_then(|line| line.parse().ok()).expect("seconds");
    Duration::from_secs_f64(seconds)
}

/// How long the batches took, to the millisecond.
#[derive(Default)]
struct Took(Mutex<Vec<Duration>>);

impl Listener for Took {
    fn batch_completed(&self, batch: &BatchCompleted) {
        self.0.lock().expect("no panic").push(batch.processing_time);
    }
}

/// One of the processes; the first prints how many seconds it took.
fn child(workload: &str, input: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let took = Arc::new(Took::default());
    let conf =
        Config::new().threads(1).partitions(8).listener(Arc::clone(&took)).cluster(Cluster::from_env()?)?;
    let ends = Arc::new(Mutex::new(Vec::new()));
    let end = Arc::clone(&ends);
    let checkpoint = tempfile::tempdir()?;
    let records = |n: usize| -> Vec<Vec<(u64, u64)>> {
        (0..400u64).map(|batch| (0..n as u64).map(|at| (at * batch % 997, 1)).collect()).collect()
    };
    let ssc = match workload {
        "count words" => dstream::stream!(batch = 1s, conf = conf, {
            let words = text_file_stream(input).words();
            words.count_by_value().count().print();
        })?,
        "keep totals" => dstream::stream!(batch = 1s, conf = conf, checkpoint = checkpoint.path(), {
            let pairs = text_file_stream(input).words().map(|word| (word, 1u64));
            let totals = pairs
                .update_state_by_key(|new: &[u64], old| Some(old.unwrap_or(0) + new.iter().sum::<u64>()));
            totals.count().print();
        })?,
        "join" => dstream::stream!(batch = 1s, conf = conf, {
            let words = text_file_stream(input).words();
            let long = words.filter(|word| word.len() > 8).count_by_value();
            let marked = words.filter(|word| word.ends_with('7')).map(|word| (word, ()));
            marked.join(long).count().print();
        })?,
        _ => {
            let batches = records(if workload == "empty batches" { 0 } else { 1_000 });
            dstream::stream!(batch = 1s, conf = conf, {
                let counts = queue_stream(batches).reduce_by_key(|a, b| a + b);
                counts.foreach_rdd(move |_rdd| end.lock().expect("no panic").push(Instant::now()));
            })?
        }
    };
    ssc.run_to_end()?;
    let ends = ends.lock().expect("no panic");
    let mut between: Vec<_> = ends.windows(2).map(|ends| ends[1] - ends[0]).collect();
    between.sort_unstable();
    let took = match between.get(between.len() / 2) {
        Some(median) => *median,
        None => took.0.lock().expect("no panic").iter().sum(),
    };
    if env::var("DSTREAM_INDEX").is_ok_and(|index| index != "0") {
        return Ok(());
    }
    // Behind what is printed.
    println!("\n{}", took.as_secs_f64());
    Ok(())
}
